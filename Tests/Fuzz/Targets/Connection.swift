import CGatewayABI
import Glibc
import TestSupport

@testable import GatewayServer

/// What StepWorker needs to know of the gateway that was built beside this program.
enum TestGateway {
    static let prober: String = {
        var path = [CChar](repeating: 0, count: 4096)
        let length = readlink("/proc/self/exe", &path, path.count - 1)
        let own = String(decoding: path.prefix(max(length, 0)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return String(own[..<(own.lastIndex(of: "/") ?? own.startIndex)]) + "/gateway"
    }()
}

/// A worker that serves all inputs, one after the other.
nonisolated(unsafe) let stepWorker: StepWorker = {
    let limits = "max_message 4k; send_buffer 16k; ping_interval off;"
    do {
        return try StepWorker(
            route: limits, rest: "route /packed { handler echo; compression on { threshold 1; } \(limits) }")
    } catch {
        fatalError("no worker: \(error)")
    }
}()

/// Makes the worker, and gives back to the fuzzer the signals that the gateway has taken.
func prepareConnections() {
    _ = stepWorker
    for number in [SIGILL, SIGTRAP, SIGABRT, SIGSEGV, SIGBUS, SIGFPE] { signal(number, SIG_DFL) }
}

/// Whatever a peer says and a handler asks for, what leaves are legal frames, nothing that was taken is lost or
/// doubled while the connection lives, limits hold, and nothing is left in the end.
func tryConnection(_ bytes: [UInt8]) -> Int32 {
    var input = Input(bytes)
    var play = ConnectionPlay(stepWorker, isPacked: input.byte() & 1 == 1, window: input.number(below: 64) << 6)
    var steps = 0
    while !input.isEmpty, steps < 300 {
        play.act(&input)
        play.check()
        steps += 1
    }
    play.end()
    precondition(stepWorker.isDeserted, "something is left of connections that are gone")
    return 0
}

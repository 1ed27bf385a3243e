import CLinux
import GatewayIO
import Glibc

/// A rehearsal in a process of the new program, from its start to its end; however its owner leaves it, it is killed and
/// reaped. It belongs to the control thread, which steps it when one of its descriptors is readable.
final class RehearsalProcess {
    enum Outcome: Equatable {
        /// The new program would do; what it had to say, such as warnings.
        case fine(program: String, said: String)
        /// Nothing was changed; why.
        case refused(String)
    }

    /// Bytes of its output that are kept, the last ones.
    private static let longestOutput = 8192

    private let process: pid_t
    private let title: String
    private let ending: FileDescriptor
    private let output: FileDescriptor
    private var said: [UInt8] = []
    private var isReaped = false

    /// - Parameter records: messages as they would be handed over, a greeting first.
    init(_ program: SuccessorProgram, records: [UInt8]) throws(ChildProgram.Failure) {
        title = program.title
        let input = FileDescriptor(adopting: unsafe clinux_memory_file("gateway rehearsal"))
        guard input.number >= 0, Self.write(records, to: input.number), lseek(input.number, 0, SEEK_SET) == 0 else {
            throw ChildProgram.Failure(description: "no memory for a copy of what is handed over: \(Errno.last)")
        }
        var (reading, writing): (Int32, Int32) = (-1, -1)
        guard unsafe clinux_pipe(&reading, &writing) == 0 else {
            throw ChildProgram.Failure(description: "no pipe to a rehearsal: \(Errno.last)")
        }
        output = FileDescriptor(adopting: reading)
        // Our end for writing goes here, so that the end of file comes from the child.
        let said = FileDescriptor(adopting: writing)
        process = try program.rehearsal.start(
            standard: [input.number, said.number, said.number], from: program.held?.number)
        ending = FileDescriptor(adopting: clinux_process_descriptor(process))
    }

    deinit { if !isReaped { ChildProgram.endAtOnce(process) } }

    /// Readable when there is something to step for.
    var descriptors: [Int32] { [ending.number, output.number].filter { $0 >= 0 } }

    /// Goes on without waiting; nil while the process lives.
    func step() -> Outcome? {
        drain()
        var end = clinux_end()
        let answer = unsafe clinux_reap(process, 0, &end)
        guard answer != 0 else { return nil }
        isReaped = true
        guard answer > 0 else { return .refused("\(title): nobody knows how its rehearsal ended: \(Errno.last)") }
        drain()
        return outcome(ChildEnd(signal: end.signal, status: end.status))
    }

    private func outcome(_ end: ChildEnd) -> Outcome {
        var lines = String(decoding: said, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
        while lines.last?.isEmpty == true { lines.removeLast() }
        if end == ChildEnd(), let last = lines.last, last.hasPrefix(Rehearsal.answerStart) {
            let program = String(last.dropFirst(Rehearsal.answerStart.count))
            return .fine(program: program, said: lines.dropLast().joined(separator: "\n"))
        }
        let text = lines.isEmpty ? "" : ":\n" + lines.map { "   \($0)\n" }.joined()
        if end == ChildEnd() { return .refused("\(title) is no gateway that can take over\(text)") }
        return .refused("the rehearsal of \(title) \(end)\(text)")
    }

    /// Reads what is there. The pipe holds little, and the writer is slower than we are or dead, so this comes to an end.
    private func drain() {
        var buffer = [UInt8](repeating: 0, count: 4096)
        for _ in 0..<256 {
            let count = unsafe read(output.number, &buffer, buffer.count)
            guard count > 0 else { break }
            said += buffer[..<count]
        }
        if said.count > Self.longestOutput { said.removeFirst(said.count - Self.longestOutput) }
    }

    private static func write(_ bytes: [UInt8], to number: Int32) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(number, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }
}

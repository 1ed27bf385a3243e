public import GatewayHandler

/// Work that takes long: a number comes in, and how many primes there are up to it goes out when it is known.
///
/// The work is done by the gateway's pool of threads. Meanwhile the connection is served as ever: pings are answered,
/// more jobs may come, and each is answered when it is done, in whatever order. A client that leaves takes its jobs
/// along. While jobs are under way a reload leaves the connection with this generation.
final class LongJob: StatefulHandler, HandoverHandler {
    static let handover = Handover("gateway longjob")
    /// What one client may ask for at once; the pool is there for all.
    private static let mostAtOnce = 8

    init(_ context: borrowing StartContext) {}

    // The state is how many jobs are under way: none, when a connection moves to another generation.
    func upgrade(_ request: borrowing Request) -> Upgrade<Int> { .accept(0) }

    func message(_ connection: Connection, _ message: borrowing Message, _ jobs: inout Int) {
        guard let limit = message.text.flatMap(UInt32.init), limit <= 100_000_000 else {
            connection.send("a number up to 100000000, please")
            return
        }
        guard jobs < Self.mostAtOnce else { return reportBusy(connection, limit) }
        do {
            try offload(for: connection) { cancellation in
                let count = Self.primes(upTo: limit, cancellation)
                if count == nil { connection.log(.info, "the primes up to \(limit) are not wanted any more") }
                return count
            } then: { connection, count, jobs in
                jobs -= 1
                if let count { connection.send("\(limit): \(count)") }
            }
            jobs += 1
        } catch {
            reportBusy(connection, limit)
        }
    }

    private func reportBusy(_ connection: Connection, _ limit: UInt32) {
        connection.send("\(limit): too much to do, try again later")
    }

    /// By trial, so that it takes long; nil when it was cancelled.
    private static func primes(upTo limit: UInt32, _ cancellation: Cancellation) -> Int? {
        var count = 0
        for number in 2...max(limit, 2) where number <= limit {
            if cancellation.isCancelled { return nil }
            var divisor: UInt64 = 2
            while divisor * divisor <= number, UInt64(number) % divisor != 0 { divisor += 1 }
            if divisor * divisor > number { count += 1 }
        }
        return count
    }
}

// swift-format-ignore: AlwaysUseLowerCamelCase
@c @implementation
public func gw_handler_entry_v1(_ host: UnsafePointer<gw_host>?) -> UnsafePointer<gw_handler>? {
    Module.export(LongJob.self, to: host)
}

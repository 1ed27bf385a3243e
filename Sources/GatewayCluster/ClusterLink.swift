import CBackplaneABI
import GatewayConfiguration
import GatewayIO
import Glibc
import Synchronization

/// One engine: a thread that keeps a connection to it, subscribes to what has members here, and sends what waits.
///
///     workers ─ publish ─▶ LinkQueue ─▶ thread of the link ─▶ module ─▶ engine
///     topics  ─ follow  ─▶ changes   ─▶        │
///     members ◀──────────── ClusterInbox ◀─────┼──────────── module ◀─ engine
///
/// It is up when a probe has come back through the engine behind all subscriptions, and down when two have not.
final class ClusterLink: Sendable {
    /// What the engine is to do beside sending.
    enum Change: Sendable {
        case follow([UInt8])
        /// Members of another program; passed when that is in force, where it was not followed before.
        case share([UInt8], LinkFence)
        /// The last member has left.
        case leave([UInt8])
        /// What comes is for nobody here from now on, whoever is.
        case end([UInt8])
        /// Passed when what was followed before is in force, or there is no engine.
        case confirm(LinkFence)
        /// Passed when the engine has what was published before, or there is none.
        case flush(LinkFence)
    }

    let url: String
    let queue: LinkQueue
    let inbox: ClusterInbox
    let probeName: [UInt8]
    let counters: ClusterCounters
    private let waker: Waker
    private let changes = Mutex<[Change]>([])
    private let lost = Mutex<(attempt: UInt64, why: String)?>(nil)
    private let report: Mutex<LinkReport>
    /// The number of the probe that has come back last.
    let heardProbe = Atomic<UInt64>(0)
    let isStopping = Atomic<Bool>(false)
    let host: any ClusterHost

    init(
        _ urls: [String], origin: UInt64, prefix: [UInt8], queue most: Int, inbox: ClusterInbox,
        counters: ClusterCounters,
        epochs: NumberEpochs, host: any ClusterHost
    ) throws(Errno) {
        url = urls.map { URLSecret.shortened($0) }.joined(separator: " ")
        (self.inbox, self.counters, self.host) = (inbox, counters, host)
        queue = LinkQueue(origin: origin, most: most, epochs)
        probeName = TopicName.probe(prefix: prefix, origin: origin)
        waker = try Waker()
        report = Mutex(
            LinkReport(
                url: self.url, isUp: false, since: Clock.monotonicNanoseconds(), text: "not tried yet",
                subscriptions: 0,
                queuedBytes: 0, connects: 0, probeMicroseconds: 0))
    }

    // MARK: Any thread

    /// Something has been published.
    func ring() { if queue.takeBell() { waker.ring() } }

    func note(_ change: Change) {
        let isFirst = changes.withLock { changes in
            changes.append(change)
            return changes.count == 1
        }
        if isFirst { waker.ring() }
    }

    /// What waits may be sent.
    func proceed() { waker.ring() }

    func stop() {
        isStopping.store(true, ordering: .releasing)
        waker.ring()
    }

    var state: LinkReport {
        var now = report.withLock { $0 }
        now.queuedBytes = queue.bytes
        return now
    }

    /// Threads of the module: a connection has ended.
    func noteLost(_ attempt: UInt64, _ why: String) {
        lost.withLock { $0 = (attempt, why) }
        waker.ring()
    }

    /// Threads of the module.
    func receive(_ name: UnsafeRawBufferPointer, _ data: UnsafeRawBufferPointer) {
        if unsafe name.elementsEqual(probeName) {
            guard let (head, _) = unsafe Envelope.read(data), head.kind == .probe, head.origin == queue.origin else {
                counters.rejected.add(1, ordering: .relaxed)
                return
            }
            heardProbe.store(head.number, ordering: .releasing)
            waker.ring()
            return
        }
        unsafe inbox.receive(name, data)
    }

    // MARK: The thread of the link

    func takeChanges() -> [Change] {
        changes.withLock { changes in
            defer { changes = [] }
            return changes
        }
    }

    func takeLost(of attempt: UInt64) -> String? {
        lost.withLock { lost in
            defer { lost = nil }
            return lost?.attempt == attempt ? lost?.why : nil
        }
    }

    func update(_ body: (inout LinkReport) -> Void) { report.withLock { body(&$0) } }

    /// For the poller.
    var bell: Int32 { waker.number }
    func answerBell() { waker.answer() }

    /// The functions that a module calls.
    static var functions: gw_backplane_host {
        var host = gw_backplane_host()
        host.struct_size = UInt32(MemoryLayout<gw_backplane_host>.size)
        host.abi_version = UInt32(GW_BACKPLANE_ABI_MAJOR) << 16 | UInt32(GW_BACKPLANE_ABI_MINOR)
        unsafe host.deliver = { context, batch, count in
            guard let link = unsafe ClusterLink.of(context), let batch = unsafe batch else { return }
            for index in 0..<count {
                let each = unsafe batch[index]
                unsafe link.receive(
                    UnsafeRawBufferPointer(start: each.name.ptr, count: each.name.len),
                    UnsafeRawBufferPointer(start: each.data.ptr, count: each.data.len))
            }
        }
        unsafe host.lost = { context, attempt, why, length in
            unsafe ClusterLink.of(context)?.noteLost(attempt, ClusterLink.text(why, length))
        }
        unsafe host.log = { context, level, text, length in
            guard let link = unsafe ClusterLink.of(context) else { return }
            let level: ClusterLogLevel =
                switch level {
                case 0: .debug
                case 1: .info
                case 2: .warning
                default: .error
                }
            link.host.log(level, "cluster \(link.url): \(unsafe ClusterLink.text(text, length))")
        }
        return host
    }

    private static func of(_ context: UnsafeMutableRawPointer?) -> ClusterLink? {
        unsafe context.map { unsafe Unmanaged<ClusterLink>.fromOpaque($0).takeUnretainedValue() }
    }

    private static func text(_ start: UnsafePointer<CChar>?, _ length: Int) -> String {
        let bytes = unsafe UnsafeRawBufferPointer(start: start, count: min(length, Int(GW_BACKPLANE_TEXT_MAX)))
        // What an engine says is printed as it is nowhere.
        return unsafe String(decoding: bytes.map { $0 < 0x20 || $0 == 0x7F ? 0x3F : $0 }, as: UTF8.self)
    }
}

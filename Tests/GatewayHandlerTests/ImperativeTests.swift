import CGatewayABI
import GatewayHandler
import Glibc
import Synchronization
import Testing

/// Answers each text with its number; some of them mean something else.
private final class Counter: ImperativeHandler {
    static let manifest = Manifest(name: "counter", options: .manualPong)
    private let gateway: Gateway

    init(_ context: borrowing StartContext) { gateway = context.gateway }

    func stop() { gateway.log(.info, "stopped") }

    func run(_ session: Session) async throws {
        var count = 0
        for try await frame in session.frames {
            count += 1
            switch frame.text {
            case "throw": throw Mishap(description: "in the loop")
            case "return": return
            case "slow": try await session.sleep(for: .seconds(1))
            case "full": session.send("\((try? await session.sleep(for: .seconds(1))) == nil)")
            case "work": session.send("\(try await session.offload { _ in 7 })")
            case "both": await both(session)
            case "within": try await within(session)
            case "one by one": try await oneByOne(session)
            case "elsewhere": try await Task.detached { try await self.readAtGate(session) }.value
            case nil where frame.kind == .ping: session.pong(frame)
            default: session.send("\(count) \(frame.bytes.count)")
            }
        }
        gateway.log(.info, "ended \(session.closeEvent?.code.rawValue ?? 0) \(Task.isCancelled)")
    }

    private func within(_ session: Session) async throws {
        while let frame = try await session.readFrame(within: .seconds(9)) { session.send("got \(frame.bytes.count)") }
    }

    /// Reads one frame, and the others when the gate is open.
    private func readAtGate(_ session: Session) async throws {
        _ = try await session.readFrame()
        isAtGate.store(true, ordering: .sequentiallyConsistent)
        while !gate.load(ordering: .sequentiallyConsistent) { sched_yield() }
        while try await session.readFrame() != nil {}
    }

    private func oneByOne(_ session: Session) async throws {
        while try await session.readFrame() != nil { try await session.sleep(for: .milliseconds(1)) }
    }

    private func both(_ session: Session) async {
        async let one = session.readFrame()
        async let other = session.readFrame()
        do { _ = try await (one, other) } catch { session.send("\(error)") }
    }
}

private let gate = Atomic(false)
private let isAtGate = Atomic(false)

/// Bytes of memory this process has in use.
private func residentBytes() -> Int {
    guard let file = fopen("/proc/self/statm", "r") else { return 0 }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 128)
    guard fgets(&line, 128, file) != nil else { return 0 }
    let words = String(decoding: line.map { UInt8(bitPattern: $0) }, as: UTF8.self).split(separator: " ")
    return (words.count > 1 ? Int(words[1]) ?? 0 : 0) * 4096
}

@Suite("the imperative flavour")
struct ImperativeTests {
    private let driven = Driven(Counter.self)

    /// A connection whose loop has begun; its state.
    private func open(_ connection: UInt64) -> UnsafeMutableRawPointer? {
        #expect(driven.upgrade() == GW_OK)
        driven.open(connection)
        return driven.host.connectionState
    }

    private var logged: [String] {
        driven.host.calls.compactMap { if case .log(_, _, let line) = $0 { line } else { nil } }
    }

    @Test func `says what it keeps and takes`() {
        #expect(driven.table.flags == UInt32(GW_HF_MANUAL_PONG))
        #expect(driven.table.ping != nil && driven.table.save_conn == nil && driven.table.fragment == nil)
    }

    @Test func `a frame is read before the callback that brings it returns`() {
        let state = open(1)
        driven.text(1, state, "a")
        driven.binary(1, state, [1, 2])
        driven.raw { arena, instance in driven.table.ping!(instance, 1, state, arena.bytes([9])) }
        #expect(driven.host.deeds.suffix(3) == [.text(1, "1 1"), .text(1, "2 2"), .pong(1, [9])])
        driven.close(1, state)
        #expect(logged == ["ended 1000 true"])
        #expect(driven.host.state.withLock { $0.holds == 0 && $0.owed.isEmpty })
    }

    @Test func `what comes while it waits is kept, and reading stops in time`() {
        let state = open(1)
        driven.text(1, state, "slow")
        for _ in 0..<300 { driven.text(1, state, "x") }
        #expect(driven.host.deeds.dropFirst() == [.setReading(1, 0)])
        driven.deliver(state)
        let answers = (2...301).map { Call.text(1, "\($0) 1") }
        #expect(driven.host.deeds.filter { answers.contains($0) } == answers)
        #expect(driven.host.deeds.filter { $0 == .setReading(1, 1) }.count == 1)
        driven.close(1, state)
    }

    @Test func `a reader is woken once for what comes in one turn`() {
        let state = open(1)
        func answers(_ numbers: ClosedRange<Int>) -> [Call] { numbers.map { .text(1, "\($0) 1") } }
        driven.turn = 5
        for _ in 0..<3 { driven.text(1, state, "x") }
        #expect(driven.host.deeds.dropFirst() == answers(1...1)[...], "the first was not known to be one of several")
        driven.deliver(state)
        #expect(driven.host.deeds.dropFirst() == answers(1...3)[...])
        driven.turn = 6
        for _ in 0..<300 { driven.text(1, state, "x") }
        #expect(driven.host.deeds.dropFirst(4) == [.setReading(1, 0)])
        driven.deliver(state)
        #expect(
            driven.host.deeds.dropFirst(4).filter { $0 != .setReading(1, 0) && $0 != .setReading(1, 1) }
                == answers(4...303))
        // One alone comes with an event for the last time.
        driven.turn = 7
        driven.text(1, state, "x")
        driven.deliver(state)
        #expect(driven.host.deeds.last == .text(1, "304 1"))
        driven.turn = 8
        driven.text(1, state, "x")
        #expect(driven.host.deeds.last == .text(1, "305 1"))
        driven.close(1, state)
    }

    @Test func `what was kept for a reader comes before the end`() {
        let state = open(1)
        driven.turn = 5
        for _ in 0..<4 { driven.text(1, state, "x") }
        driven.close(1, state)
        #expect(driven.host.deeds.dropFirst().prefix(4) == (1...4).map { .text(1, "\($0) 1") }[...])
        #expect(logged == ["ended 1000 true"])
        driven.deliver(ended: true)
    }

    @Test func `large frames count by their bytes`() {
        let state = open(1)
        driven.text(1, state, "slow")
        for _ in 0..<3 { driven.binary(1, state, [UInt8](repeating: 0, count: 100_000)) }
        #expect(driven.host.deeds.last == .setReading(1, 0))
        driven.deliver(state)
        driven.close(1, state)
    }

    @Test func `what has been read is not kept`() {
        let state = open(1)
        driven.text(1, state, "one by one")
        let before = residentBytes()
        let frame = [UInt8](repeating: 7, count: 400_000)
        for _ in 0..<2 { driven.binary(1, state, frame) }
        for _ in 0..<240 {
            driven.binary(1, state, frame)
            driven.deliver(state)
        }
        #expect(residentBytes() < before + 40_000_000, "two wait, and 240 have been read: 96 MB")
        driven.close(1, state)
    }

    @Test func `more is read when the peer has taken what is queued`() {
        let state = open(1)
        driven.host.set { $0.status = gw_status(GW_BACKPRESSURE) }
        for _ in 0..<3 { driven.text(1, state, "x") }
        driven.deliver(state)
        #expect(driven.host.deeds.dropFirst() == [.text(1, "1 1")])
        driven.raw { _, instance in driven.table.drained?(instance, 1, state) }
        driven.deliver(state)
        #expect(driven.host.deeds.dropFirst() == [.text(1, "1 1"), .text(1, "2 1")])
        driven.host.set { $0.status = 0 }
        driven.raw { _, instance in driven.table.drained?(instance, 1, state) }
        driven.text(1, state, "x")
        driven.deliver(state)
        #expect(driven.host.deeds.dropFirst() == (1...4).map { .text(1, "\($0) 1") }[...])
        driven.close(1, state)
    }

    @Test func `what came before the end is read also when the peer took nothing`() {
        let state = open(1)
        driven.host.set { $0.status = gw_status(GW_BACKPRESSURE) }
        for _ in 0..<3 { driven.text(1, state, "x") }
        driven.close(1, state)
        #expect(driven.host.deeds.dropFirst().prefix(3) == (1...3).map { .text(1, "\($0) 1") }[...])
        #expect(logged == ["ended 1000 true"])
    }

    @Test func `a gateway that goes on reading is told again`() {
        let state = open(1)
        driven.text(1, state, "slow")
        func stops(after frames: Int) -> Int {
            for _ in 0..<frames { driven.text(1, state, "x") }
            return driven.host.deeds.filter { $0 == .setReading(1, 0) }.count
        }
        #expect([stops(after: 256), stops(after: 63), stops(after: 1), stops(after: 63)] == [1, 1, 2, 2])
        driven.close(1, state)
    }

    @Test func `a limit is one timer for each wait, and none when there is nothing to wait for`() {
        let state = open(1)
        driven.text(1, state, "within")
        func timers() -> [Int] {
            [
                Int(driven.host.state.withLock { $0.lastTimer }),
                driven.host.deeds.filter { if case .cancel = $0 { true } else { false } }.count,
            ]
        }
        #expect(timers() == [1, 0])
        driven.text(1, state, "x")
        #expect(timers() == [2, 1])
        driven.turn = 5
        for _ in 0..<4 { driven.text(1, state, "x") }
        // The first was given at once, the others come together.
        let posts = driven.host.state.withLock { $0.owed.filter { $0.kind == .post } }
        for post in posts { driven.deliver(post, state) }
        #expect(timers() == [4, 3])
        #expect(driven.host.deeds.filter { $0 == .text(1, "got 1") }.count == 5)
        driven.close(1, state)
    }

    @Test func `a limit without a timer is an error`() {
        let state = open(1)
        driven.host.set { ($0.laterStatus, $0.info) = (gw_status(GW_E_LIMIT), gw_conn_info()) }
        driven.text(1, state, "within")
        #expect(logged == ["run threw: tooManyTimers"])
        driven.host.set { $0.laterStatus = 0 }
        driven.close(1, state)
    }

    @Test func `what a reader on another thread tells the gateway comes behind what it is about`() {
        let host = driven.host
        let state = open(1)
        // While the gateway is being told to stop, the reader takes all there is, if it can, and has it go on.
        host.set {
            $0.onStop = {
                gate.store(true, ordering: .sequentiallyConsistent)
                let end = ContinuousClock.now + .milliseconds(300)
                while host.deeds.last != .setReading(1, 1), ContinuousClock.now < end { sched_yield() }
            }
        }
        driven.text(1, state, "elsewhere")
        driven.text(1, state, "x")
        while !isAtGate.load(ordering: .sequentiallyConsistent) { sched_yield() }
        driven.binary(1, state, [UInt8](repeating: 7, count: 262_144))
        let end = ContinuousClock.now + .seconds(20)
        while host.deeds.last != .setReading(1, 1), ContinuousClock.now < end { sched_yield() }
        #expect(host.deeds.suffix(2) == [.setReading(1, 0), .setReading(1, 1)], "reading is off, and nobody reads")
        driven.close(1, state)
    }

    @Test(arguments: [("throw", 1011), ("return", 1000)])
    func `its end is that of the connection`(_ text: String, _ code: UInt16) {
        let state = open(1)
        driven.text(1, state, text)
        #expect(driven.host.deeds.last == .close(1, code, ""))
        #expect(logged == (text == "throw" ? ["run threw: in the loop"] : []))
        // What comes behind it is read by nobody.
        driven.text(1, state, "a")
        driven.close(1, state, code: code)
        #expect(driven.host.state.withLock { $0.holds } == 0)
    }

    @Test func `what it sleeps and works for ends with the connection`() {
        let state = open(1)
        driven.text(1, state, "slow")
        driven.close(1, state)
        #expect(logged == ["run ended: CancellationError()"])
        let other = open(2)
        driven.text(2, other, "work")
        driven.close(2, other)
        #expect(driven.host.state.withLock { $0.holds } == 1, "the generation is kept while the task lives")
        driven.deliver(ended: true)
        // The result comes from the pool, and so the loop goes on at home.
        driven.deliver()
        #expect(driven.host.deeds.contains(.text(2, "7")))
        #expect(driven.host.state.withLock { $0.holds } == 0)
    }

    @Test func `no timer is no sleep`() {
        let state = open(1)
        driven.host.set { ($0.laterStatus, $0.info) = (gw_status(GW_E_LIMIT), gw_conn_info()) }
        driven.text(1, state, "full")
        #expect(driven.host.deeds.last == .text(1, "true"))
        driven.host.set { $0.laterStatus = 0 }
        driven.close(1, state)
    }

    @Test func `two cannot read at once`() {
        let state = open(1)
        driven.text(1, state, "both")
        driven.text(1, state, "x")
        #expect(driven.host.deeds.last == .text(1, "alreadyReading"))
        driven.close(1, state)
    }

    @Test func `stop runs what is left to its end`() {
        let host = MockHost()
        var driven: Driven? = Driven(Counter.self, host: host)
        driven?.upgrade()
        driven?.open(1)
        let state = host.connectionState
        driven?.text(1, state, "work")
        driven?.close(1, state)
        // The pool answers, the event that would run the loop is never delivered, and stop finds it.
        let work = host.state.withLock { $0.owed }
        host.set { $0.laterStatus = gw_status(GW_E_RETIRED) }
        for one in work { driven?.deliver(one, ended: true) }
        driven = nil
        #expect(host.deeds.contains(.text(1, "7")))
        #expect(host.calls.last == .log(0, 2, "stopped"))
    }
}

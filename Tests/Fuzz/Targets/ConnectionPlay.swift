import CGatewayABI
import GatewayIO
import TestSupport

@testable import GatewayServer

/// One connection, what its peer and its handler do to it, and what has to come of that.
struct ConnectionPlay {
    private let owner: StepWorker
    private let peer: StepWorker.Peer
    private let connection: gw_conn
    private let isPacked: Bool
    private var listener = FrameListener()
    private var number = 0
    /// Of each sender, the messages that were taken and have not been heard.
    private var owed: [Sender: [[UInt8]]] = [:]
    /// The handler's fragmented message so far; nil when none is open.
    private var fragments: [UInt8]?
    /// Everything the peer says comes back: the handler has not sent fragments, between which an echo is refused.
    private var isEchoed = true
    /// The peer has said what may break the connection, or has left.
    private var isWild = false

    private enum Sender: UInt8, Hashable {
        case peer = 0x70
        case worker = 0x77
        case elsewhere = 0x6F
        case fragments = 0x66
    }

    /// The largest message, and what a queue may hold behind it.
    private static let (longest, queue) = (4096, 16384)

    init(_ owner: StepWorker, isPacked: Bool, window: Int) {
        (self.owner, self.isPacked) = (owner, isPacked)
        let extensions = isPacked ? "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" : ""
        peer = owner.open(isPacked ? "/packed" : "/echo", window: 512 + window, headers: extensions)
        connection = peer.id?.number ?? 0
        listener.mayBeCompressed = isPacked
    }

    // MARK: What happens

    mutating func act(_ input: inout Input) {
        switch input.number(below: 14) {
        case 0: sayMessage(&input)
        case 1:
            isWild = true
            peer.say(input.bytes(input.number(below: 64)))
        case 2: send(.worker, &input)
        case 3: send(.elsewhere, &input)
        case 4: sendFragment(&input)
        case 5: _ = host.sendControl(connection, .ping, nil, 0)
        case 6: peer.widen(by: input.number(below: 256) << 4)
        case 7: owner.step(after: UInt64(input.byte()) * 10)
        case 8: _ = host.setReading(connection, input.byte() & 1 == 0)
        case 9 where input.byte() & 7 == 0: leave(.close)
        case 10 where input.byte() & 7 == 0: leave(.abort)
        case 11: topic(&input)
        case 12 where input.byte() & 7 == 0: leave(input.byte() & 1 == 0 ? .finish : .break)
        default: owner.step()
        }
    }

    private var host: HostContext { owner.host(isPacked ? 1 : 0) }

    private enum Leave {
        case close
        case abort
        case finish
        case `break`
    }

    private mutating func leave(_ way: Leave) {
        isWild = true
        switch way {
        case .close: _ = host.close(connection, 1000, nil, 0)
        case .abort: _ = host.abort(connection)
        case .finish: peer.finish()
        case .break: peer.fail(Errno(104))
        }
    }

    private mutating func payload(_ sender: Sender, _ input: inout Input) -> [UInt8] {
        number += 1
        let rest = [UInt8](repeating: UInt8(ascii: "x"), count: input.number(below: 256) << input.number(below: 4))
        return [sender.rawValue] + Array("\(number) ".utf8) + rest
    }

    private mutating func sayMessage(_ input: inout Input) {
        let payload = payload(.peer, &input)
        owed[.peer, default: []].append(payload)
        let cut = input.number(below: 256)
        // The bytes of a message that was cut come in one turn or in two.
        if cut > 127, payload.count > 2 {
            peer.say(ClientFrame(1, Array(payload[..<2]), isFinal: false))
            if cut > 191 { owner.step() }
            peer.say(ClientFrame(0, Array(payload[2...])))
        } else {
            peer.say(ClientFrame(1, payload))
        }
    }

    private mutating func send(_ sender: Sender, _ input: inout Input) {
        let payload = payload(sender, &input)
        var status: gw_status = 0
        func call() {
            status = payload.withUnsafeBytes { host.send(connection, UInt32(GW_TEXT), 0, $0.baseAddress, $0.count) }
        }
        if sender == .worker { owner.onWorker(call) } else { call() }
        note(status)
        if status >= 0 { owed[sender, default: []].append(payload) }
    }

    /// A peer that reads too slowly for what is sent is closed.
    private mutating func note(_ status: gw_status) {
        if status == gw_status(GW_E_CLOSED) { isWild = true }
    }

    private mutating func sendFragment(_ input: inout Input) {
        isEchoed = false
        let isLast = input.byte() & 3 == 0
        let piece = fragments == nil ? payload(.fragments, &input) : input.bytes(3).map { $0 & 0x7F }
        let flags = isLast ? UInt32(GW_FIN) : 0
        var status: gw_status = 0
        owner.onWorker {
            status = piece.withUnsafeBytes {
                host.sendFragment(connection, UInt32(GW_TEXT), flags, $0.baseAddress, $0.count)
            }
        }
        note(status)
        guard status >= 0 else { return }
        fragments = (fragments ?? []) + piece
        guard isLast, let whole = fragments else { return }
        owed[.fragments, default: []].append(whole)
        fragments = nil
    }

    private func topic(_ input: inout Input) {
        let name: [CChar] = [116]
        if input.byte() & 1 == 0 {
            _ = host.subscribe(connection, 0, name, 1)
        } else {
            _ = host.unsubscribe(connection, 0, name, 1)
        }
    }

    // MARK: What has to hold

    mutating func check() {
        listener.hear(peer.heard())
        for message in listener.takeMessages() { take(message) }
        guard let place = peer.place else {
            precondition(isWild || listener.hasClosed, "the connection ended by itself")
            isWild = true
            return
        }
        if listener.hasClosed { isWild = true }
        // What other threads send is held against what was queued when they did: it comes on top of what the worker has
        // queued meanwhile.
        let most = 2 * Self.queue + Self.longest
        precondition(place.pointee.outbox.count <= most, "\(place.pointee.outbox.count) bytes wait in a queue")
        precondition(place.pointee.assembler.count <= Self.longest, "more is kept than a message may have")
    }

    private mutating func take(_ message: [UInt8]) {
        // What is compressed is not read here; what a wild peer is echoed may begin with anything.
        guard !isPacked, let sender = message.first.flatMap(Sender.init) else { return }
        if sender == .peer, isWild || !isEchoed { return }
        let expected = owed[sender]?.first
        precondition(
            message == expected,
            "out of order, lost or doubled: \(Self.short(message)) for \(expected.map(Self.short) ?? "nothing")")
        owed[sender]?.removeFirst()
    }

    private static func short(_ message: [UInt8]) -> String {
        "\(String(decoding: message.prefix(8), as: UTF8.self))... of \(message.count) bytes"
    }

    /// Everything that was taken comes, and then the connection ends.
    mutating func end() {
        _ = host.setReading(connection, true)
        peer.widen(by: 1 << 24)
        owner.step()
        check()
        if !isWild, !isPacked, fragments == nil {
            let lost = owed.filter { !$0.value.isEmpty && ($0.key != .peer || isEchoed) }
            precondition(lost.isEmpty, "lost: \(lost.mapValues(\.count))")
        }
        peer.finish()
        for _ in 0..<4 { owner.step(after: 10_000) }
        _ = host.abort(connection)
        owner.step(after: 100_000)
    }
}

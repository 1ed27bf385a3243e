import Synchronization

@testable import GatewayCluster

/// What comes from an engine, for the members at a gateway: names and data as anybody who may write there makes them, and
/// what gateways send, cut, doubled and mixed.
///
/// Nothing of it traps, what is held is bounded, and no member hears a publication of a gateway twice or behind a later
/// one.
func tryEngine(_ bytes: [UInt8]) -> Int32 {
    var input = Input(bytes)
    let members = Members()
    let inbox = ClusterInbox(origin: 1, prefix: [103], counters: ClusterCounters(), host: members)
    let names = [[1], [0, 2], [3]].enumerated().map { index, topic in
        TopicName(scope: index == 1 ? "" : "/a", topic: topic).wire(prefix: [103]) ?? []
    }
    while !input.isEmpty {
        let name = names[input.number(below: names.count)]
        switch input.number(below: 8) {
        case 0:
            inbox.follow(name)
            members.follow(TopicName(wire: name, prefix: [103]))
        case 1:
            inbox.forget(name)
            // Whoever comes again begins again.
            members.forget(TopicName(wire: name, prefix: [103]))
        case 2: inbox.forgetParts()
        case 4 where input.number(below: 2) == 0: besideTwin(&input, inbox, name, members)
        case 3: receive(inbox, input.bytes(input.number(below: 16)), input.bytes(input.number(below: 64)))
        case 4:
            var data = envelope(&input)
            // A wrong octet anywhere.
            data[Int(input.byte()) % data.count] ^= 1 << input.number(below: 8)
            receive(inbox, name, data)
        default: receive(inbox, name, envelope(&input))
        }
    }
    return 0
}

/// Another program of the gateway hears the engine for this one as well, and passes on what it likes.
private func besideTwin(_ input: inout Input, _ inbox: ClusterInbox, _ name: [UInt8], _ members: Members) {
    guard let topic = TopicName(wire: name, prefix: [103]) else { return }
    switch input.number(below: 8) {
    case 0: inbox.beginBeside()
    case 1: inbox.goOnAlone()
    case 2: inbox.noteShared(topic)
    default:
        let id = PublicationID(origin: UInt64(2 + input.number(below: 3)), number: UInt64(input.byte()))
        // As little as from an engine is anything taken twice from there.
        guard inbox.isBeside, members.areIn(topic), inbox.notePassed(id, topic) else { return }
        let payload = [UInt8(id.origin)] + (0..<8).map { UInt8(truncatingIfNeeded: id.number >> (8 * $0)) }
        _ = payload.withUnsafeBytes { members.deliver(topic, id, isText: false, isPlain: false, $0) }
    }
}

private func receive(_ inbox: ClusterInbox, _ name: [UInt8], _ data: [UInt8]) {
    name.withUnsafeBytes { name in data.withUnsafeBytes { inbox.receive(name, $0) } }
}

/// One that has the checksum of a gateway. What it carries is its origin and number, so that members know it again.
private func envelope(_ input: inout Input) -> [UInt8] {
    let kinds: [Envelope.Kind] = [.publication, .publication, .publication, .loss, .probe]
    let kind = kinds[input.number(below: kinds.count)]
    let origin = UInt64(input.number(below: 4)), number = UInt64(input.byte()) << (input.number(below: 8) == 7 ? 56 : 0)
    let flags = Envelope.Flags(rawValue: input.byte() & 0x1F)
    var head = Envelope(kind: kind, flags: flags, origin: origin, number: number, sent: 0)
    if input.number(below: 2) == 1 {
        head.parts = UInt32(input.number(below: 6))
        head.part = UInt32(input.number(below: 6))
    }
    var payload = [UInt8(origin)] + (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
    // Only the first part says whose it is.
    if head.part > 0 { payload = input.bytes(input.number(below: 32)) }
    return payload.withUnsafeBytes { head.bytes($0) }
}

/// Those who hear what is delivered, and look whether it may be.
private final class Members: ClusterHost {
    private let last = Mutex<[TopicName: [UInt8: UInt64]]>([:])

    func deliver(
        _ topic: TopicName, _ id: PublicationID, isText: Bool, isPlain: Bool, _ payload: UnsafeRawBufferPointer
    ) -> Bool {
        precondition(payload.count <= PartAssembly.mostBytes, "more than can be put together")
        precondition(payload.count >= 9, "a publication without its beginning")
        let origin = payload[0]
        let number = UInt64(littleEndian: payload.loadUnaligned(fromByteOffset: 1, as: UInt64.self))
        precondition(origin > 1, "one of its own, or of nobody")
        last.withLock { last in
            if let known = last[topic, default: [:]][origin] {
                precondition(number > known, "\(number) behind \(known)")
            }
            last[topic, default: [:]][origin] = number
        }
        return number % 7 != 0
    }

    func follow(_ topic: TopicName?) {
        if let topic { last.withLock { $0[topic] = $0[topic] ?? [:] } }
    }

    func forget(_ topic: TopicName?) {
        if let topic { last.withLock { $0[topic] = nil } }
    }

    func areIn(_ topic: TopicName) -> Bool { last.withLock { $0[topic] != nil } }

    func noteGap(_ topic: TopicName?) {}
    func noteFollowed(_ topic: TopicName) {}
    var keepsTopics: Bool { false }
    func log(_ level: ClusterLogLevel, _ text: String) {}
}

import GatewayIO

/// Cuts messages out of what comes, with the descriptors that belong to them. The other side may be wrong in any way.
///
/// Descriptors come with the first byte of their message at the latest when that is read, so whoever has the whole message
/// has them as well, in the order of the messages.
struct SuccessionReader {
    /// What has come and is no whole message yet, from `start` on.
    private var bytes: [UInt8] = []
    private var start = 0
    private let descriptors = PassedDescriptors()

    /// More descriptors than that never wait for their messages: a read brings those of one call.
    private static let mostWaiting = 2 * DescriptorSocket.mostDescriptors

    /// - Parameter bytes: what has come already.
    init(_ bytes: [UInt8] = []) { self.bytes = bytes }

    /// Whether nothing of a message waits for its rest.
    var isBetweenMessages: Bool { start == bytes.count && descriptors.count == 0 }

    /// Takes what has come some other way, without descriptors.
    mutating func append(_ more: some Collection<UInt8>) {
        dropRead()
        bytes += more
    }

    private mutating func dropRead() {
        if start == 0 { return }
        bytes.removeFirst(start)
        start = 0
    }

    /// Reads once from a socket.
    mutating func read(_ socket: borrowing DescriptorSocket, atMost room: Int) throws(SuccessionFailure) -> IOResult {
        dropRead()
        let result = socket.read(appendingTo: &bytes, atMost: room, descriptors)
        guard descriptors.count <= Self.mostWaiting else {
            throw .frame("\(descriptors.count) descriptors wait for their messages")
        }
        return result
    }

    /// The next whole message; nil when there is none yet.
    ///
    /// - Parameter withDescriptors: false where a copy of messages is read, without what belongs to them.
    mutating func next(withDescriptors: Bool = true) throws(SuccessionFailure) -> SuccessionMessage? {
        while let head = head() {
            guard let kind = SuccessionMessage.Kind(rawValue: head.kind) else {
                guard try skipUnknown(head) else { return nil }
                continue
            }
            guard head.length <= kind.longest else {
                throw .frame("\(head.length) bytes of the kind \"\(kind)\", at most \(kind.longest) can be")
            }
            guard head.descriptors == kind.descriptors else {
                throw .frame("\(head.descriptors) descriptors with the kind \"\(kind)\", not \(kind.descriptors)")
            }
            guard let body = take(head.length) else { return nil }
            let passed = try takeDescriptors(withDescriptors ? head.descriptors : 0)
            return try SuccessionMessage(kind, body, passed)
        }
        guard start < bytes.count || descriptors.count == 0 else {
            throw .frame("\(descriptors.count) descriptors that no message names")
        }
        return nil
    }

    private struct Head {
        let length: Int
        let kind: UInt16
        let descriptors: Int
    }

    private func head() -> Head? {
        guard bytes.count - start >= SuccessionMessage.headLength else { return nil }
        let words = MessageFieldReader.number(bytes[start..<(start + SuccessionMessage.headLength)])
        return Head(
            length: Int(words & 0xFFFF_FFFF), kind: UInt16(truncatingIfNeeded: words >> 32),
            descriptors: Int(words >> 48))
    }

    /// Passes over a message of a newer program that need not be understood; false when it is not whole yet.
    private mutating func skipUnknown(_ head: Head) throws(SuccessionFailure) -> Bool {
        guard head.kind >= SuccessionMessage.firstOptionalKind, head.length <= 64 << 10 else {
            throw .frame("the kind \(head.kind) is unknown")
        }
        guard take(head.length) != nil else { return false }
        _ = try takeDescriptors(head.descriptors)
        return true
    }

    /// The bytes behind the head, once all are there.
    private mutating func take(_ length: Int) -> ArraySlice<UInt8>? {
        let begin = start + SuccessionMessage.headLength
        guard bytes.count - begin >= length else { return nil }
        start = begin + length
        return bytes[begin..<start]
    }

    private func takeDescriptors(_ count: Int) throws(SuccessionFailure) -> PassedDescriptors {
        guard let taken = descriptors.take(count) else {
            throw .frame("\(count) descriptors are announced, and \(descriptors.count) have come")
        }
        return taken
    }
}

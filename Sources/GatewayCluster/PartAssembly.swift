/// Publications that come in parts, because an engine does not take them whole.
struct PartAssembly {
    /// Bytes of unfinished ones.
    static let mostBytes = 64 << 20
    static let mostUnfinished = 64

    private struct Key: Hashable {
        let name: [UInt8]
        let origin: UInt64
    }

    private struct Unfinished {
        let number: UInt64
        let parts: UInt32
        var next: UInt32 = 0
        var payload: [UInt8] = []
    }

    private var unfinished: [Key: Unfinished] = [:]
    private var bytes = 0

    /// Takes a part.
    ///
    /// - Returns: the whole payload with the last one; nil before. A part that does not fit is dropped with what it
    ///   belongs to, which will be missed by its number.
    mutating func take(_ head: Envelope, _ payload: UnsafeRawBufferPointer, name: [UInt8]) -> [UInt8]? {
        let key = Key(name: name, origin: head.origin)
        if head.part == 0 {
            drop(key)
            if unfinished.count >= Self.mostUnfinished { return nil }
            unfinished[key] = Unfinished(number: head.number, parts: head.parts)
        }
        guard var message = unfinished.removeValue(forKey: key) else { return nil }
        guard message.number == head.number, message.parts == head.parts, message.next == head.part,
            bytes + payload.count <= Self.mostBytes
        else {
            bytes -= message.payload.count
            return nil
        }
        unsafe message.payload.append(contentsOf: payload)
        message.next += 1
        if message.next == message.parts {
            bytes -= message.payload.count - payload.count
            return message.payload
        }
        bytes += payload.count
        unfinished[key] = message
        return nil
    }

    private mutating func drop(_ key: Key) {
        if let former = unfinished.removeValue(forKey: key) { bytes -= former.payload.count }
    }

    mutating func removeAll() {
        unfinished.removeAll()
        bytes = 0
    }
}

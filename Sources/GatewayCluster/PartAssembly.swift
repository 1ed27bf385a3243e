/// Publications that come in parts, because an engine does not take them whole.
struct PartAssembly {
    /// Bytes of unfinished ones.
    static let mostBytes = 64 << 20
    static let mostUnfinished = 64

    enum Outcome: Equatable {
        case unfinished
        case whole([UInt8])
        /// It does not fit what came before, or there is too much.
        case dropped
    }

    private struct Key: Hashable {
        let name: [UInt8]
        let origin: UInt64
    }

    private struct Unfinished {
        let number: UInt64
        let parts: UInt32
        let age: UInt64
        var next: UInt32 = 0
        var payload: [UInt8] = []
    }

    private var unfinished: [Key: Unfinished] = [:]
    private var bytes = 0
    private var age: UInt64 = 0

    /// Takes a part.
    ///
    /// - Returns: what has become of what it belongs to, or of what was unfinished before.
    mutating func take(_ head: Envelope, _ payload: UnsafeRawBufferPointer, name: [UInt8]) -> Outcome {
        let key = Key(name: name, origin: head.origin)
        if head.part == 0 {
            drop(key)
            // Whoever has ended in the middle must not keep others from it.
            if unfinished.count >= Self.mostUnfinished, let oldest = unfinished.min(by: { $0.value.age < $1.value.age })
            {
                drop(oldest.key)
            }
            age += 1
            unfinished[key] = Unfinished(number: head.number, parts: head.parts, age: age)
        }
        guard var message = unfinished.removeValue(forKey: key) else { return .dropped }
        guard message.number == head.number, message.parts == head.parts, message.next == head.part,
            bytes + payload.count <= Self.mostBytes
        else {
            bytes -= message.payload.count
            return .dropped
        }
        unsafe message.payload.append(contentsOf: payload)
        message.next += 1
        if message.next == message.parts {
            bytes -= message.payload.count - payload.count
            return .whole(message.payload)
        }
        bytes += payload.count
        unfinished[key] = message
        return .unfinished
    }

    private mutating func drop(_ key: Key) {
        if let former = unfinished.removeValue(forKey: key) { bytes -= former.payload.count }
    }

    mutating func removeAll() {
        unfinished.removeAll()
        bytes = 0
    }
}

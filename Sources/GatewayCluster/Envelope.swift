import CZlib

/// What goes through an engine: a head of 40 bytes, and the payload of a publication or a part of it.
///
///     0 version   1 kind   2 flags   3 zero   4 CRC-32 of all that follows
///     8 origin   16 number of the origin's publication to this name   24 when, in microseconds since 1970
///     32 which part   36 of how many
///
/// All numbers are little-endian. What comes is hostile: anybody who may write to the engine can write anything.
struct Envelope: Equatable {
    enum Kind: UInt8 {
        case publication = 1
        /// The publisher could not send everything up to this number.
        case loss = 2
        case probe = 3
    }

    struct Flags: OptionSet {
        let rawValue: UInt8
        static let text = Flags(rawValue: 1)
        static let binary = Flags(rawValue: 2)
        /// Not to be compressed for members.
        static let plain = Flags(rawValue: 4)
        /// The numbers of this origin begin here.
        static let first = Flags(rawValue: 8)
        static let known: Flags = [.text, .binary, .plain, .first]

        init(rawValue: UInt8) { self.rawValue = rawValue }
        init(isText: Bool, isPlain: Bool) { rawValue = (isText ? 1 : 2) | (isPlain ? 4 : 0) }
    }

    static let headLength = 40
    private static let version: UInt8 = 1

    var kind: Kind
    var flags: Flags
    var origin: UInt64
    var number: UInt64
    var sent: UInt64
    var part: UInt32 = 0
    var parts: UInt32 = 1

    /// The bytes for an engine.
    func bytes(_ payload: UnsafeRawBufferPointer) -> [UInt8] {
        unsafe [UInt8](unsafeUninitializedCapacity: Self.headLength + payload.count) { room, count in
            let bytes = UnsafeMutableRawBufferPointer(room)
            unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[Self.headLength...]).copyMemory(from: payload)
            count = Self.headLength + payload.count
            unsafe write(before: UnsafeMutableRawBufferPointer(rebasing: bytes[..<count]))
        }
    }

    /// Writes the head into the first bytes, before the payload, which is there already.
    func write(before bytes: UnsafeMutableRawBufferPointer) {
        unsafe bytes.storeBytes(of: Self.version, toByteOffset: 0, as: UInt8.self)
        unsafe bytes.storeBytes(of: kind.rawValue, toByteOffset: 1, as: UInt8.self)
        unsafe bytes.storeBytes(of: flags.rawValue, toByteOffset: 2, as: UInt8.self)
        unsafe bytes.storeBytes(of: 0, toByteOffset: 3, as: UInt8.self)
        unsafe bytes.storeBytes(of: origin.littleEndian, toByteOffset: 8, as: UInt64.self)
        unsafe bytes.storeBytes(of: number.littleEndian, toByteOffset: 16, as: UInt64.self)
        unsafe bytes.storeBytes(of: sent.littleEndian, toByteOffset: 24, as: UInt64.self)
        unsafe bytes.storeBytes(of: part.littleEndian, toByteOffset: 32, as: UInt32.self)
        unsafe bytes.storeBytes(of: parts.littleEndian, toByteOffset: 36, as: UInt32.self)
        let checksum = unsafe Self.checksum(UnsafeRawBufferPointer(bytes), bytes.count)
        unsafe bytes.storeBytes(of: checksum.littleEndian, toByteOffset: 4, as: UInt32.self)
    }

    /// Of the first three bytes and of everything behind itself.
    private static func checksum(_ bytes: UnsafeRawBufferPointer, _ count: Int) -> UInt32 {
        guard let base = unsafe bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return 0 }
        let head = unsafe crc32_z(0, base, 4)
        return unsafe UInt32(truncatingIfNeeded: crc32_z(head, base + 8, count - 8))
    }

    private init(kind: Kind, flags: Flags, _ bytes: UnsafeRawBufferPointer) {
        (self.kind, self.flags) = (kind, flags)
        unsafe origin = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        unsafe number = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self))
        unsafe sent = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 24, as: UInt64.self))
        unsafe part = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 32, as: UInt32.self))
        unsafe parts = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 36, as: UInt32.self))
    }

    init(kind: Kind, flags: Flags, origin: UInt64, number: UInt64, sent: UInt64) {
        (self.kind, self.flags, self.origin, self.number, self.sent) = (kind, flags, origin, number, sent)
    }

    /// Whose it says that it is; 0 when it is too short to say so.
    static func origin(of bytes: UnsafeRawBufferPointer) -> UInt64 {
        if bytes.count < headLength { return 0 }
        return unsafe UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
    }

    /// - Returns: nil for what no gateway of this version has sent.
    static func read(_ bytes: UnsafeRawBufferPointer) -> (head: Envelope, payload: UnsafeRawBufferPointer)? {
        guard bytes.count >= headLength, unsafe bytes[0] == version, unsafe bytes[3] == 0,
            let kind = unsafe Kind(rawValue: bytes[1])
        else { return nil }
        let flags = unsafe Flags(rawValue: bytes[2])
        let stored = unsafe UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
        guard flags.isSubset(of: .known), unsafe stored == checksum(bytes, bytes.count) else { return nil }
        let head = unsafe Envelope(kind: kind, flags: flags, bytes)
        guard head.origin != 0, head.parts > 0, head.part < head.parts,
            kind != .publication || flags.contains(.text) != flags.contains(.binary)
        else { return nil }
        return unsafe (head, UnsafeRawBufferPointer(rebasing: bytes[headLength...]))
    }
}

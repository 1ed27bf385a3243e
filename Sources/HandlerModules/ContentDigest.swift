/// XXH64 of what it is fed: tells one build of a module from another, and is no protection against forgery.
///
/// The published algorithm (seed 0), so that `xxhsum -H1 file` shows the same number as the log.
package struct ContentDigest {
    private static let prime1: UInt64 = 0x9E37_79B1_85EB_CA87
    private static let prime2: UInt64 = 0xC2B2_AE3D_27D4_EB4F
    private static let prime3: UInt64 = 0x1656_67B1_9E37_79F9
    private static let prime4: UInt64 = 0x85EB_CA77_C2B2_AE63
    private static let prime5: UInt64 = 0x27D4_EB2F_1656_67C5

    /// Bytes per step; every part but the last is a multiple of it.
    package static let stripe = 32

    private var lane1 = prime1 &+ prime2
    private var lane2 = prime2
    private var lane3: UInt64 = 0
    private var lane4 = 0 &- prime1
    private var total: UInt64 = 0

    package init() {}

    /// Takes the whole stripes in the first `count` bytes; the rest, under a stripe, goes to `finish`.
    package mutating func update(_ bytes: [UInt8], count: Int) {
        var at = 0
        while count - at >= Self.stripe {
            lane1 = Self.round(lane1, Self.word(bytes, at))
            lane2 = Self.round(lane2, Self.word(bytes, at + 8))
            lane3 = Self.round(lane3, Self.word(bytes, at + 16))
            lane4 = Self.round(lane4, Self.word(bytes, at + 24))
            at += Self.stripe
        }
        total &+= UInt64(at)
    }

    /// The digest of all stripes and `tail`, the bytes behind the last whole stripe.
    package func finish(tail: ArraySlice<UInt8>) -> UInt64 {
        var hash = Self.prime5
        if total > 0 {
            hash = Self.rotate(lane1, 1) &+ Self.rotate(lane2, 7)
            hash = hash &+ Self.rotate(lane3, 12) &+ Self.rotate(lane4, 18)
            for lane in [lane1, lane2, lane3, lane4] {
                hash = (hash ^ Self.round(0, lane)) &* Self.prime1 &+ Self.prime4
            }
        }
        hash &+= total &+ UInt64(tail.count)
        let rest = Array(tail)
        var at = 0
        while rest.count - at >= 8 {
            hash = Self.rotate(hash ^ Self.round(0, Self.word(rest, at)), 27) &* Self.prime1 &+ Self.prime4
            at += 8
        }
        if rest.count - at >= 4 {
            let half = (0..<4).reduce(UInt64(0)) { $0 | UInt64(rest[at + $1]) << UInt64(8 * $1) }
            hash = Self.rotate(hash ^ (half &* Self.prime1), 23) &* Self.prime2 &+ Self.prime3
            at += 4
        }
        for byte in rest[at...] {
            hash = Self.rotate(hash ^ (UInt64(byte) &* Self.prime5), 11) &* Self.prime1
        }
        return Self.avalanche(hash)
    }

    private static func avalanche(_ hash: UInt64) -> UInt64 {
        var hash = (hash ^ (hash >> 33)) &* prime2
        hash = (hash ^ (hash >> 29)) &* prime3
        return hash ^ (hash >> 32)
    }

    private static func round(_ lane: UInt64, _ word: UInt64) -> UInt64 {
        rotate(lane &+ word &* prime2, 31) &* prime1
    }

    private static func rotate(_ value: UInt64, _ bits: UInt64) -> UInt64 {
        value &<< bits | value &>> (64 - bits)
    }

    private static func word(_ bytes: [UInt8], _ at: Int) -> UInt64 {
        var word: UInt64 = 0
        for index in 0..<8 { word |= UInt64(bytes[at + index]) &<< UInt64(8 * index) }
        return word
    }
}

/// Sixteen hexadecimal digits.
func hexadecimal(_ value: UInt64) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
}

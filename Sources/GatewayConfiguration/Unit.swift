/// Why a word is not the number it should be.
package enum UnitError: Error, Sendable, Equatable {
    /// The word does not begin with digits, or has something else in it.
    case notANumber
    /// Digits only, where a unit decides what is meant.
    case missing
    /// Digits, then letters that are no unit.
    case unknown(String)
    /// More than 64 bits hold.
    case tooLarge
}

/// Durations such as `200ms`, sizes such as `64k`, and plain counts: read and written.
package enum Unit {
    private static let durations: [(name: String, milliseconds: Int64)] = [
        ("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000),
    ]
    private static let sizes: [(name: String, bytes: Int64)] = [("k", 1 << 10), ("m", 1 << 20), ("g", 1 << 30)]

    /// The milliseconds of `200ms`, `30s`, `5m`, `1h`, `1d`.
    package static func milliseconds(_ text: String) throws(UnitError) -> Int64 {
        let (number, suffix) = try split(text)
        if suffix.isEmpty { throw .missing }
        guard let unit = durations.first(where: { $0.name == suffix }) else { throw .unknown(suffix) }
        return try product(number, unit.milliseconds)
    }

    /// The microseconds of `50us` and of every duration in larger units.
    static func microseconds(_ text: String) throws(UnitError) -> Int64 {
        let (number, suffix) = try split(text)
        return suffix == "us" ? number : try product(milliseconds(text), 1000)
    }

    /// The bytes of `512`, `64k`, `1m`, `1g`; capital letters mean the same.
    package static func bytes(_ text: String) throws(UnitError) -> Int64 {
        let (number, suffix) = try split(text)
        if suffix.isEmpty { return number }
        guard let unit = sizes.first(where: { $0.name == suffix.lowercased() }) else { throw .unknown(suffix) }
        return try product(number, unit.bytes)
    }

    /// A number without a unit.
    static func count(_ text: String) throws(UnitError) -> Int64 {
        let (number, suffix) = try split(text)
        guard suffix.isEmpty else { throw .notANumber }
        return number
    }

    /// A duration as it is written, in the largest unit that loses nothing.
    package static func text(milliseconds: Int64) -> String {
        for unit in durations.reversed() where milliseconds != 0 && milliseconds % unit.milliseconds == 0 {
            return "\(milliseconds / unit.milliseconds)\(unit.name)"
        }
        return "\(milliseconds)ms"
    }

    /// A short duration as it is written, in the largest unit that loses nothing.
    static func text(microseconds: Int64) -> String {
        microseconds % 1000 == 0 ? text(milliseconds: microseconds / 1000) : "\(microseconds)us"
    }

    /// A size as it is written, in the largest unit that loses nothing.
    static func text(bytes: Int64) -> String {
        for unit in sizes.reversed() where bytes != 0 && bytes % unit.bytes == 0 {
            return "\(bytes / unit.bytes)\(unit.name)"
        }
        return "\(bytes)"
    }

    private static func split(_ text: String) throws(UnitError) -> (number: Int64, suffix: String) {
        let digits = text.utf8.prefix { (0x30...0x39).contains($0) }
        let suffix = text.utf8.dropFirst(digits.count)
        guard !digits.isEmpty else { throw .notANumber }
        guard suffix.allSatisfy({ (0x41...0x5A).contains($0 & 0xDF) }) else { throw .notANumber }
        guard let number = Int64(String(decoding: digits, as: UTF8.self)) else { throw .tooLarge }
        return (number, String(decoding: suffix, as: UTF8.self))
    }

    private static func product(_ number: Int64, _ factor: Int64) throws(UnitError) -> Int64 {
        let (result, overflow) = number.multipliedReportingOverflow(by: factor)
        if overflow { throw .tooLarge }
        return result
    }
}

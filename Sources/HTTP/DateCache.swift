/// The value of the Date header, written anew only when the second changes; one per worker.
public struct DateCache: Sendable {
    private var second: Int64?
    private var text: [UInt8] = []

    public init() {}

    /// The date of a second since the epoch as an IMF-fixdate (RFC 9110 5.6.7), like `Sun, 06 Nov 1994 08:49:37 GMT`.
    ///
    /// Seconds before 1970 or after 9999 are taken as the nearest that can be written.
    public mutating func bytes(at second: Int64) -> [UInt8] {
        if self.second != second {
            self.second = second
            text = Self.format(second)
        }
        return text
    }

    private static let days: InlineArray<7, String> = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    private static let months: InlineArray<12, String> = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    private static func format(_ second: Int64) -> [UInt8] {
        let seconds = Int(min(max(second, 0), 253_402_300_799))
        let (day, time) = seconds.quotientAndRemainder(dividingBy: 86_400)
        // Days to civil date in the proleptic Gregorian calendar: eras of 400 years that begin on 1 March, so that the
        // leap day is the last of its year.
        let shifted = day + 719_468
        let (era, dayOfEra) = shifted.quotientAndRemainder(dividingBy: 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let dayOfMonth = dayOfYear - (153 * marchMonth + 2) / 5 + 1
        let month = (marchMonth + 2) % 12
        let year = era * 400 + yearOfEra + (month < 2 ? 1 : 0)

        var text: [UInt8] = []
        text.reserveCapacity(29)
        // The epoch was a Thursday.
        text.append(contentsOf: days[day % 7].utf8)
        text.append(contentsOf: ", ".utf8)
        text.append(twoDigits: dayOfMonth)
        text.append(Octet.space)
        text.append(contentsOf: months[month].utf8)
        text.append(Octet.space)
        text.append(twoDigits: year / 100)
        text.append(twoDigits: year % 100)
        text.append(Octet.space)
        text.append(twoDigits: time / 3600)
        text.append(Octet.colon)
        text.append(twoDigits: time / 60 % 60)
        text.append(Octet.colon)
        text.append(twoDigits: time % 60)
        text.append(contentsOf: " GMT".utf8)
        return text
    }
}

/// The elements of a comma-separated list in the values of all lines of one header, in order (RFC 9110 5.6.1).
///
/// Several lines are one list (RFC 9110 5.3). Empty elements are skipped; a comma inside quotes separates nothing.
/// Walking them allocates nothing.
public struct ListElements: Sequence, IteratorProtocol, Sendable {
    private let bytes: [UInt8]
    private let fields: [RequestHead.Field]
    private let name: String
    private var nextField = 0
    private var scanner = ElementScanner(0..<0)

    init(_ head: RequestHead, name: String) {
        bytes = head.bytes
        fields = head.fields
        self.name = name
    }

    /// The next element as a range into the head, without whitespace around it.
    public mutating func next() -> Range<Int>? {
        let bytes = bytes
        while true {
            if let element = scanner.next(bytes.span) { return element }
            repeat {
                guard nextField < fields.count else { return nil }
                nextField += 1
            } while !bytes.span.equals(name, in: fields[nextField - 1].name)
            scanner = ElementScanner(fields[nextField - 1].value)
        }
    }
}

/// Walks the elements of one line of a list.
struct ElementScanner: Sendable {
    private var position: Int
    private let end: Int

    init(_ value: Range<Int>) {
        position = value.lowerBound
        end = value.upperBound
    }

    mutating func next(_ bytes: Span<UInt8>) -> Range<Int>? {
        while position < end {
            let start = position
            var isQuoted = false
            scan: while position < end {
                switch bytes[position] {
                case Octet.quote: isQuoted.toggle()
                // RFC 9110 5.6.4: a backslash in a quoted string takes the next byte with it.
                case 0x5C where isQuoted && position + 1 < end: position += 1
                case Octet.comma where !isQuoted: break scan
                default: break
                }
                position += 1
            }
            let element = bytes.trimmingWhitespace(start..<position)
            position += 1
            if !element.isEmpty { return element }
        }
        return nil
    }
}

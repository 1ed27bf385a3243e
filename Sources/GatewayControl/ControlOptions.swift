import GatewayConfiguration

/// What narrows a command down, name by name: of the options of a command line, and of the words of a control line, where
/// it is `NAME=VALUE`.
package struct ControlOptions: Sendable, Equatable {
    private var values: [String: String]

    /// - Parameter values: by the names of the options, without their dashes.
    package init(_ values: [String: String]) { self.values = values }

    /// Reads the words of a line; a word without a value is a flag.
    init(words: some Sequence<String>) throws(ControlCommand.Failure) {
        values = [:]
        for word in words {
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let value = Self.decode(parts.count == 2 ? parts[1] : ""), values[String(parts[0])] == nil else {
                throw ControlCommand.Failure(sentence: "\"\(parts[0])\" is given twice, or not as it should be")
            }
            values[String(parts[0])] = value
        }
    }

    /// The words of a line; nil is left out.
    static func words(_ options: [(name: String, value: String?)]) -> String {
        options.compactMap { name, value in value.map { " \(name)=\(encode($0))" } }.joined()
    }

    // MARK: Taking them out

    /// The value of a name, and it is known from here on.
    mutating func take(_ name: String) -> String? { values.removeValue(forKey: name) }

    mutating func number(_ name: String, _ range: ClosedRange<Int>) throws(ControlCommand.Failure) -> Int? {
        guard let text = take(name) else { return nil }
        guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(text), range.contains(number)
        else {
            throw ControlCommand.Failure(
                sentence: "--\(name) is a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// The number of a connection, in the form of the logs.
    static func connection(_ text: String) throws(ControlCommand.Failure) -> UInt64 {
        guard (1...16).contains(text.utf8.count), text.utf8.allSatisfy({ $0 != UInt8(ascii: "+") }),
            let number = UInt64(text, radix: 16)
        else {
            throw ControlCommand.Failure(
                sentence:
                    "\"\(text)\" is no id of a connection (hexadecimal, as the logs and `gateway connections` have it)")
        }
        return number
    }

    /// Milliseconds, in the units of gateway.conf.
    mutating func duration(_ name: String) throws(ControlCommand.Failure) -> UInt64? {
        guard let text = take(name) else { return nil }
        guard let milliseconds = try? Unit.milliseconds(text), milliseconds > 0 else {
            throw ControlCommand.Failure(sentence: "--\(name) is a duration such as 500ms, 30s or 5m")
        }
        return UInt64(milliseconds)
    }

    mutating func bytes(_ name: String, atMost most: Int) throws(ControlCommand.Failure) -> Int? {
        guard let text = take(name) else { return nil }
        guard let bytes = try? Unit.bytes(text), bytes <= most else {
            throw ControlCommand.Failure(sentence: "--\(name) is a size such as 64 or 4k, at most \(most)")
        }
        return Int(bytes)
    }

    /// Refuses what nobody has asked for.
    func end() throws(ControlCommand.Failure) {
        if let unknown = values.keys.min() {
            throw ControlCommand.Failure(sentence: "\"\(unknown)\" is not known here")
        }
    }

    // MARK: Words

    /// A value without what would end its word or its line: such bytes are written as %XX.
    private static func encode(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var word: [UInt8] = []
        for byte in text.utf8 {
            if (0x21..<0x7F).contains(byte), byte != UInt8(ascii: "%") {
                word.append(byte)
            } else {
                word += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 0xF)]]
            }
        }
        return String(decoding: word, as: UTF8.self)
    }

    /// Nil for what `encode` does not write.
    private static func decode(_ word: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = word.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            let digits = rest.prefix(2)
            guard digits.count == 2, let text = String(digits), let value = UInt8(text, radix: 16) else { return nil }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }
}

/// The bytes of one configuration file and the name it is spoken of by.
struct SourceFile: Sendable {
    /// The path as the operator wrote it, or as an `include` made it.
    let path: String
    /// What the file holds.
    let bytes: [UInt8]
    private let lineStarts: [Int]

    init(path: String, bytes: [UInt8]) {
        self.path = path
        self.bytes = bytes
        var starts = [0]
        for (index, byte) in bytes.enumerated() where byte == UInt8(ascii: "\n") {
            starts.append(index + 1)
        }
        lineStarts = starts
    }

    /// The folder the file lies in: what its relative paths are relative to.
    var folder: String { FilePath.folder(of: path) }

    /// The number of the line that holds an offset, counted from 1.
    func line(at offset: Int) -> Int {
        var low = 0
        var high = lineStarts.count
        while high - low > 1 {
            let middle = low + (high - low) / 2
            if lineStarts[middle] <= offset { low = middle } else { high = middle }
        }
        return low + 1
    }

    /// The column of an offset in characters as people count them, from 1.
    func column(at offset: Int) -> Int {
        let start = lineStarts[line(at: offset) - 1]
        let end = min(max(offset, start), bytes.count)
        return String(decoding: bytes[start..<end], as: UTF8.self).unicodeScalars.count + 1
    }

    /// The text of a line without its end, counted from 1; empty when there is no such line.
    func text(ofLine line: Int) -> String {
        guard line >= 1, line <= lineStarts.count else { return "" }
        let start = lineStarts[line - 1]
        var end = line < lineStarts.count ? lineStarts[line] - 1 : bytes.count
        if end > start, bytes[end - 1] == UInt8(ascii: "\r") { end -= 1 }
        return String(decoding: bytes[start..<end], as: UTF8.self)
    }
}

/// A stretch of bytes in one of the files that were read.
struct SourceRange: Sendable {
    /// Index of the file in the order of reading.
    let file: Int
    /// First byte.
    let lower: Int
    /// Behind the last byte.
    let upper: Int

    /// The place right behind the stretch, where something is missing.
    var after: SourceRange { SourceRange(file: file, lower: upper, upper: upper) }
}

/// Where a setting was written; its description is what error messages and handlers are shown.
package struct SourceLocation: Sendable, Hashable, CustomStringConvertible {
    /// The file, as the operator named it.
    package var file: String
    /// The line, from 1.
    package var line: Int
    /// The environment variables that the value there is made of.
    package var variables: [String] = []

    /// Makes a place from its two parts.
    package init(file: String, line: Int) {
        self.file = file
        self.line = line
    }

    /// `gateway.conf:42`.
    package var description: String { "\(file):\(line)" }

    /// The same with the variables: `gateway.conf:42, $PORT`.
    package var detail: String { ([description] + variables.map { "$\($0)" }).joined(separator: ", ") }
}

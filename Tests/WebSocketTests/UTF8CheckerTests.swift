import TestSupport
import Testing
import WebSocket

/// RFC 3629 4, the table UTF8-bytes, row by row: a sequence is one byte from each range of a row.
private enum Table {
    static let rows: [[ClosedRange<UInt8>]] = [
        [0x00...0x7F],
        [0xC2...0xDF, 0x80...0xBF],
        [0xE0...0xE0, 0xA0...0xBF, 0x80...0xBF],
        [0xE1...0xEC, 0x80...0xBF, 0x80...0xBF],
        [0xED...0xED, 0x80...0x9F, 0x80...0xBF],
        [0xEE...0xEF, 0x80...0xBF, 0x80...0xBF],
        [0xF0...0xF0, 0x90...0xBF, 0x80...0xBF, 0x80...0xBF],
        [0xF1...0xF3, 0x80...0xBF, 0x80...0xBF, 0x80...0xBF],
        [0xF4...0xF4, 0x80...0x8F, 0x80...0xBF, 0x80...0xBF],
    ]

    /// Where the first byte stands that no continuation can mend, and how many bytes are unfinished at the end.
    static func judge(_ bytes: [UInt8]) -> (offence: Int?, unfinished: Int) {
        var sequence: [UInt8] = []
        for (index, byte) in bytes.enumerated() {
            sequence.append(byte)
            let fitting = rows.filter { row in
                sequence.count <= row.count && zip(row, sequence).allSatisfy { $0.contains($1) }
            }
            if fitting.isEmpty { return (index, 0) }
            if fitting.contains(where: { $0.count == sequence.count }) { sequence = [] }
        }
        return (nil, sequence.count)
    }
}

private func isValid(_ bytes: [UInt8]) -> Bool { bytes.withUnsafeBytes { UTF8Checker.isValid($0) } }

/// Feeds pieces; answers how many were accepted before one was refused, and how many bytes were held at the end.
private func feed(_ pieces: [[UInt8]]) -> (accepted: Int, held: Int) {
    var checker = UTF8Checker()
    for (index, piece) in pieces.enumerated() {
        if !piece.withUnsafeBytes({ checker.accept($0) }) { return (index, 0) }
    }
    #expect(checker.isComplete == (checker.heldBytes == 0))
    return (pieces.count, checker.heldBytes)
}

/// Compares one string of bytes with the table: whole, by byte, and in all the given cuts.
private func check(_ bytes: [UInt8], cuts: [Int]) {
    let (offence, unfinished) = Table.judge(bytes)
    #expect(isValid(bytes) == (offence == nil && unfinished == 0), "\(bytes)")
    let byByte = feed(bytes.map { [$0] })
    #expect(byByte.accepted == offence ?? bytes.count, "refused at the offending byte: \(bytes)")
    if offence == nil { #expect(byByte.held == unfinished) }
    for cut in cuts {
        let pieces = [Array(bytes[..<cut]), Array(bytes[cut...])]
        let result = feed(pieces)
        let expected = offence.map { $0 < cut ? 0 : 1 } ?? 2
        #expect(result.accepted == expected, "\(bytes) cut at \(cut)")
        if offence == nil { #expect(result.held == unfinished) }
    }
}

@Suite("RFC 6455 8.1 and RFC 3629: text is UTF-8, and what is not is refused at once")
struct UTF8CheckerTests {
    /// After the sections of Markus Kuhn's decoder stress test.
    static let strings: [[UInt8]] = [
        [], Array("kosme".utf8), Array("κόσμε".utf8), Array("Hello-µ@ßöäüàá-UTF-8!!".utf8), Array("😀👍🏽é".utf8),
        // 2.1 first and 2.2 last of each length
        [0x00], [0x7F], [0xC2, 0x80], [0xDF, 0xBF], [0xE0, 0xA0, 0x80], [0xEF, 0xBF, 0xBF], [0xF0, 0x90, 0x80, 0x80],
        [0xF4, 0x8F, 0xBF, 0xBF], [0xF7, 0xBF, 0xBF, 0xBF], [0xF8, 0x88, 0x80, 0x80, 0x80],
        [0xFC, 0x84, 0x80, 0x80, 0x80, 0x80],
        // 2.3 other borders
        [0xED, 0x9F, 0xBF], [0xEE, 0x80, 0x80], [0xEF, 0xBF, 0xBD], [0xF4, 0x90, 0x80, 0x80],
        // 3.1 unexpected continuations, 3.2 lonely starts, 3.3 sequences that lack their last byte
        [0x80], [0xBF], [0x80, 0xBF, 0x80], [0xC0, 0x20], [0xC2, 0x20], [0xE1, 0x20], [0xF1, 0x20], [0xC3],
        [0xE0, 0xA0],
        [0xE1, 0x80], [0xF0, 0x90, 0x80], [0xF1, 0x80, 0x80], [0xE1, 0x80, 0xE1, 0x80, 0x80],
        [0xF1, 0x80, 0x80, 0xC3, 0xA9],
        // 3.5 impossible bytes
        [0xFE], [0xFF], [0xFE, 0xFE, 0xFF, 0xFF], [0xC0], [0xC1], [0xF5], [0xF5, 0x80, 0x80, 0x80],
        // 4 overlong forms
        [0xC0, 0xAF], [0xE0, 0x80, 0xAF], [0xF0, 0x80, 0x80, 0xAF], [0xC1, 0xBF], [0xE0, 0x9F, 0xBF],
        [0xF0, 0x8F, 0xBF, 0xBF], [0xC0, 0x80], [0xE0, 0x80, 0x80], [0xF0, 0x80, 0x80, 0x80],
        // 5.1 and 5.2 surrogates, single and paired; 5.3 noncharacters are allowed
        [0xED, 0xA0, 0x80], [0xED, 0xAF, 0xBF], [0xED, 0xB0, 0x80], [0xED, 0xBF, 0xBF],
        [0xED, 0xA0, 0x80, 0xED, 0xB0, 0x80], [0xEF, 0xBF, 0xBE], [0xEF, 0xB7, 0x90], [0xF0, 0x9F, 0xBF, 0xBF],
    ]

    @Test("whole, byte by byte, and cut at every point; with text before and behind", arguments: strings)
    func table(_ bytes: [UInt8]) {
        for before in ["", "a", "seven77", "eight888", "nine ascii and ü"] {
            for behind in ["", "z", "eight888", "ünd"] {
                let whole = Array(before.utf8) + bytes + Array(behind.utf8)
                check(whole, cuts: Array(0...whole.count))
            }
        }
    }

    @Test("every two bytes, with something behind them")
    func everyPair() {
        for first in UInt8.min...UInt8.max {
            for second in UInt8.min...UInt8.max {
                let bytes = [first, second]
                let (offence, unfinished) = Table.judge(bytes)
                let byByte = feed(bytes.map { [$0] })
                let whole = feed([bytes])
                if byByte.accepted != offence ?? 2 || whole.accepted != (offence == nil ? 1 : 0)
                    || isValid(bytes) != (offence == nil && unfinished == 0)
                {
                    Issue.record("\(bytes)")
                }
            }
        }
    }

    @Test("every three and four bytes around the borders")
    func borders() {
        let edges: [UInt8] = [0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF]
        let leads: [UInt8] = [0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5]
        for lead in leads {
            for second in edges {
                for third in edges {
                    check([lead, second, third], cuts: [1, 2])
                    for fourth in [0x7F, 0x80, 0xBF, 0xC0] as [UInt8] {
                        check([lead, second, third, fourth], cuts: [2])
                    }
                }
            }
        }
    }

    @Test("random mutations agree with String(validating:)", arguments: 0..<300 as Range<UInt64>)
    func mutations(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let alphabet = Array("abc xyz 0123456789 äöüß €λж中文 😀👍🏽\u{10FFFF}\u{D7FF}\u{E000}\u{FFFD}".unicodeScalars)
        let length = Int.random(in: 0...80, using: &random)
        let scalars = (0..<length).map { _ in alphabet[Int.random(in: 0..<alphabet.count, using: &random)] }
        var bytes = Array(String(String.UnicodeScalarView(scalars)).utf8)
        for _ in 0..<Int.random(in: 0...3, using: &random) where !bytes.isEmpty {
            let at = Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0..<3, using: &random) {
            case 0: bytes[at] = UInt8.random(in: .min ... .max, using: &random)
            case 1: bytes.remove(at: at)
            default: bytes.removeLast(bytes.count - at)
            }
        }
        let expected = String(validating: bytes, as: UTF8.self) != nil
        #expect(isValid(bytes) == expected)
        #expect(feed([bytes]).accepted == (Table.judge(bytes).offence == nil ? 1 : 0))
        check(bytes, cuts: Array(0...bytes.count))
        var pieces: [[UInt8]] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = rest.prefix(Int.random(in: 0...9, using: &random))
            pieces.append(Array(piece))
            rest = rest.dropFirst(piece.count)
        }
        let result = feed(pieces)
        #expect((result.accepted == pieces.count && result.held == 0) == expected)
    }

    @Test("a long text is checked to its last byte", arguments: [64, 1000, 65536])
    func long(_ count: Int) {
        let bytes = Array(String(repeating: "é", count: count).utf8)
        #expect(isValid(bytes))
        #expect(!isValid(bytes.dropLast()))
        #expect(!isValid(bytes + [0xFF]))
        #expect(feed([Array(bytes.dropLast())]).held == 1)
    }

    @Test("at most three bytes are held, and nothing changes nothing")
    func held() {
        var checker = UTF8Checker()
        for (index, byte) in ([0xF0, 0x9F, 0x98] as [UInt8]).enumerated() {
            let isFine = withUnsafeBytes(of: byte) { checker.accept($0) }
            #expect(isFine)
            let empty = checker.accept(UnsafeRawBufferPointer(start: nil, count: 0))
            #expect(empty)
            #expect(checker.heldBytes == index + 1)
            #expect(!checker.isComplete)
        }
        let isFine = withUnsafeBytes(of: 0x80 as UInt8) { checker.accept($0) }
        #expect(isFine)
        #expect(checker.isComplete)
    }
}

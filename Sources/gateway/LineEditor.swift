/// The line that somebody types, as a machine that bytes of a terminal drive; it draws nothing itself.
package struct LineEditor: Sendable {
    /// What a byte came to.
    package enum Outcome: Equatable, Sendable {
        /// The line may look different now.
        case edited
        /// Return was pressed; the editor is empty again.
        case line(String)
        /// Ctrl-C in an empty line.
        case interrupt
        /// Ctrl-D in an empty line.
        case endOfInput
        /// Ctrl-L.
        case clearScreen
    }

    private enum Escape: Equatable, Sendable {
        case none
        case begun
        /// `ESC [`, and what followed.
        case sequence([UInt8])
        /// `ESC O`, which some terminals send for Home and End.
        case application
    }

    private var characters: [Character] = []
    private var cursor = 0
    private var escape = Escape.none
    /// Bytes of a character that is not whole.
    private var pending: [UInt8] = []
    /// What is pasted is text, whatever it is.
    private var isPasting = false
    private var history: [String]
    /// Where in the history the line is; behind its end when it is a new one.
    private var place: Int
    /// The new line, while an older one is shown.
    private var draft: [Character] = []

    package init(history: [String] = []) {
        self.history = history
        place = history.count
    }

    package var text: String { String(characters) }

    package mutating func feed(_ byte: UInt8) -> Outcome {
        if escape != .none { return continueEscape(byte) }
        if byte == 0x1B {
            escape = .begun
            return .edited
        }
        if isPasting { return paste(byte) }
        switch byte {
        case 0x0D, 0x0A: return endLine()
        case 0x7F, 0x08: erase(from: max(0, cursor - 1))
        case 0x01: cursor = 0
        case 0x05: cursor = characters.count
        case 0x02: cursor = max(0, cursor - 1)
        case 0x06: cursor = min(characters.count, cursor + 1)
        case 0x10: goBack()
        case 0x0E: goForward()
        case 0x15: erase(from: 0)
        case 0x0B: characters.removeSubrange(cursor...)
        case 0x17: erase(from: wordStart)
        case 0x0C: return .clearScreen
        case 0x03:
            if characters.isEmpty { return .interrupt }
            startOver()
        case 0x04:
            if characters.isEmpty { return .endOfInput }
            eraseAhead()
        case 0x09: insert("\t")
        case 0..<0x20: break
        default: take(byte)
        }
        return .edited
    }

    // MARK: Text

    private mutating func paste(_ byte: UInt8) -> Outcome {
        switch byte {
        case 0x0D, 0x0A: insert("\n")
        case 0x09: insert("\t")
        case 0..<0x20, 0x7F: break
        default: take(byte)
        }
        return .edited
    }

    /// A byte of a character in UTF-8.
    private mutating func take(_ byte: UInt8) {
        // What begins anew while something was not whole makes that nothing.
        if byte & 0xC0 != 0x80 { pending = [] }
        pending.append(byte)
        if let text = String(validating: pending, as: UTF8.self) {
            pending = []
            for character in text { insert(character) }
        } else if pending.count >= 4 {
            pending = []
        }
    }

    private mutating func insert(_ character: Character) {
        // What only completes the character before it, such as an accent, is no place of its own.
        if cursor > 0, let joined = Self.joined(characters[cursor - 1], character) {
            characters[cursor - 1] = joined
        } else {
            characters.insert(character, at: cursor)
            cursor += 1
        }
    }

    private static func joined(_ first: Character, _ second: Character) -> Character? {
        let both = "\(first)\(second)"
        return both.count == 1 ? both.first : nil
    }

    private mutating func erase(from start: Int) {
        characters.removeSubrange(start..<cursor)
        cursor = start
    }

    private mutating func eraseAhead() {
        if cursor < characters.count { characters.remove(at: cursor) }
    }

    private var wordStart: Int {
        var index = cursor
        while index > 0, characters[index - 1].isWhitespace { index -= 1 }
        while index > 0, !characters[index - 1].isWhitespace { index -= 1 }
        return index
    }

    private var wordEnd: Int {
        var index = cursor
        while index < characters.count, characters[index].isWhitespace { index += 1 }
        while index < characters.count, !characters[index].isWhitespace { index += 1 }
        return index
    }

    private mutating func startOver() {
        characters = []
        cursor = 0
        place = history.count
        draft = []
    }

    private mutating func endLine() -> Outcome {
        let line = text
        startOver()
        return .line(line)
    }

    // MARK: History

    /// Keeps a line for the arrow up.
    package mutating func remember(_ line: String) {
        if history.last != line { history.append(line) }
        place = history.count
    }

    private mutating func goBack() {
        guard place > 0 else { return }
        if place == history.count { draft = characters }
        place -= 1
        show(Array(history[place]))
    }

    private mutating func goForward() {
        guard place < history.count else { return }
        place += 1
        show(place == history.count ? draft : Array(history[place]))
    }

    private mutating func show(_ line: [Character]) {
        characters = line
        cursor = line.count
    }

    // MARK: Keys of several bytes

    private mutating func continueEscape(_ byte: UInt8) -> Outcome {
        let before = escape
        escape = .none
        switch before {
        case .none: break
        case .begun:
            switch byte {
            case UInt8(ascii: "["): escape = .sequence([])
            case UInt8(ascii: "O"): escape = .application
            case UInt8(ascii: "b"): cursor = wordStart
            case UInt8(ascii: "f"): cursor = wordEnd
            case 0x7F: erase(from: wordStart)
            default: break
            }
        case .application: move(byte)
        case .sequence(let bytes):
            // ECMA-48 5.4: parameters, then a final byte from 0x40 on.
            if (0x40...0x7E).contains(byte) {
                obey(String(decoding: bytes, as: UTF8.self), byte)
            } else if bytes.count < 16 {
                escape = .sequence(bytes + [byte])
            }
        }
        return .edited
    }

    private mutating func obey(_ parameters: String, _ final: UInt8) {
        switch (parameters, final) {
        case ("200", UInt8(ascii: "~")): isPasting = true
        case ("201", UInt8(ascii: "~")): isPasting = false
        case ("1", UInt8(ascii: "~")), ("7", UInt8(ascii: "~")): cursor = 0
        case ("4", UInt8(ascii: "~")), ("8", UInt8(ascii: "~")): cursor = characters.count
        case ("3", UInt8(ascii: "~")): eraseAhead()
        case ("1;5", UInt8(ascii: "C")), ("1;3", UInt8(ascii: "C")): cursor = wordEnd
        case ("1;5", UInt8(ascii: "D")), ("1;3", UInt8(ascii: "D")): cursor = wordStart
        case ("", _): move(final)
        default: break
        }
    }

    private mutating func move(_ final: UInt8) {
        switch final {
        case UInt8(ascii: "A"): goBack()
        case UInt8(ascii: "B"): goForward()
        case UInt8(ascii: "C"): cursor = min(characters.count, cursor + 1)
        case UInt8(ascii: "D"): cursor = max(0, cursor - 1)
        case UInt8(ascii: "H"): cursor = 0
        case UInt8(ascii: "F"): cursor = characters.count
        default: break
        }
    }
}

extension LineEditor {
    /// The line as it is shown: what has room around the cursor, and in which column that is, from 0.
    package func shown(width: Int) -> (text: String, column: Int) {
        let cells = characters.map { ScreenText.cell($0) }
        // The cursor may stand behind the last character.
        let room = max(1, width - 1)
        var start = 0
        var column = cells[..<cursor].reduce(0) { $0 + $1.width }
        while column > room, start < cursor {
            column -= cells[start].width
            start += 1
        }
        var text = ""
        var used = 0
        for cell in cells[start...] {
            guard used + cell.width <= room else { break }
            text += cell.text
            used += cell.width
        }
        return (text, column)
    }
}

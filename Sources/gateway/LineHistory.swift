import Glibc

/// The lines that were sent before, in a file of this user; without a home they last as long as the command.
struct LineHistory {
    /// Lines that are kept, and how long one may be.
    private static let most = 1000
    private static let longest = 1000

    private let path: String?
    private(set) var lines: [String]

    /// Reads what is there.
    init() {
        path = HomeFolder.state.map { "\($0)/gateway/connect_history" }
        lines = path.map { Self.read($0) } ?? []
    }

    /// A history that cannot be read is an empty one: nobody waits for an error about that.
    private static func read(_ path: String) -> [String] {
        guard let bytes = try? WrittenFile(path: path).read() else { return [] }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").suffix(most).map { unfolded($0) }
    }

    /// - Returns: whether the line is remembered; one that begins with a blank is not, as in shells.
    mutating func add(_ line: String) -> Bool {
        guard !line.isEmpty, !line.hasPrefix(" "), line.utf8.count <= Self.longest else { return false }
        if lines.last != line { lines.append(line) }
        return true
    }

    /// Writes it down.
    func save() {
        guard let path, !lines.isEmpty else { return }
        let names = path.split(separator: "/").dropLast()
        for depth in names.indices { _ = unsafe mkdir("/" + names[...depth].joined(separator: "/"), 0o700) }
        let text = lines.suffix(Self.most).map { Self.folded($0) + "\n" }.joined()
        do throws(DevCertFailure) {
            // What was typed may be secret.
            try WrittenFile(path: path).replace(Array(text.utf8), mode: 0o600)
        } catch {
            Terminal.complain("warning: what was typed is not remembered: \(error.sentence)")
        }
    }

    /// A line of the file has no ends of lines in it.
    private static func folded(_ line: String) -> String {
        line.replacing("\\", with: "\\\\").replacing("\n", with: "\\n")
    }

    private static func unfolded(_ line: Substring) -> String {
        var result = ""
        var isEscaped = false
        for character in line {
            if isEscaped {
                result.append(character == "n" ? "\n" : character)
                isEscaped = false
            } else if character == "\\" {
                isEscaped = true
            } else {
                result.append(character)
            }
        }
        return result
    }
}

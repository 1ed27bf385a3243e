import WebSocket

/// What a line means that somebody typed at `gateway connect`.
package enum ConnectInput: Equatable, Sendable {
    /// Sent as it is.
    case text(String)
    case binary([UInt8])
    /// The bytes of a file.
    case file(String)
    case ping([UInt8])
    case close(code: UInt16?, reason: String)
    /// Whether pings of the server are shown.
    case showPings(Bool)
    case help
    /// What is wrong with it.
    case mistake(String)

    package static let instructions = """
        what is typed is sent, but for lines that begin with "/":
          /ping [TEXT]          send a ping, and tell how long its pong took
          /close [CODE [REASON]]  the closing handshake: 1000 unless said otherwise
          /hex 00 ff 2a         send these bytes as a binary message
          /file PATH            send a file as a binary message
          /pings on|off         show the pings of the server, which are answered anyhow
          /quit                 the same as /close; also Ctrl-D and Ctrl-C
          //TEXT                send TEXT with one "/" in front
        keys: arrows, Home, End, Ctrl-A, Ctrl-E, Ctrl-U, Ctrl-K, Ctrl-W; the arrow up shows what was sent before.
        A line that begins with a blank is not remembered.
        """

    package init(_ line: String) {
        guard line.hasPrefix("/") else {
            self = .text(line)
            return
        }
        if line.hasPrefix("//") {
            self = .text(String(line.dropFirst()))
            return
        }
        let parts = line.dropFirst().split(separator: " ", maxSplits: 1).map { String($0) }
        let rest = parts.count > 1 ? parts[1] : ""
        switch parts.first ?? "" {
        case "ping":
            self = rest.utf8.count > 125 ? .mistake("a ping has at most 125 bytes") : .ping(Array(rest.utf8))
        case "close": self = Self.close(rest)
        case "quit", "exit", "q": self = .close(code: 1000, reason: "")
        case "hex", "binary", "bin":
            self = HexDump.bytes(rest).map { .binary($0) } ?? .mistake("/hex takes pairs of digits: /hex 00 ff")
        case "file": self = rest.isEmpty ? .mistake("/file takes the path of a file") : .file(rest)
        case "pings" where rest == "on" || rest == "off": self = .showPings(rest == "on")
        case "help", "?": self = .help
        default:
            self = .mistake("no such command: \"/\(parts.first ?? "")\" (/help; a text that begins so: //...)")
        }
    }

    private static func close(_ text: String) -> ConnectInput {
        let parts = text.split(separator: " ", maxSplits: 1).map { String($0) }
        guard let first = parts.first else { return .close(code: 1000, reason: "") }
        guard let code = UInt16(first), CloseCode.isAllowedOnWire(code) else {
            return .mistake("\"\(first)\" is no code that a client may send: 1000 to 1014, 3000 to 4999")
        }
        let reason = parts.count > 1 ? parts[1] : ""
        guard reason.utf8.count <= ClosePayload.maximumReason else {
            return .mistake("a reason has at most \(ClosePayload.maximumReason) bytes")
        }
        return .close(code: code, reason: reason)
    }
}

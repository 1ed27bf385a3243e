/// Something a handler did against the contract that the gateway got the better of; noticed in `mode development`.
package struct ContractViolation: Sendable, Equatable {
    /// What sort of mistake; the raw value is its name in the log and in the report of `gateway test`.
    package enum Kind: String, CaseIterable, Sendable {
        /// Bytes were sent that had been lent to a callback which has returned.
        case keptPayload = "kept payload"
        /// Text was sent that is not UTF-8.
        case notText = "text that is none"
        /// A close code or reason that may not be sent.
        case badClose = "bad close"
        /// A request was answered twice.
        case secondReply = "second reply"
        /// An answer that cannot be sent.
        case badReply = "bad reply"
        /// Flags without a name, or a reserved field that is not 0.
        case unknownBits = "unknown bits"
        /// A struct without its size.
        case structSize = "struct_size"
        /// A [conn] function was called outside the callbacks of that connection.
        case wrongThread = "wrong thread"
        /// A sink was written to after the callback it was lent to.
        case staleSink = "stale sink"
        /// A callback sent to its connection after closing it.
        case afterClose = "send after close"
        /// A callback held an event loop up.
        case slowCallback = "slow callback"

        /// Why it matters and what to do.
        package var advice: String {
            switch self {
            case .keptPayload:
                "What a callback is lent is gone when it returns (R2): copy it, or keep it with buf_retain()."
            case .notText: "send() answered GW_E_INVALID and nothing was sent: use GW_BINARY for bytes."
            case .badClose:
                "close() answered GW_E_INVALID: 1000-1003, 1007-1014 and 3000-4999 may be sent, and reasons to 123 bytes."
            case .secondReply: "reply() answered GW_E_STATE; only the first one counts."
            case .badReply:
                "reply() answered GW_E_INVALID: a header with a line break, or a subprotocol that was not offered."
            case .unknownBits:
                "The call answered GW_E_INVALID and did nothing: what gw_handler.h gives no meaning is 0 (R8)."
            case .structSize:
                "The call answered GW_E_INVALID and did nothing: a struct begins with its size (R9), as GW_REPLY_INIT sets it."
            case .wrongThread:
                "It answers in the callbacks of that connection only: come back to them with post(); send() may be called anywhere."
            case .staleSink: "A sink belongs to the save callback that was given it, on its thread, until it returns."
            case .afterClose: "send() answered GW_E_CLOSED and nothing was sent: send first, then close()."
            case .slowCallback:
                "Thousands of connections of the same loop waited: use offload() for what takes long, or `dispatch pool`."
            }
        }
    }

    /// What sort.
    package let kind: Kind
    /// What happened, as a clause.
    package let what: String

    private static let opening = " was caught at a mistake ("

    /// Reads the line that the log has of it; nil for every other line.
    package init?(logLine line: String) {
        guard let start = line.firstRange(of: Self.opening), let end = line[start.upperBound...].firstRange(of: "): "),
            let kind = Kind(rawValue: String(line[start.upperBound..<end.lowerBound]))
        else { return nil }
        self.kind = kind
        what = String(line[end.upperBound...])
    }

    init(_ kind: Kind, _ what: String) {
        self.kind = kind
        self.what = what
    }

    /// The line without its level.
    func logLine(of handler: String) -> String { "handler \"\(handler)\"\(Self.opening)\(kind.rawValue)): \(what)" }
}

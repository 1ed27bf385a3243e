internal import CGatewayABI

/// One WebSocket connection: a number, never a pointer, so keeping one longer than the connection lives is harmless.
///
/// Small, `Sendable` and usable from every thread. Everything done to a connection that is gone answers `closed`.
@frozen
public struct Connection: Sendable {
    /// The gateway's number of the connection; never reused while the process lives.
    public let id: UInt64
    @usableFromInline let host: Host

    @inlinable
    init(_ id: UInt64, _ host: Host) {
        self.id = id
        self.host = host
    }
}

extension Connection: Hashable {
    @inlinable
    public static func == (one: Connection, other: Connection) -> Bool { one.id == other.id }

    @inlinable
    public func hash(into hasher: inout Hasher) { hasher.combine(id) }
}

extension Connection: CustomStringConvertible {
    public var description: String { "connection \(id)" }
}

// MARK: - Closing and flow

extension Connection {
    /// Starts the closing handshake after what is queued; `closed` follows once, later.
    ///
    /// A reason is cut to the 123 bytes a Close frame has room for. `nil` as code sends an empty Close.
    @discardableResult
    public func close(_ code: CloseCode? = .normalClosure, reason: String = "") -> SendResult {
        guard let close = unsafe host.table.pointee.close else { return .unsupported }
        // RFC 6455 5.5: a control frame carries at most 125 bytes, two of which are the code.
        var reason = code == nil ? "" : reason.prefix(bytes: 123)
        return reason.withUTF8 { bytes in
            unsafe bytes.withMemoryRebound(to: CChar.self) { characters in
                let status = unsafe close(
                    host.table, id, code?.rawValue ?? 0, characters.baseAddress, characters.count)
                return SendResult(status: status)
            }
        }
    }

    /// Drops the connection without a closing handshake; false when it is gone already.
    @discardableResult
    public func abort() -> Bool {
        guard let abort = unsafe host.table.pointee.abort else { return false }
        return unsafe abort(host.table, id) >= 0
    }

    /// Stops or resumes reading from the peer; false when the connection is gone.
    ///
    /// While it is off, TCP pushes back on the peer, and its pings are answered late, too.
    @discardableResult
    public func setReading(_ isOn: Bool) -> Bool {
        guard let setReading = unsafe host.table.pointee.set_reading else { return false }
        return unsafe setReading(host.table, id, isOn ? 1 : 0) >= 0
    }

    /// True while messages can be sent.
    public var isOpen: Bool { flow != nil }

    /// How the connection is doing; `nil` when it is gone or closing.
    public var flow: ConnectionFlow? {
        guard let read = unsafe host.table.pointee.conn_info else { return nil }
        var raw = gw_conn_info()
        raw.struct_size = UInt32(MemoryLayout<gw_conn_info>.size)
        guard unsafe read(host.table, id, &raw) >= 0 else { return nil }
        return ConnectionFlow(raw)
    }

    /// The peer, as its opening handshake said; for a handler with `Manifest.Options.keepRequest`,
    /// within a callback of this connection, and `nil` otherwise. [conn]
    public var info: ConnectionInfo? {
        guard let read = unsafe host.table.pointee.conn_request, let request = unsafe read(host.table, id) else {
            return nil
        }
        return unsafe ConnectionInfo(Request(request, host))
    }

    /// Writes a line about this connection to the gateway's error log.
    public func log(_ level: LogLevel, _ text: String) {
        host.log(id, level, text)
    }
}

extension String {
    /// The longest beginning that takes at most `limit` bytes and cuts no character in two.
    fileprivate func prefix(bytes limit: Int) -> String {
        if utf8.count <= limit { return self }
        var kept = ""
        var room = limit
        for character in self {
            room -= character.utf8.count
            if room < 0 { break }
            kept.append(character)
        }
        return kept
    }
}

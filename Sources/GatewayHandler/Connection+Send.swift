public import CGatewayABI

// Nothing has to be flushed: what is sent within a callback waits for the end of the turn and leaves in one write, and
// what other threads send is collected in the same way.
extension Connection {
    /// Sends a text message. [any]
    @inlinable
    @discardableResult
    public func send(_ text: String) -> SendResult {
        var text = text
        return text.withUTF8 { unsafe send(GW_TEXT, UnsafeRawBufferPointer($0)) }
    }

    /// Sends a binary message. [any]
    @inlinable
    @discardableResult
    public func send(_ bytes: [UInt8]) -> SendResult {
        unsafe bytes.withUnsafeBytes { unsafe send(GW_BINARY, $0) }
    }

    /// Sends a binary message from borrowed memory. [any]
    @inlinable
    @discardableResult
    public func send(_ bytes: RawSpan) -> SendResult {
        unsafe bytes.withUnsafeBytes { unsafe send(GW_BINARY, $0) }
    }

    /// Sends a message that came in on to this connection, as the same kind, without copying it first. [any]
    @inlinable
    @discardableResult
    public func send(_ message: borrowing Message) -> SendResult {
        guard let send = unsafe host.table.pointee.send else { return .unsupported }
        let raw = unsafe message.raw
        // Passed on as it came: an echo is what a handler is measured by.
        let status = unsafe send(host.table, id, raw.pointee.kind, 0, raw.pointee.data.ptr, raw.pointee.data.len)
        return SendResult(status: status)
    }

    /// Sends a text message, and says whether it may be compressed where that was agreed on with the client. [any]
    ///
    /// A message with a secret in it, beside what a stranger wrote, should not be: its length would tell of the secret.
    @discardableResult
    public func send(_ text: String, compressed: Bool) -> SendResult {
        var text = text
        return text.withUTF8 { unsafe send(GW_TEXT, UnsafeRawBufferPointer($0), flags: Self.flags(compressed)) }
    }

    /// Sends a binary message, and says whether it may be compressed where that was agreed on with the client. [any]
    @discardableResult
    public func send(_ bytes: RawSpan, compressed: Bool) -> SendResult {
        unsafe bytes.withUnsafeBytes { unsafe send(GW_BINARY, $0, flags: Self.flags(compressed)) }
    }

    private static func flags(_ compressed: Bool) -> UInt32 { compressed ? 0 : UInt32(GW_NO_COMPRESS) }

    /// Sends a piece of a text message: the first call opens the message, `isFinal` ends it. [any]
    ///
    /// In between, whole messages to this connection answer `outOfTurn`.
    @discardableResult
    public func sendFragment(_ text: String, isFinal: Bool) -> SendResult {
        var text = text
        return text.withUTF8 { unsafe sendFragment(GW_TEXT, UnsafeRawBufferPointer($0), isFinal) }
    }

    /// Sends a piece of a binary message: the first call opens the message, `isFinal` ends it. [any]
    ///
    /// In between, whole messages to this connection answer `outOfTurn`.
    @discardableResult
    public func sendFragment(_ bytes: RawSpan, isFinal: Bool) -> SendResult {
        unsafe bytes.withUnsafeBytes { unsafe sendFragment(GW_BINARY, $0, isFinal) }
    }

    /// Sends a piece of a binary message: the first call opens the message, `isFinal` ends it. [any]
    ///
    /// In between, whole messages to this connection answer `outOfTurn`.
    @discardableResult
    public func sendFragment(_ bytes: [UInt8], isFinal: Bool) -> SendResult {
        unsafe bytes.withUnsafeBytes { unsafe sendFragment(GW_BINARY, $0, isFinal) }
    }

    /// Sends a ping with at most 125 bytes. [any]
    @discardableResult
    public func ping(_ payload: [UInt8] = []) -> SendResult {
        guard let ping = unsafe host.table.pointee.ping else { return .unsupported }
        return unsafe payload.withUnsafeBytes {
            SendResult(status: unsafe ping(host.table, id, $0.baseAddress, $0.count))
        }
    }

    /// Sends a pong with at most 125 bytes, unasked or as the answer to a ping when pongs are manual. [any]
    @discardableResult
    public func pong(_ payload: [UInt8] = []) -> SendResult {
        guard let pong = unsafe host.table.pointee.pong else { return .unsupported }
        return unsafe payload.withUnsafeBytes {
            SendResult(status: unsafe pong(host.table, id, $0.baseAddress, $0.count))
        }
    }

    @inlinable
    func send(_ kind: Int, _ bytes: UnsafeRawBufferPointer, flags: UInt32 = 0) -> SendResult {
        guard let send = unsafe host.table.pointee.send else { return .unsupported }
        let status = unsafe send(
            host.table, id, UInt32(truncatingIfNeeded: kind), flags, bytes.baseAddress, bytes.count)
        return SendResult(status: status)
    }

    private func sendFragment(_ kind: Int, _ bytes: UnsafeRawBufferPointer, _ isFinal: Bool) -> SendResult {
        guard let sendFragment = unsafe host.table.pointee.send_fragment else { return .unsupported }
        let status = unsafe sendFragment(
            host.table, id, UInt32(truncatingIfNeeded: kind), isFinal ? UInt32(GW_FIN) : 0, bytes.baseAddress,
            bytes.count)
        return SendResult(status: status)
    }
}

internal import CGatewayABI

/// How a connection ended.
public struct CloseEvent: Sendable {
    /// The side that began it.
    public enum Initiator: UInt16, Sendable {
        case peer = 1
        case handler, gateway, transport, reload, shutdown
    }

    /// The code of the side that began it; `noStatusReceived` or `abnormalClosure` when there was none.
    public let code: CloseCode
    /// In the words of the side that began it.
    public let reason: String
    /// `nil` when the gateway gives one this kit has no name for.
    public let initiator: Initiator?
    public let messagesReceived: UInt64
    public let messagesSent: UInt64
    public let bytesReceived: UInt64
    public let bytesSent: UInt64
    /// The `errno` that broke the transport; 0 when none did.
    public let systemError: Int32

    init(_ raw: gw_close) {
        unsafe code = CloseCode(raw.code)
        unsafe reason = String(raw.reason)
        unsafe initiator = Initiator(rawValue: raw.by)
        unsafe messagesReceived = raw.msgs_in
        unsafe messagesSent = raw.msgs_out
        unsafe bytesReceived = raw.bytes_in
        unsafe bytesSent = raw.bytes_out
        unsafe systemError = raw.os_error
    }
}

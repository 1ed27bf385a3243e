/// The body of a Close frame: nothing, or a code and a reason (RFC 6455 5.5.1).
public struct ClosePayload: Equatable, Sendable {
    /// 1005 when the body is empty.
    public var code: UInt16
    /// Bytes of the reason behind the code; valid UTF-8.
    public var reasonCount: Int

    /// The longest reason that fits beside the code in a control frame.
    public static let maximumReason = 123

    public static func parse(_ body: UnsafeRawBufferPointer) -> Result<ClosePayload, ProtocolViolation> {
        if unsafe body.isEmpty { return .success(ClosePayload(code: CloseCode.none, reasonCount: 0)) }
        if body.count == 1 { return .failure(.badClosePayload) }
        let code = UInt16(bigEndian: unsafe body.loadUnaligned(as: UInt16.self))
        if !CloseCode.isAllowedOnWire(code) { return .failure(.badCloseCode) }
        let reason = unsafe UnsafeRawBufferPointer(rebasing: body[2...])
        if unsafe !UTF8Checker.isValid(reason) { return .failure(.invalidReason) }
        return .success(ClosePayload(code: code, reasonCount: reason.count))
    }
}

public import CGatewayABI

/// A text or binary message, or in `fragment` a piece of one; borrowed from the gateway until the callback returns.
///
/// It cannot be copied or kept, so it cannot outlive its bytes; `text` and `copyBytes()` make copies that can.
@safe
public struct Message: ~Copyable {
    @usableFromInline let raw: UnsafePointer<gw_message>

    /// The two kinds of RFC 6455 5.6.
    @frozen
    public enum Kind: Sendable {
        case text, binary
    }

    @inlinable
    init(_ raw: UnsafePointer<gw_message>) {
        unsafe self.raw = unsafe raw
    }

    /// Text or binary; all fragments of a message have the kind of the message.
    @inlinable
    public var kind: Kind { unsafe raw.pointee.kind == UInt32(GW_TEXT) ? .text : .binary }

    /// True for a whole message and for the first fragment of one.
    @inlinable
    public var isFirst: Bool { unsafe raw.pointee.flags & UInt32(GW_FIRST) != 0 }

    /// True for a whole message and for the last fragment of one.
    @inlinable
    public var isFinal: Bool { unsafe raw.pointee.flags & UInt32(GW_FIN) != 0 }

    /// True when the client sent it compressed (permessage-deflate); what is here is what that came to.
    public var wasCompressed: Bool { unsafe raw.pointee.flags & UInt32(GW_COMPRESSED) != 0 }

    /// When the last byte arrived, on the clock of `Gateway.now`.
    public var receivedAt: Duration { .nanoseconds(Int64(clamping: unsafe raw.pointee.received_ns)) }

    /// The payload of either kind, not copied.
    @inlinable
    public var bytes: RawSpan {
        @_lifetime(borrow self)
        get {
            let data = unsafe raw.pointee.data
            // The bytes live until the callback returns (rule R2), which no borrow of a Message can outlive.
            let span = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(start: data.ptr, count: data.len))
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    /// The payload of a text message, not copied; `nil` for binary.
    @inlinable
    public var utf8: UTF8Span? {
        @_lifetime(borrow self)
        get {
            guard kind == .text else { return nil }
            let data = unsafe raw.pointee.data
            let span = unsafe Span<UInt8>(_unsafeElements: UnsafeBufferPointer(start: data.ptr, count: data.len))
            // RFC 6455 8.1 is kept by the gateway: text is valid UTF-8 before it gets here, each fragment by itself.
            return unsafe _overrideLifetime(UTF8Span(unchecked: span), borrowing: self)
        }
    }

    /// The payload of a text message, copied; `nil` for binary.
    @inlinable
    public var text: String? {
        guard let utf8 else { return nil }
        return String(copying: utf8)
    }

    /// The payload of either kind, copied.
    public func copyBytes() -> [UInt8] {
        unsafe bytes.withUnsafeBytes { unsafe [UInt8]($0) }
    }
}

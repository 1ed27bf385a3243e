internal import CGatewayABI

extension String {
    /// A copy of a string of the gateway; what is not UTF-8 in it (a header may be anything) is repaired.
    init(_ borrowed: gw_str) {
        let bytes = unsafe UnsafeRawBufferPointer(start: borrowed.ptr, count: borrowed.len)
        self = unsafe String(decoding: bytes, as: UTF8.self)
    }

    /// A copy of a string of the gateway; `nil` for one that is not there, which is empty.
    init?(nonEmpty borrowed: gw_str) {
        if unsafe borrowed.len == 0 { return nil }
        self = unsafe String(borrowed)
    }

    /// A copy of bytes of the gateway that are text; `nil` where there are none.
    init?(nonEmpty borrowed: gw_bytes) {
        if unsafe borrowed.len == 0 { return nil }
        let bytes = unsafe UnsafeRawBufferPointer(start: borrowed.ptr, count: borrowed.len)
        self = unsafe String(decoding: bytes, as: UTF8.self)
    }

    /// Lends the text as a C string; `nil` when a NUL in it would cut it short.
    func withName<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result? {
        utf8.contains(0) ? nil : unsafe withCString(body)
    }
}

extension Array where Element == String {
    /// A copy of a list of strings of the gateway.
    init(_ borrowed: gw_strs) {
        let items = unsafe UnsafeBufferPointer(start: borrowed.ptr, count: borrowed.len)
        self = unsafe items.map { unsafe String($0) }
    }
}

extension Headers {
    /// A copy of a list of pairs of the gateway, in its order.
    init(_ borrowed: gw_kvs) {
        let pairs = unsafe UnsafeBufferPointer(start: borrowed.ptr, count: borrowed.len)
        self.init(unsafe pairs.map { unsafe Field(name: String($0.key), value: String($0.value)) })
    }
}

extension gw_bytes {
    /// The bytes, not copied; only while the callback that got them runs (rule R2).
    var span: RawSpan {
        @_lifetime(borrow self)
        get {
            let bytes = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(start: ptr, count: len))
            return unsafe _overrideLifetime(bytes, borrowing: self)
        }
    }
}

import CGatewayABI

/// How a connection ended, as `close` will tell.
struct Ending: Sendable {
    let code: UInt16
    let by: UInt16
    let reason: [UInt8]
    let messagesIn: UInt64
    let messagesOut: UInt64
    let bytesIn: UInt64
    let bytesOut: UInt64
    let osError: Int32

    init(_ peer: ConnectionPointer) {
        code = peer.pointee.closeCode
        by = UInt16(peer.pointee.closeBy)
        reason = peer.pointee.rareState?.closeReason ?? []
        messagesIn = peer.pointee.messagesIn
        messagesOut = peer.pointee.messagesOut
        bytesIn = peer.pointee.bytesIn
        bytesOut = peer.pointee.bytesOut
        osError = Int32(peer.pointee.rareState?.osError ?? 0)
    }

    /// Makes it as handlers see it, for the length of `body`.
    func withView<Result>(_ body: (UnsafePointer<gw_close>) -> Result) -> Result {
        var close = unsafe gw_close()
        unsafe close.struct_size = UInt32(MemoryLayout<gw_close>.size)
        unsafe close.code = code
        unsafe close.by = by
        unsafe close.msgs_in = messagesIn
        unsafe close.msgs_out = messagesOut
        unsafe close.bytes_in = bytesIn
        unsafe close.bytes_out = bytesOut
        unsafe close.os_error = osError
        return unsafe reason.withUnsafeBytes { text in
            unsafe close.reason = gw_str(ptr: text.baseAddress?.assumingMemoryBound(to: CChar.self), len: text.count)
            return unsafe body(&close)
        }
    }
}

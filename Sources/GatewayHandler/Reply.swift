internal import CGatewayABI

/// An answer laid out as the C structs of the ABI, while the gateway reads it.
///
/// All text goes into one run of bytes, so that one borrow keeps every pointer of the reply alive.
struct Reply {
    var status: UInt16
    var subprotocol: String?
    var headers: Headers
    var body: [UInt8] = []

    /// Answers the request that holds `ticket`; `state` is the gateway's only if the result is `GW_OK`.
    func send(to ticket: gw_ticket, _ host: Host, state: UnsafeMutableRawPointer? = nil) -> gw_status {
        guard let reply = unsafe host.table.pointee.reply else { return gw_status(GW_E_UNSUPPORTED) }
        var text: [UInt8] = []
        text.append(contentsOf: (subprotocol ?? "").utf8)
        for field in headers {
            text.append(contentsOf: field.name.utf8)
            text.append(contentsOf: field.value.utf8)
        }
        return unsafe text.withUnsafeBytes { text in
            var position = 0
            func next(_ count: Int) -> gw_str {
                let piece = unsafe UnsafeRawBufferPointer(rebasing: text[position..<(position + count)])
                position += count
                return unsafe gw_str(ptr: piece.baseAddress?.assumingMemoryBound(to: CChar.self), len: piece.count)
            }
            var raw = unsafe gw_reply()
            unsafe raw.struct_size = UInt32(MemoryLayout<gw_reply>.size)
            unsafe raw.status = status
            unsafe raw.subprotocol = next((subprotocol ?? "").utf8.count)
            unsafe raw.conn_state = unsafe state
            var fields: [gw_kv] = unsafe []
            for field in headers {
                let key = unsafe next(field.name.utf8.count)
                let value = unsafe next(field.value.utf8.count)
                unsafe fields.append(gw_kv(key: key, value: value))
            }
            return unsafe fields.withUnsafeBufferPointer { fields in
                unsafe body.withUnsafeBufferPointer { body in
                    unsafe raw.headers = unsafe gw_kvs(ptr: fields.baseAddress, len: fields.count)
                    unsafe raw.body = unsafe gw_bytes(ptr: body.baseAddress, len: body.count)
                    return unsafe reply(host.table, ticket, &raw)
                }
            }
        }
    }
}

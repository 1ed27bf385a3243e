import Bytes
import CGatewayABI
import GatewayIO
import Glibc
import HTTP
import Synchronization
import WebSocket

/// A request in the form of the ABI: one run of memory with the struct, its lists, and all text they point at.
///
///     [ gw_request, decoded ][ headers ][ parameters ][ subprotocols ][ text ]
@safe struct RequestRecord: ~Copyable {
    /// What handlers get a pointer to; what is behind the struct is ours.
    @unsafe struct Block: ~Copyable {
        var request: gw_request
        /// Texts that look-ups had to decode, a list of `Decoded`; they live as long as the request.
        let decoded: Atomic<UInt>
    }

    private struct Decoded {
        var next: UInt
    }

    private var memory = ByteBuffer()

    init() {}

    deinit { freeDecoded() }

    /// The request; nil before it was filled.
    var request: UnsafePointer<gw_request>? {
        guard let base = unsafe memory.bytes.baseAddress, memory.count > 0 else { return nil }
        return unsafe UnsafePointer(base.assumingMemoryBound(to: gw_request.self))
    }

    /// Keeps bytes with a request until it ends. Any thread while the request lives.
    static func keep(_ bytes: [UInt8], with request: UnsafePointer<gw_request>) -> gw_str? {
        let header = MemoryLayout<Decoded>.size
        guard let node = unsafe malloc(header + bytes.count) else { return nil }
        unsafe (node + header).copyMemory(from: bytes, byteCount: bytes.count)
        let block = unsafe UnsafeRawPointer(request).assumingMemoryBound(to: Block.self)
        var head = unsafe block.pointee.decoded.load(ordering: .acquiring)
        while true {
            unsafe node.storeBytes(of: Decoded(next: head), as: Decoded.self)
            let (done, seen) = unsafe block.pointee.decoded.compareExchange(
                expected: head, desired: UInt(bitPattern: node), ordering: .acquiringAndReleasing)
            if done { break }
            head = seen
        }
        return unsafe gw_str(ptr: (node + header).assumingMemoryBound(to: CChar.self), len: bytes.count)
    }

    /// Frees everything.
    mutating func clear() {
        freeDecoded()
        memory.free()
    }

    private func freeDecoded() {
        guard memory.count > 0, let base = unsafe memory.bytes.baseAddress else { return }
        let block = unsafe base.assumingMemoryBound(to: Block.self)
        var next = unsafe block.pointee.decoded.load(ordering: .acquiring)
        while let node = unsafe UnsafeMutableRawPointer(bitPattern: next) {
            next = unsafe node.load(as: Decoded.self).next
            unsafe free(node)
        }
    }

    /// Fills the record from an exchange.
    mutating func fill(
        _ exchange: Exchange, id: UInt64, route: String, peer: SocketAddress?, local: SocketAddress?, isSecure: Bool,
        security: TransportSecurity?
    ) {
        clear()
        let head = exchange.head
        let layout = Layout(exchange)
        var text: [UInt8] = []
        text.reserveCapacity(head.bytes.count + head.target.path.decoded.count + route.utf8.count + 128)
        text.append(contentsOf: head.bytes)
        let path = text.place(head.target.path.decoded)
        let routeText = text.place(route.utf8)
        let peerText = text.place((peer?.isUnix == false ? peer?.host ?? "" : "").utf8)
        let localText = text.place((local?.host ?? "").utf8)
        let (version, cipher) = (text.place((security?.version ?? "").utf8), text.place((security?.cipher ?? "").utf8))
        let serverName = text.place((security?.serverName ?? "").utf8)
        let clientName = text.place((security?.clientName ?? "").utf8)
        let names = exchange.parameters.map { (text.place($0.name.utf8), text.place($0.value)) }
        memory.reserve(layout.text + text.count)
        memory.didFill(layout.text + text.count)
        guard let base = unsafe memory.bytes.baseAddress else { return }
        unsafe (base + layout.text).copyMemory(from: text, byteCount: text.count)
        let texts = unsafe TextBase(start: UnsafeRawPointer(base + layout.text).assumingMemoryBound(to: CChar.self))

        let headers = unsafe (base + layout.headers).bindMemory(to: gw_kv.self, capacity: head.fields.count)
        for (index, field) in head.fields.enumerated() {
            unsafe headers[index] = gw_kv(key: texts[field.name], value: texts[field.value])
        }
        let parameters = unsafe (base + layout.parameters).bindMemory(to: gw_kv.self, capacity: names.count)
        for (index, (name, value)) in names.enumerated() {
            unsafe parameters[index] = gw_kv(key: texts[name], value: texts[value])
        }
        let offered = exchange.handshake?.subprotocols ?? []
        let subprotocols = unsafe (base + layout.subprotocols).bindMemory(to: gw_str.self, capacity: offered.count)
        for (index, range) in offered.enumerated() { unsafe subprotocols[index] = texts[range] }

        var request = unsafe gw_request()
        unsafe request.struct_size = UInt32(MemoryLayout<gw_request>.size)
        unsafe request.flags =
            UInt32(exchange.handshake != nil ? GW_REQ_WEBSOCKET : 0) | UInt32(isSecure ? GW_REQ_TLS : 0)
        unsafe request.id = id
        unsafe Self.store(exchange.uuid, in: &request)
        unsafe request.ticket = exchange.ticket
        unsafe request.method = texts[head.methodRange]
        unsafe request.path = texts[path]
        unsafe request.query = texts[head.target.rawQuery ?? 0..<0]
        unsafe request.route = texts[routeText]
        unsafe request.host = texts[head.host ?? 0..<0]
        unsafe request.origin = texts[head.first("origin") ?? 0..<0]
        unsafe (request.peer_addr, request.peer_port) = (texts[peerText], peer?.port ?? 0)
        unsafe (request.local_addr, request.local_port) = (texts[localText], local?.port ?? 0)
        unsafe request.http_version = head.version
        unsafe (request.tls_version, request.tls_cipher) = (texts[version], texts[cipher])
        unsafe (request.tls_sni, request.tls_client_name) = (texts[serverName], texts[clientName])
        unsafe request.headers = gw_kvs(ptr: headers, len: head.fields.count)
        unsafe request.params = gw_kvs(ptr: parameters, len: names.count)
        unsafe request.subprotocols = gw_strs(ptr: subprotocols, len: offered.count)
        unsafe base.bindMemory(to: Block.self, capacity: 1).initialize(
            to: Block(request: request, decoded: Atomic(0)))
    }

    private static func store(_ uuid: (UInt64, UInt64), in request: inout gw_request) {
        unsafe withUnsafeMutableBytes(of: &request.uuid) { bytes in
            unsafe bytes.storeBytes(of: uuid.0.bigEndian, as: UInt64.self)
            unsafe bytes.storeBytes(of: uuid.1.bigEndian, toByteOffset: 8, as: UInt64.self)
        }
    }

    /// Says which of the offered subprotocols was agreed upon.
    mutating func setSubprotocol(_ chosen: Range<Int>, of exchange: Exchange) {
        guard let base = unsafe memory.bytes.baseAddress, memory.count > 0 else { return }
        // The text begins with the bytes of the head.
        let text = unsafe UnsafeRawPointer(base + Layout(exchange).text).assumingMemoryBound(to: CChar.self)
        unsafe base.assumingMemoryBound(to: gw_request.self).pointee.subprotocol =
            unsafe gw_str(ptr: text + chosen.lowerBound, len: chosen.count)
    }

    /// Says in the request that its connection came from another generation.
    ///
    /// - Parameter isRecovered: the process of that has ended.
    mutating func markMigrated(isRecovered: Bool) -> UnsafePointer<gw_request>? {
        guard let base = unsafe memory.bytes.baseAddress, memory.count > 0 else { return nil }
        let flags = UInt32(GW_REQ_MIGRATED) | (isRecovered ? UInt32(GW_REQ_RECOVERED) : 0)
        unsafe base.assumingMemoryBound(to: gw_request.self).pointee.flags |= flags
        return unsafe request
    }

    /// Lends the body of a plain request to the record for the length of a callback.
    mutating func setBody(_ body: UnsafeRawBufferPointer, owner: UnsafeMutablePointer<SharedBuffer>?) {
        guard let base = unsafe memory.bytes.baseAddress else { return }
        let block = unsafe base.assumingMemoryBound(to: Block.self)
        unsafe block.pointee.request.body = gw_bytes(
            ptr: body.baseAddress?.assumingMemoryBound(to: UInt8.self), len: body.count)
        unsafe block.pointee.request.body_buf = owner.map { OpaquePointer($0) }
    }

    /// Where the lists begin.
    private struct Layout {
        let headers: Int
        let parameters: Int
        let subprotocols: Int
        let text: Int

        init(_ exchange: Exchange) {
            headers = unsafe MemoryLayout<Block>.stride
            parameters = unsafe headers + exchange.head.fields.count * MemoryLayout<gw_kv>.stride
            subprotocols = unsafe parameters + exchange.parameters.count * MemoryLayout<gw_kv>.stride
            text = unsafe subprotocols + (exchange.handshake?.subprotocols.count ?? 0) * MemoryLayout<gw_str>.stride
        }
    }

    /// Makes views of ranges of the text.
    @unsafe private struct TextBase {
        let start: UnsafePointer<CChar>

        subscript(range: Range<Int>) -> gw_str {
            unsafe gw_str(ptr: start + range.lowerBound, len: range.count)
        }
    }
}

extension Array where Element == UInt8 {
    /// Appends bytes and says where they stand.
    fileprivate mutating func place(_ bytes: some Sequence<UInt8>) -> Range<Int> {
        let start = count
        append(contentsOf: bytes)
        return start..<count
    }
}

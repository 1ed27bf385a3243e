import CGatewayABI

/// Memory for the borrowed structs a test hands to a handler; all of it dies with the arena, as after a callback.
final class Arena {
    private var blocks: [UnsafeMutableRawPointer] = []

    deinit {
        for block in blocks { block.deallocate() }
    }

    private func copy<Element>(_ elements: [Element]) -> UnsafeMutablePointer<Element>? {
        if elements.isEmpty { return nil }
        let block = UnsafeMutablePointer<Element>.allocate(capacity: elements.count)
        block.initialize(from: elements, count: elements.count)
        blocks.append(UnsafeMutableRawPointer(block))
        return block
    }

    func keep<Value>(_ value: Value) -> UnsafeMutablePointer<Value>? { copy([value]) }

    func text(_ text: String) -> gw_str {
        gw_str(ptr: copy(text.utf8.map { CChar(bitPattern: $0) }), len: text.utf8.count)
    }

    func bytes(_ bytes: [UInt8]) -> gw_bytes { gw_bytes(ptr: copy(bytes), len: bytes.count) }

    func pairs(_ pairs: KeyValuePairs<String, String>) -> gw_kvs {
        gw_kvs(ptr: copy(pairs.map { gw_kv(key: text($0.key), value: text($0.value)) }), len: pairs.count)
    }

    func list(_ texts: [String]) -> gw_strs { gw_strs(ptr: copy(texts.map { text($0) }), len: texts.count) }

    func config(
        route: String = "/test", origin: String = "gateway.conf:42", settings: KeyValuePairs<String, String> = [:],
        flags: UInt32 = 0
    ) -> gw_config {
        gw_config(
            struct_size: UInt32(MemoryLayout<gw_config>.size), flags: flags, instance: 5, route: text(route),
            origin: text(origin), values: pairs(settings))
    }

    func message(_ payload: [UInt8], kind: Int = GW_BINARY, flags: Int = GW_FIRST | GW_FIN) -> gw_message {
        gw_message(
            struct_size: UInt32(MemoryLayout<gw_message>.size), kind: UInt32(kind), flags: UInt32(flags), reserved0: 0,
            data: bytes(payload), buf: nil, received_ns: 2_000_000_000)
    }

    func saved(_ bytes: [UInt8], _ format: UInt64, _ version: UInt32, flags: UInt32 = 0) -> gw_saved {
        gw_saved(
            struct_size: UInt32(MemoryLayout<gw_saved>.size), state_version: version, state_format: format,
            generation: 2, data: self.bytes(bytes), flags: flags, reserved0: 0)
    }

    func request(
        method: String = "GET", headers: KeyValuePairs<String, String> = [:], subprotocols: [String] = [],
        body: [UInt8] = []
    ) -> gw_request {
        var request = gw_request()
        request.struct_size = UInt32(MemoryLayout<gw_request>.size)
        request.flags = UInt32(GW_REQ_TLS | GW_REQ_WEBSOCKET)
        request.id = 11
        request.uuid = (1, 2, 3, 4, 5, 6, 0x77, 8, 0x89, 10, 11, 12, 13, 14, 15, 255)
        request.ticket = 77
        request.method = text(method)
        request.path = text("/rooms/tea time")
        request.query = text("nick=Ada")
        request.route = text("/rooms/:room")
        request.host = text("example.com:8080")
        request.origin = text("https://example.com")
        request.peer_addr = text("::1")
        request.local_addr = text("127.0.0.1")
        (request.peer_port, request.local_port, request.http_version) = (50000, 8080, 11)
        request.params = pairs(["room": "tea time"])
        request.headers = pairs(headers)
        request.subprotocols = list(subprotocols)
        request.body = bytes(body)
        return request
    }
}

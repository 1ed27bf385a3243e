package import CGatewayABI

/// The route's block of gateway.conf, as `start` and `reconfigure` get it.
package struct RouteSettings: Equatable, Sendable {
    /// A `set key value` line.
    package struct Setting: Equatable, Sendable {
        package let key: String
        package let value: String

        package init(key: String, value: String) {
            self.key = key
            self.value = value
        }
    }

    /// The pattern, "/rooms/:room".
    package let route: String
    /// Where the block begins, "gateway.conf:42".
    package let origin: String
    /// In the order of the file.
    package let settings: [Setting]
    /// Whether this is the throw-away process that only tries the handler.
    package let isProbe: Bool

    package init(route: String, origin: String, settings: [Setting] = [], isProbe: Bool = false) {
        self.route = route
        self.origin = origin
        self.settings = settings
        self.isProbe = isProbe
    }

    /// Lends the C form of it; every pointer dies with the call (R2).
    package func withConfiguration<Result>(
        instance: gw_instance, _ body: (UnsafePointer<gw_config>) -> Result
    ) -> Result {
        // One block for all texts: nesting a closure per string would make the depth of the stack a setting.
        var texts: [UInt8] = []
        var spans: [Range<Int>] = []
        for text in [route, origin] + settings.flatMap({ [$0.key, $0.value] }) {
            spans.append(texts.count..<texts.count + text.utf8.count)
            texts += text.utf8
        }
        texts.append(0)  // Never empty, so that the base address is not nil.
        return unsafe texts.withUnsafeBytes { bytes in
            let base = unsafe bytes.baseAddress!.assumingMemoryBound(to: CChar.self)
            let views = unsafe spans.map { unsafe gw_str(ptr: base + $0.lowerBound, len: $0.count) }
            let values = unsafe stride(from: 2, to: views.count, by: 2).map {
                unsafe gw_kv(key: views[$0], value: views[$0 + 1])
            }
            return unsafe values.withUnsafeBufferPointer { pairs in
                var configuration = unsafe gw_config()
                unsafe configuration.struct_size = UInt32(MemoryLayout<gw_config>.size)
                unsafe configuration.flags = isProbe ? UInt32(GW_CFG_PROBE) : 0
                unsafe configuration.instance = instance
                unsafe configuration.route = views[0]
                unsafe configuration.origin = views[1]
                unsafe configuration.values = gw_kvs(ptr: pairs.baseAddress, len: pairs.count)
                return unsafe withUnsafePointer(to: &configuration) { unsafe body($0) }
            }
        }
    }
}

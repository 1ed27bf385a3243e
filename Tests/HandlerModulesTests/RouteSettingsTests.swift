import CGatewayABI
import HandlerModules
import Testing

@Suite("gateway.conf reaches start as it stands")
struct RouteSettingsTests {
    private func text(_ view: gw_str) -> String {
        String(decoding: UnsafeRawBufferPointer(start: view.ptr, count: view.len), as: UTF8.self)
    }

    @Test(arguments: [0, 1, 100])
    func `lends every setting in order`(_ count: Int) {
        let lines = (0..<count).map { RouteSettings.Setting(key: "ké\($0)", value: $0 == 0 ? "" : "v\($0)") }
        let settings = RouteSettings(route: "/r", origin: "gateway.conf:1", settings: lines, isProbe: count == 1)
        let seen = settings.withConfiguration(instance: 9) { configuration in
            let given = configuration.pointee
            #expect(given.struct_size == 64)
            #expect(given.instance == 9)
            #expect(given.flags == (count == 1 ? 1 : 0))
            #expect(text(given.route) == "/r")
            #expect(text(given.origin) == "gateway.conf:1")
            return UnsafeBufferPointer(start: given.values.ptr, count: given.values.len).map {
                RouteSettings.Setting(key: text($0.key), value: text($0.value))
            }
        }
        #expect(seen == lines)
    }
}

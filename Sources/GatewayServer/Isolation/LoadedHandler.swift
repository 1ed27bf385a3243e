import HandlerModules

extension SuccessionMessage.LoadedHandler {
    func put(_ writer: inout MessageFieldWriter) {
        writer.put(1, module.name)
        writer.put(2, module.version)
        writer.put(3, module.sdk)
        writer.put(4, module.abiVersion)
        writer.put(5, module.flags)
        writer.put(6, module.stateFormat)
        writer.put(7, module.stateVersion)
        writer.put(8, module.saves)
        writer.put(9, module.restores)
        writer.put(10, module.takesFragments)
        for route in routes { writer.put(11, route) }
        for each in refused {
            var inner = MessageFieldWriter()
            inner.put(1, each.route)
            inner.put(2, each.reason)
            writer.put(12, inner.bytes)
        }
    }

    init(_ fields: MessageFieldReader) throws(SuccessionFailure) {
        self.init()
        module.name = try fields.text(1) ?? ""
        module.version = try fields.text(2) ?? ""
        module.sdk = try fields.text(3) ?? ""
        module.abiVersion = try fields.number(4)
        module.flags = try fields.number(5)
        module.stateFormat = try fields.number(6)
        module.stateVersion = try fields.number(7)
        module.saves = try fields.flag(8)
        module.restores = try fields.flag(9)
        module.takesFragments = try fields.flag(10)
        routes = try fields.texts(11)
        for bytes in fields.all(12) {
            let inner = try MessageFieldReader(bytes, of: "refused route")
            refused.append(
                .init(route: try inner.demand(inner.text(1), 1), reason: try inner.text(2) ?? ""))
        }
    }
}

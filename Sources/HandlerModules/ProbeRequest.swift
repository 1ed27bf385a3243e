/// What the gateway asks of its probe process, through standard input.
struct ProbeRequest: Equatable {
    let handler: String
    /// The number that the generation would have.
    let generation: UInt64
    /// The file that the copy was made of, for the texts.
    let source: String
    /// Bytes of memory that the module may take.
    let memory: UInt64
    /// After so many seconds the process ends itself, should the gateway be gone.
    let seconds: UInt32
    let routes: [RouteSettings]

    var bytes: [UInt8] {
        var writer = ProbeRecordWriter()
        writer.text(handler)
        writer.number(generation)
        writer.text(source)
        writer.number(memory)
        writer.number(UInt64(seconds))
        writer.number(UInt64(routes.count))
        for route in routes {
            writer.text(route.route)
            writer.text(route.origin)
            writer.number(UInt64(route.settings.count))
            for setting in route.settings {
                writer.text(setting.key)
                writer.text(setting.value)
            }
        }
        return writer.bytes
    }
}

extension ProbeRequest {
    /// Reads a request; nil when it is none. Its routes are marked as a probe's.
    init?(_ bytes: [UInt8]) {
        var reader = ProbeRecordReader(bytes)
        guard let handler = reader.text(), let generation = reader.number(), let source = reader.text(),
            let memory = reader.number(), let seconds = reader.number().flatMap({ UInt32(exactly: $0) }),
            let count = reader.number()
        else { return nil }
        var routes: [RouteSettings] = []
        while routes.count < count {
            guard let route = Self.route(&reader) else { return nil }
            routes.append(route)
        }
        self.init(
            handler: handler, generation: generation, source: source, memory: memory, seconds: seconds, routes: routes)
    }

    private static func route(_ reader: inout ProbeRecordReader) -> RouteSettings? {
        guard let route = reader.text(), let origin = reader.text(), let count = reader.number() else { return nil }
        var settings: [RouteSettings.Setting] = []
        while settings.count < count {
            guard let key = reader.text(), let value = reader.text() else { return nil }
            settings.append(RouteSettings.Setting(key: key, value: value))
        }
        return RouteSettings(route: route, origin: origin, settings: settings, isProbe: true)
    }
}

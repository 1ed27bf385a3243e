/// What a running gateway has counted, at one moment, as `gateway status --json` tells it.
package struct TopReading: Equatable, Sendable {
    package struct Traffic: Equatable, Sendable {
        package var opened = 0.0
        package var closed = 0.0
        package var messagesIn = 0.0
        package var messagesOut = 0.0
        package var bytesIn = 0.0
        package var bytesOut = 0.0
        package var callbacks = TopDurations()

        package init() {}
    }

    package struct Route: Equatable, Sendable {
        package var name = ""
        package var handler = ""
        package var isServed = true
        package var connections = 0.0
        package var traffic = Traffic()
    }

    package struct Generation: Equatable, Sendable {
        package var handler = ""
        package var number = 0.0
        package var state = ""
        package var connections = 0.0
        package var errors = 0.0
        package var stalls = 0.0
    }

    package struct Reload: Equatable, Sendable {
        /// A time that sorts as text.
        package var at = ""
        package var handler = ""
        package var isAccepted = true
        package var outcome = ""
    }

    package var version = ""
    package var pid = 0
    package var configuration = ""
    package var state = ""
    package var uptimeMilliseconds = 0.0
    package var connections = 0.0
    package var mostConnections = 0.0
    package var cpuMilliseconds = 0.0
    package var residentBytes = 0.0
    package var loopLag = TopDurations()
    package var routes: [Route] = []
    package var generations: [Generation] = []
    /// Newest first.
    package var reloads: [Reload] = []

    /// Nil where the text is no status.
    package init?(json text: some Sequence<UInt8>) {
        guard let status = JSONValue(text), let process = status["process"] else { return nil }
        func number(_ name: String) -> Double { process[name]?.number ?? 0 }
        version = process["version"]?.string ?? ""
        pid = Int(number("pid"))
        configuration = process["configuration"]?.string ?? ""
        state = process["state"]?.string ?? ""
        uptimeMilliseconds = number("uptime_ms")
        connections = number("connections")
        mostConnections = number("max_connections")
        cpuMilliseconds = process["usage"]?["cpu_ms"]?.number ?? 0
        residentBytes = process["usage"]?["resident_bytes"]?.number ?? 0
        loopLag = TopDurations(process["loop_lag"])
        routes = (status["routes"]?.elements ?? []).map { Route($0) }
        for handler in status["handlers"]?.elements ?? [] {
            let name = handler["handler"]?.string ?? ""
            for generation in handler["generations"]?.elements ?? [] {
                generations.append(Generation(generation, of: name))
            }
            if let reload = handler["last_reload"], reload != .null { reloads.append(Reload(reload, of: name)) }
        }
        if let reload = process["configuration_reload"], reload != .null {
            reloads.append(Reload(reload, of: "configuration"))
        }
        reloads.sort { $0.at > $1.at }
    }

    /// All routes together.
    package var total: Traffic {
        routes.reduce(into: Traffic()) { sum, route in
            sum.opened += route.traffic.opened
            sum.closed += route.traffic.closed
            sum.messagesIn += route.traffic.messagesIn
            sum.messagesOut += route.traffic.messagesOut
            sum.bytesIn += route.traffic.bytesIn
            sum.bytesOut += route.traffic.bytesOut
            sum.callbacks.add(route.traffic.callbacks)
        }
    }
}

extension TopReading.Traffic {
    init(_ json: JSONValue?) {
        func number(_ name: String) -> Double { json?[name]?.number ?? 0 }
        opened = number("opened")
        closed = number("closed")
        messagesIn = number("messages_in")
        messagesOut = number("messages_out")
        bytesIn = number("bytes_in")
        bytesOut = number("bytes_out")
        callbacks = TopDurations(json?["callbacks"])
    }

    /// What came since another moment, a second; of a route that was removed and is there again, it is none.
    package func rate(since before: Self, seconds: Double) -> Self {
        var rate = Self()
        func per(_ path: KeyPath<Self, Double>) -> Double {
            seconds > 0 ? max(0, self[keyPath: path] - before[keyPath: path]) / seconds : 0
        }
        rate.opened = per(\.opened)
        rate.closed = per(\.closed)
        rate.messagesIn = per(\.messagesIn)
        rate.messagesOut = per(\.messagesOut)
        rate.bytesIn = per(\.bytesIn)
        rate.bytesOut = per(\.bytesOut)
        rate.callbacks = callbacks.since(before.callbacks)
        return rate
    }
}

extension TopReading.Route {
    init(_ json: JSONValue) {
        name = (json["host"]?.string ?? "") + (json["route"]?.string ?? "")
        handler = json["handler"]?.string ?? ""
        isServed = json["state"]?.string == "serving"
        connections = json["connections"]?.number ?? 0
        traffic = TopReading.Traffic(json["traffic"])
    }
}

extension TopReading.Generation {
    init(_ json: JSONValue, of handler: String) {
        self.handler = handler
        number = json["generation"]?.number ?? 0
        state = json["state"]?.string ?? ""
        connections = json["connections"]?.number ?? 0
        errors = json["errors"]?.number ?? 0
        stalls = json["stalls"]?.number ?? 0
    }
}

extension TopReading.Reload {
    init(_ json: JSONValue, of handler: String) {
        at = json["at"]?.string ?? ""
        self.handler = handler
        isAccepted = json["accepted"]?.truth ?? true
        outcome = json["outcome"]?.string ?? ""
    }
}

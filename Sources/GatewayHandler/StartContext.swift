internal import CGatewayABI

/// What a handler learns when it is started for a route; borrowed from the gateway until `init` returns.
@safe
public struct StartContext: ~Copyable {
    private let raw: UnsafePointer<gw_config>
    private let host: Host
    /// The closures of a handler that is made of them.
    let events: (any Sendable)?

    init(_ raw: UnsafePointer<gw_config>, _ host: Host, _ events: (any Sendable)?) {
        unsafe self.raw = unsafe raw
        self.host = host
        self.events = events
    }

    /// The gateway itself; may be kept.
    public var gateway: Gateway { Gateway(host) }

    /// The pattern of the route in gateway.conf, such as `/rooms/:room`.
    public var route: String { unsafe String(raw.pointee.route) }

    /// Where the route stands, for messages: `gateway.conf:42`.
    public var origin: String { unsafe String(raw.pointee.origin) }

    /// True in a throw-away process that only tries the module: check everything, but bind, lock and migrate nothing.
    public var isProbe: Bool { unsafe raw.pointee.flags & UInt32(GW_CFG_PROBE) != 0 }

    /// All `set key value` lines of the route, in file order.
    public var settings: Headers { unsafe Headers(raw.pointee.values) }

    /// The value of `set key value`; `nil` when there is no such line.
    public func setting(_ key: String) -> String? {
        guard let get = unsafe host.table.pointee.config_get else { return nil }
        var found = unsafe gw_str()
        let status = unsafe key.withName { unsafe get(host.table, raw, $0, &found) }
        return status == gw_status(GW_OK) ? unsafe String(found) : nil
    }

    /// The value of `set key FILE` as a path: as everywhere in gateway.conf, a relative one starts from the folder of the
    /// file it is written in; `nil` when there is no such line.
    public func path(_ key: String) -> String? {
        guard let path = setting(key) else { return nil }
        // `../gateway.conf:42`: without a slash the file is in the folder the gateway was started in.
        guard !path.hasPrefix("/"), let slash = origin.lastIndex(of: "/") else { return path }
        return origin[...slash] + path
    }

    /// The value of `set key value` as a number or anything else that reads itself from text; throws when it does not.
    public func setting<Value: LosslessStringConvertible>(
        _ key: String, as type: Value.Type
    ) throws(SettingError) -> Value? {
        guard let text = setting(key) else { return nil }
        guard let value = Value(text) else {
            throw SettingError(key: key, text: text, wanted: "\(type)", origin: origin)
        }
        return value
    }
}

/// A `set` line of gateway.conf that a handler cannot use.
public struct SettingError: Error, CustomStringConvertible {
    /// Which setting.
    public let key: String
    /// Its value.
    public let text: String
    /// What the value should have been.
    public let wanted: String
    /// Where the route stands in gateway.conf.
    public let origin: String

    public var description: String { "\(origin): set \(key): \"\(text)\" is no \(wanted)" }
}

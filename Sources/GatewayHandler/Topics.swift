internal import CGatewayABI

/// A name under which messages reach many connections at once: all subscribers, whichever generation serves them.
///
/// The gateway keeps subscriptions with the connection, so a reload does not end them.
public struct Topic: Sendable, Hashable, ExpressibleByStringLiteral {
    public let name: String
    /// True for a topic that all routes share; others belong to the handler's route.
    public let isGlobal: Bool

    public init(_ name: String, isGlobal: Bool = false) {
        self.name = name
        self.isGlobal = isGlobal
    }

    public init(stringLiteral name: String) { self.init(name) }

    /// A topic that all routes of the gateway share.
    public static func global(_ name: String) -> Topic { Topic(name, isGlobal: true) }

    fileprivate var flags: UInt32 { isGlobal ? UInt32(GW_GLOBAL_TOPIC) : 0 }

    fileprivate func withName<Result>(_ body: (UnsafeBufferPointer<CChar>) -> Result) -> Result {
        var name = name
        return name.withUTF8 { bytes in
            unsafe bytes.withMemoryRebound(to: CChar.self) { unsafe body($0) }
        }
    }
}

extension Connection {
    /// From now on hears what is published under `topic`. [any]
    @discardableResult
    public func subscribe(to topic: Topic) -> SendResult {
        guard let subscribe = unsafe host.table.pointee.subscribe else { return .unsupported }
        return unsafe topic.withName {
            SendResult(status: unsafe subscribe(host.table, id, topic.flags, $0.baseAddress, $0.count))
        }
    }

    /// No longer hears it. [any]
    @discardableResult
    public func unsubscribe(from topic: Topic) -> SendResult {
        guard let unsubscribe = unsafe host.table.pointee.unsubscribe else { return .unsupported }
        return unsafe topic.withName {
            SendResult(status: unsafe unsubscribe(host.table, id, topic.flags, $0.baseAddress, $0.count))
        }
    }
}

extension Gateway {
    /// Sends a text to all connections that are subscribed to `topic`, but one. [any]
    ///
    /// It is framed once, however many there are. A slow reader is treated as the route's `slow_consumer` says. Where
    /// gateway.conf has `cluster`, it also goes to those at other gateways, unless `local` keeps it here.
    @discardableResult
    public func publish(
        _ text: String, to topic: Topic, except: Connection? = nil, local: Bool = false
    ) -> Publication {
        var text = text
        return text.withUTF8 { unsafe publish(GW_TEXT, UnsafeRawBufferPointer($0), topic, except, local) }
    }

    /// Sends bytes to all connections that are subscribed to `topic`, but one. [any]
    @discardableResult
    public func publish(
        _ bytes: RawSpan, to topic: Topic, except: Connection? = nil, local: Bool = false
    ) -> Publication {
        unsafe bytes.withUnsafeBytes { unsafe publish(GW_BINARY, $0, topic, except, local) }
    }

    private func publish(
        _ kind: Int, _ bytes: UnsafeRawBufferPointer, _ topic: Topic, _ except: Connection?, _ local: Bool
    ) -> Publication {
        guard let publish = unsafe host.table.pointee.publish else {
            return Publication(result: .unsupported, reached: 0)
        }
        let flags = topic.flags | (local ? UInt32(GW_LOCAL_TOPIC) : 0)
        var reached: UInt32 = 0
        let status = unsafe topic.withName {
            unsafe publish(
                host.table, host.instance, $0.baseAddress, $0.count, UInt32(truncatingIfNeeded: kind), flags,
                bytes.baseAddress, bytes.count, except?.id ?? 0, &reached)
        }
        return Publication(result: SendResult(status: status), reached: Int(reached))
    }
}

/// What became of something that was published.
public struct Publication: Sendable, Hashable {
    /// Whether the gateway took it; what became of each of its copies is the business of `slow_consumer`.
    ///
    /// With other gateways: `backpressure` when more than half of `queue` waits for the engine, and `dropped` when it is
    /// full and only connections here got it.
    public let result: SendResult
    /// How many connections of this gateway it goes to.
    public let reached: Int
}

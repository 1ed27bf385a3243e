internal import CGatewayABI

/// What a handler says of itself when its module is loaded.
public struct Manifest: Sendable {
    /// Promises and wishes that hold for the whole handler.
    public struct Options: OptionSet, Sendable {
        public let rawValue: UInt32

        public init(rawValue: UInt32) {
            self.rawValue = rawValue
        }

        /// Callbacks of different connections never run at once.
        public static let serial = Options(rawValue: UInt32(GW_HF_SERIAL))
        /// Nothing is kept that a newer generation would miss: a reload moves connections without saving anything.
        ///
        /// Set by itself for a handler without `State` and stored properties. One that has properties, such as its
        /// settings, but learns nothing from its clients may set it; one that does should be a `HandoverHandler`.
        public static let stateless = Options(rawValue: UInt32(GW_HF_STATELESS))
        /// The opening handshake is kept for `Connection.info`, which costs its size per connection.
        public static let keepRequest = Options(rawValue: UInt32(GW_HF_KEEP_REQUEST))
        /// Something is kept where the kit cannot see it, in globals: `stateless` is not set by itself, and without
        /// a hand-over connections end on the generation they began with.
        public static let keepsGlobals = Options(rawValue: 1 << 31)
        /// The gateway does not answer pings: `ping` must call `Connection.pong`.
        public static let manualPong = Options(rawValue: UInt32(GW_HF_MANUAL_PONG))
    }

    /// Shown in the gateway's log and status; best the name of the module.
    public let name: String
    /// Shown beside the name.
    public let version: String
    public let options: Options

    /// The options as the gateway knows them, and what can be told from the handler itself.
    func flags(keepsNothing: Bool, keepsSomething: Bool) -> UInt32 {
        var flags = options.subtracting(.keepsGlobals)
        if keepsNothing && !options.contains(.keepsGlobals) { flags.insert(.stateless) }
        // A connection that moved without its state would be lost, whatever the author says.
        if keepsSomething { flags.remove(.stateless) }
        return flags.rawValue
    }

    public init(name: String, version: String = "1.0.0", options: Options = []) {
        self.name = name
        self.version = version
        self.options = options
    }
}

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
        /// Nothing is kept per connection or handler: a reload may move connections without saving anything.
        public static let stateless = Options(rawValue: UInt32(GW_HF_STATELESS))
        /// The gateway does not answer pings: `ping` must call `Connection.pong`.
        public static let manualPong = Options(rawValue: UInt32(GW_HF_MANUAL_PONG))
    }

    /// Shown in the gateway's log and status; best the name of the module.
    public let name: String
    /// Shown beside the name.
    public let version: String
    public let options: Options

    public init(name: String, version: String = "1.0.0", options: Options = []) {
        self.name = name
        self.version = version
        self.options = options
    }
}

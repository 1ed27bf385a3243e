public import HTTP

/// What server and client have agreed on for permessage-deflate (RFC 7692 7.1).
public struct DeflateParameters: Hashable, Sendable {
    /// What a server is willing to do.
    public struct Policy: Hashable, Sendable {
        /// Windows may be kept from one message to the next.
        public var keepsContext: Bool
        /// The largest window, as a power of two; 9 to 15.
        public var windowBits: Int

        public init(keepsContext: Bool, windowBits: Int) {
            self.keepsContext = keepsContext
            self.windowBits = windowBits
        }
    }

    /// The server begins each message with an empty window.
    public var serverNoContextTakeover: Bool
    public var clientNoContextTakeover: Bool
    /// The window of what the server sends.
    public var serverWindowBits: Int
    /// The window of what the client sends.
    public var clientWindowBits: Int
    /// The windows are a part of the response: the client asked, and RFC 7692 7.1.2.2 forbids the client's unasked.
    private let saysServerWindow: Bool
    private let saysClientWindow: Bool

    /// The answer to one offer; nil declines it.
    public init?(_ offer: DeflateOffer, _ policy: Policy) {
        // zlib deflates with no window below 9, and one of 9 cannot be inflated with 8.
        if offer.serverMaxWindowBits == 8 { return nil }
        // RFC 7692 7.1.1: a server may ask for either although the client has not offered it.
        serverNoContextTakeover = offer.serverNoContextTakeover || !policy.keepsContext
        clientNoContextTakeover = offer.clientNoContextTakeover || !policy.keepsContext
        serverWindowBits = min(offer.serverMaxWindowBits ?? 15, policy.windowBits)
        clientWindowBits = offer.clientMaxWindowBits.map { min($0, policy.windowBits) } ?? 15
        saysServerWindow = offer.serverMaxWindowBits != nil
        saysClientWindow = offer.clientMaxWindowBits != nil && clientWindowBits < 15
    }

    /// What has been agreed on elsewhere.
    ///
    /// - Returns: nil where no server and client can have agreed on that.
    public init?(
        serverNoContextTakeover: Bool, clientNoContextTakeover: Bool, serverWindowBits: Int, clientWindowBits: Int
    ) {
        guard (9...15).contains(serverWindowBits), (8...15).contains(clientWindowBits) else { return nil }
        (self.serverNoContextTakeover, self.clientNoContextTakeover) = (
            serverNoContextTakeover, clientNoContextTakeover
        )
        (self.serverWindowBits, self.clientWindowBits) = (serverWindowBits, clientWindowBits)
        // It has been answered.
        (saysServerWindow, saysClientWindow) = (false, false)
    }

    /// The answer to the first offer that is not declined: RFC 7692 5.1 has the client's preferred one in front.
    ///
    /// - Parameter extensions: the elements of Sec-WebSocket-Extensions, as ranges of the head.
    public static func choose(
        among extensions: [Range<Int>], of head: RequestHead, _ policy: Policy
    ) -> DeflateParameters? {
        for element in extensions {
            guard let offer = DeflateOffer(element, in: head) else { continue }
            if let parameters = DeflateParameters(offer, policy) { return parameters }
        }
        return nil
    }

    /// The value of Sec-WebSocket-Extensions that says so.
    public var response: [UInt8] {
        var text = DeflateOffer.name
        if serverNoContextTakeover { text += "; server_no_context_takeover" }
        if clientNoContextTakeover { text += "; client_no_context_takeover" }
        if saysServerWindow { text += "; server_max_window_bits=\(serverWindowBits)" }
        if saysClientWindow { text += "; client_max_window_bits=\(clientWindowBits)" }
        return Array(text.utf8)
    }
}

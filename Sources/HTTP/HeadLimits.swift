/// How much of a request head the gateway is willing to read.
public struct HeadLimits: Sendable {
    /// Bytes of the whole head, empty lines in front and the empty line behind included; more is a 431.
    public let maxHead: Int
    /// Header lines; more is a 431.
    public let maxHeaders: Int
    /// Bytes of the request line without its line end; more is a 414.
    public let maxRequestLine: Int

    /// Makes limits; `maxHead` ends at 1 GiB, because offsets into a head are kept in 32 bits.
    public init(maxHead: Int = 16_384, maxHeaders: Int = 100, maxRequestLine: Int = 8192) {
        self.maxHead = min(max(maxHead, 0), 1 << 30)
        self.maxHeaders = max(maxHeaders, 0)
        self.maxRequestLine = min(max(maxRequestLine, 0), 1 << 30)
    }
}

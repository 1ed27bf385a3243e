/// What one end of a connection of HTTP/2 allows the other.
package struct HTTP2Settings: Sendable, Equatable {
    /// Streams that the peer may have open at once (SETTINGS_MAX_CONCURRENT_STREAMS).
    package var maxStreams: Int
    /// Bytes of a header list (SETTINGS_MAX_HEADER_LIST_SIZE): 32 more a field than names and values have (RFC 9113 6.5.2).
    package var maxHeaderList: Int

    package init(maxStreams: Int = 256, maxHeaderList: Int = 16 * 1024) {
        (self.maxStreams, self.maxHeaderList) = (maxStreams, maxHeaderList)
    }

    /// What a stream may have under way and unread (SETTINGS_INITIAL_WINDOW_SIZE); its default, so that it need not be said.
    static let streamWindow = 65_535
    /// What all streams of a connection may have under way.
    static let connectionWindow = 1 << 20
}

import Bytes
import CNghttp2
import Glibc
package import HTTP

/// One connection of HTTP/2, on either side: takes what the peer sends, keeps its streams, and has frames for the peer.
///
/// It knows no socket: `receive` is given what came, `collect` gives what is to be sent. nghttp2 does the framing, HPACK and
/// the windows. One thread, that of the worker that owns the connection.
@safe package final class HTTP2Session {
    package enum Role { case server, client }

    /// What nghttp2 holds for a connection without streams, in bytes (measured with 1.52); a stream has 376 more.
    package static let memory = 25_514

    /// RFC 9113 4.1.
    static let frameHeaderLength = 9

    let settings: HTTP2Settings
    let buffer: SpareBuffer
    package let underlay: HTTP2Underlay
    private let role: Role
    private var session: OpaquePointer?
    private var streams: [Int32: HTTP2Stream] = [:]
    private var patience = Forbearance()
    private var now: UInt64 = 0

    /// Streams with something to read, an end, or a head that has come; taken out by `takeTouched`.
    private var touched: [HTTP2Stream] = []
    /// Streams that take output again.
    private var roomy: [HTTP2Stream] = []
    /// Where frames go while they are collected, and how many bytes of them still may.
    private var give: ((UnsafeRawBufferPointer) -> Void)?
    private var room = 0
    /// Told when there is something for the peer, from then on until `collect` finds nothing more.
    private var onOutput: (() -> Void)?
    private var isOutputNoted = false
    /// Why this end has given the connection up; nil while it has not.
    package private(set) var failure: (code: HTTP2Code, reason: String)?
    /// What the peer allows has come.
    package internal(set) var hasSettings = false
    /// The peer was told to open no more streams.
    package private(set) var isEnding = false

    /// More frames than that wait for a peer only when it asks and does not read.
    private var mostQueued: Int { 1000 + 2 * settings.maxStreams }

    /// - Parameter buffer: shared by all sessions of the thread.
    /// - Returns: nil when there is no memory.
    package init?(_ role: Role, _ settings: HTTP2Settings, _ underlay: HTTP2Underlay, _ buffer: SpareBuffer) {
        (self.role, self.settings, self.underlay, self.buffer) = (role, settings, underlay, buffer)
        let context = unsafe Unmanaged.passUnretained(self).toOpaque()
        guard let made = unsafe HTTP2Callbacks.makeSession(role, context) else { return nil }
        unsafe session = made
        guard submitSettings() else { return nil }
    }

    deinit { unsafe nghttp2_session_del(session) }

    private func submitSettings() -> Bool {
        var entries: [nghttp2_settings_entry] = [
            nghttp2_settings_entry(
                settings_id: Int32(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE.rawValue),
                value: UInt32(clamping: settings.maxHeaderList))
        ]
        if role == .server {
            entries.append(
                nghttp2_settings_entry(
                    settings_id: Int32(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS.rawValue),
                    value: UInt32(clamping: settings.maxStreams)))
            entries.append(
                nghttp2_settings_entry(
                    settings_id: Int32(NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL.rawValue), value: 1))
        } else {
            entries.append(
                nghttp2_settings_entry(settings_id: Int32(NGHTTP2_SETTINGS_ENABLE_PUSH.rawValue), value: 0))
        }
        return unsafe nghttp2_submit_settings(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), entries, entries.count) == 0
            && nghttp2_session_set_local_window_size(
                session, UInt8(NGHTTP2_FLAG_NONE.rawValue), 0, Int32(HTTP2Settings.connectionWindow)) == 0
    }

    /// - Parameter call: must not use the session at once.
    package func onOutput(_ call: @escaping () -> Void) {
        onOutput = call
        noteOutput()
    }

    // MARK: In and out

    /// Takes what came from the peer.
    ///
    /// - Parameter now: nanoseconds of the monotonic clock.
    /// - Returns: false when nothing more will be taken: what `collect` still has is the last word.
    package func receive(_ bytes: UnsafeRawBufferPointer, now: UInt64) -> Bool {
        self.now = now
        guard let base = bytes.baseAddress, failure == nil else { return false }
        let taken = unsafe nghttp2_session_mem_recv(
            session, base.assumingMemoryBound(to: UInt8.self), bytes.count)
        if taken < 0 {
            fail(taken == Int(NGHTTP2_ERR_FLOODED.rawValue) ? .enhanceYourCalm : .protocolError, Self.words(taken))
        } else if unsafe nghttp2_session_get_outbound_queue_size(session) > mostQueued {
            fail(.enhanceYourCalm, "the peer asks for answers and does not read them")
        }
        noteOutput()
        return unsafe failure == nil && nghttp2_session_want_read(session) != 0
    }

    private static func words(_ error: Int) -> String {
        unsafe String(cString: nghttp2_strerror(Int32(clamping: error)))
    }

    /// Gives frames for the peer away, until nothing is left or so many bytes were given.
    ///
    /// - Returns: false when nghttp2 cannot go on.
    package func collect(atMost: Int, _ give: (UnsafeRawBufferPointer) -> Void) -> Bool {
        unsafe withoutActuallyEscaping(give) { give in
            unsafe self.give = unsafe give
            room = atMost
            defer { unsafe self.give = nil }
            while room > 0 {
                var bytes: UnsafePointer<UInt8>?
                // Frames of DATA are given away meanwhile.
                let count = unsafe nghttp2_session_mem_send(session, &bytes)
                if count < 0 { return false }
                guard count > 0, let bytes = unsafe bytes else {
                    if room > 0 { isOutputNoted = false }
                    break
                }
                unsafe give(UnsafeRawBufferPointer(start: bytes, count: count))
                room -= count
            }
            return true
        }
    }

    /// `collect` has something to give, as far as that can be told.
    package var hasOutput: Bool { unsafe nghttp2_session_want_write(session) != 0 }

    /// Nothing more comes of it, in either direction.
    package var isOver: Bool {
        unsafe nghttp2_session_want_write(session) == 0 && nghttp2_session_want_read(session) == 0
    }

    func noteOutput() {
        if isOutputNoted { return }
        isOutputNoted = true
        onOutput?()
    }

    // MARK: Streams

    /// How many are open.
    package var streamCount: Int { streams.count }

    /// The peer lets WebSockets be opened (RFC 8441 3); false before its SETTINGS have come.
    package var peerTakesConnect: Bool {
        unsafe nghttp2_session_get_remote_settings(session, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1
    }

    /// Streams with news.
    package func takeTouched() -> [HTTP2Stream] {
        if touched.isEmpty { return [] }
        let all = touched
        touched.removeAll(keepingCapacity: true)
        for stream in all { stream.isTouched = false }
        return all
    }

    /// Streams that take output again.
    package func takeRoomy() -> [HTTP2Stream] {
        if roomy.isEmpty { return [] }
        let all = roomy
        roomy.removeAll(keepingCapacity: true)
        for stream in all { stream.isRoomy = false }
        return all
    }

    func touch(_ stream: HTTP2Stream) {
        if stream.isTouched || stream.isLeft { return }
        stream.isTouched = true
        touched.append(stream)
    }

    func noteRoom(_ stream: HTTP2Stream) {
        if stream.isRoomy || stream.isLeft { return }
        stream.isRoomy = true
        roomy.append(stream)
    }

    /// Opens a stream with a request; of a client's.
    package func request(_ fields: FieldList) -> HTTP2Stream? {
        let id = unsafe withPairs(fields) { pairs in
            var source = unsafe HTTP2Callbacks.source
            return unsafe nghttp2_submit_request(session, nil, pairs.baseAddress, pairs.count, &source, nil)
        }
        guard id > 0 else { return nil }
        let stream = HTTP2Stream(id: id, self)
        streams[id] = stream
        noteOutput()
        return stream
    }

    func answer(_ stream: HTTP2Stream, _ fields: FieldList) {
        let status = unsafe withPairs(fields) { pairs in
            var source = unsafe HTTP2Callbacks.source
            return unsafe nghttp2_submit_response(session, stream.id, pairs.baseAddress, pairs.count, &source)
        }
        // No memory, or the stream is over and says so itself.
        if status != 0 { reset(stream, .internalError) }
        noteOutput()
    }

    func inform(_ stream: HTTP2Stream, _ fields: FieldList) {
        _ = unsafe withPairs(fields) { pairs in
            unsafe nghttp2_submit_headers(
                session, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream.id, nil, pairs.baseAddress, pairs.count, nil)
        }
        noteOutput()
    }

    /// nghttp2 copies what it is given.
    private func withPairs(_ fields: FieldList, _ body: (UnsafeBufferPointer<nghttp2_nv>) -> Int32) -> Int32 {
        var bytes = fields.bytes
        return unsafe bytes.withUnsafeMutableBufferPointer { text in
            let base = text.baseAddress
            let pairs = unsafe fields.fields.map { field in
                unsafe nghttp2_nv(
                    name: base.map { unsafe $0 + field.name.lowerBound },
                    value: base.map { unsafe $0 + field.value.lowerBound },
                    namelen: field.name.count, valuelen: field.value.count, flags: UInt8(NGHTTP2_NV_FLAG_NONE.rawValue))
            }
            return unsafe pairs.withUnsafeBufferPointer(body)
        }
    }

    func resume(_ stream: HTTP2Stream) { _ = unsafe nghttp2_session_resume_data(session, stream.id) }

    /// Gives up streams whose end has waited since the last call: nghttp2 sends no frame of DATA while a window is shut, not
    /// even an empty one.
    package func abandonLeftStreams() {
        for stream in streams.values where stream.isLeft {
            if stream.isAbandoned { reset(stream, .noError) } else { stream.isAbandoned = true }
        }
    }

    /// Bytes of a stream have been read: its peer may send as many more.
    func consume(_ count: Int, of stream: HTTP2Stream) {
        if count == 0 { return }
        _ = unsafe nghttp2_session_consume_stream(session, stream.id, count)
        noteOutput()
    }

    func reset(_ stream: HTTP2Stream, _ code: HTTP2Code) {
        _ = unsafe nghttp2_submit_rst_stream(
            session, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream.id, code.rawValue)
        noteOutput()
    }

    /// Asks the peer for a sign of life.
    package func ping() {
        _ = unsafe nghttp2_submit_ping(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), nil)
        noteOutput()
    }

    // MARK: The end

    /// Asks the peer to open no more streams; those that it has go on (RFC 9113 6.8).
    package func shutDown() {
        if isEnding { return }
        isEnding = true
        _ = unsafe nghttp2_submit_shutdown_notice(session)
        noteOutput()
    }

    /// Says which streams were the last.
    package func finish() {
        isEnding = true
        let last = unsafe nghttp2_session_get_last_proc_stream_id(session)
        _ = unsafe nghttp2_submit_goaway(
            session, UInt8(NGHTTP2_FLAG_NONE.rawValue), last, HTTP2Code.noError.rawValue, nil, 0)
        noteOutput()
    }

    /// Gives the connection up.
    func fail(_ code: HTTP2Code, _ reason: String) {
        if failure != nil { return }
        failure = (code, reason)
        isEnding = true
        _ = unsafe nghttp2_session_terminate_session(session, code.rawValue)
        noteOutput()
    }

    /// The connection is gone: so are its streams.
    package func cutOff() {
        let all = streams
        streams.removeAll()
        for stream in all.values {
            stream.end(.cancel)
            touch(stream)
        }
    }
}

/// What nghttp2 has found.
extension HTTP2Session {
    func begin(_ id: Int32) -> Bool {
        let stream = HTTP2Stream(id: id, self)
        stream.text = RequestText(most: settings.maxHeaderList)
        streams[id] = stream
        return true
    }

    /// - Returns: false when the request is one that cannot be.
    func append(_ id: Int32, _ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Bool {
        guard let stream = streams[id] else { return true }
        if role == .client {
            if stream.response == nil { stream.response = FieldList() }
            stream.response?.append(
                unsafe String(decoding: name, as: UTF8.self), unsafe String(decoding: value, as: UTF8.self))
            return true
        }
        return unsafe stream.text?.append(name, value) ?? true
    }

    /// A header list has come whole.
    func finishHead(_ id: Int32, endsStream: Bool) {
        guard let stream = streams[id] else { return }
        if let text = stream.text {
            stream.text = nil
            stream.request = text.kind
            let head = text.text(isWhole: endsStream)
            unsafe head.withUnsafeBytes { unsafe stream.receive($0, isCounted: false) }
        } else if let status = stream.response?.first(":status"), status.first == UInt8(ascii: "1") {
            stream.response = nil
        }
        stream.hasResponse = stream.response != nil
        if endsStream { stream.finishReceiving() }
        touch(stream)
    }

    func receive(_ id: Int32, _ bytes: UnsafeRawBufferPointer) {
        // What the streams hold is bounded by their own windows.
        _ = unsafe nghttp2_session_consume_connection(session, bytes.count)
        guard let stream = streams[id], !stream.isLeft else {
            _ = unsafe nghttp2_session_consume_stream(session, id, bytes.count)
            return
        }
        unsafe stream.receive(bytes)
        touch(stream)
    }

    /// A frame of DATA has come whole.
    func finishData(_ id: Int32, isEmpty: Bool, endsStream: Bool) {
        if endsStream, let stream = streams[id] {
            stream.finishReceiving()
            touch(stream)
        } else if isEmpty {
            suspect("empty frames of DATA")
        }
    }

    func offer(_ id: Int32, atMost room: Int) -> (count: Int, isLast: Bool)? {
        guard let stream = streams[id] else { return (0, true) }
        return stream.offer(atMost: room)
    }

    /// A frame of DATA leaves.
    ///
    /// - Returns: false when it has to wait.
    func send(_ id: Int32, _ header: UnsafeRawBufferPointer, _ count: Int) -> Bool {
        guard let give = unsafe give, room > 0 else { return false }
        unsafe give(header)
        unsafe streams[id]?.send(count, give)
        room -= header.count + count
        return true
    }

    /// The last frame of a stream has been given away.
    func noteFinished(_ id: Int32) {
        if let stream = streams[id], stream.isOneSided { reset(stream, .noError) }
    }

    func end(_ id: Int32, _ code: UInt32) {
        guard let stream = streams.removeValue(forKey: id) else { return }
        stream.end(HTTP2Code(rawValue: code) ?? .protocolError)
        touch(stream)
    }

    /// The peer had nghttp2 reset a stream, or sent what is sent seldom: of both only so much is put up with.
    func suspect(_ what: String) {
        if !patience.bears(at: now) { fail(.enhanceYourCalm, "too many of these: \(what)") }
    }

    /// nghttp2 has sent GOAWAY by itself.
    func noteTermination(_ code: UInt32) {
        if code == 0 || failure != nil { return }
        let code = HTTP2Code(rawValue: code) ?? .protocolError
        failure = (code, "the peer broke a rule of RFC 9113")
    }
}

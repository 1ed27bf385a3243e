import Bytes
import CNghttp2
import Glibc

/// What nghttp2 calls, and what it is told once for all sessions.
@safe enum HTTP2Callbacks {
    /// Where the body of a message comes from.
    static var source: nghttp2_data_provider {
        unsafe nghttp2_data_provider(
            source: nghttp2_data_source(),
            read_callback: { _, id, _, length, flags, _, context in
                guard let session = unsafe HTTP2Callbacks.session(context) else {
                    return Int(NGHTTP2_ERR_CALLBACK_FAILURE.rawValue)
                }
                guard let offered = session.offer(id, atMost: length) else { return Int(NGHTTP2_ERR_DEFERRED.rawValue) }
                // nghttp2 asks for the bytes when it has made the frame, so that they need not lie in its own buffer.
                unsafe flags?.pointee |= NGHTTP2_DATA_FLAG_NO_COPY.rawValue
                if offered.isLast { unsafe flags?.pointee |= NGHTTP2_DATA_FLAG_EOF.rawValue }
                return offered.count
            })
    }

    private static func session(_ context: UnsafeMutableRawPointer?) -> HTTP2Session? {
        unsafe context.map { unsafe Unmanaged<HTTP2Session>.fromOpaque($0).takeUnretainedValue() }
    }

    /// Made once and shared: nghttp2 copies what it needs of both.
    private static let callbacks = unsafe makeCallbacks().map { unsafe SendablePointer($0) }
    private static let options = unsafe makeOptions().map { unsafe SendablePointer($0) }

    static func makeSession(_ role: HTTP2Session.Role, _ context: UnsafeMutableRawPointer) -> OpaquePointer? {
        var session: OpaquePointer?
        guard let callbacks = unsafe callbacks?.pointer, let options = unsafe options?.pointer else { return nil }
        let status =
            switch role {
            case .server: unsafe nghttp2_session_server_new2(&session, callbacks, context, options)
            case .client: unsafe nghttp2_session_client_new2(&session, callbacks, context, options)
            }
        return status == 0 ? unsafe session : nil
    }

    private static func makeOptions() -> OpaquePointer? {
        var made: OpaquePointer?
        guard unsafe nghttp2_option_new(&made) == 0, let options = unsafe made else { return nil }
        // A stream's peer may send more when its bytes have been read, not when they have come.
        unsafe nghttp2_option_set_no_auto_window_update(options, 1)
        unsafe nghttp2_option_set_no_closed_streams(options, 1)
        unsafe nghttp2_option_set_max_settings(options, 32)
        unsafe nghttp2_option_set_max_outbound_ack(options, 100)
        // nghttp2 1.52 counts each piece in which the nine bytes in front of such a frame come; the list is bounded anyway.
        unsafe nghttp2_option_set_max_continuations(options, 80)
        // Our own fields are few: a table of theirs would cost more than it saves.
        unsafe nghttp2_option_set_max_deflate_dynamic_table_size(options, 0)
        unsafe nghttp2_option_set_stream_reset_rate_limit(options, 100, 10)
        return unsafe options
    }

    private static func makeCallbacks() -> OpaquePointer? {
        var made: OpaquePointer?
        guard unsafe nghttp2_session_callbacks_new(&made) == 0, let callbacks = unsafe made else { return nil }
        unsafe hearHeads(callbacks)
        unsafe hearFrames(callbacks)
        unsafe hearTrouble(callbacks)
        unsafe nghttp2_session_callbacks_set_send_data_callback(callbacks) { _, frame, header, count, _, context in
            guard let frame = unsafe frame, let session = unsafe HTTP2Callbacks.session(context) else {
                return NGHTTP2_ERR_CALLBACK_FAILURE.rawValue
            }
            let isSent = unsafe session.send(
                frame.pointee.hd.stream_id,
                UnsafeRawBufferPointer(start: header, count: HTTP2Session.frameHeaderLength), count)
            return isSent ? 0 : NGHTTP2_ERR_WOULDBLOCK.rawValue
        }
        return unsafe callbacks
    }

    private static func hearHeads(_ callbacks: OpaquePointer) {
        unsafe nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks) { _, frame, context in
            guard let frame = unsafe frame, let session = unsafe HTTP2Callbacks.session(context) else { return 0 }
            guard unsafe frame.pointee.headers.cat == NGHTTP2_HCAT_REQUEST else { return 0 }
            return unsafe session.begin(frame.pointee.hd.stream_id)
                ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue
        }
        unsafe nghttp2_session_callbacks_set_on_header_callback(callbacks) {
            _, frame, name, nameCount, value, valueCount, _, context in
            guard let frame = unsafe frame, let session = unsafe HTTP2Callbacks.session(context) else { return 0 }
            let isTaken = unsafe session.append(
                frame.pointee.hd.stream_id, UnsafeRawBufferPointer(start: name, count: nameCount),
                UnsafeRawBufferPointer(start: value, count: valueCount))
            return isTaken ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue
        }
    }

    private static func hearFrames(_ callbacks: OpaquePointer) {
        unsafe nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks) { _, frame, context in
            guard let frame = unsafe frame, let session = unsafe HTTP2Callbacks.session(context) else { return 0 }
            let header = unsafe frame.pointee.hd
            let endsStream = header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0
            switch UInt32(header.type) {
            case NGHTTP2_HEADERS.rawValue: session.finishHead(header.stream_id, endsStream: endsStream)
            case NGHTTP2_DATA.rawValue:
                // Padding is no content.
                let isEmpty = unsafe header.length <= frame.pointee.data.padlen
                session.finishData(header.stream_id, isEmpty: isEmpty, endsStream: endsStream)
            case NGHTTP2_SETTINGS.rawValue: session.hasSettings = true
            default: break
            }
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks) {
            _, _, id, bytes, count, context in
            guard let session = unsafe HTTP2Callbacks.session(context) else { return 0 }
            unsafe session.receive(id, UnsafeRawBufferPointer(start: bytes, count: count))
            return 0
        }
    }

    private static func hearTrouble(_ callbacks: OpaquePointer) {
        // Never an error from here: nghttp2 1.52 would lose the stream's memory.
        unsafe nghttp2_session_callbacks_set_on_stream_close_callback(callbacks) { _, id, code, context in
            unsafe HTTP2Callbacks.session(context)?.end(id, code)
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_frame_send_callback(callbacks) { _, frame, context in
            guard let frame = unsafe frame, let session = unsafe HTTP2Callbacks.session(context) else { return 0 }
            let header = unsafe frame.pointee.hd
            switch UInt32(header.type) {
            case NGHTTP2_DATA.rawValue where header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0:
                session.noteFinished(header.stream_id)
            case NGHTTP2_RST_STREAM.rawValue:
                let code = unsafe HTTP2Code(rawValue: frame.pointee.rst_stream.error_code)
                // Those of the gateway itself; the others answer what a peer has done wrong.
                if code != .noError, code != .cancel, code != .refusedStream {
                    session.suspect("streams that had to be reset")
                }
            case NGHTTP2_GOAWAY.rawValue: unsafe session.noteTermination(frame.pointee.goaway.error_code)
            default: break
            }
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks) { _, _, _, context in
            unsafe HTTP2Callbacks.session(context)?.suspect("frames that may not be")
            return 0
        }
    }
}

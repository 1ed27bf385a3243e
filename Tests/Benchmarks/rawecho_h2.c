/* The floor of WebSockets over HTTP/2: `rawecho` with nghttp2 between the socket and the frames, without TLS.
 *
 *   rawecho_h2 PORT      build: cc -O3 -march=native rawecho_h2.c -lcrypto -lnghttp2
 *
 * One read, one send for each ready socket, whatever the streams; each extended CONNECT is a WebSocket, all else is 404. The
 * windows are those of the gateway, opened by what was turned round. It checks nothing but what nghttp2 does: a yardstick. */
#include "rawloop.h"

#include <nghttp2/nghttp2.h>

enum { STREAM_WINDOW = 65535, CONNECTION_WINDOW = 1 << 20, STREAMS = 1024, DESCRIPTORS = 1 << 20 };

/* A stream: what it has to say, and whether nghttp2 waits for that. */
typedef struct {
    stream stream;
    uint8_t is_socket, waits, speaks;
    uint8_t *out;
    size_t from, count, room;
} channel;

/* By descriptor. One that was dropped is freed when its number comes again. */
static nghttp2_session *sessions[DESCRIPTORS];
static nghttp2_session_callbacks *callbacks;
static nghttp2_option *option;
static uint8_t memory[ROOM], frames[FRONT + ROOM + 16];
/* Streams that have something new to say in this turn. */
static int32_t speakers[STREAMS];
static int speaker_count;
static uint8_t *sealed;
static size_t sealed_room;

static int begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user) {
    (void)user;
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    return nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, must(calloc(1, sizeof(channel))));
}

static int header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_length,
                  const uint8_t *value, size_t value_length, uint8_t flags, void *user) {
    (void)value, (void)value_length, (void)flags, (void)user;
    channel *c = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (c && name_length == 9 && !memcmp(name, ":protocol", 9)) c->is_socket = 1;
    return 0;
}

/* What a stream has to say goes into the frame that nghttp2 makes. */
static ssize_t supply(nghttp2_session *session, int32_t id, uint8_t *to, size_t room, uint32_t *flags,
                      nghttp2_data_source *source, void *user) {
    (void)session, (void)id, (void)user;
    channel *c = source->ptr;
    size_t there = c->count - c->from, take = there < room ? there : room;
    memcpy(to, c->out + c->from, take);
    c->from += take;
    if (c->from < c->count) return (ssize_t)take;
    c->from = c->count = 0;
    if (c->stream.closing && !c->stream.left) *flags |= NGHTTP2_DATA_FLAG_EOF;
    else if (!take) {
        c->waits = 1;
        return NGHTTP2_ERR_DEFERRED;
    }
    return (ssize_t)take;
}

static int frame_received(nghttp2_session *session, const nghttp2_frame *frame, void *user) {
    (void)user;
    channel *c = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (!c || frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    nghttp2_nv status = {(uint8_t *)":status", (uint8_t *)(c->is_socket ? "200" : "404"), 7, 3, 0};
    nghttp2_data_provider provider = {.source.ptr = c, .read_callback = supply};
    return nghttp2_submit_response(session, frame->hd.stream_id, &status, 1, c->is_socket ? &provider : NULL);
}

static int data_received(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes, size_t count, void *user) {
    (void)flags, (void)user;
    channel *c = nghttp2_session_get_stream_user_data(session, id);
    if (!c) return 0;
    uint8_t *start = frames + FRONT - c->stream.kept_count;
    memcpy(start, c->stream.kept, c->stream.kept_count);
    memcpy(frames + FRONT, bytes, count);
    size_t turned = (size_t)(turn_round(&c->stream, start, frames + FRONT + count) - start);
    if (c->count + turned > c->room) c->out = must(realloc(c->out, c->room = (c->count + turned) * 2));
    memcpy(c->out + c->count, start, turned);
    c->count += turned;
    nghttp2_session_consume(session, id, count);
    if (!c->speaks && speaker_count < STREAMS) {
        c->speaks = 1;
        speakers[speaker_count++] = id;
    }
    return 0;
}

static int stream_closed(nghttp2_session *session, int32_t id, uint32_t code, void *user) {
    (void)code, (void)user;
    channel *c = nghttp2_session_get_stream_user_data(session, id);
    if (c) free(c->out);
    free(c);
    return 0;
}

static void prepare(void) {
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, frame_received);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, data_received);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, stream_closed);
    nghttp2_option_new(&option);
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
}

static nghttp2_session *begin(int fd) {
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, STREAMS},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW},
    };
    if (sessions[fd]) nghttp2_session_del(sessions[fd]);
    if (nghttp2_session_server_new2(&sessions[fd], callbacks, NULL, option)) abort();
    nghttp2_submit_settings(sessions[fd], NGHTTP2_FLAG_NONE, settings, 3);
    nghttp2_session_set_local_window_size(sessions[fd], NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW);
    return sessions[fd];
}

/* All that the session has to send, in one piece. */
static size_t seal(nghttp2_session *session) {
    const uint8_t *bytes;
    size_t count = 0;
    for (ssize_t more; (more = nghttp2_session_mem_send(session, &bytes)) > 0; count += (size_t)more) {
        if (count + (size_t)more > sealed_room) sealed = must(realloc(sealed, sealed_room = (count + (size_t)more) * 2));
        memcpy(sealed + count, bytes, (size_t)more);
    }
    return count;
}

static void readable(peer *p) {
    ssize_t count = recv(p->fd, memory, ROOM, 0);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0 || p->fd >= DESCRIPTORS) {
        drop(p);
        return;
    }
    nghttp2_session *session = p->open ? sessions[p->fd] : begin(p->fd);
    p->open = 1;
    speaker_count = 0;
    ssize_t taken = nghttp2_session_mem_recv(session, memory, (size_t)count);
    for (int i = 0; i < speaker_count; i++) {
        channel *c = nghttp2_session_get_stream_user_data(session, speakers[i]);
        if (!c) continue;
        c->speaks = 0;
        if (c->waits) nghttp2_session_resume_data(session, speakers[i]);
        c->waits = 0;
    }
    size_t out = seal(session);
    if ((out && !put(p, sealed, out)) || taken < 0) drop(p);
    else if (!nghttp2_session_want_read(session) && !nghttp2_session_want_write(session)) drop(p);
}

int main(int count, char **arguments) {
    prepare();
    return serve(count > 1 ? atoi(arguments[1]) : 0);
}

/* An echo and chat server on libwebsockets, as its users write them: a queue for each session, one lws_write a message.
 *
 *   lws PORT      build: cc -O3 -march=native lws.c $(pkg-config --cflags --libs libwebsockets) */
#include <libwebsockets.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct item {
    struct item *next;
    size_t count;
    enum lws_write_protocol kind;
    unsigned char bytes[]; /* behind LWS_PRE bytes for the library */
};

struct session {
    struct lws *wsi;
    struct session *next;
    struct item *first, **last;
    unsigned char *message;
    size_t count;
    int is_chat;
};

static struct session *room;

static void queue(struct session *s, const void *bytes, size_t count, enum lws_write_protocol kind) {
    struct item *item = malloc(sizeof *item + LWS_PRE + count);
    if (!item) abort();
    item->next = NULL;
    item->count = count;
    item->kind = kind;
    memcpy(item->bytes + LWS_PRE, bytes, count);
    *s->last = item;
    s->last = &item->next;
    lws_callback_on_writable(s->wsi);
}

static void collect(struct lws *wsi, struct session *s, const void *in, size_t count) {
    s->message = realloc(s->message, s->count + count + 1);
    if (!s->message) abort();
    memcpy(s->message + s->count, in, count);
    s->count += count;
    if (lws_remaining_packet_payload(wsi) || !lws_is_final_fragment(wsi)) return;
    enum lws_write_protocol kind = lws_frame_is_binary(wsi) ? LWS_WRITE_BINARY : LWS_WRITE_TEXT;
    if (!s->is_chat) queue(s, s->message, s->count, kind);
    else
        for (struct session *other = room; other; other = other->next) queue(other, s->message, s->count, kind);
    s->count = 0;
    free(s->message);
    s->message = NULL;
}

static int write_one(struct lws *wsi, struct session *s) {
    struct item *item = s->first;
    if (!item) return 0;
    s->first = item->next;
    if (!s->first) s->last = &s->first;
    int result = lws_write(wsi, item->bytes + LWS_PRE, item->count, item->kind);
    free(item);
    if (s->first) lws_callback_on_writable(wsi);
    return result < 0 ? -1 : 0;
}

static void leave(struct session *s) {
    for (struct session **place = &room; *place; place = &(*place)->next)
        if (*place == s) {
            *place = s->next;
            break;
        }
    while (s->first) {
        struct item *item = s->first;
        s->first = item->next;
        free(item);
    }
    free(s->message);
}

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t count) {
    struct session *s = user;
    char path[64] = "";
    switch (reason) {
    case LWS_CALLBACK_ESTABLISHED:
        memset(s, 0, sizeof *s);
        s->wsi = wsi;
        s->last = &s->first;
        lws_hdr_copy(wsi, path, sizeof path, WSI_TOKEN_GET_URI);
        s->is_chat = !strcmp(path, "/chat");
        if (s->is_chat) {
            s->next = room;
            room = s;
        }
        return 0;
    case LWS_CALLBACK_RECEIVE: collect(wsi, s, in, count); return 0;
    case LWS_CALLBACK_SERVER_WRITEABLE: return write_one(wsi, s);
    case LWS_CALLBACK_CLOSED: leave(s); return 0;
    default: return 0;
    }
}

int main(int count, char **arguments) {
    static const struct lws_protocols protocols[] = {
        {.name = "", .callback = callback, .per_session_data_size = sizeof(struct session), .rx_buffer_size = 65536},
        {.name = NULL},
    };
    struct lws_context_creation_info info = {0};
    signal(SIGPIPE, SIG_IGN);
    lws_set_log_level(LLL_ERR, NULL);
    info.port = count > 1 ? atoi(arguments[1]) : 0;
    info.iface = "127.0.0.1";
    info.protocols = protocols;
    info.pt_serv_buf_size = 65536;
    struct lws_context *context = lws_create_context(&info);
    if (!context) return 1;
    while (lws_service(context, 0) >= 0) {}
    return 0;
}

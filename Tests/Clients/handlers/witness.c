/* Tells what it is told of requests, and how its connections end. A WebSocket hears first what its request was. Then "hold"
 * stops reading it, and "go on", said by another one, lets all of them be read again; "flood N SIZE" sends so many messages
 * of a size whatever may wait; "fill N" sends messages of 1000 bytes to all who said "listen"; all else comes back. The query
 * "refuse" refuses, "teapot" with a status of its own. -DBUILD=2 tells builds apart. */
#include "common.h"

#ifndef BUILD
#define BUILD 1
#endif

enum { MOST = 64 };

static gw_conn held[MOST], listening[MOST];
static int held_count, listening_count;
static char bytes[1 << 16];

static int is(gw_str text, const char *word) { return text.len == strlen(word) && memcmp(text.ptr, word, text.len) == 0; }

static size_t describe(char *text, size_t room, const gw_request *r) {
    int at = snprintf(text, room, "build=%d http=%d method=%.*s path=%.*s query=%.*s host=%.*s peer=%.*s:%d tls=%.*s/%.*s/%.*s flags=%u",
                      BUILD, r->http_version, (int)r->method.len, r->method.ptr, (int)r->path.len, r->path.ptr, (int)r->query.len,
                      r->query.ptr, (int)r->host.len, r->host.ptr, (int)r->peer_addr.len, r->peer_addr.ptr, r->peer_port,
                      (int)r->tls_version.len, r->tls_version.ptr, (int)r->tls_cipher.len, r->tls_cipher.ptr,
                      (int)r->tls_sni.len, r->tls_sni.ptr, r->flags);
    for (size_t i = 0; i < r->headers.len && (size_t)at < room - 512; i++) {
        gw_kv each = r->headers.ptr[i];
        at += snprintf(text + at, room - (size_t)at, "\n%.*s: %.*s", (int)each.key.len, each.key.ptr,
                       (int)(each.value.len < 200 ? each.value.len : 200), each.value.ptr);
    }
    at += snprintf(text + at, room - (size_t)at, "\nbody=%zu", r->body.len);
    return (size_t)at;
}

static gw_status upgrade(void *self, const gw_request *r) {
    if (is(r->query, "refuse")) return GW_REJECT;
    if (!is(r->query, "teapot")) return GW_OK;
    gw_kv header = {{"x-pot", 5}, {"tea", 3}};
    gw_reply reply = {.struct_size = sizeof reply, .status = 418};
    reply.headers = (gw_kvs){&header, 1};
    reply.body = (gw_bytes){(const uint8_t *)"short and stout", 15};
    host->reply(host, r->ticket, &reply);
    return GW_DEFER;
}

static void open_client(void *self, gw_conn c, void *state, const gw_request *r) {
    static char text[8192];
    host->send(host, c, GW_TEXT, 0, text, describe(text, sizeof text, r));
}

static gw_status http(void *self, const gw_request *r) {
    static char text[8192];
    gw_reply reply = {.struct_size = sizeof reply, .status = 200};
    size_t length = describe(text, sizeof text, r);
    reply.body = (gw_bytes){(const uint8_t *)text, length};
    host->reply(host, r->ticket, &reply);
    return GW_DEFER;
}

static void send_all(const gw_conn *to, int count, long times, size_t size) {
    for (long i = 0; i < times; i++)
        for (int k = 0; k < count; k++) host->send(host, to[k], GW_BINARY, 0, bytes, size);
}

static void message(void *self, gw_conn c, void *state, const gw_message *m) {
    char text[64] = "";
    long times = 0;
    size_t size = 0;
    memcpy(text, m->data.ptr, m->data.len < 63 ? m->data.len : 63);
    if (strcmp(text, "hold") == 0 && held_count < MOST) {
        held[held_count++] = c;
        host->set_reading(host, c, 0);
        host->send(host, c, GW_TEXT, 0, "held", 4);
    } else if (strcmp(text, "go on") == 0) {
        while (held_count > 0) host->set_reading(host, held[--held_count], 1);
        host->send(host, c, GW_TEXT, 0, "all go on", 9);
    } else if (strcmp(text, "listen") == 0 && listening_count < MOST) {
        listening[listening_count++] = c;
        host->send(host, c, GW_TEXT, 0, "listening", 9);
    } else if (sscanf(text, "flood %ld %zu", &times, &size) == 2 && size <= sizeof bytes) {
        send_all(&c, 1, times, size);
    } else if (sscanf(text, "fill %ld", &times) == 1) {
        send_all(listening, listening_count, times, 1000);
        host->send(host, c, GW_TEXT, 0, "filled", 6);
    } else if (strcmp(text, "end") == 0) {
        host->close(host, c, 4007, "as asked", 8);
    } else if (strcmp(text, "abort") == 0) {
        host->abort(host, c);
    } else {
        host->send(host, c, m->kind, 0, m->data.ptr, m->data.len);
    }
}

static void forget(gw_conn *list, int *count, gw_conn c) {
    for (int i = 0; i < *count; i++)
        if (list[i] == c) list[i--] = list[--*count];
}

static void close_client(void *self, gw_conn c, void *state, const gw_close *info) {
    char text[64];
    forget(held, &held_count, c);
    forget(listening, &listening_count, c);
    int length = snprintf(text, sizeof text, "WITNESS closed %d by %d", info->code, info->by);
    host->log(host, 0, GW_LOG_INFO, text, (size_t)length);
}

TABLE("witness", .upgrade = upgrade, .open = open_client, .message = message, .http = http, .close = close_client)

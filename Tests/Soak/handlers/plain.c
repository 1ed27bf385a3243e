/* Sends every message back, in each of the ways there are to send; keeps nothing, so reloads move its clients. */
#include "ledger.h"

static gw_status start(const gw_host *h, const gw_config *config, void **self) {
    *self = allocated(sizeof(struct instance));
    instance_begin(*self, config);
    return GW_OK;
}

static void stop(void *self) {
    instance_end(self);
    free(self);
}

static void check(void *self, gw_conn connection, void *state, const char *callback) {
    if (!instance_is_ours(self)) wrong(connection, "%s: %s with a foreign `self`", soak_name, callback);
    if (state != NULL) wrong(connection, "%s: %s with a state, though none was set", soak_name, callback);
}

static void send_fragments(gw_conn connection, uint32_t kind, const uint8_t *bytes, size_t length) {
    size_t piece = length / 5 + 1;
    for (size_t at = 0;; at += piece) {
        size_t left = length - at, now = left < piece ? left : piece;
        gw_status status = host->send_fragment(host, connection, kind, now == left ? GW_FIN : 0, bytes + at, now);
        if (checked(connection, status, "send_fragment") < 0 || now == left) return;
    }
}

static gw_buf *wrapped(const uint8_t *bytes, size_t length) {
    uint8_t *own = allocated(length + 1);
    memcpy(own, bytes, length);
    return host->buf_wrap(host, own, length, free, own);
}

static void message(void *self, gw_conn connection, void *state, const gw_message *m) {
    check(self, connection, state, "message");
    const uint8_t *bytes = m->data.ptr;
    size_t length = m->data.len;
    gw_buf *kept = NULL;
    switch (length % 5) {
    case 0: break;
    case 1: kept = host->buf_retain(host, m->buf); break;
    case 2: kept = host->buf_copy(host, bytes, length); break;
    case 3: kept = wrapped(bytes, length); break;
    case 4:
        /* Of a fragmented one no more than the high-water mark is taken at once. Text is cut inside its characters. */
        if (length > 0 && length < 60000) return send_fragments(connection, m->kind, bytes, length);
    }
    if (kept != NULL) checked(connection, host->send_buf(host, connection, m->kind, 0, kept), "send_buf");
    else checked(connection, host->send(host, connection, m->kind, 0, bytes, length), "send");
}

static void open_client(void *self, gw_conn connection, void *state, const gw_request *request) {
    check(self, connection, state, "open");
}

static void close_client(void *self, gw_conn connection, void *state, const gw_close *info) {
    check(self, connection, state, "close");
}

static const gw_handler table = {
    .struct_size = sizeof table, .abi_version = GW_ABI_VERSION, .min_host_abi = 0x10000,
    .flags = GW_HF_STATELESS | GW_HF_UNLOAD, .name = "plain", .version = BUILD,
    .start = start, .stop = stop, .open = open_client, .message = message, .close = close_client,
};

const gw_handler *gw_handler_entry_v1(const gw_host *h) {
    host = h;
    soak_name = "plain";
    return &table;
}

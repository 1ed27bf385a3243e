/* Counts the messages of each client and of all of them, and goes on counting in a newer build of itself: that is what
 * the last five callbacks are for. The saved bytes are this file's own affair: numbers of a fixed size, so that any
 * compiler lays them out alike, and a version, so that a later build knows what it reads. */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gw_handler.h"

/* Callbacks of different clients run at once, hence _Atomic; those of one client never do. */
struct room {
    _Atomic uint64_t total;
};

struct client {
    uint64_t count;
};

/* Of this generation; the next one is an image of its own. */
static const gw_host *host;

static gw_status start(const gw_host *h, const gw_config *config, void **self) {
    (void)config;
    struct room *room = calloc(1, sizeof *room);
    if (room == NULL) {
        static const char why[] = "no memory";
        h->fail(h, why, sizeof why - 1);
        return GW_E_NOMEM;
    }
    *self = room;
    return GW_OK;
}

static void stop(void *self) {
    free(self);
}

static void open_client(void *self, gw_conn conn, void *state, const gw_request *request) {
    (void)self, (void)state, (void)request;
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL || host->conn_set_state(host, conn, client) < 0) {
        free(client);
        host->abort(host, conn); /* close_client() follows, with state NULL */
    }
}

static void close_client(void *self, gw_conn conn, void *state, const gw_close *info) {
    (void)self, (void)conn, (void)info;
    free(state);
}

static void message(void *self, gw_conn conn, void *state, const gw_message *message) {
    (void)message;
    struct room *room = self;
    struct client *client = state;
    uint64_t own = ++client->count, all = ++room->total;
    char text[64];
    int length = snprintf(text, sizeof text, "%" PRIu64 " of %" PRIu64, own, all);
    host->send(host, conn, GW_TEXT, 0, text, (size_t)length);
}

/* ---- A reload: the old generation saves, the new one restores, and the old one frees what is its. */

static gw_status save_self(void *self, gw_sink *sink) {
    uint64_t total = ((struct room *)self)->total;
    return host->sink_write(host, sink, &total, sizeof total);
}

static gw_status restore_self(void *self, const gw_saved *saved) {
    uint64_t total;
    if (saved->state_version != 1 || saved->data.len != sizeof total) return GW_E_UNSUPPORTED;
    memcpy(&total, saved->data.ptr, sizeof total); /* it may lie anywhere: no cast */
    ((struct room *)self)->total = total;
    return GW_OK;
}

static gw_status save_client(void *self, gw_conn conn, void *state, gw_sink *sink) {
    (void)self, (void)conn;
    return host->sink_write(host, sink, state, sizeof(struct client)); /* changes nothing, frees nothing */
}

static gw_status restore_client(void *self, gw_conn conn, const gw_request *request, const gw_saved *saved,
                                void **state) {
    (void)self, (void)conn, (void)request;
    if (saved->state_version != 1 || saved->data.len != sizeof(struct client)) return GW_E_UNSUPPORTED;
    struct client *client = malloc(sizeof *client);
    if (client == NULL) return GW_E_NOMEM; /* it stays where it is, and is asked again later */
    memcpy(client, saved->data.ptr, sizeof *client);
    *state = client;
    return GW_OK;
}

static void drop_client(void *self, gw_conn conn, void *state) {
    (void)self, (void)conn;
    free(state); /* the old build's own copy */
}

static const gw_handler handler = {
    GW_HANDLER_INIT,
    .min_host_abi = GW_ABI(1, 0), /* nothing newer is used */
    .flags = GW_HF_UNLOAD,        /* no thread, no exit handler, no thread-local with a destructor */
    .name = "counter",
    .version = "1.0",
    .sdk = "c",
    .state_format = 0x636f756e746572, /* builds with the same number hand over to each other */
    .state_version = 1,
    .start = start,
    .stop = stop,
    .open = open_client,
    .message = message,
    .close = close_client,
    .save_self = save_self,
    .restore_self = restore_self,
    .save_conn = save_client,
    .restore_conn = restore_client,
    .drop_conn = drop_client,
};

const gw_handler *gw_handler_entry_v1(const gw_host *h) {
    host = h;
    return &handler;
}

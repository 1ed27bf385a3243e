/* Answers each text message with its number on the connection; a newer build takes the numbers over.
 * gw_handler.h says what every callback may do, and on which thread it is called. */
#include "gw_handler.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is kept per connection: made in open() or restore_conn(), freed in close() or drop_conn(). */
struct visitor {
    uint64_t count;
};

/* Of this generation: a reload loads a new image beside this one, with variables of its own. */
static const gw_host *host;

static gw_status start(const gw_host *h, const gw_config *config, void **self) {
    *self = NULL;
    return GW_OK;
}

static void open_visitor(void *self, gw_conn conn, void *state, const gw_request *request) {
    struct visitor *visitor = calloc(1, sizeof *visitor);
    if (visitor == NULL || host->conn_set_state(host, conn, visitor) < 0) {
        free(visitor);
        host->close(host, conn, 1011, NULL, 0);
    }
}

static void message(void *self, gw_conn conn, void *state, const gw_message *message) {
    struct visitor *visitor = state;
    if (visitor == NULL) {
        return; /* open_visitor() is closing it */
    }
    if (message->kind != GW_TEXT) {
        static const char why[] = "text only";
        host->close(host, conn, 1003, why, sizeof why - 1);
        return;
    }
    /* 20 digits at most, a colon and a space. */
    char *answer = malloc(message->data.len + 24);
    if (answer == NULL) {
        host->close(host, conn, 1011, NULL, 0);
        return;
    }
    visitor->count += 1;
    int head = snprintf(answer, 24, "%llu: ", (unsigned long long)visitor->count);
    if (message->data.len > 0) {
        memcpy(answer + head, message->data.ptr, message->data.len);
    }
    /* What send() answers is left alone: a connection that is gone needs no answer, and `slow_consumer` in gateway.conf
     * says what becomes of a client that does not read. */
    host->send(host, conn, GW_TEXT, 0, answer, (size_t)head + message->data.len);
    free(answer);
}

static void close_visitor(void *self, gw_conn conn, void *state, const gw_close *info) { free(state); }

/* ---- A reload: the old generation writes what it knows of a connection, the new one reads it, the old one frees it. */

static gw_status save_visitor(void *self, gw_conn conn, void *state, gw_sink *sink) {
    return state == NULL ? GW_E_FAILED : host->sink_write(host, sink, state, sizeof(struct visitor));
}

static gw_status restore_visitor(void *self, gw_conn conn, const gw_request *request, const gw_saved *saved,
                                 void **state) {
    if (saved->state_version != 1 || saved->data.len != sizeof(struct visitor)) {
        return GW_E_UNSUPPORTED; /* the connection stays with the generation it has */
    }
    struct visitor *visitor = malloc(sizeof *visitor);
    if (visitor == NULL) {
        return GW_E_NOMEM;
    }
    memcpy(visitor, saved->data.ptr, sizeof *visitor);
    *state = visitor;
    return GW_OK;
}

static void drop_visitor(void *self, gw_conn conn, void *state) { free(state); }

static const gw_handler handler = {
    GW_HANDLER_INIT,
    .min_host_abi = GW_ABI(1, 0), /* nothing newer is used */
    .flags = GW_HF_UNLOAD,        /* no thread, no exit handler: this image may be closed */
    .name = "@NAME@",
    .version = "0.1.0",
    .sdk = "c",
    .state_format = 0x@FORMAT@u, /* builds with the same number hand connections over to each other */
    .state_version = 1,          /* of struct visitor: raise it when that changes, and read the older one, too */
    .start = start,
    .open = open_visitor,
    .message = message,
    .close = close_visitor,
    .save_conn = save_visitor,
    .restore_conn = restore_visitor,
    .drop_conn = drop_visitor,
};

const gw_handler *gw_handler_entry_v1(const gw_host *h) {
    host = h;
    return &handler;
}

/* Writes to a sink when the callback it was lent to has returned. */
#include "gw_handler.h"
static gw_status save(void *self, gw_conn conn, void *state, gw_sink *sink);
static gw_status restore(void *self, gw_conn conn, const gw_request *request, const gw_saved *saved, void **state);
static void drop(void *self, gw_conn conn, void *state);
#define MISUSE_MORE .state_format = 7, .save_conn = save, .restore_conn = restore, .drop_conn = drop
#include "misuse.h"

static _Thread_local gw_sink *kept;

static gw_status save(void *self, gw_conn conn, void *state, gw_sink *sink) {
    (void)self;
    (void)conn;
    (void)state;
    kept = sink;
    return host->sink_write(host, sink, "x", 1);
}

static gw_status restore(void *self, gw_conn conn, const gw_request *request, const gw_saved *saved, void **state) {
    (void)self;
    (void)conn;
    (void)request;
    (void)saved;
    *state = NULL;
    return GW_OK;
}

static void drop(void *self, gw_conn conn, void *state) {
    (void)self;
    (void)conn;
    (void)state;
    host->sink_write(host, kept, "late", 4);
}

MISUSE_TABLE("stale_sink")

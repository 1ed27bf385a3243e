/* Saves connections and then does not take them. */
#include "gw_handler.h"
static gw_status save(void *self, gw_conn conn, void *state, gw_sink *sink);
static gw_status restore(void *self, gw_conn conn, const gw_request *request, const gw_saved *saved, void **state);
#define MISUSE_MORE .state_format = 8, .save_conn = save, .restore_conn = restore
#include "misuse.h"

static gw_status save(void *self, gw_conn conn, void *state, gw_sink *sink) {
    (void)self;
    (void)conn;
    (void)state;
    return host->sink_write(host, sink, "x", 1);
}

static gw_status restore(void *self, gw_conn conn, const gw_request *request, const gw_saved *saved, void **state) {
    (void)self;
    (void)conn;
    (void)request;
    (void)saved;
    (void)state;
    return GW_E_FAILED;
}

MISUSE_TABLE("refuses_move")

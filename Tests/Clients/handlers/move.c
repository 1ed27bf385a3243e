/* Hands its clients over; each state knows the generation that made it, and the log what was given which. Built with
 * -DGENERATION=1 or 2, and -DABORT_IN_RESTORE, -DABORT_IN_DROP or -DSEND_IN_RESTORE for a client that is lost on the way.
 */
#include <fcntl.h>
#include <unistd.h>

#include "common.h"

struct state { int generation; };

static void note(const char *callback, struct state *state) {
    char text[80];
    int length = snprintf(text, sizeof text, "LEDGER %d %s %d", GENERATION, callback, state ? state->generation : 0);
    host->log(host, 0, GW_LOG_INFO, text, (size_t)length);
}

/* Never freed, so that a wrong one can be looked at. */
static struct state *make(void) {
    struct state *state = malloc(sizeof *state);
    if (state != NULL) state->generation = GENERATION;
    return state;
}

static void open_client(void *self, gw_conn c, void *state, const gw_request *r) {
    host->conn_set_state(host, c, make());
}

static void message(void *self, gw_conn c, void *state, const gw_message *m) {
    host->send(host, c, m->kind, 0, m->data.ptr, m->data.len);
}

static void close_client(void *self, gw_conn c, void *state, const gw_close *info) { note("close", state); }

static gw_status save_client(void *self, gw_conn c, void *state, gw_sink *sink) {
    return host->sink_write(host, sink, "x", 1);
}

static gw_status restore_client(void *self, gw_conn c, const gw_request *r, const gw_saved *saved, void **state) {
    *state = make();
    note("restore", *state);
#ifdef ABORT_IN_RESTORE
    host->abort(host, c);
#endif
#ifdef SEND_IN_RESTORE
    /* The client resets the connection before the other end of the FIFO is opened. */
    static char much[900000];
    int gate = open(GATE, O_RDONLY);
    if (gate >= 0) close(gate);
    host->send(host, c, GW_BINARY, 0, much, sizeof much);
#endif
    return GW_OK;
}

static void drop_client(void *self, gw_conn c, void *state) {
    note("drop", state);
#ifdef ABORT_IN_DROP
    host->abort(host, c);
#endif
}

TABLE("move", .state_format = 77, .state_version = 1, .open = open_client, .message = message, .close = close_client,
      .save_conn = save_client, .restore_conn = restore_client, .drop_conn = drop_client)

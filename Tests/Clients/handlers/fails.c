/* Does what a handler must not, as often as it is asked to. Where it may fail it does: with ?fail in upgrade, in http, in
 * whatever says how it went; where it cannot say so it closes with 1011, what the kits do about an error.
 *
 * "after N" closes with 4000 and goes on for N rounds; "flood N" sends N messages of 100,000 bytes without looking at what
 * comes of it; "thread N" does that on another thread. What was taken, or worse, is told to the log. */
#include <pthread.h>

#include "common.h"

static char bytes[100000];

static gw_status upgrade(void *self, const gw_request *request) {
    gw_str value;
    return host->req_query(host, request, "fail", &value) == GW_OK ? GW_E_FAILED : GW_OK;
}

static gw_status http(void *self, const gw_request *request) { return GW_E_FAILED; }

static void fail(gw_conn c) { host->close(host, c, 1011, "failed", 6); }

static void open_client(void *self, gw_conn c, void *state, const gw_request *request) {
    gw_str value;
    if (host->req_query(host, request, "open", &value) == GW_OK) fail(c);
}

/* Every call that needs an open connection: how many were not refused. */
static int use(gw_conn c) {
    int taken = 0;
    taken += host->send(host, c, GW_TEXT, 0, "late", 4) != GW_E_CLOSED;
    taken += host->send_buf(host, c, GW_TEXT, 0, host->buf_copy(host, "late", 4)) != GW_E_CLOSED;
    taken += host->send_fragment(host, c, GW_TEXT, GW_FIN, "late", 4) != GW_E_CLOSED;
    taken += host->ping(host, c, "late", 4) != GW_E_CLOSED;
    taken += host->pong(host, c, "late", 4) != GW_E_CLOSED;
    taken += host->close(host, c, 4001, NULL, 0) != GW_E_CLOSED;
    taken += host->set_reading(host, c, 1) != GW_E_CLOSED;
    taken += host->subscribe(host, c, 0, "t", 1) != GW_E_CLOSED;
    return taken;
}

struct job { gw_conn connection; long count; };

static void flood(struct job job) {
    long taken = 0;
    for (long i = 0; i < job.count; i++) taken += host->send(host, job.connection, GW_BINARY, 0, bytes, sizeof bytes) >= 0;
    tell("flood taken", taken);
}

static void *run(void *context) {
    flood(*(struct job *)context);
    free(context);
    return NULL;
}

static void message(void *self, gw_conn c, void *state, const gw_message *m) {
    char text[32] = "";
    long count = 0;
    memcpy(text, m->data.ptr, m->data.len < 31 ? m->data.len : 31);
    if (sscanf(text, "after %ld", &count) == 1) {
        host->close(host, c, 4000, NULL, 0);
        long taken = 0;
        for (long i = 0; i < count; i++) taken += use(c);
        tell("taken after close", taken);
    } else if (sscanf(text, "flood %ld", &count) == 1) {
        flood((struct job){c, count});
    } else if (sscanf(text, "thread %ld", &count) == 1) {
        pthread_t thread;
        struct job *job = malloc(sizeof *job);
        *job = (struct job){c, count};
        if (pthread_create(&thread, NULL, run, job) == 0) pthread_detach(thread);
    } else if (begins(m, "timer")) {
        host->timer_start(host, instance, c, 1, 1, 0);
    } else if (begins(m, "work")) {
        host->offload(host, instance, c, 1, NULL);
    } else {
        fail(c);
    }
}

static void ping(void *self, gw_conn c, void *state, gw_bytes payload) { fail(c); }
static void pong(void *self, gw_conn c, void *state, gw_bytes payload) { fail(c); }
static void event(void *self, gw_conn c, void *state, const gw_event *event) { fail(c); }
static gw_status work(void *self, gw_conn c, uint64_t token, void *ptr) { return GW_E_FAILED; }

/* The connection has ended: whatever is asked of it is refused. */
static void close_client(void *self, gw_conn c, void *state, const gw_close *info) {
    if (use(c) > 0) tell("taken in close", c);
}

TABLE("fails", .upgrade = upgrade, .http = http, .open = open_client, .message = message, .ping = ping, .pong = pong,
      .event = event, .work = work, .close = close_client)

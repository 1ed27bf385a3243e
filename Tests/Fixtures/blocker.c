/* A handler whose callbacks block for as long as a test likes. The gateway of a test runs in the test's own process, so
 * descriptors are how the two talk: `IN.OUT` makes a callback write one byte to OUT, to say that it is there, and wait
 * for one from IN.
 *
 * BLOCKER_VERSION is what it calls itself, BLOCKER_FLAGS adds flags. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "gw_handler.h"

#ifndef BLOCKER_FLAGS
#define BLOCKER_FLAGS 0
#endif

struct gate { int in, out; };

struct instance {
    const gw_host *host;
    gw_instance number;
    atomic_int live;
    /* Calls of a serial instance that run. */
    atomic_int inside;
};

struct state {
    uint64_t count;
    struct gate save, end;
    atomic_int inside;
    int isClosed;
    gw_buf *kept;
};

static atomic_int broken;

static void pass(struct gate gate) {
    char byte = 'x';
    if (gate.out > 0 && write(gate.out, &byte, 1) != 1) broken += 1;
    if (gate.in > 0 && read(gate.in, &byte, 1) != 1) broken += 1;
}

static struct gate find_gate(const gw_host *host, const gw_request *request, const char *name) {
    struct gate gate = {0, 0};
    char text[32] = "";
    gw_str value;
    if (host->req_query(host, request, name, &value) == GW_OK && value.len < sizeof text) {
        memcpy(text, value.ptr, value.len);
        sscanf(text, "%d.%d", &gate.in, &gate.out);
    }
    return gate;
}

static int asks(const gw_host *host, const gw_request *request, const char *name) {
    gw_str value;
    return host->req_query(host, request, name, &value) == GW_OK;
}

/* [conn]: never two callbacks of a connection at once, nor of a serial instance. */
static void enter(struct instance *self, struct state *state) {
    if (state != NULL && atomic_exchange(&state->inside, 1) != 0) broken += 1;
    if ((BLOCKER_FLAGS & GW_HF_SERIAL) != 0 && atomic_exchange(&self->inside, 1) != 0) broken += 1;
}

static void leave(struct instance *self, struct state *state) {
    if (state != NULL) atomic_store(&state->inside, 0);
    if ((BLOCKER_FLAGS & GW_HF_SERIAL) != 0) atomic_store(&self->inside, 0);
}

static void say(struct instance *self, gw_conn conn, const char *text) {
    self->host->send(self->host, conn, GW_TEXT, 0, text, strlen(text));
}

/* ---- [control] */

static gw_status start(const gw_host *host, const gw_config *config, void **out) {
    struct instance *self = calloc(1, sizeof *self);
    self->host = host;
    self->number = config->instance;
    *out = self;
    return GW_OK;
}

static void stop(void *raw) {
    struct instance *self = raw;
    if (self->live != 0) {
        static const char text[] = "blocker: stopped while there are connections\n";
        if (write(2, text, sizeof text - 1) > 0) abort();
    }
    memset(self, 0xDD, sizeof *self);
    free(self);
}

/* ---- requests */

static gw_status reply(struct instance *self, const gw_request *request, uint16_t status, const char *text,
                       void *state) {
    gw_reply reply = {.struct_size = sizeof reply, .status = status, .conn_state = state};
    reply.body = (gw_bytes){(const uint8_t *)text, strlen(text)};
    return self->host->reply(self->host, request->ticket, &reply);
}

static gw_status upgrade(void *raw, const gw_request *request) {
    struct instance *self = raw;
    enter(self, NULL);
    pass(find_gate(self->host, request, "upgrade"));
    gw_status status = GW_DEFER;
    if (asks(self->host, request, "reject")) {
        status = GW_REJECT;
    } else if (asks(self->host, request, "fail")) {
        status = GW_E_FAILED;
    } else {
        struct state *state = calloc(1, sizeof *state);
        if (reply(self, request, 101, "", state) < 0) free(state);
    }
    /* It has been answered and still runs. */
    pass(find_gate(self->host, request, "answered"));
    leave(self, NULL);
    return status;
}

static gw_status http(void *raw, const gw_request *request) {
    struct instance *self = raw;
    char line[64];
    pass(find_gate(self->host, request, "wait"));
    snprintf(line, sizeof line, BLOCKER_VERSION " broken %d live %d body %zu", broken, self->live, request->body.len);
    return reply(self, request, 200, line, NULL) < 0 ? GW_E_FAILED : GW_DEFER;
}

/* ---- [conn] */

static void open_connection(void *raw, gw_conn conn, void *state, const gw_request *request) {
    struct instance *self = raw;
    enter(self, state);
    self->live += 1;
    if (self->host->conn_state(self->host, conn) != state) broken += 1;
    pass(find_gate(self->host, request, "open"));
    leave(self, state);
}

static void where(struct instance *self, gw_conn conn, struct state *state) {
    const gw_ext_thread_check *check = self->host->get_extension(self->host, GW_EXT_THREAD_CHECK);
    char name[17] = "", line[160];
    prctl(PR_GET_NAME, name);
    const gw_request *request = self->host->conn_request(self->host, conn);
    snprintf(line, sizeof line, "%.8s thread %u state %d set %d other %d request %d", name,
             check->is_conn_thread(self->host, conn), self->host->conn_state(self->host, conn) == state,
             self->host->conn_set_state(self->host, conn, state),
             self->host->conn_set_state(self->host, conn + 1, state), request != NULL && request->path.len > 0);
    say(self, conn, line);
}

static int is(const char *text, const char *word) { return strcmp(text, word) == 0; }

static void obey(struct instance *self, gw_conn conn, struct state *state, const char *text, gw_buf *buffer) {
    const gw_host *h = self->host;
    struct gate gate = {0, 0};
    unsigned number = 0, every = 0;
    char line[256];
    if (sscanf(text, "wait %d.%d", &gate.in, &gate.out) == 2) {
        pass(gate);
    } else if (sscanf(text, "save %d.%d", &gate.in, &gate.out) == 2) {
        state->save = gate;
    } else if (sscanf(text, "end %d.%d", &gate.in, &gate.out) == 2) {
        state->end = gate;
    } else if (sscanf(text, "home %d.%d", &gate.in, &gate.out) == 2) {
        h->post(h, self->number, 0, 1, &gate, sizeof gate);
    } else if (sscanf(text, "work %d.%d", &gate.in, &gate.out) == 2) {
        struct gate *given = malloc(sizeof gate);
        *given = gate;
        h->offload(h, self->number, conn, 2, given);
    } else if (sscanf(text, "timer %u %u", &number, &every) == 2) {
        if (h->timer_start(h, self->number, conn, 3, number, every) == 0) broken += 1;
    } else if (is(text, "post")) {
        h->post(h, self->number, conn, 4, text, strlen(text));
    } else if (is(text, "close")) {
        h->close(h, conn, 1000, NULL, 0);
        state->isClosed = 1;
    } else if (is(text, "abort")) {
        h->abort(h, conn);
        state->isClosed = 1;
    } else if (is(text, "pause")) {
        /* Nothing the peer sent comes before the post. */
        h->set_reading(h, conn, 0);
        h->post(h, self->number, conn, 5, text, strlen(text));
    } else if (is(text, "keep")) {
        state->kept = h->buf_retain(h, buffer);
    } else if (is(text, "kept")) {
        h->send_buf(h, conn, GW_TEXT, 0, state->kept);
        state->kept = NULL;
    } else if (is(text, "buffer")) {
        /* Not its own reference: harmless. */
        h->send_buf(h, conn, GW_TEXT, 0, buffer);
    } else if (is(text, "where")) {
        return where(self, conn, state);
    }
    snprintf(line, sizeof line, BLOCKER_VERSION " %llu %.100s", (unsigned long long)state->count, text);
    say(self, conn, line);
}

static void take(void *raw, gw_conn conn, void *rawState, const gw_message *message) {
    struct instance *self = raw;
    struct state *state = rawState;
    char text[128] = "";
    enter(self, state);
    if (state->isClosed) broken += 1;
    state->count += 1;
    memcpy(text, message->data.ptr, message->data.len < sizeof text - 1 ? message->data.len : sizeof text - 1);
    obey(self, conn, state, text, message->buf);
    leave(self, state);
}

static void hear(void *raw, gw_conn conn, void *rawState, const gw_event *event) {
    struct instance *self = raw;
    struct state *state = rawState;
    char line[64];
    struct gate gate;
    enter(self, state);
    if (conn == 0) {
        if (event->kind == GW_EV_POST && event->data.len == sizeof gate) {
            memcpy(&gate, event->data.ptr, sizeof gate);
            pass(gate);
        }
    } else {
        if (state->isClosed) broken += 1;
        snprintf(line, sizeof line, BLOCKER_VERSION " event %llu", (unsigned long long)event->token);
        say(self, conn, line);
        if (event->token == 5) self->host->set_reading(self->host, conn, 1);
    }
    leave(self, state);
}

static gw_status work(void *raw, gw_conn conn, uint64_t token, void *given) {
    struct gate gate = *(struct gate *)given;
    (void)raw;
    (void)conn;
    (void)token;
    free(given);
    pass(gate);
    return GW_OK;
}

static void ping(void *raw, gw_conn conn, void *state, gw_bytes payload) {
    enter(raw, state);
    (void)conn;
    (void)payload;
    leave(raw, state);
}

static void close_connection(void *raw, gw_conn conn, void *rawState, const gw_close *info) {
    struct instance *self = raw;
    struct state *state = rawState;
    enter(self, state);
    if (self->host->conn_state(self->host, conn) != state) broken += 1;
    if (self->host->send(self->host, conn, GW_TEXT, 0, "late", 4) != GW_E_CLOSED) broken += 1;
    char report[4] = {'c', (char)state->count, (char)info->by, (char)info->msgs_in};
    if (state->end.out > 0 && write(state->end.out, report, sizeof report) < 0) broken += 1;
    pass((struct gate){state->end.in, 0});
    self->live -= 1;
    leave(self, state);
    self->host->buf_release(self->host, state->kept);
    free(state);
}

/* ---- reload */

static gw_status save(void *raw, gw_conn conn, void *rawState, gw_sink *sink) {
    struct instance *self = raw;
    struct state *state = rawState;
    enter(self, state);
    if (self->host->conn_state(self->host, conn) != state) broken += 1;
    pass(state->save);
    uint64_t saved[2] = {state->count, (uint64_t)state->end.out};
    leave(self, state);
    return self->host->sink_write(self->host, sink, saved, sizeof saved);
}

static gw_status restore(void *raw, gw_conn conn, const gw_request *request, const gw_saved *saved, void **out) {
    struct instance *self = raw;
    uint64_t values[2];
    struct state *state = calloc(1, sizeof *state);
    if (self->host->conn_state(self->host, conn) != NULL) broken += 1;
    if (self->host->conn_set_state(self->host, conn, self) != GW_E_STATE) broken += 1;
    if (request == NULL || (request->flags & GW_REQ_MIGRATED) == 0) broken += 1;
    memcpy(values, saved->data.ptr, sizeof values);
    state->count = values[0];
    state->end.out = (int)values[1];
    self->live += 1;
    *out = state;
    return GW_OK;
}

static void drop(void *raw, gw_conn conn, void *rawState) {
    struct instance *self = raw;
    (void)conn;
    self->live -= 1;
    free(rawState);
}

static const gw_handler table = {
    .struct_size = sizeof table,
    .abi_version = GW_ABI_VERSION,
    .min_host_abi = 0x10000,
    .flags = GW_HF_KEEP_REQUEST | BLOCKER_FLAGS,
    .name = "blocker",
    .version = BLOCKER_VERSION,
    .state_format = 77,
    .state_version = 1,
    .start = start,
    .stop = stop,
    .upgrade = upgrade,
    .open = open_connection,
    .message = take,
    .ping = ping,
    .close = close_connection,
    .http = http,
    .event = hear,
    .work = work,
    .save_conn = save,
    .restore_conn = restore,
    .drop_conn = drop,
};

const gw_handler *gw_handler_entry_v1(const gw_host *host) {
    (void)host;
    return &table;
}

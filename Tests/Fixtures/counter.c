/* A handler that counts, and that breaks off loudly when the gateway breaks its word: a state that is freed twice or
 * lost, a callback after stop, a connection that is not there any more, a connection of another instance.
 *
 * Each text is answered with "<version> <count> <text>"; the count belongs to the connection and goes with it. A plain
 * request is answered with "<version> <live> <total>". What texts and queries do besides stands in `commands` below:
 * "crash", "leave" and "vanish" end the process by a fault, by itself, and by a signal that nobody can be asked about.
 *
 * COUNTER_VERSION is a string, different in each build. COUNTER_FLAGS are GW_HF_*, COUNTER_FORMAT the format of its
 * state. COUNTER_REFUSES: takes over nobody whose last text was "stay". COUNTER_STREAMS: takes fragments.
 * COUNTER_HANGS_SAVING, _RESTORING, _STOPPING, _HEARING (that it is going to be replaced): is busy for two seconds
 * there. */
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gw_handler.h"

#ifndef COUNTER_FLAGS
#define COUNTER_FLAGS 0
#endif
#ifndef COUNTER_FORMAT
#define COUNTER_FORMAT 0xC0DEu
#endif

enum { ALIVE = 0x11771177, DEAD = 0x0DEAD0DE, MOST = 4096 };

struct instance {
    int sign;
    const gw_host *host;
    gw_instance number;
    char text[64];
    atomic_int live;
    atomic_long total;
    pthread_mutex_t lock;
    gw_ticket held[64];
    int holding;
    atomic_int inside;
    /* One more than nothing once work may end; whoever took it puts it back for the next. */
    sem_t done;
};

struct state {
    int sign;
    uint32_t stays;
    uint64_t count;
    struct instance *owner;
};

static void broken(const char *what) {
    fprintf(stderr, "BROKEN: %s\n", what);
    abort();
}

static struct instance *alive(void *self) {
    struct instance *instance = self;
    if (instance == NULL || instance->sign != ALIVE) broken("a callback of an instance that does not run");
    return instance;
}

static int is_stateless(void) { return (COUNTER_FLAGS & GW_HF_STATELESS) != 0; }

static struct state *owned(void *self, void *raw) {
    struct state *state = raw;
    if (is_stateless()) {
        if (raw != NULL) broken("a state where none was given");
        return NULL;
    }
    if (state == NULL || state->sign != ALIVE) broken("a state that was freed");
    if (state->owner != self) broken("a state of another instance");
    return state;
}

static void enter(struct instance *self) {
    if ((COUNTER_FLAGS & GW_HF_SERIAL) != 0 && atomic_exchange(&self->inside, 1) != 0) broken("two callbacks at once");
}

static void leave(struct instance *self) { atomic_store(&self->inside, 0); }

static struct state *new_state(struct instance *self, uint64_t count, uint32_t stays) {
    struct state *state = calloc(1, sizeof *state);
    if (state == NULL) broken("no memory");
    *state = (struct state){.sign = ALIVE, .count = count, .stays = stays, .owner = self};
    return state;
}

static void free_state(struct state *state) {
    if (state == NULL) return;
    state->sign = DEAD;
    free(state);
}

/* ---- [control] */

static gw_status start(const gw_host *host, const gw_config *config, void **out) {
    struct instance *self = calloc(1, sizeof *self);
    if (self == NULL) return GW_E_NOMEM;
    if (sem_init(&self->done, 0, 0) != 0) return GW_E_FAILED;
    self->sign = ALIVE;
    self->host = host;
    self->number = config->instance;
    pthread_mutex_init(&self->lock, NULL);
    for (size_t i = 0; i < config->values.len; i += 1) {
        gw_str key = config->values.ptr[i].key, value = config->values.ptr[i].value;
        if (key.len == 6 && memcmp(key.ptr, "refuse", 6) == 0) {
            host->fail(host, "it was told to", strlen("it was told to"));
            free(self);
            return GW_E_INVALID;
        }
        if (key.len == 4 && memcmp(key.ptr, "text", 4) == 0) {
            snprintf(self->text, sizeof self->text, " %.*s", (int)value.len, value.ptr);
        }
    }
    *out = self;
    return GW_OK;
}

static void stop(void *raw) {
    struct instance *self = alive(raw);
#ifdef COUNTER_HANGS_STOPPING
    sleep(2);
#endif
    if (atomic_load(&self->live) != 0 && !is_stateless()) broken("stop while there are connections");
    self->sign = DEAD; /* not freed: a callback that comes late shall find this */
}

/* ---- [conn] */

static gw_status answer(struct instance *self, gw_ticket ticket, uint16_t status, const char *text) {
    gw_reply reply = {.struct_size = sizeof reply, .status = status};
    reply.body = (gw_bytes){(const uint8_t *)text, strlen(text)};
    if (status == 101) {
        reply.body.len = 0;
        reply.conn_state = is_stateless() ? NULL : new_state(self, 0, 0);
    }
    gw_status taken = self->host->reply(self->host, ticket, &reply);
    if (taken < 0 && status == 101) free_state(reply.conn_state);
    return taken;
}

static int asks(const gw_request *request, const char *what) {
    return request->query.len == strlen(what) && memcmp(request->query.ptr, what, request->query.len) == 0;
}

static gw_status upgrade(void *raw, const gw_request *request) {
    struct instance *self = alive(raw);
    if (asks(request, "fail")) return GW_E_FAILED;
    if (!asks(request, "held")) return answer(self, request->ticket, 101, "") < 0 ? GW_E_FAILED : GW_DEFER;
    pthread_mutex_lock(&self->lock);
    self->held[self->holding] = request->ticket;
    self->holding += 1;
    pthread_mutex_unlock(&self->lock);
    return GW_DEFER;
}

static void say(struct instance *self, gw_conn conn, const char *text, size_t length) {
    self->host->send(self->host, conn, GW_TEXT, 0, text, length);
}

static void say_count(struct instance *self, gw_conn conn, struct state *state, gw_bytes text) {
    char line[256];
    int length = snprintf(line, sizeof line, "%s %llu %.*s%s", COUNTER_VERSION,
                          (unsigned long long)(state == NULL ? 0 : ++state->count), (int)(text.len < 128 ? text.len : 128),
                          (const char *)text.ptr, self->text);
    atomic_fetch_add(&self->total, 1);
    say(self, conn, line, (size_t)length);
}

static void open_connection(void *raw, gw_conn conn, void *state, const gw_request *request) {
    struct instance *self = alive(raw);
    (void)conn;
    (void)request;
    owned(self, state);
    atomic_fetch_add(&self->live, 1);
}

/* ---- commands, answered like any other text afterwards */

static void release(void *context) { atomic_fetch_sub((atomic_int *)context, 1); }

static atomic_int wrapped;
static char block[1 << 20];

static void flood(struct instance *self, gw_conn conn, int isWrapped) {
    memset(block, 'x', sizeof block);
    for (int i = 0; i < 16; i += 1) {
        if (!isWrapped) {
            say(self, conn, block, sizeof block);
            continue;
        }
        atomic_fetch_add(&wrapped, 1);
        gw_buf *buffer = self->host->buf_wrap(self->host, block, sizeof block, release, &wrapped);
        self->host->send_buf(self->host, conn, GW_TEXT, 0, buffer);
    }
}

static int is(gw_bytes text, const char *word) {
    return text.len == strlen(word) && memcmp(text.ptr, word, text.len) == 0;
}

static void obey(struct instance *self, gw_conn conn, struct state *state, gw_bytes text) {
    const gw_host *host = self->host;
    if (state != NULL) state->stays = is(text, "stay");
    if (is(text, "fail")) host->close(host, conn, 1011, NULL, 0);
    if (is(text, "crash")) abort();
    if (is(text, "leave")) exit(3);
    if (is(text, "vanish")) kill(getpid(), SIGKILL);
    if (is(text, "deaf")) host->set_reading(host, conn, 0);
    if (is(text, "flood")) flood(self, conn, 0);
    if (is(text, "wrap")) flood(self, conn, 1);
    if (is(text, "begin")) host->send_fragment(host, conn, GW_TEXT, 0, "<", 1);
    if (is(text, "end")) host->send_fragment(host, conn, GW_TEXT, GW_FIN, ">", 1);
    if (is(text, "join")) host->subscribe(host, conn, 0, "all", 3);
    if (is(text, "tell")) host->publish(host, self->number, "all", 3, GW_TEXT, 0, "all", 3, 0, NULL);
    if (is(text, "later")) host->timer_start(host, self->number, conn, 7, 20, 20);
    if (is(text, "done")) sem_post(&self->done);
    if (is(text, "work")) host->offload(host, self->number, conn, 8, self);
}

static void take(void *raw, gw_conn conn, void *rawState, const gw_message *message) {
    struct instance *self = alive(raw);
    struct state *state = owned(self, rawState);
    enter(self);
    obey(self, conn, state, message->data);
    say_count(self, conn, state, message->data);
    leave(self);
}

static void drained(void *raw, gw_conn conn, void *state) {
    struct instance *self = alive(raw);
    owned(self, state);
    say(self, conn, COUNTER_VERSION " drained", strlen(COUNTER_VERSION " drained"));
}

static void hear(void *raw, gw_conn conn, void *state, const gw_event *event) {
    struct instance *self = alive(raw);
    char line[64];
    if (conn == 0) {
#ifdef COUNTER_HANGS_HEARING
        sleep(2);
#endif
        return;
    }
    owned(self, state);
    if (event->kind == GW_EV_WORK_DONE && event->ptr != self) broken("the work of another instance");
    int length = snprintf(line, sizeof line, "%s event %llu", COUNTER_VERSION, (unsigned long long)event->token);
    say(self, conn, line, (size_t)length);
}

static gw_status work(void *raw, gw_conn conn, uint64_t token, void *context) {
    (void)conn;
    (void)token;
    if (alive(raw) != context) broken("the work of another instance");
    /* Until the same instance hears that it is done. */
    while (sem_wait(&alive(raw)->done) != 0) {
    }
    sem_post(&alive(raw)->done);
    return GW_OK;
}

static void close_connection(void *raw, gw_conn conn, void *state, const gw_close *info) {
    struct instance *self = alive(raw);
    (void)conn;
    (void)info;
    free_state(owned(self, state));
    if (atomic_fetch_sub(&self->live, 1) <= 0 && !is_stateless()) broken("more connections ended than began");
}

static gw_status http(void *raw, const gw_request *request) {
    struct instance *self = alive(raw);
    if (asks(request, "fail")) return GW_E_FAILED;
    if (asks(request, "answer")) {
        pthread_mutex_lock(&self->lock);
        for (int i = 0; i < self->holding; i += 1) answer(self, self->held[i], 101, "");
        self->holding = 0;
        pthread_mutex_unlock(&self->lock);
    }
    if (asks(request, "hear")) {
        gw_conn conns[MOST];
        size_t count = self->host->conns(self->host, self->number, conns, MOST);
        for (size_t i = 0; i < count && i < MOST; i += 1) self->host->set_reading(self->host, conns[i], 1);
    }
    char line[128];
    snprintf(line, sizeof line, "%s %d %ld", COUNTER_VERSION, atomic_load(&self->live), atomic_load(&self->total));
    answer(self, request->ticket, 200, line);
    return GW_DEFER;
}

/* ---- reload */

static gw_status save_self(void *raw, gw_sink *sink) {
    struct instance *self = alive(raw);
    int64_t total = atomic_load(&self->total);
#ifdef COUNTER_HANGS_SAVING
    sleep(2);
#endif
    return self->host->sink_write(self->host, sink, &total, sizeof total);
}

static gw_status restore_self(void *raw, const gw_saved *saved) {
    struct instance *self = alive(raw);
    int64_t total;
#ifdef COUNTER_HANGS_RESTORING
    sleep(2);
#endif
    if (saved->data.len != sizeof total) return GW_E_INVALID;
    memcpy(&total, saved->data.ptr, sizeof total);
    atomic_store(&self->total, total);
    return GW_OK;
}

static gw_status save_connection(void *raw, gw_conn conn, void *rawState, gw_sink *sink) {
    struct instance *self = alive(raw);
    struct state *state = owned(self, rawState);
    uint64_t saved[2] = {state->count, state->stays};
    (void)conn;
    enter(self);
    gw_status status = self->host->sink_write(self->host, sink, saved, sizeof saved);
    leave(self);
    return status;
}

static gw_status restore_connection(void *raw, gw_conn conn, const gw_request *request, const gw_saved *saved,
                                    void **out) {
    struct instance *self = alive(raw);
    uint64_t values[2];
    (void)request;
    if (saved->data.len != sizeof values) return GW_E_INVALID;
    if (self->host->conn_state(self->host, conn) != NULL) broken("a state before there is one");
    if (self->host->conn_set_state(self->host, conn, self) != GW_E_STATE) broken("a state could be set too early");
    memcpy(values, saved->data.ptr, sizeof values);
#ifdef COUNTER_REFUSES
    if (values[1]) return GW_E_FAILED;
#endif
    enter(self);
    *out = new_state(self, values[0], (uint32_t)values[1]);
    atomic_fetch_add(&self->live, 1);
    leave(self);
    return GW_OK;
}

static void drop_connection(void *raw, gw_conn conn, void *state) {
    struct instance *self = alive(raw);
    (void)conn;
    free_state(owned(self, state));
    if (atomic_fetch_sub(&self->live, 1) <= 0 && !is_stateless()) broken("more connections were dropped than began");
}

static gw_handler table;

const gw_handler *gw_handler_entry_v1(const gw_host *host) {
    (void)host;
    table = (gw_handler){
        .struct_size = sizeof table,
        .abi_version = GW_ABI_VERSION,
        .min_host_abi = 0x10000,
        .flags = COUNTER_FLAGS,
        .name = "counter",
        .version = COUNTER_VERSION,
        .state_format = COUNTER_FORMAT,
        .state_version = 1,
        .start = start,
        .stop = stop,
        .upgrade = upgrade,
        .open = open_connection,
        .drained = drained,
        .close = close_connection,
        .http = http,
        .event = hear,
        .work = work,
    };
#ifdef COUNTER_STREAMS
    table.fragment = take;
#else
    table.message = take;
#endif
    if (!is_stateless()) {
        table.save_self = save_self;
        table.restore_self = restore_self;
        table.save_conn = save_connection;
        table.restore_conn = restore_connection;
    }
    table.drop_conn = drop_connection;
    return &table;
}

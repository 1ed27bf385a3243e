/* A handler that writes down everything it hears and does what tests ask for, so that a test sees the contract from
 * the handler's side.
 *
 * A text message that is a command is obeyed (see `commands`), any other message is echoed. A plain request answers with
 * the record; `?until=TEXT` waits until TEXT stands in it `times` times, `?do=answer` lets a thread answer every
 * upgrade that `?upgrade=held` held back (so does the first close of a shutdown), `?do=hold` makes that request wait for ever. Connections are numbered in the
 * order of their opening.
 *
 * PROBE_STREAM takes fragments instead of messages; PROBE_FLAGS adds flags. */
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gw_handler.h"

#ifndef PROBE_FLAGS
#define PROBE_FLAGS 0
#endif

enum { MOST = 64 };

struct instance {
    const gw_host *host;
    gw_instance number;
    pthread_mutex_t lock;
    char *record;
    size_t length;
    size_t room;
    uint32_t opened;
    struct { gw_ticket ticket; char text[64]; int times; } waiters[MOST];
    int waiting;
    gw_ticket held[MOST];
    int holding;
    /* 1 while a callback of a serial instance runs. */
    atomic_int inside;
};

struct state {
    uint32_t number;
    atomic_int inside;
    gw_conn conn;
};

static __thread int depth;

/* ---- the record */

static int occurrences(const struct instance *self, const char *text) {
    int count = 0;
    for (const char *at = self->record; (at = strstr(at, text)) != NULL; at += strlen(text)) {
        count += 1;
    }
    return count;
}

static gw_status answer(const struct instance *self, gw_ticket ticket, uint16_t status, const char *text, size_t length) {
    gw_reply reply = {.struct_size = sizeof reply, .status = status, .body = {(const uint8_t *)text, length}};
    return self->host->reply(self->host, ticket, &reply);
}

static void answer_waiters(struct instance *self) {
    for (int i = 0; i < self->waiting; i += 1) {
        if (occurrences(self, self->waiters[i].text) >= self->waiters[i].times) {
            answer(self, self->waiters[i].ticket, 200, self->record, self->length);
            self->waiting -= 1;
            self->waiters[i] = self->waiters[self->waiting];
            i -= 1;
        }
    }
}

__attribute__((format(printf, 2, 3))) static void note(struct instance *self, const char *format, ...) {
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    length = length < (int)sizeof line - 1 ? length : (int)sizeof line - 2;
    line[length] = '\n';
    pthread_mutex_lock(&self->lock);
    if (self->length + (size_t)length + 2 > self->room) {
        self->room = 2 * self->room + sizeof line;
        self->record = realloc(self->record, self->room);
    }
    memcpy(self->record + self->length, line, (size_t)length + 1);
    self->length += (size_t)length + 1;
    self->record[self->length] = 0;
    answer_waiters(self);
    pthread_mutex_unlock(&self->lock);
}

/* R1 and [conn]: callbacks of a connection never nest and never meet. */
static void enter(struct instance *self, struct state *state) {
    depth += 1;
    if (depth != 1) {
        note(self, "BROKEN: a callback inside a callback");
    }
    if (state != NULL && atomic_exchange(&state->inside, 1) != 0) {
        note(self, "BROKEN: two callbacks of one connection at once");
    }
    if ((PROBE_FLAGS & GW_HF_SERIAL) != 0 && atomic_exchange(&self->inside, 1) != 0) {
        note(self, "BROKEN: two callbacks of a serial instance at once");
    }
}

static void leave(struct instance *self, struct state *state) {
    if ((PROBE_FLAGS & GW_HF_SERIAL) != 0) {
        /* Long enough for another worker to come in between, if it can. */
        for (volatile int i = 0; i < 20000; i += 1) {
        }
        atomic_store(&self->inside, 0);
    }
    if (state != NULL) {
        atomic_store(&state->inside, 0);
    }
    depth -= 1;
}

/* ---- what other threads do */

struct errand {
    struct instance *self;
    gw_conn conn;
    char verb[24];
    long count;
    long size;
};

static gw_status say(const struct errand *errand, const char *text) {
    return errand->self->host->send(errand->self->host, errand->conn, GW_TEXT, 0, text, strlen(text));
}

static void send_numbered(const struct errand *errand) {
    char text[32];
    long refused = 0, pressed = 0;
    for (long i = 0; i < errand->count; i += 1) {
        snprintf(text, sizeof text, "%ld", i);
        gw_status status = say(errand, text);
        refused += status < 0;
        pressed += status == GW_BACKPRESSURE;
    }
    note(errand->self, "thread sent %ld refused %ld", errand->count, refused);
    (void)pressed;
}

static void flood(const struct errand *errand) {
    char *block = calloc(1, (size_t)errand->size + 1);
    long taken = 0, pressed = 0;
    gw_status status = GW_OK;
    for (long i = 0; i < errand->count && status >= 0; i += 1) {
        status = errand->self->host->send(errand->self->host, errand->conn, GW_BINARY, 0, block, (size_t)errand->size);
        taken += status >= 0;
        pressed += status == GW_BACKPRESSURE;
    }
    free(block);
    note(errand->self, "flood ended with %d after %ld, pressure %d", status, taken, pressed > 0);
}

static void wrapped_release(void *context) { note(context, "released"); }

static void wrap(const struct errand *errand) {
    const gw_host *host = errand->self->host;
    gw_buf *buffer = host->buf_wrap(host, "wrapped", 7, wrapped_release, errand->self);
    note(errand->self, "send_buf %d", host->send_buf(host, errand->conn, GW_TEXT, 0, buffer));
}

static void answer_held(struct instance *self) {
    while (self->holding > 0) {
        self->holding -= 1;
        struct state *state = calloc(1, sizeof *state);
        gw_reply reply = {.struct_size = sizeof reply, .conn_state = state};
        gw_status status = self->host->reply(self->host, self->held[self->holding], &reply);
        if (status < 0) {
            free(state);
        }
        gw_status again = self->host->reply(self->host, self->held[self->holding], &reply);
        note(self, "answered %d again %d", status, again == GW_E_STATE || again == GW_E_CLOSED);
    }
}

static void *run(void *context) {
    struct errand *errand = context;
    const gw_host *host = errand->self->host;
    if (strcmp(errand->verb, "send") == 0) {
        send_numbered(errand);
    } else if (strcmp(errand->verb, "flood") == 0) {
        flood(errand);
    } else if (strcmp(errand->verb, "wrap") == 0) {
        wrap(errand);
    } else if (strcmp(errand->verb, "close") == 0) {
        gw_status first = say(errand, "last words");
        gw_status closed = host->close(host, errand->conn, 4000, "bye", 3);
        gw_status again = host->close(host, errand->conn, 4001, "", 0);
        note(errand->self, "thread close %d %d %d %d", first, closed, again, say(errand, "too late"));
    } else if (strcmp(errand->verb, "abort") == 0) {
        note(errand->self, "thread abort %d", host->abort(host, errand->conn));
    } else if (strcmp(errand->verb, "reading") == 0) {
        note(errand->self, "thread reading %d", host->set_reading(host, errand->conn, (uint32_t)errand->count));
    } else if (strcmp(errand->verb, "fragments") == 0) {
        gw_status a = host->send_fragment(host, errand->conn, GW_TEXT, GW_FIRST, "one ", 4);
        gw_status b = say(errand, "in between");
        gw_status p = host->ping(host, errand->conn, "p", 1);
        gw_status c = host->send_fragment(host, errand->conn, GW_TEXT, GW_FIN, "two", 3);
        note(errand->self, "thread fragments %d %d %d %d", a, b, p, c);
    } else if (strcmp(errand->verb, "state") == 0) {
        note(errand->self, "thread state %d %d", host->conn_state(host, errand->conn) == NULL,
             host->conn_set_state(host, errand->conn, NULL));
    } else if (strcmp(errand->verb, "answer") == 0) {
        answer_held(errand->self);
    }
    return NULL;
}

/* Runs to its end before it returns: host functions never block, so neither does this for long. */
static void in_thread(struct instance *self, gw_conn conn, const char *verb, long count, long size) {
    struct errand errand = {.self = self, .conn = conn, .count = count, .size = size};
    pthread_t thread;
    snprintf(errand.verb, sizeof errand.verb, "%s", verb);
    if (pthread_create(&thread, NULL, run, &errand) == 0) {
        pthread_join(thread, NULL);
    }
}

/* ---- commands */

static void count_release(void *context) { *(int *)context += 1; }

static void misuse(struct instance *self, gw_conn conn) {
    const gw_host *h = self->host;
    uint8_t big[126] = {0};
    gw_conn_info info = {.struct_size = sizeof info}, small = {.struct_size = 2};
    char list[512];
    int at = 0, released = 0;
#define TRY(call) at += snprintf(list + at, sizeof list - (size_t)at, "%d ", (int)(call))
    TRY(h->send(h, conn, 7, 0, "x", 1));
    TRY(h->send(h, conn, GW_TEXT, 0, "\xff", 1));
    TRY(h->send(h, conn, GW_TEXT, 0, NULL, 1));
    TRY(h->send(h, 0, GW_TEXT, 0, "x", 1));
    TRY(h->send(h, UINT64_MAX, GW_TEXT, 0, "x", 1));
    TRY(h->send(h, conn + 2, GW_TEXT, 0, "x", 1));
    TRY(h->send(NULL, conn, GW_TEXT, 0, "x", 1));
    TRY(h->send_buf(h, conn, GW_TEXT, 0, NULL));
    TRY(h->send_buf(h, conn, GW_TEXT, 0, h->buf_copy(h, "\xff", 1)));
    TRY(h->ping(h, conn, big, 126));
    TRY(h->pong(h, conn, big, 126));
    TRY(h->close(h, conn, 1005, NULL, 0));
    TRY(h->close(h, conn, 999, NULL, 0));
    TRY(h->close(h, conn, 0, "reason", 6));
    TRY(h->close(h, conn, 1000, "\xff", 1));
    TRY(h->close(h, conn, 1000, (const char *)big, 124));
    TRY(h->conn_info(h, conn, NULL));
    TRY(h->conn_info(h, conn, &small));
    TRY(h->conn_info(h, conn + 2, &info));
    TRY(h->conn_set_state(h, conn + 2, NULL));
    TRY(h->reply(h, 12345, NULL));
    TRY(h->reply(h, 12345, &(gw_reply){.struct_size = sizeof(gw_reply)}));
    TRY(h->subscribe(h, conn, 0, NULL, 1));
    TRY(h->send_fragment(h, conn, GW_TEXT, GW_FIRST, "\xff", 1));
    TRY(h->buf_retain(h, NULL) == NULL);
    TRY(h->buf_copy(h, NULL, 5) == NULL);
    TRY(h->buf_copy(h, "x", SIZE_MAX) == NULL);
    TRY(h->buf_wrap(h, NULL, 5, count_release, &released) == NULL);
    TRY(released);
    TRY(h->conns(h, 999, NULL, 0));
#undef TRY
    h->buf_release(h, NULL);
    list[at > 0 ? at - 1 : 0] = 0;
    h->send(h, conn, GW_TEXT, 0, list, strlen(list));
}

static void describe(struct instance *self, gw_conn conn) {
    gw_conn_info info = {.struct_size = sizeof info};
    char text[160];
    gw_status status = self->host->conn_info(self->host, conn, &info);
    snprintf(text, sizeof text, "info %d flags %u queued %llu high %llu", status, info.flags,
             (unsigned long long)info.queued_bytes, (unsigned long long)info.high_water);
    self->host->send(self->host, conn, GW_TEXT, 0, text, strlen(text));
}

static void count(struct instance *self, gw_conn conn) {
    char text[64];
    gw_conn list[MOST] = {0};
    size_t all = self->host->conns(self->host, self->number, list, MOST);
    int found = 0;
    for (size_t i = 0; i < all && i < MOST; i += 1) {
        found += list[i] == conn;
    }
    snprintf(text, sizeof text, "conns %zu self %d", all, found);
    self->host->send(self->host, conn, GW_TEXT, 0, text, strlen(text));
}

static void fragments(struct instance *self, gw_conn conn) {
    const gw_host *h = self->host;
    gw_status first = h->send_fragment(h, conn, GW_TEXT, GW_FIRST, "\xe2\x82", 2);
    gw_status whole = h->send(h, conn, GW_TEXT, 0, "x", 1);
    gw_status kind = h->send_fragment(h, conn, GW_BINARY, 0, "x", 1);
    gw_status ping = h->ping(h, conn, "mid", 3);
    gw_status cut = h->send_fragment(h, conn, GW_TEXT, GW_FIN, "", 0);
    gw_status last = h->send_fragment(h, conn, GW_TEXT, GW_FIN, "\xac", 1);
    note(self, "fragments %d %d %d %d %d %d", first, whole, kind, ping, cut, last);
}

static void fill(struct instance *self, gw_conn conn, long times, long size) {
    struct errand errand = {.self = self, .conn = conn, .count = times, .size = size};
    flood(&errand);
}

static void everybody(struct instance *self, const char *text, gw_conn except, int close) {
    gw_conn list[MOST];
    size_t all = self->host->conns(self->host, self->number, list, MOST);
    for (size_t i = 0; i < all && i < MOST; i += 1) {
        if (list[i] == except) {
            continue;
        }
        if (close) {
            self->host->abort(self->host, list[i]);
        } else {
            self->host->send(self->host, list[i], GW_TEXT, 0, text, strlen(text));
        }
    }
}

static void read_others(struct instance *self, gw_conn except, uint32_t on) {
    gw_conn list[MOST];
    size_t all = self->host->conns(self->host, self->number, list, MOST);
    for (size_t i = 0; i < all && i < MOST; i += 1) {
        if (list[i] != except) {
            note(self, "reading of another %d", self->host->set_reading(self->host, list[i], on));
        }
    }
}

/* Answers whether the text was a command. */
static int obey(struct instance *self, gw_conn conn, struct state *state, const char *text) {
    const gw_host *h = self->host;
    long a = 0, b = 0;
    char word[128] = "";
    if (sscanf(text, "close:%ld:%127[^\n]", &a, word) >= 1) {
        gw_status first = h->close(h, conn, (uint16_t)a, word, strlen(word));
        gw_status again = h->close(h, conn, 1000, NULL, 0);
        gw_status after = h->send(h, conn, GW_TEXT, 0, "after", 5);
        gw_status ping = h->ping(h, conn, NULL, 0);
        note(self, "%u closed %d %d %d %d counted %zu", state->number, first, again, after, ping,
             h->conns(h, self->number, NULL, 0));
    } else if (strcmp(text, "abort") == 0) {
        gw_status first = h->abort(h, conn);
        note(self, "%u aborted %d %d", state->number, first, h->send(h, conn, GW_TEXT, 0, "after", 5));
    } else if (strcmp(text, "abort-all") == 0) {
        everybody(self, NULL, 0, 1);
    } else if (strcmp(text, "close-abort") == 0) {
        gw_status first = h->close(h, conn, 1000, NULL, 0);
        note(self, "close %d abort %d", first, h->abort(h, conn));
    } else if (strncmp(text, "ping:", 5) == 0) {
        h->ping(h, conn, text + 5, strlen(text + 5));
    } else if (strncmp(text, "pong:", 5) == 0) {
        h->pong(h, conn, text + 5, strlen(text + 5));
    } else if (strcmp(text, "fragments") == 0) {
        fragments(self, conn);
    } else if (sscanf(text, "reading:%ld", &a) == 1) {
        note(self, "%u reading %d", state->number, h->set_reading(h, conn, (uint32_t)a));
    } else if (sscanf(text, "reading-others:%ld", &a) == 1) {
        read_others(self, conn, (uint32_t)a);
    } else if (strcmp(text, "info") == 0) {
        describe(self, conn);
    } else if (strcmp(text, "send-info") == 0) {
        fill(self, conn, 1, 1000);
        describe(self, conn);
    } else if (strcmp(text, "conns") == 0) {
        count(self, conn);
    } else if (strcmp(text, "misuse") == 0) {
        misuse(self, conn);
    } else if (strncmp(text, "all:", 4) == 0) {
        everybody(self, text + 4, 0, 0);
    } else if (sscanf(text, "fill:%ld:%ld", &a, &b) == 2) {
        fill(self, conn, a, b);
    } else if (sscanf(text, "thread-%23[a-z]:%ld:%ld", word, &a, &b) >= 1) {
        in_thread(self, conn, word, a, b);
    } else if (sscanf(text, "order:%ld", &a) == 1) {
        h->send(h, conn, GW_TEXT, 0, "own", 3);
        in_thread(self, conn, "send", a, 0);
    } else if (strcmp(text, "request") == 0) {
        const gw_request *request = h->conn_request(h, conn);
        const char *told = request == NULL ? "none" : request->path.ptr;
        h->send(h, conn, GW_TEXT, 0, told, request == NULL ? 4 : request->path.len);
    } else if (strcmp(text, "keep") == 0) {
        gw_buf *kept = h->buf_copy(h, "kept", 4);
        h->buf_retain(h, kept);
        gw_status first = h->send_buf(h, conn, GW_TEXT, 0, kept);
        gw_status second = h->send_buf(h, conn, GW_TEXT, 0, kept);
        note(self, "kept %d %d", first, second);
    } else {
        return 0;
    }
    return 1;
}

/* ---- callbacks */

static int query(struct instance *self, const gw_request *request, const char *name, char *out, size_t room) {
    gw_str value;
    if (self->host->req_query(self->host, request, name, &value) != GW_OK || value.len >= room) {
        return 0;
    }
    memcpy(out, value.ptr, value.len);
    out[value.len] = 0;
    return 1;
}

static gw_status start(const gw_host *host, const gw_config *config, void **out) {
    struct instance *self = calloc(1, sizeof *self);
    self->host = host;
    self->number = config->instance;
    self->room = 1024;
    self->record = calloc(1, self->room);
    pthread_mutex_init(&self->lock, NULL);
    *out = self;
    return GW_OK;
}

static void stop(void *context) {
    struct instance *self = context;
    pthread_mutex_destroy(&self->lock);
    free(self->record);
    free(self);
}

static gw_status upgrade(void *context, const gw_request *request) {
    struct instance *self = context;
    char how[32] = "", name[32] = "";
    gw_status status = GW_OK;
    enter(self, NULL);
    query(self, request, "upgrade", how, sizeof how);
    if (strcmp(how, "reject") == 0) {
        status = GW_REJECT;
    } else if (strcmp(how, "fail") == 0) {
        status = GW_E_FAILED;
    } else if (strcmp(how, "teapot") == 0) {
        status = answer(self, request->ticket, 418, "short and stout", 15);
    } else if (strcmp(how, "default") == 0) {
        status = GW_OK;
    } else if (strcmp(how, "held") == 0) {
        pthread_mutex_lock(&self->lock);
        self->held[self->holding] = request->ticket;
        self->holding += 1;
        pthread_mutex_unlock(&self->lock);
        note(self, "held");
        status = GW_DEFER;
    } else {
        struct state *state = calloc(1, sizeof *state);
        gw_reply reply = {.struct_size = sizeof reply, .status = 101, .conn_state = state};
        if (query(self, request, "protocol", name, sizeof name)) {
            reply.subprotocol = (gw_str){name, strlen(name)};
        }
        status = self->host->reply(self->host, request->ticket, &reply);
        if (status == GW_E_INVALID) {
            reply.subprotocol = (gw_str){NULL, 0};
            note(self, "refused reply %d, then %d", status, self->host->reply(self->host, request->ticket, &reply));
        }
    }
    leave(self, NULL);
    return status;
}

static void opened(void *context, gw_conn conn, void *pointer, const gw_request *request) {
    struct instance *self = context;
    struct state *state = pointer;
    enter(self, state);
    if (state == NULL) {
        state = calloc(1, sizeof *state);
        self->host->conn_set_state(self->host, conn, state);
    }
    state->conn = conn;
    pthread_mutex_lock(&self->lock);
    self->opened += 1;
    state->number = self->opened;
    pthread_mutex_unlock(&self->lock);
    gw_status greeted = GW_OK;
    char greeting[64];
    if (query(self, request, "greet", greeting, sizeof greeting)) {
        greeted = self->host->send(self->host, conn, GW_TEXT, 0, greeting, strlen(greeting));
        if (strcmp(greeting, "close") == 0) {
            self->host->close(self->host, conn, 4100, NULL, 0);
        } else if (strcmp(greeting, "abort") == 0) {
            self->host->abort(self->host, conn);
        }
    }
    note(self, "%u open %d worker %u", state->number, greeted, (unsigned)(conn >> 56));
    leave(self, pointer);
}

static void told(struct instance *self, gw_conn conn, struct state *state, const gw_message *message) {
    char text[256] = "";
    size_t length = message->data.len < sizeof text - 1 ? message->data.len : sizeof text - 1;
    if (length > 0) {
        memcpy(text, message->data.ptr, length);
    }
    if (message->kind == GW_TEXT && (message->flags & (GW_FIRST | GW_FIN)) == (GW_FIRST | GW_FIN) &&
        message->data.len < sizeof text && obey(self, conn, state, text)) {
        return;
    }
#ifdef PROBE_STREAM
    note(self, "%u piece %u %u %s.", state->number, message->kind, message->flags, text);
#else
    note(self, "%u message %u %u %zu", state->number, message->kind, message->flags, message->data.len);
    self->host->send(self->host, conn, message->kind, 0, message->data.ptr, message->data.len);
#endif
}

static void message(void *context, gw_conn conn, void *state, const gw_message *message) {
    enter(context, state);
    told(context, conn, state, message);
    leave(context, state);
}

static void ping(void *context, gw_conn conn, void *pointer, gw_bytes payload) {
    struct state *state = pointer;
    (void)conn;
    enter(context, state);
    note(context, "%u ping %.*s", state->number, (int)payload.len, (const char *)payload.ptr);
    leave(context, state);
}

static void pong(void *context, gw_conn conn, void *pointer, gw_bytes payload) {
    struct state *state = pointer;
    (void)conn;
    enter(context, state);
    note(context, "%u pong %zu", state->number, payload.len);
    leave(context, state);
}

static void drained(void *context, gw_conn conn, void *pointer) {
    struct state *state = pointer;
    (void)conn;
    enter(context, state);
    note(context, "%u drained", state->number);
    leave(context, state);
}

static void error(void *context, gw_conn conn, void *pointer, gw_status status, gw_str what) {
    struct state *state = pointer;
    (void)conn;
    enter(context, state);
    note(context, "%u error %d %.*s", state->number, status, (int)what.len, what.ptr);
    leave(context, state);
}

static void closed(void *context, gw_conn conn, void *pointer, const gw_close *info) {
    struct instance *self = context;
    struct state *state = pointer;
    enter(self, state);
    gw_status sent = self->host->send(self->host, conn, GW_TEXT, 0, "x", 1);
    note(self, "%u close %u by %u reason %.*s sends %d", state->number, info->code, info->by, (int)info->reason.len,
         info->reason.ptr, sent);
    if (info->by == GW_BY_SHUTDOWN && self->holding > 0) {
        in_thread(self, 0, "answer", 0, 0);
    }
    leave(self, state);
    free(state);
}

static gw_status http(void *context, const gw_request *request) {
    struct instance *self = context;
    char text[64] = "", times[16] = "1";
    gw_status status = GW_OK;
    enter(self, NULL);
    if (query(self, request, "do", text, sizeof text)) {
        if (strcmp(text, "answer") == 0) {
            in_thread(self, 0, "answer", 0, 0);
            answer(self, request->ticket, 200, "done", 4);
        } else if (strcmp(text, "hold") == 0) {
            status = GW_DEFER;
        } else if (strcmp(text, "reject") == 0) {
            status = GW_REJECT;
        } else if (strcmp(text, "fail") == 0) {
            status = GW_E_FAILED;
        } else if (strcmp(text, "flags") == 0) {
            snprintf(text, sizeof text, "%u", request->flags);
            answer(self, request->ticket, 200, text, strlen(text));
        } else if (strcmp(text, "body") == 0) {
            answer(self, request->ticket, 200, (const char *)request->body.ptr, request->body.len);
        } else if (strcmp(text, "large") == 0) {
            char *page = calloc(1, 256 * 1024);
            note(self, "large");
            answer(self, request->ticket, 200, page, 256 * 1024);
            free(page);
        } else if (strcmp(text, "inject") == 0) {
            gw_kv header = {{"x-a", 3}, {"b\r\nc: d", 7}};
            gw_reply reply = {.struct_size = sizeof reply, .status = 200, .headers = {&header, 1}};
            gw_status first = self->host->reply(self->host, request->ticket, &reply);
            snprintf(text, sizeof text, "%d", first);
            answer(self, request->ticket, 200, text, strlen(text));
        } else if (strcmp(text, "twice") == 0) {
            answer(self, request->ticket, 200, "first", 5);
            note(self, "second reply %d", answer(self, request->ticket, 200, "second", 6));
        }
    } else {
        query(self, request, "times", times, sizeof times);
        query(self, request, "until", text, sizeof text);
        pthread_mutex_lock(&self->lock);
        if (text[0] == 0 || occurrences(self, text) >= atoi(times)) {
            answer(self, request->ticket, 200, self->record, self->length);
        } else {
            self->waiters[self->waiting].ticket = request->ticket;
            self->waiters[self->waiting].times = atoi(times);
            strcpy(self->waiters[self->waiting].text, text);
            self->waiting += 1;
        }
        pthread_mutex_unlock(&self->lock);
        status = GW_DEFER;
    }
    leave(self, NULL);
    return status;
}

static const gw_handler handler = {
    .struct_size = sizeof handler,
    .abi_version = GW_ABI_VERSION,
    .min_host_abi = 0x10000,
    .flags = PROBE_FLAGS,
    .name = "probe",
    .version = "1.0.0",
    .sdk = "c",
    .start = start,
    .stop = stop,
    .upgrade = upgrade,
    .open = opened,
    .message = message,
#ifdef PROBE_STREAM
    .fragment = message,
#endif
    .ping = ping,
    .pong = pong,
    .drained = drained,
    .error = error,
    .close = closed,
    .http = http,
};

const gw_handler *gw_handler_entry_v1(const gw_host *host) {
    (void)host;
    return &handler;
}

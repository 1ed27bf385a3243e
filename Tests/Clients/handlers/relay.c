/* Clients that count, and that talk to each other by their numbers; what it knows goes along. A message is a word, and what
 * it is about:
 *
 *   I                 the number of the connection: "I number"
 *   T number text     the text goes to another connection; nothing is answered, but "F status" where it is not taken
 *   S topic           joins a topic of the route: "S status"
 *   P topic text      publishes it to the topic, and to all but the publisher; nothing is answered, but "F status"
 *   K milliseconds    a timer of the connection says "K" then: "K status"
 *   C                 how many messages the connection has sent, and everybody: "C own all"
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <unistd.h>

#include "common.h"

#ifdef CRASHES
#define BEGINS if ((config->flags & GW_CFG_PROBE) == 0 && is_second()) __builtin_trap();
#elif defined HANGS
#define BEGINS if ((config->flags & GW_CFG_PROBE) == 0 && is_second()) hang();
#elif defined WAITS
#define BEGINS if ((config->flags & GW_CFG_PROBE) == 0 && is_second()) close(open(MARK, O_RDONLY | O_CLOEXEC));
#elif defined REFUSES
#define BEGINS if ((config->flags & GW_CFG_PROBE) == 0 && is_second()) { h->fail(h, "the port is taken", 17); return GW_E_FAILED; }
#else
#define BEGINS
#endif

#if defined CRASHES || defined HANGS || defined REFUSES || defined WAITS
/* The file MARK is there once a test wants it; as a FIFO it is waited for until the test opens it. */
static int is_second(void) { return access(MARK, F_OK) == 0; }
#endif

#ifdef HANGS
/* The file MARK-PID says that it hangs. */
static void hang(void) {
    char path[512];
    snprintf(path, sizeof path, MARK "-%d", (int)getpid());
    close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    for (;;) pause();
}
#endif

static atomic_llong total;

struct client { long long count; };

static gw_status begin(const gw_host *h, const gw_config *config, void **self) {
    BEGINS
    return start(h, config, self);
}

static void join(void *self, gw_conn c, void *state, const gw_request *r) {
    host->conn_set_state(host, c, calloc(1, sizeof(struct client)));
}

static void leave(void *self, gw_conn c, void *state, const gw_close *info) { free(state); }

static void failed(gw_conn c, gw_status status) {
    char text[32];
    int length = snprintf(text, sizeof text, "F %d", status);
    if (status < 0) host->send(host, c, GW_TEXT, 0, text, (size_t)length);
}

static void message(void *self, gw_conn c, void *state, const gw_message *m) {
    struct client *client = state;
    char word[64] = {0}, text[80];
    const char *bytes = (const char *)m->data.ptr;
    const char *rest = m->data.len > 2 ? bytes + 2 : bytes + m->data.len;
    size_t length = m->data.len > 2 ? m->data.len - 2 : 0;
    long long own = ++client->count, all = ++total;
    const char *space = memchr(rest, ' ', length);
    size_t first = space ? (size_t)(space - rest) : length;
    memcpy(word, rest, first < sizeof word ? first : sizeof word - 1);
    int said = 0;
    switch (bytes[0]) {
    case 'I': said = snprintf(text, sizeof text, "I %llu", (unsigned long long)c); break;
    case 'T': failed(c, host->send(host, strtoull(word, NULL, 10), GW_TEXT, 0, rest + first + 1, length - first - 1)); break;
    case 'S': said = snprintf(text, sizeof text, "S %d", host->subscribe(host, c, 0, word, first)); break;
    case 'P': failed(c, host->publish(host, instance, word, first, GW_TEXT, 0, rest + first + 1, length - first - 1, c, NULL)); break;
    case 'K': said = snprintf(text, sizeof text, "K %d", host->timer_start(host, instance, c, 7, (uint32_t)atol(word), 0) == 0); break;
    case 'C': said = snprintf(text, sizeof text, "C %lld %lld", own, all); break;
    }
    if (said > 0) host->send(host, c, GW_TEXT, 0, text, (size_t)said);
}

static void event(void *self, gw_conn c, void *state, const gw_event *event) {
    if (event->kind == GW_EV_TIMER && c != 0) host->send(host, c, GW_TEXT, 0, "K", 1);
}

#ifndef KEEPS
static gw_status save_all(void *self, gw_sink *sink) {
    long long now = total;
    return host->sink_write(host, sink, &now, sizeof now);
}

static gw_status restore_all(void *self, const gw_saved *saved) {
    long long then;
    memcpy(&then, saved->data.ptr, sizeof then);
    total += then;
    return GW_OK;
}

static gw_status save_client(void *self, gw_conn c, void *state, gw_sink *sink) {
    return host->sink_write(host, sink, state, sizeof(struct client));
}

static gw_status restore_client(void *self, gw_conn c, const gw_request *r, const gw_saved *saved, void **state) {
    *state = malloc(sizeof(struct client));
    memcpy(*state, saved->data.ptr, sizeof(struct client));
    return GW_OK;
}

static void drop_client(void *self, gw_conn c, void *state) { free(state); }
#endif

static const gw_handler table = {
    GW_HANDLER_INIT, .min_host_abi = GW_ABI(1, 0), .name = "relay", .version = "1", .state_format = 0x72656c6179,
    .state_version = 1, .start = begin, .open = join, .message = message, .close = leave, .event = event,
#ifndef KEEPS
    .save_self = save_all, .restore_self = restore_all, .save_conn = save_client, .restore_conn = restore_client,
    .drop_conn = drop_client,
#endif
};

const gw_handler *gw_handler_entry_v1(const gw_host *h) {
    host = h;
    return &table;
}

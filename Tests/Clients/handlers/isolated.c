/* Counts the numbered messages of its clients, and dies in any callback in any way that it is told.
 *
 *   n NUMBER FILLER      counts it: how many there were, a checksum of all of them, and the message again
 *   who                  what is known of the client and of the process, as words KEY=VALUE
 *   die WAY              at once; the ways are below
 *   arm CALLBACK WAY     in that callback, also in a later process: "armed"
 *   timer MS EVERY WAY   dies with the timer, or says "tick NUMBER" where WAY is -: "timer" and its number
 *   post WAY, work WAY   the same with an event of one's own, and beside the loops
 *   sub TOPIC, unsub TOPIC, pub TOPIC TEXT      the status; of pub how many it reached; a TOPIC @NAME is the gateway's
 *   gate FIFO            is in the callback until the FIFO has an end: "passed"
 *   half FIFO            the same, and says "begun" before
 *   aside COUNT SIZE     has another thread send that, and waits for it; who tells how often `drained` was heard
 *   big COUNT SIZE       sends that many messages, each full of its own number
 *   ignore FILLER        counts nothing and says nothing
 *   set KEY              the value in gateway.conf, or -
 *   queue CONN           how many bytes wait for that client
 *
 * Built with -DVERSION="2" and the like; -DFLAGS=..., -DFORMAT=... and -DSAVES=0 change the table.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common.h"

#ifndef VERSION
#define VERSION "1"
#endif
#ifndef FLAGS
#define FLAGS GW_HF_KEEP_REQUEST
#endif
#ifndef FORMAT
#define FORMAT 4711
#endif
#ifndef SAVES
#define SAVES 1
#endif

/* All that is known of a client: it is saved as it stands. */
struct client {
    gw_conn opened;
    uint32_t count, checksum;
    uint32_t restored, recovered, ticks;
    uint32_t saved_flags, request_flags;
    char callback[12], way[12];
};

/* Of all instances, which are one route each; what is saved of them is `total` alone. */
struct route { gw_instance instance; };
static atomic_llong total;
static atomic_int saves_of_self, restores_of_self, drains;
static uint32_t self_flags;
static char value_of_set[200];

/* ---- ways to die */

static int deeper(volatile char *above, int depth) {
    volatile char room[1024];
    room[0] = above == NULL ? 0 : above[0];
    return depth < 0 ? 0 : deeper(room, depth) + room[0];
}

static void spin(void) {
    for (volatile int i = 0;; i++) {}
}

/* Takes what there is under a limit of its own, so that no other process has to pay for it. */
static void swallow(void) {
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%ld", &pages) != 1) abort();
    struct rlimit limit = {.rlim_cur = (rlim_t)(pages * 4096L + (64L << 20)), .rlim_max = RLIM_INFINITY};
    setrlimit(RLIMIT_AS, &limit);
    for (;;) {
        char *more = malloc(1 << 20);
        memset(more, 1, 1 << 20);
    }
}

/* From a block of its own up to where the heap ends. */
static void scribble(void) {
    for (volatile char *at = malloc(64);; at++) *at = (char)0xA5;
}

/* Damages what other processes share with this one: all of it, or a byte here and there. */
static void wipe(unsigned step) {
    unsigned long begin, end;
    char line[400], rights[5];
    FILE *file = fopen("/proc/self/maps", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "%lx-%lx %4s", &begin, &end, rights) != 3 || strcmp(rights, "rw-s") != 0) continue;
        for (unsigned long at = begin; at < end; at += step == 1 ? 1 : 1 + (unsigned long)rand() % step) {
            *(volatile char *)at ^= 0x5A;
        }
    }
    abort();
}

static void die(const char *way) {
    static const char nothing;
    static volatile int *volatile nowhere;
    if (strcmp(way, "-") == 0) return;
    if (strcmp(way, "null") == 0) *nowhere = 1;
    if (strcmp(way, "const") == 0) *(volatile char *)(uintptr_t)&nothing = 1;
    if (strcmp(way, "abort") == 0) abort();
    if (strcmp(way, "exit") == 0) exit(3);
    if (strcmp(way, "exit0") == 0) exit(0);
    if (strcmp(way, "_exit") == 0) _exit(3);
    if (strcmp(way, "overflow") == 0) _exit(100 + deeper(NULL, 0));
    if (strcmp(way, "loop") == 0) spin();
    if (strcmp(way, "alloc") == 0) swallow();
    if (strcmp(way, "scribble") == 0) scribble();
    if (strcmp(way, "wipe") == 0) wipe(1);
    if (strcmp(way, "flip") == 0) wipe(4000);
    if (strcmp(way, "kill") == 0) kill(getpid(), SIGKILL);
    if (strcmp(way, "term") == 0) kill(getpid(), SIGTERM);
    if (strcmp(way, "trap") == 0) __builtin_trap();
    host->log(host, 0, GW_LOG_ERROR, "nobody dies that way", 20);
}

static void perhaps(const struct client *client, const char *callback) {
    if (client != NULL && strcmp(client->callback, callback) == 0) die(client->way);
}

/* ---- of the instance */

static const char *setting(const gw_config *config, const char *key, char *text, size_t room) {
    gw_str value;
    if (host->config_get(host, config, key, &value) != GW_OK) return NULL;
    snprintf(text, room, "%.*s", (int)value.len, value.ptr);
    return text;
}

/* Until the FIFO has an end, which somebody else has open for writing. */
static void wait_at(const char *path) {
    char byte;
    int gate = open(path, O_RDONLY);
    while (gate >= 0 && read(gate, &byte, 1) > 0) {}
    if (gate >= 0) close(gate);
}

/* `set start WAY`, `set probe WAY`, or `set start_file FILE` with the way in it; `refuse` and `gate FIFO` are ways, too. */
static gw_status start_isolated(const gw_host *h, const gw_config *config, void **self) {
    char text[200], path[200];
    int is_probe = (config->flags & GW_CFG_PROBE) != 0;
    start(h, config, self);
    struct route *route = calloc(1, sizeof *route);
    if (route == NULL) return GW_E_NOMEM;
    route->instance = config->instance;
    *self = route;
    if (setting(config, "value", value_of_set, sizeof value_of_set) == NULL) strcpy(value_of_set, "-");
    const char *way = setting(config, is_probe ? "probe" : "start", text, sizeof text);
    if (way == NULL && !is_probe && setting(config, "start_file", path, sizeof path) != NULL) {
        FILE *file = fopen(path, "r");
        if (file != NULL && fgets(text, sizeof text, file) != NULL) way = strtok(text, "\n");
        if (file != NULL) fclose(file);
    }
    if (way == NULL) return GW_OK;
    if (strcmp(way, "refuse") == 0) {
        host->fail(host, "not today", 9);
        return GW_E_FAILED;
    }
    if (strncmp(way, "gate ", 5) == 0) {
        wait_at(way + 5);
        return GW_OK;
    }
    die(way);
    return GW_OK;
}

static gw_status reconfigure(void *self, const gw_config *config) {
    if (setting(config, "value", value_of_set, sizeof value_of_set) == NULL) strcpy(value_of_set, "-");
    return GW_OK;
}

static void stop(void *self) {
    tell("isolated stops", (long long)host->generation);
    free(self);
}

static gw_status save_self(void *self, gw_sink *sink) {
    long long now = atomic_load(&total);
    atomic_fetch_add(&saves_of_self, 1);
    return host->sink_write(host, sink, &now, sizeof now);
}

static gw_status restore_self(void *self, const gw_saved *saved) {
    long long then;
    if (saved->data.len != sizeof then) return GW_E_INVALID;
    memcpy(&then, saved->data.ptr, sizeof then);
    atomic_fetch_add(&total, then);
    atomic_fetch_add(&restores_of_self, 1);
    self_flags = saved->flags;
    return GW_OK;
}

/* ---- of a client */

static int query(const gw_request *request, const char *key, char *text, size_t room) {
    gw_str value;
    if (host->req_query(host, request, key, &value) != GW_OK) return 0;
    return snprintf(text, room, "%.*s", (int)value.len, value.ptr) > 0;
}

static gw_status upgrade(void *self, const gw_request *request) {
    char way[20];
    if (query(request, "upgrade", way, sizeof way)) die(way);
    return query(request, "reject", way, sizeof way) ? GW_REJECT : GW_OK;
}

static void open_client(void *self, gw_conn c, void *state, const gw_request *request) {
    char way[20];
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL) return;
    client->opened = c;
    host->conn_set_state(host, c, client);
    if (query(request, "open", way, sizeof way)) die(way);
}

static void close_client(void *self, gw_conn c, void *state, const gw_close *info) {
    char text[80];
    int length = snprintf(text, sizeof text, "isolated closed %d by %d", info->code, info->by);
    host->log(host, c, GW_LOG_INFO, text, (size_t)length);
    perhaps(state, "close");
    free(state);
}

static void drop_client(void *self, gw_conn c, void *state) {
    perhaps(state, "drop");
    free(state);
}

static gw_status save_client(void *self, gw_conn c, void *state, gw_sink *sink) {
    struct client *client = state;
    if (client == NULL) return GW_E_FAILED;
    perhaps(client, "save");
    if (strcmp(client->callback, "refuse") == 0) return GW_E_FAILED;
    return host->sink_write(host, sink, client, sizeof *client);
}

static gw_status restore_client(void *self, gw_conn c, const gw_request *request, const gw_saved *saved, void **state) {
    struct client *client = malloc(sizeof *client);
    if (client == NULL || saved->data.len != sizeof *client) return GW_E_INVALID;
    memcpy(client, saved->data.ptr, sizeof *client);
    perhaps(client, "restore");
    client->restored++;
    client->saved_flags = GW_HAS(saved, gw_saved, flags) ? saved->flags : 0;
    if (client->saved_flags & GW_SAVED_CHECKPOINT) client->recovered++;
    client->request_flags = request != NULL ? request->flags : 0;
    *state = client;
    return GW_OK;
}

/* ---- its messages */

static uint32_t checksum(uint32_t before, const uint8_t *bytes, size_t length) {
    static uint32_t table[256];
    if (table[1] == 0) {
        for (uint32_t i = 256; i-- > 0;) {
            uint32_t value = i;
            for (int bit = 0; bit < 8; bit++) value = value >> 1 ^ (value & 1 ? 0xEDB88320u : 0);
            table[i] = value;
        }
    }
    uint32_t value = ~before;
    for (size_t i = 0; i < length; i++) value = value >> 8 ^ table[(value ^ bytes[i]) & 255];
    return ~value;
}

static void say_text(gw_conn c, const char *text) { host->send(host, c, GW_TEXT, 0, text, strlen(text)); }

static void count(gw_conn c, struct client *client, const gw_message *m) {
    char *answer = malloc(m->data.len + 64);
    if (answer == NULL) return;
    atomic_fetch_add(&total, 1);
    client->count++;
    client->checksum = checksum(client->checksum, m->data.ptr, m->data.len);
    int length = sprintf(answer, "%u %08x ", client->count, client->checksum);
    memcpy(answer + length, m->data.ptr, m->data.len);
    host->send(host, c, m->kind, 0, answer, (size_t)length + m->data.len);
    free(answer);
}

static void who(gw_conn c, const struct client *s) {
    char text[600];
    snprintf(text, sizeof text,
             "pid=%d version=%s generation=%llu conn=%llx opened=%llx count=%u checksum=%08x restored=%u recovered=%u"
             " saved_flags=%u request_flags=%u ticks=%u total=%lld restored_self=%d saved_self=%d self_flags=%u"
             " has_request=%d drained=%d",
             (int)getpid(), VERSION, (unsigned long long)host->generation, (unsigned long long)c,
             (unsigned long long)s->opened, s->count, s->checksum, s->restored, s->recovered, s->saved_flags,
             s->request_flags, s->ticks, atomic_load(&total), atomic_load(&restores_of_self),
             atomic_load(&saves_of_self), self_flags, host->conn_request(host, c) != NULL,
             atomic_load(&drains));
    say_text(c, text);
}

static void big(gw_conn c, long count, size_t size) {
    char *text = malloc(size + 1);
    for (long i = 0; text != NULL && i < count; i++) {
        memset(text, 'a' + (int)(i % 26), size);
        host->send(host, c, GW_BINARY, 0, text, size);
    }
    free(text);
}

struct load { gw_conn connection; long count; size_t size; };

static void *beside(void *load) {
    const struct load *all = load;
    big(all->connection, all->count, all->size);
    return NULL;
}

/* All of it lies in the mailbox when the loop goes on. */
static void aside(struct load load) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, beside, &load) != 0 || pthread_join(thread, NULL) != 0) abort();
}

static gw_status work(void *self, gw_conn c, uint64_t token, void *ptr) {
    if (ptr != NULL) die(ptr);
    return GW_OK;
}

static void queue(gw_conn c, const char *name) {
    gw_conn_info info = {GW_CONN_INFO_INIT};
    gw_status status = host->conn_info(host, strtoull(name, NULL, 16), &info);
    say(c, status == GW_OK ? (long long)info.queued_bytes : status);
}

static uint32_t scope(const char *topic) { return topic[0] == '@' ? GW_GLOBAL_TOPIC : 0; }

/* What has a second word, and no third. */
static void obey_short(const struct route *route, gw_conn c, struct client *client, const char *word, const char *rest) {
    if (strcmp(word, "die") == 0) die(rest);
    if (strcmp(word, "post") == 0) host->post(host, route->instance, c, 0, rest, strlen(rest));
    if (strcmp(word, "work") == 0) host->offload(host, route->instance, c, 1, strdup(rest));
    if (strcmp(word, "sub") == 0) say(c, host->subscribe(host, c, scope(rest), rest, strlen(rest)));
    if (strcmp(word, "unsub") == 0) say(c, host->unsubscribe(host, c, scope(rest), rest, strlen(rest)));
    if (strcmp(word, "gate") == 0 || strcmp(word, "half") == 0) {
        if (word[0] == 'h') say_text(c, "begun");
        wait_at(rest);
        say_text(c, "passed");
    }
    if (strcmp(word, "who") == 0) who(c, client);
    if (strcmp(word, "queue") == 0) queue(c, rest);
    if (strcmp(word, "set") == 0) say_text(c, value_of_set);
}

static void obey(const struct route *route, gw_conn c, struct client *client, const char *text) {
    char word[12] = "", one[300] = "", two[300] = "", three[300] = "", answer[60];
    int words = sscanf(text, "%11s %299s %299s %299s", word, one, two, three);
    if (strcmp(word, "arm") == 0 && words == 3) {
        snprintf(client->callback, sizeof client->callback, "%.11s", one);
        snprintf(client->way, sizeof client->way, "%.11s", two);
        say_text(c, "armed");
    } else if (strcmp(word, "timer") == 0 && words == 4) {
        uint64_t token = 0;
        snprintf((char *)&token, sizeof token, "%.7s", three);
        gw_timer timer = host->timer_start(host, route->instance, c, token, (uint32_t)atoi(one), (uint32_t)atoi(two));
        snprintf(answer, sizeof answer, "timer %llx", (unsigned long long)timer);
        say_text(c, answer);
    } else if (strcmp(word, "pub") == 0 && words == 3) {
        uint32_t reached = 0;
        host->publish(host, route->instance, one, strlen(one), GW_TEXT, scope(one), two, strlen(two), c, &reached);
        say(c, reached);
    } else if (strcmp(word, "aside") == 0 && words == 3) {
        aside((struct load){c, atol(one), (size_t)atol(two)});
    } else if (strcmp(word, "big") == 0 && words == 3) {
        big(c, atol(one), (size_t)atol(two));
    } else {
        obey_short(route, c, client, word, one);
    }
}

static void message(void *self, gw_conn c, void *state, const gw_message *m) {
    static struct client nobody;
    char text[600];
    struct client *client = state != NULL ? state : &nobody;
    perhaps(client, "message");
    if (begins(m, "ignore")) return;
    if (begins(m, "n ")) return count(c, client, m);
    snprintf(text, sizeof text, "%.*s", (int)m->data.len, (const char *)m->data.ptr);
    obey(self, c, client, text);
}

static void event(void *self, gw_conn c, void *state, const gw_event *e) {
    char text[40];
    if (e->kind == GW_EV_GAP) return tell("gap", (long long)e->data.len);
    if (c == 0) return free(e->kind == GW_EV_WORK_DONE ? e->ptr : NULL);
    struct client *client = state;
    if (e->kind == GW_EV_TIMER) {
        die((const char *)&e->token);
        snprintf(text, sizeof text, "tick %u", client == NULL ? 0 : ++client->ticks);
        say_text(c, text);
    } else if (e->kind == GW_EV_POST) {
        snprintf(text, sizeof text, "%.*s", (int)e->data.len, (const char *)e->data.ptr);
        die(text);
        say_text(c, "posted");
    } else if (e->kind == GW_EV_WORK_DONE) {
        free(e->ptr);
        say_text(c, "worked");
    }
}

static void ping(void *self, gw_conn c, void *state, gw_bytes payload) { perhaps(state, "ping"); }
static void drained(void *self, gw_conn c, void *state) {
    atomic_fetch_add(&drains, 1);
    perhaps(state, "drained");
}

/* A plain request gets its body back, or the process dies of it. */
static gw_status http(void *self, const gw_request *request) {
    char way[20];
    if (query(request, "http", way, sizeof way)) die(way);
    gw_reply reply = {GW_REPLY_INIT, .status = 200, .body = request->body};
    gw_kv header = {{"x-handler", 9}, {VERSION, strlen(VERSION)}};
    reply.headers = (gw_kvs){&header, 1};
    host->reply(host, request->ticket, &reply);
    return GW_DEFER;
}

static const gw_handler table = {
    GW_HANDLER_INIT, .min_host_abi = GW_ABI(1, 2), .flags = FLAGS, .name = "isolated", .version = VERSION,
    .start = start_isolated, .reconfigure = reconfigure, .stop = stop, .upgrade = upgrade, .open = open_client,
    .message = message, .ping = ping, .drained = drained, .close = close_client, .http = http, .event = event,
    .work = work,
    .state_format = SAVES ? FORMAT : 0, .state_version = SAVES, .save_self = SAVES ? save_self : NULL,
    .restore_self = SAVES ? restore_self : NULL, .save_conn = SAVES ? save_client : NULL,
    .restore_conn = SAVES ? restore_client : NULL, .drop_conn = SAVES ? drop_client : NULL,
};

const gw_handler *gw_handler_entry_v1(const gw_host *h) {
    host = h;
    return &table;
}

/* A handler that subscribes, publishes, posts, starts timers and gives work away as its clients tell it to.
 *
 * Commands are words of a text message; with "!" in front the client is told what the host function answered. Events
 * on a connection are told to its client, events on [home] to everybody who is subscribed to the global topic "home".
 *
 *   sub T, gsub T, unsub T, pub T TEXT, gpub T TEXT, pubx T TEXT (to all but the client),
 *   npub T TEXT (not to be compressed), flood T COUNT OCTETS
 *   open TEXT, nopen TEXT (not to be compressed), end TEXT (of a fragmented message), say TEXT
 *   post TOKEN TEXT, timer TOKEN AFTER EVERY, work TOKEN and the same with "h" in front for [home]
 *   cancel (the last timer), go (lets the work end), thread COMMAND (does it in another thread), where, topics
 *   define NAME KIND, retain (keeps copies of the message, 80 at most), release, close TEXT, fill (the pool), many (topics), misuse */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gw_handler.h"

#ifndef ERRANDS_FLAGS
#define ERRANDS_FLAGS GW_HF_STATELESS
#endif

struct instance {
    const gw_host *host;
    gw_instance number;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int going;
    gw_timer timer;
    gw_buf *kept[80];
    int keeping;
};

static void say(const struct instance *self, gw_conn conn, const char *text) {
    self->host->send(self->host, conn, GW_TEXT, 0, text, strlen(text));
}

static void allow(struct instance *self) {
    pthread_mutex_lock(&self->lock);
    self->going += 1;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->lock);
}

static gw_status publish(const struct instance *self, const char *topic, uint32_t flags, const void *bytes, size_t count,
                         gw_conn except, uint32_t *reached) {
    return self->host->publish(self->host, self->number, topic, strlen(topic), GW_TEXT, flags, bytes, count, except,
                               reached);
}

static gw_status flood(const struct instance *self, const char *topic, long count, long size) {
    char *block = malloc((size_t)size + 1);
    gw_status status = GW_OK;
    memset(block, 'x', (size_t)size);
    for (long i = 0; i < count && status >= 0; i += 1) {
        status = publish(self, topic, 0, block, (size_t)size, 0, NULL);
    }
    free(block);
    return status;
}

static void misuse(struct instance *self, gw_conn conn) {
    const gw_host *h = self->host;
    char name[300], list[512];
    int at = 0;
    memset(name, 'n', sizeof name);
#define TRY(call) at += snprintf(list + at, sizeof list - (size_t)at, "%d ", (int)(call))
    TRY(h->subscribe(h, conn, 0, NULL, 1));
    TRY(h->subscribe(h, conn, 0, "", 0));
    TRY(h->subscribe(h, conn, 0, "\xff", 1));
    TRY(h->subscribe(h, conn, 0, name, 256));
    TRY(h->subscribe(h, conn, 0, name, SIZE_MAX));
    TRY(h->subscribe(h, conn + 2, 0, "t", 1));
    TRY(h->unsubscribe(h, conn, 0, "never", 5));
    TRY(h->publish(h, 999999, "t", 1, GW_TEXT, 0, "x", 1, 0, NULL));
    TRY(h->publish(h, self->number, "t", 1, 7, 0, "x", 1, 0, NULL));
    TRY(h->publish(h, self->number, "t", 1, GW_TEXT, 0, "\xff", 1, 0, NULL));
    TRY(h->publish(h, self->number, "t", 1, GW_TEXT, 0, NULL, 1, 0, NULL));
    TRY(h->publish(h, self->number, "nobody", 6, GW_TEXT, 0, "x", 1, 0, NULL));
    TRY(h->post(h, 999999, conn, 1, "x", 1));
    TRY(h->post(h, self->number, conn + 2, 1, "x", 1));
    TRY(h->post(h, self->number, conn, 1, NULL, 1));
    TRY(h->timer_start(h, 999999, conn, 1, 1, 0) == 0);
    TRY(h->timer_start(h, self->number, conn + 2, 1, 1, 0) == 0);
    TRY(h->timer_cancel(h, 0));
    TRY(h->timer_cancel(h, UINT64_MAX));
    TRY(h->offload(h, 999999, conn, 1, NULL));
    TRY(h->offload(h, self->number, conn + 2, 1, NULL));
    TRY(h->publish(NULL, self->number, "t", 1, GW_TEXT, 0, "x", 1, 0, NULL));
#undef TRY
    list[at - 1] = 0;
    say(self, conn, list);
}

static gw_status command(struct instance *self, gw_conn conn, char *text, uint32_t *reached);

struct errand {
    struct instance *self;
    gw_conn conn;
    char *text;
    uint32_t *reached;
    gw_status status;
};

static void *run(void *context) {
    struct errand *errand = context;
    errand->status = command(errand->self, errand->conn, errand->text, errand->reached);
    return NULL;
}

static gw_status in_thread(struct instance *self, gw_conn conn, char *text, uint32_t *reached) {
    struct errand errand = {self, conn, text, reached, GW_E_FAILED};
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, &errand) == 0) {
        pthread_join(thread, NULL);
    }
    return errand.status;
}

static gw_status ask_later(struct instance *self, gw_conn conn, const char *verb, char *rest) {
    const gw_host *h = self->host;
    unsigned long long token = 0;
    unsigned after = 0, every = 0;
    int at = 0;
    sscanf(rest, "%llu%n", &token, &at);
    if (strcmp(verb, "post") == 0) {
        const char *data = rest[at] == ' ' ? rest + at + 1 : "";
        return h->post(h, self->number, conn, token, data, strlen(data));
    }
    if (strcmp(verb, "timer") == 0) {
        sscanf(rest, "%llu %u %u", &token, &after, &every);
        self->timer = h->timer_start(h, self->number, conn, token, after, every);
        return self->timer != 0 ? GW_OK : GW_E_LIMIT;
    }
    return h->offload(h, self->number, conn, token, self);
}

static gw_status command(struct instance *self, gw_conn conn, char *text, uint32_t *reached) {
    const gw_host *h = self->host;
    char verb[32] = "", topic[64] = "";
    long count = 0, size = 0;
    int at = 0;
    sscanf(text, "%31s%n", verb, &at);
    char *rest = text + at + (text[at] == ' ');
    int home = verb[0] == 'h';
    const char *what = home ? verb + 1 : verb;
    if (strcmp(verb, "thread") == 0) {
        return in_thread(self, conn, rest, reached);
    }
    if (strcmp(verb, "sub") == 0 || strcmp(verb, "gsub") == 0) {
        return h->subscribe(h, conn, verb[0] == 'g' ? GW_GLOBAL_TOPIC : 0, rest, strlen(rest));
    }
    if (strcmp(verb, "unsub") == 0) {
        return h->unsubscribe(h, conn, 0, rest, strlen(rest));
    }
    if (strcmp(verb, "pub") == 0 || strcmp(verb, "gpub") == 0 || strcmp(verb, "pubx") == 0 || strcmp(verb, "npub") == 0) {
        sscanf(rest, "%63s%n", topic, &at);
        const char *data = rest + at + (rest[at] == ' ');
        uint32_t flags = verb[0] == 'g' ? GW_GLOBAL_TOPIC : verb[0] == 'n' ? GW_NO_COMPRESS : 0;
        return publish(self, topic, flags, data, strlen(data), verb[3] == 'x' ? conn : 0, reached);
    }
    if (strcmp(verb, "flood") == 0) {
        sscanf(rest, "%63s %ld %ld", topic, &count, &size);
        return flood(self, topic, count, size);
    }
    if (strcmp(verb, "many") == 0) {
        gw_status status = GW_OK;
        for (int i = 0; i < 1000 && status >= 0; i += 1) {
            snprintf(topic, sizeof topic, "%d", i);
            status = h->subscribe(h, conn, 0, topic, strlen(topic));
            *reached = (uint32_t)i;
        }
        return status;
    }
    if (strcmp(verb, "open") == 0 || strcmp(verb, "nopen") == 0) {
        uint32_t flags = GW_FIRST | (verb[0] == 'n' ? GW_NO_COMPRESS : 0);
        return h->send_fragment(h, conn, GW_TEXT, flags, rest, strlen(rest));
    }
    if (strcmp(verb, "end") == 0) {
        return h->send_fragment(h, conn, GW_TEXT, GW_FIN, rest, strlen(rest));
    }
    if (strcmp(verb, "say") == 0) {
        return h->send(h, conn, GW_TEXT, 0, rest, strlen(rest));
    }
    if (strcmp(verb, "close") == 0) {
        return h->close(h, conn, 1000, rest, strlen(rest));
    }
    if (strcmp(what, "post") == 0 || strcmp(what, "timer") == 0 || strcmp(what, "work") == 0) {
        return ask_later(self, home ? 0 : conn, what, rest);
    }
    if (strcmp(verb, "fill") == 0) {
        gw_status status = GW_OK;
        for (*reached = 0; status >= 0; *reached += 1) {
            status = h->offload(h, self->number, 0, 7, NULL);
        }
        *reached -= 1;
        return status;
    }
    if (strcmp(verb, "cancel") == 0) {
        return h->timer_cancel(h, self->timer);
    }
    if (strcmp(verb, "go") == 0) {
        allow(self);
        return GW_OK;
    }
    if (strcmp(verb, "topics") == 0) {
        gw_conn_info info = {.struct_size = sizeof info};
        gw_status status = h->conn_info(h, conn, &info);
        *reached = info.topics;
        return status;
    }
    if (strcmp(verb, "define") == 0) {
        const gw_ext_metrics *metrics = h->get_extension(h, GW_EXT_METRICS);
        sscanf(rest, "%63s %ld", topic, &count);
        *reached = metrics == NULL ? 0 : metrics->define(h, self->number, (int32_t)count, topic, "help");
        return metrics == NULL ? GW_E_UNSUPPORTED : GW_OK;
    }
    if (strcmp(verb, "where") == 0) {
        const gw_ext_thread_check *check = h->get_extension(h, GW_EXT_THREAD_CHECK);
        return check == NULL ? GW_E_UNSUPPORTED : (gw_status)check->is_conn_thread(h, conn);
    }
    return GW_E_NOTFOUND;
}

/* ---- callbacks */

static gw_status start(const gw_host *host, const gw_config *config, void **out) {
    struct instance *self = calloc(1, sizeof *self);
    self->host = host;
    self->number = config->instance;
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->changed, NULL);
    *out = self;
    gw_str value;
    if (host->config_get(host, config, "early", &value) == GW_OK && (config->flags & GW_CFG_PROBE) == 0) {
        host->post(host, self->number, 0, 77, "early", 5);
    }
    return GW_OK;
}

static void stop(void *context) {
    struct instance *self = context;
    pthread_mutex_destroy(&self->lock);
    pthread_cond_destroy(&self->changed);
    free(self);
}

static void opened(void *context, gw_conn conn, void *state, const gw_request *request) {
    const struct instance *self = context;
    char text[64];
    (void)state, (void)request;
    snprintf(text, sizeof text, "generation %llu worker %u", (unsigned long long)self->host->generation,
             (unsigned)(conn >> 56));
    say(self, conn, text);
}

static void message(void *context, gw_conn conn, void *state, const gw_message *message) {
    struct instance *self = context;
    char text[4096], answer[64];
    uint32_t reached = 0;
    (void)state;
    size_t length = message->data.len < sizeof text - 1 ? message->data.len : sizeof text - 1;
    if (length > 0) {
        memcpy(text, message->data.ptr, length);
    }
    text[length] = 0;
    if (strcmp(text, "misuse") == 0) {
        misuse(self, conn);
        return;
    }
    if (strcmp(text, "which") == 0) {
        opened(context, conn, state, NULL);
        return;
    }
    if (strncmp(text, "retain", 6) == 0) {
        gw_buf *kept = NULL;
        int before = self->keeping;
        while (self->keeping < 80 && (kept = self->host->buf_retain(self->host, message->buf)) != NULL) {
            self->kept[self->keeping] = kept;
            self->keeping += 1;
        }
        snprintf(answer, sizeof answer, "kept %d", self->keeping - before);
        say(self, conn, answer);
        return;
    }
    if (strcmp(text, "release") == 0) {
        while (self->keeping > 0) {
            self->keeping -= 1;
            self->host->buf_release(self->host, self->kept[self->keeping]);
        }
        say(self, conn, "released");
        return;
    }
    int told = text[0] == '!';
    gw_status status = command(self, conn, text + told, &reached);
    if (told) {
        snprintf(answer, sizeof answer, "= %d %u", status, reached);
        say(self, conn, answer);
    }
}

static void event(void *context, gw_conn conn, void *state, const gw_event *event) {
    struct instance *self = context;
    char text[256];
    (void)state;
    int length = snprintf(text, sizeof text, "%s %u %llu %.*s%d generation %llu", conn != 0 ? "event" : "home", event->kind,
                          (unsigned long long)event->token, (int)event->data.len,
                          event->data.ptr != NULL ? (const char *)event->data.ptr : "", event->status,
                          (unsigned long long)self->host->generation);
    if (conn != 0) {
        say(self, conn, text);
    } else {
        publish(self, "home", GW_GLOBAL_TOPIC, text, (size_t)length, 0, NULL);
    }
}

/* Takes as long as somebody says "go" once for it, but with token 9 it is done at once. */
static gw_status work(void *context, gw_conn conn, uint64_t token, void *pointer) {
    struct instance *self = context;
    (void)conn;
    if (token == 9) {
        return pointer == self ? 9 : GW_E_FAILED;
    }
    pthread_mutex_lock(&self->lock);
    while (self->going == 0) {
        pthread_cond_wait(&self->changed, &self->lock);
    }
    if (token != 7) {
        self->going -= 1;
    }
    pthread_mutex_unlock(&self->lock);
    return 42;
}

static const gw_handler handler = {
    .struct_size = sizeof handler,
    .abi_version = GW_ABI_VERSION,
    .min_host_abi = 0x10000,
    .flags = ERRANDS_FLAGS,
    .name = "errands",
    .version = "1.0.0",
    .sdk = "c",
    .start = start,
    .stop = stop,
    .open = opened,
    .message = message,
    .event = event,
    .work = work,
};

const gw_handler *gw_handler_entry_v1(const gw_host *host) {
    (void)host;
    return &handler;
}

/* Members of topics, and publishers, as a test wants them. A message is a line of words and the octets of a topic, and of
 * a payload, behind it; each is answered by a text that begins with the same letter.
 *
 *   S flags length        subscribes: the status
 *   U flags length        unsubscribes: the status
 *   P flags length kind except    publishes the payload, to all but the asker where except is 1: status, reached
 *   N flags length kind first count size    publishes numbers behind the payload, filled up to a size: how many were
 *                         answered OK, BACKPRESSURE, DROPPED and something else
 *   F flags length kind   a thread publishes the payload without a pause, until Q: 0
 *   Q                     ends that: how often it published
 *   H                     hears from now on of each GW_EV_GAP: "! " and the name of the topic
 *   G                     how many there were
 *   W                     the callback waits for the end of the file that the payload names: 0
 *   E                     the payload again
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gw_handler.h"

/* A build of its own for each generation that a test wants. */
#ifndef GENERATION
#define GENERATION "1"
#endif

static const gw_host *host;

enum { HEARERS = 64 };

struct crowd {
    gw_instance instance;
    pthread_mutex_t lock;
    gw_conn hearers[HEARERS];
    int hearing;
    atomic_llong gaps, published;
    atomic_int floods;
    pthread_t flood;
    uint32_t flags, kind;
    size_t topic_length, length;
    char *bytes; /* of the flood: its topic, and its payload */
};

struct request {
    unsigned flags, kind, except;
    long long first, count;
    size_t length, size;
    const char *topic, *payload;
    size_t payload_length;
};

static gw_status begin(const gw_host *h, const gw_config *config, void **self) {
    struct crowd *crowd = calloc(1, sizeof *crowd);
    if (crowd == NULL) return GW_E_NOMEM;
    crowd->instance = config->instance;
    pthread_mutex_init(&crowd->lock, NULL);
    *self = crowd;
    return GW_OK;
}

static void answer(gw_conn c, const char *text) { host->send(host, c, GW_TEXT, 0, text, strlen(text)); }

static void number(struct crowd *crowd, gw_conn c, const struct request *r) {
    long long counts[4] = {0};
    size_t room = (r->size > r->payload_length ? r->size : r->payload_length) + 32;
    char text[96], *bytes = malloc(room);
    if (bytes == NULL) return;
    memcpy(bytes, r->payload, r->payload_length);
    for (long long at = r->first; at < r->first + r->count; at++) {
        size_t length = r->payload_length + (size_t)sprintf(bytes + r->payload_length, " %lld", at);
        if (length < r->size) {
            memset(bytes + length, ' ', r->size - length);
            length = r->size;
        }
        gw_status status = host->publish(host, crowd->instance, r->topic, r->length, r->kind, r->flags, bytes, length, 0, NULL);
        counts[status == GW_OK ? 0 : status == GW_BACKPRESSURE ? 1 : status == GW_E_DROPPED ? 2 : 3]++;
    }
    free(bytes);
    snprintf(text, sizeof text, "N %lld %lld %lld %lld", counts[0], counts[1], counts[2], counts[3]);
    answer(c, text);
}

static void *flood(void *self) {
    struct crowd *crowd = self;
    while (crowd->floods) {
        host->publish(host, crowd->instance, crowd->bytes, crowd->topic_length, crowd->kind, crowd->flags,
                      crowd->bytes + crowd->topic_length, crowd->length, 0, NULL);
        crowd->published++;
    }
    return NULL;
}

static void begin_flood(struct crowd *crowd, const struct request *r) {
    if (crowd->floods || (crowd->bytes = malloc(r->length + r->payload_length + 1)) == NULL) return;
    memcpy(crowd->bytes, r->topic, r->length + r->payload_length);
    crowd->topic_length = r->length;
    crowd->length = r->payload_length;
    crowd->flags = r->flags;
    crowd->kind = r->kind;
    crowd->floods = 1;
    if (pthread_create(&crowd->flood, NULL, flood, crowd) != 0) abort();
}

static void end_flood(struct crowd *crowd) {
    if (!crowd->floods) return;
    crowd->floods = 0;
    pthread_join(crowd->flood, NULL);
    free(crowd->bytes);
}

static void hear(struct crowd *crowd, gw_conn c) {
    pthread_mutex_lock(&crowd->lock);
    if (crowd->hearing < HEARERS) crowd->hearers[crowd->hearing++] = c;
    pthread_mutex_unlock(&crowd->lock);
}

static void wait_for(const struct request *r) {
    char path[512] = {0}, byte;
    memcpy(path, r->payload, r->payload_length < sizeof path ? r->payload_length : sizeof path - 1);
    int file = open(path, O_RDONLY);
    while (file >= 0 && read(file, &byte, 1) > 0) {}
    if (file >= 0) close(file);
}

static void publish(struct crowd *crowd, gw_conn c, const struct request *r) {
    char text[64];
    uint32_t reached = 0;
    gw_status status = host->publish(host, crowd->instance, r->topic, r->length, r->kind, r->flags, r->payload, r->payload_length,
                                     r->except ? c : 0, &reached);
    snprintf(text, sizeof text, "P %d %u", status, reached);
    answer(c, text);
}

static void obey(struct crowd *crowd, gw_conn c, char what, const struct request *r) {
    char text[64];
    long long told = 0;
    switch (what) {
    case 'P': publish(crowd, c, r); return;
    case 'N': number(crowd, c, r); return;
    case 'E': host->send(host, c, GW_TEXT, 0, r->topic, r->payload_length); return;
    case 'S': told = host->subscribe(host, c, r->flags, r->topic, r->length); break;
    case 'U': told = host->unsubscribe(host, c, r->flags, r->topic, r->length); break;
    case 'F': begin_flood(crowd, r); break;
    case 'Q': end_flood(crowd); told = crowd->published; break;
    case 'H': hear(crowd, c); break;
    case 'G': told = crowd->gaps; break;
    case 'W': wait_for(r); break;
    }
    snprintf(text, sizeof text, "%c %lld", what, told);
    answer(c, text);
}

static void message(void *self, gw_conn c, void *state, const gw_message *m) {
    const char *end = memchr(m->data.ptr, '\n', m->data.len);
    char line[128] = {0}, what = 0;
    struct request r = {0};
    long long word[6] = {0};
    if (end == NULL || (size_t)(end - (const char *)m->data.ptr) >= sizeof line) return;
    memcpy(line, m->data.ptr, (size_t)(end - (const char *)m->data.ptr));
    sscanf(line, "%c %lld %lld %lld %lld %lld %lld", &what, word, word + 1, word + 2, word + 3, word + 4, word + 5);
    r.flags = (unsigned)word[0];
    r.length = (size_t)word[1];
    r.kind = (unsigned)word[2];
    r.except = (unsigned)word[3];
    r.first = word[3];
    r.count = word[4];
    r.size = (size_t)word[5];
    r.topic = end + 1;
    r.payload = r.topic + r.length;
    r.payload_length = m->data.len - (size_t)(r.payload - (const char *)m->data.ptr);
    obey(self, c, what, &r);
}

static void event(void *self, gw_conn c, void *state, const gw_event *event) {
    struct crowd *crowd = self;
    char text[300] = "! ";
    if (event->kind != GW_EV_GAP) return;
    size_t length = event->data.len < 256 ? event->data.len : 256;
    if (length > 0) memcpy(text + 2, event->data.ptr, length);
    crowd->gaps++;
    pthread_mutex_lock(&crowd->lock);
    for (int at = 0; at < crowd->hearing; at++) {
        host->send(host, crowd->hearers[at], GW_TEXT, 0, text, 2 + length);
    }
    pthread_mutex_unlock(&crowd->lock);
}

static void stop(void *self) {
    end_flood(self);
    free(self);
}

static const gw_handler table = {
    GW_HANDLER_INIT, .min_host_abi = GW_ABI(1, 2), .flags = GW_HF_STATELESS | GW_HF_UNLOAD, .name = "crowd", .version = GENERATION,
    .start = begin, .stop = stop, .message = message, .event = event,
};

const gw_handler *gw_handler_entry_v1(const gw_host *h) {
    host = h;
    return &table;
}

/* Publishes the time: what a publication costs, and how long it takes to somebody at another gateway.
 *
 *   s             subscribes
 *   p COUNT SIZE  publishes so many payloads of a size that begin with the nanoseconds of CLOCK_MONOTONIC; the answer is
 *                 a text, behind them */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gw_handler.h"

enum { MOST = 1 << 16 };

static const gw_host *host;

static gw_status begin(const gw_host *h, const gw_config *config, void **self) {
    gw_instance *instance = malloc(sizeof *instance);
    (void)h;
    if (instance == NULL) return GW_E_NOMEM;
    *instance = config->instance;
    *self = instance;
    return GW_OK;
}

static void publish(gw_instance instance, long count, size_t size) {
    static const uint8_t zeros[MOST];
    uint8_t payload[MOST];
    memcpy(payload, zeros, size);
    for (long at = 0; at < count; at++) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        uint64_t stamp = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
        memcpy(payload, &stamp, sizeof stamp);
        host->publish(host, instance, "time", 4, GW_BINARY, 0, payload, size, 0, NULL);
    }
}

static void message(void *self, gw_conn c, void *state, const gw_message *m) {
    char line[64] = {0};
    long count = 0, size = 0;
    (void)state;
    memcpy(line, m->data.ptr, m->data.len < sizeof line ? m->data.len : sizeof line - 1);
    if (line[0] == 's') host->subscribe(host, c, 0, "time", 4);
    else if (sscanf(line, "p %ld %ld", &count, &size) == 2 && size >= 8 && size <= MOST) publish(*(gw_instance *)self, count, (size_t)size);
    host->send(host, c, GW_TEXT, 0, line, 1);
}

static void stop(void *self) { free(self); }

static const gw_handler table = {
    GW_HANDLER_INIT, .flags = GW_HF_STATELESS, .name = "stamp", .version = "1", .start = begin, .message = message, .stop = stop,
};

GW_EXPORT const gw_handler *gw_handler_entry_v1(const gw_host *h) {
    host = h;
    return &table;
}

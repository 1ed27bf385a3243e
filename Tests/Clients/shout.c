/* A handler as a stranger would write it, from gw_handler.h alone: text comes back in capitals. */
#include "gw_handler.h"

#include <stdlib.h>
#include <string.h>

static const gw_host *host;

typedef struct {
    size_t length;
    char mark[8];
} voice;

static gw_status start(const gw_host *h, const gw_config *config, void **self) {
#ifdef REFUSE_TO_START
    (void)config, (void)self;
    h->fail(h, "the voice is gone", strlen("the voice is gone"));
    return GW_E_FAILED;
#else
    voice *v = calloc(1, sizeof *v);
    gw_str mark;
    if (!v) return GW_E_NOMEM;
    if (h->config_get(h, config, "mark", &mark) == GW_OK && mark.len <= sizeof v->mark) {
        v->length = mark.len;
        memcpy(v->mark, mark.ptr, mark.len);
    }
    *self = v;
    return GW_OK;
#endif
}

static void stop(void *self) { free(self); }

static gw_status upgrade(void *self, const gw_request *request) {
    gw_str quiet;
    (void)self;
    return host->req_query(host, request, "quiet", &quiet) == GW_OK ? GW_REJECT : GW_OK;
}

static void message(void *self, gw_conn connection, void *state, const gw_message *m) {
    voice *v = self;
    size_t length = m->data.len + v->length;
    char *loud = malloc(length ? length : 1);
    (void)state;
    if (!loud) {
        host->close(host, connection, 1011, NULL, 0);
        return;
    }
    for (size_t i = 0; i < m->data.len; i++) {
        uint8_t c = m->data.ptr[i];
        loud[i] = (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    }
    memcpy(loud + m->data.len, v->mark, v->length);
    host->send(host, connection, m->kind, 0, loud, length);
    free(loud);
}

static const gw_handler table = {
    .struct_size = sizeof table,
    .abi_version = GW_ABI_VERSION,
    .min_host_abi = 1u << 16,
    .name = "shout",
    .version = "1.0",
    .start = start,
    .stop = stop,
    .upgrade = upgrade,
    .message = message,
};

const gw_handler *gw_handler_entry_v1(const gw_host *h) {
    host = h;
    return &table;
}

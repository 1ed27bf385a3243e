/* Echoes. Where the message is the path of a FIFO it waits first until somebody writes to that; at "crash" it does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gw_handler.h"

static const gw_host *host;

static gw_status start(const gw_host *h, const gw_config *config, void **self) {
    (void)h, (void)config, (void)self;
    return GW_OK;
}

static void message(void *self, gw_conn connection, void *state, const gw_message *m) {
    char path[256];
    (void)self, (void)state;
    snprintf(path, sizeof path, "%.*s", (int)m->data.len, (const char *)m->data.ptr);
    if (strcmp(path, "crash") == 0) abort();
    FILE *pipe = path[0] == '/' ? fopen(path, "r") : NULL;
    if (pipe != NULL) {
        (void)fgetc(pipe);
        fclose(pipe);
    }
    host->send(host, connection, m->kind, 0, m->data.ptr, m->data.len);
}

static const gw_handler table = {
    .struct_size = sizeof table, .abi_version = GW_ABI_VERSION, .min_host_abi = 0x10000,
    .name = "sleeper", .version = "1.0", .start = start, .message = message,
};

const gw_handler *gw_handler_entry_v1(const gw_host *h) { host = h; return &table; }

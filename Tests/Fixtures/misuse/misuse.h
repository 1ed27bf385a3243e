/* A handler that keeps to the contract but for one thing, which each misuse_* fixture adds. It echoes. */
#ifndef MISUSE_H
#define MISUSE_H

#include "gw_handler.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const gw_host *host;

static gw_status start(const gw_host *h, const gw_config *config, void **self) {
    (void)h;
    (void)config;
    *self = NULL;
    return GW_OK;
}

static inline void echo(gw_conn conn, const gw_message *message) {
    host->send(host, conn, message->kind, 0, message->data.ptr, message->data.len);
}

#ifndef MISUSE_MESSAGE
#define MISUSE_MESSAGE message
static void message(void *self, gw_conn conn, void *state, const gw_message *message) {
    (void)self;
    (void)state;
    echo(conn, message);
}
#endif

#ifndef MISUSE_MORE
#define MISUSE_MORE .flags = GW_HF_STATELESS
#endif

#define MISUSE_TABLE(title)                                                                                   \
    static const gw_handler handler = {                                                                       \
        .struct_size = sizeof handler,                                                                        \
        .abi_version = GW_ABI_VERSION,                                                                        \
        .min_host_abi = 0x10000,                                                                              \
        .name = title,                                                                                        \
        .version = "1.0",                                                                                     \
        .sdk = "c",                                                                                           \
        .start = start,                                                                                       \
        .message = MISUSE_MESSAGE,                                                                            \
        MISUSE_MORE,                                                                                          \
    };                                                                                                        \
    const gw_handler *gw_handler_entry_v1(const gw_host *h) {                                                 \
        host = h;                                                                                             \
        return &handler;                                                                                      \
    }

#endif

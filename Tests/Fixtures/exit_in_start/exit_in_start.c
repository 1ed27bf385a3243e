/* Mistake: it ends the process instead of answering an error. */
#include <stdlib.h>
#include "gw_handler.h"

static gw_status start(const gw_host *host, const gw_config *config, void **self) {
    (void)host;
    (void)config;
    (void)self;
    exit(3);
    return GW_OK;
}

static void stop(void *self) {
    (void)self;
}

static void message(void *self, gw_conn conn, void *state, const gw_message *message) {
    (void)self;
    (void)conn;
    (void)state;
    (void)message;
}

static const gw_handler handler = {
    .struct_size = sizeof handler,
    .abi_version = GW_ABI_VERSION,
    .min_host_abi = 0x10000,
    .name = "exit_in_start",
    .version = "1.0",
    .start = start,
    .stop = stop,
    .message = message,
};

const gw_handler *gw_handler_entry_v1(const gw_host *host) {
    (void)host;
    return &handler;
}

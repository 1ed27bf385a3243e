/* Mistake: the first entry answers with a table of the second major version. */
#include "gw_handler.h"

static gw_status start(const gw_host *host, const gw_config *config, void **self) {
    (void)host;
    (void)config;
    *self = NULL;
    return GW_OK;
}

static void message(void *self, gw_conn conn, void *state, const gw_message *message) {
    (void)self;
    (void)conn;
    (void)state;
    (void)message;
}

static const gw_handler handler = {
    .struct_size = sizeof handler,
    .abi_version = 0x20000,
    .min_host_abi = 0x10000,
    .name = "newer_major",
    .version = "1.0",
    .start = start,
    .message = message,
};

const gw_handler *gw_handler_entry_v1(const gw_host *host) {
    (void)host;
    return &handler;
}

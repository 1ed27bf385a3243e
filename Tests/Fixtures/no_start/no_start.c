/* Mistake: it listens, but cannot be started. */
#include "gw_handler.h"

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
    .name = "no_start",
    .version = "1.0",
    .message = message,
};

const gw_handler *gw_handler_entry_v1(const gw_host *host) {
    (void)host;
    return &handler;
}

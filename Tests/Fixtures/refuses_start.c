/* Mistake: the route lacks what the handler needs. With any setting at all it does not even say so. */
#include "gw_handler.h"

static gw_status start(const gw_host *host, const gw_config *config, void **self) {
    static const char why[] = "the setting \"room\" is missing";
    (void)self;
    if (config->values.len == 0) {
        host->fail(host, why, sizeof why - 1);
    }
    return GW_E_INVALID;
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
    .name = "refuses_start",
    .version = "1.0",
    .start = start,
    .message = message,
};

const gw_handler *gw_handler_entry_v1(const gw_host *host) {
    (void)host;
    return &handler;
}

/* Mistake: it starts, but listens to nothing. */
#include "gw_handler.h"

static gw_status start(const gw_host *host, const gw_config *config, void **self) {
    (void)host;
    (void)config;
    *self = NULL;
    return GW_OK;
}

static const gw_handler handler = {
    .struct_size = sizeof handler,
    .abi_version = GW_ABI_VERSION,
    .min_host_abi = 0x10000,
    .name = "no_callbacks",
    .version = "1.0",
    .start = start,
};

const gw_handler *gw_handler_entry_v1(const gw_host *host) {
    (void)host;
    return &handler;
}

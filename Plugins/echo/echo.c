/* The smallest handler: what comes in goes out. It needs nothing but the header. */
#include "gw_handler.h"

/* Of this generation; every generation is an image of its own, so this is never shared with another one. */
static const gw_host *host;

static gw_status start(const gw_host *h, const gw_config *config, void **self) {
    (void)h;
    (void)config;
    *self = NULL;
    return GW_OK;
}

/* The result of send is left alone on purpose: a closed connection needs no echo, and above the high-water mark the
 * gateway's `slow_consumer` setting decides. */
static void message(void *self, gw_conn conn, void *state, const gw_message *message) {
    (void)self;
    (void)state;
    host->send(host, conn, message->kind, 0, message->data.ptr, message->data.len);
}

static const gw_handler handler = {
    GW_HANDLER_INIT,
    .min_host_abi = GW_ABI(1, 0), /* nothing newer is used */
    .flags = GW_HF_UNLOAD | GW_HF_STATELESS,
    .name = "echo",
    .version = "1.0",
    .sdk = "c",
    .start = start,
    .message = message,
};

const gw_handler *gw_handler_entry_v1(const gw_host *h) {
    host = h;
    return &handler;
}

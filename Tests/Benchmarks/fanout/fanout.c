/* The handler of the fan-out benchmark: everybody hears what anybody says. */
#include "gw_handler.h"

struct instance {
    const gw_host *host;
    gw_instance number;
};

static struct instance only;

static gw_status start(const gw_host *host, const gw_config *config, void **self) {
    only = (struct instance){host, config->instance};
    *self = &only;
    return GW_OK;
}

static void opened(void *context, gw_conn conn, void *state, const gw_request *request) {
    const struct instance *self = context;
    (void)state, (void)request;
    self->host->subscribe(self->host, conn, 0, "all", 3);
}

static void message(void *context, gw_conn conn, void *state, const gw_message *message) {
    const struct instance *self = context;
    (void)conn, (void)state;
    self->host->publish(self->host, self->number, "all", 3, message->kind, 0, message->data.ptr, message->data.len, 0,
                        NULL);
}

static const gw_handler handler = {
    .struct_size = sizeof handler,
    .abi_version = GW_ABI_VERSION,
    .flags = GW_HF_STATELESS,
    .name = "fanout",
    .version = "1.0.0",
    .start = start,
    .open = opened,
    .message = message,
};

const gw_handler *gw_handler_entry_v1(const gw_host *host) {
    (void)host;
    return &handler;
}

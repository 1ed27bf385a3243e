/* No mistake. It writes what it hears to the descriptor in `set tell`, and start() waits for the end of file of the
 * descriptor in `set wait`: so a test decides how long start() takes, without a clock. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "gw_handler.h"

struct instance {
    int tell;
};

static int setting(const gw_config *config, const char *key) {
    for (size_t i = 0; i < config->values.len; i += 1) {
        gw_kv entry = config->values.ptr[i];
        char digits[12] = {0};
        if (entry.key.len == strlen(key) && memcmp(entry.key.ptr, key, entry.key.len) == 0 &&
            entry.value.len < sizeof digits) {
            memcpy(digits, entry.value.ptr, entry.value.len);
            return atoi(digits);
        }
    }
    return -1;
}

static void tell(const struct instance *instance, const void *bytes, size_t len) {
    if (instance->tell >= 0 && write(instance->tell, bytes, len) < 0) {
        abort();
    }
}

static gw_status start(const gw_host *host, const gw_config *config, void **self) {
    struct instance *instance = malloc(sizeof *instance);
    char byte;
    int wait = setting(config, "wait");
    (void)host;
    if (instance == NULL) {
        return GW_E_NOMEM;
    }
    instance->tell = setting(config, "tell");
    while (wait >= 0 && read(wait, &byte, 1) > 0) {
    }
    tell(instance, config->route.ptr, config->route.len);
    tell(instance, " ", 1);
    tell(instance, config->origin.ptr, config->origin.len);
    tell(instance, " start ", 7);
    *self = instance;
    return GW_OK;
}

static gw_status reconfigure(void *self, const gw_config *config) {
    (void)config;
    tell(self, "reconfigure ", 12);
    return GW_E_UNSUPPORTED;
}

static void stop(void *self) {
    tell(self, "stop", 4);
    free(self);
}

static void message(void *self, gw_conn conn, void *state, const gw_message *message) {
    (void)conn;
    (void)state;
    tell(self, message->data.ptr, message->data.len);
}

static const gw_handler handler = {
    .struct_size = sizeof handler,
    .abi_version = GW_ABI_VERSION,
    .min_host_abi = 0x10000,
    .flags = GW_HF_SERIAL,
    .name = "works",
    .version = "2.1.0",
    .sdk = "c",
    .state_format = 0x776f726b73,
    .state_version = 7,
    .start = start,
    .reconfigure = reconfigure,
    .stop = stop,
    .message = message,
};

const gw_handler *gw_handler_entry_v1(const gw_host *host) {
    (void)host;
    return &handler;
}

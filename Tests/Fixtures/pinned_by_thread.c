/* Mistake: the author vouches that it can be unloaded, but it leaves a destructor with the thread, as thread_local
 * objects of C++ and Rust do. */
#include "gw_handler.h"

extern int __cxa_thread_atexit_impl(void (*destructor)(void *), void *object, void *image);
extern void *__dso_handle;

static void destroy(void *object) { (void)object; }

static gw_status start(const gw_host *host, const gw_config *config, void **self) {
    (void)host;
    (void)config;
    (void)self;
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
    .abi_version = GW_ABI_VERSION,
    .min_host_abi = 0x10000,
    .flags = GW_HF_UNLOAD,
    .name = "pinned_by_thread",
    .version = "1.0",
    .start = start,
    .message = message,
};

const gw_handler *gw_handler_entry_v1(const gw_host *host) {
    (void)host;
    if (__cxa_thread_atexit_impl(destroy, &__dso_handle, &__dso_handle) != 0) {
        return NULL;
    }
    return &handler;
}

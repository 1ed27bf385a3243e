/* A handler that behaves in its probe process, and not in the gateway: LIVE_DECLINES and LIVE_HANGS_ENTRY, the entry;
 * LIVE_HANGS_START and LIVE_REFUSES, start.
 *
 * Nothing tells an entry where it runs, but the copy that it was loaded from is opened by the probe first: what was
 * there before leaves a file beside it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gw_handler.h"

static void hang(void) {
    for (;;) {
        pause();
    }
}

static int is_first_time(void) {
    Dl_info self;
    char path[4096];
    if (dladdr((void *)hang, &self) == 0) return 1;
    snprintf(path, sizeof path, "%s.seen", self.dli_fname);
    int file = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (file < 0) return 0;
    close(file);
    return 1;
}

static gw_status start(const gw_host *host, const gw_config *config, void **self) {
    (void)self;
    if ((config->flags & GW_CFG_PROBE) != 0) return GW_OK;
#ifdef LIVE_HANGS_START
    hang();
#endif
#ifdef LIVE_REFUSES
    host->fail(host, "the port is taken", strlen("the port is taken"));
    return GW_E_FAILED;
#else
    (void)host;
    return GW_OK;
#endif
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
    .name = "live",
    .version = "1.0",
    .start = start,
    .message = message,
};

const gw_handler *gw_handler_entry_v1(const gw_host *host) {
    if (is_first_time()) return &handler;
#ifdef LIVE_HANGS_ENTRY
    hang();
#endif
#ifdef LIVE_DECLINES
    host->fail(host, "not twice", strlen("not twice"));
    return NULL;
#else
    (void)host;
    return &handler;
#endif
}

/* Mistake: it crashes inside dlopen, before the gateway could object to anything. Only a probe process survives it. */
#include <stdlib.h>
#include "gw_handler.h"

__attribute__((constructor)) static void crash(void) { abort(); }

const gw_handler *gw_handler_entry_v1(const gw_host *host) {
    (void)host;
    return NULL;
}

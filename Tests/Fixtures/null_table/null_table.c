/* Mistake: the entry declines, and says why. */
#include "gw_handler.h"

const gw_handler *gw_handler_entry_v1(const gw_host *host) {
    static const char why[] = "the licence file is missing";
    host->fail(host, why, sizeof why - 1);
    return NULL;
}

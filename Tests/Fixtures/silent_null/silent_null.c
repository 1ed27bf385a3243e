/* Mistake: the entry declines without a word. */
#include "gw_handler.h"

const gw_handler *gw_handler_entry_v1(const gw_host *host) {
    (void)host;
    return NULL;
}

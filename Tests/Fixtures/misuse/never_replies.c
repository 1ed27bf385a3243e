/* Promises an answer to plain requests and gives none. */
#include "gw_handler.h"
static gw_status defers(void *self, const gw_request *request);
#define MISUSE_MORE .flags = GW_HF_STATELESS, .http = defers
#include "misuse.h"

static gw_status defers(void *self, const gw_request *request) {
    (void)self;
    (void)request;
    return GW_DEFER;
}

MISUSE_TABLE("never_replies")

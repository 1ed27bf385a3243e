/* Answers each request twice. */
#define MISUSE_MORE .flags = GW_HF_STATELESS, .upgrade = twice
#include "gw_handler.h"
static gw_status twice(void *self, const gw_request *request);
#include "misuse.h"

static gw_status twice(void *self, const gw_request *request) {
    (void)self;
    const gw_reply yes = {.struct_size = sizeof yes, .status = 101};
    host->reply(host, request->ticket, &yes);
    host->reply(host, request->ticket, &yes);
    return GW_DEFER;
}

MISUSE_TABLE("second_reply")

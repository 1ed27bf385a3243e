/* Dies in stop(). */
#include "gw_handler.h"
static void stops(void *self);
#define MISUSE_MORE .flags = GW_HF_STATELESS, .stop = stops
#include "misuse.h"

static void stops(void *self) {
    (void)self;
    /* The probe process stops what it starts, and would find it out before anybody is served. */
    if (host->generation > 1) {
        abort();
    }
}

MISUSE_TABLE("stop_crashes")

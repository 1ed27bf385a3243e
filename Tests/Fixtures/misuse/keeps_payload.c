/* Sends what it was lent in the callback before. */
#define MISUSE_MESSAGE keeps
#include "misuse.h"

static _Thread_local const uint8_t *kept;
static _Thread_local size_t length;

static void keeps(void *self, gw_conn conn, void *state, const gw_message *message) {
    (void)self;
    (void)state;
    if (kept != NULL) {
        host->send(host, conn, GW_BINARY, 0, kept, length);
    }
    kept = message->data.ptr;
    length = message->data.len;
}

MISUSE_TABLE("keeps_payload")

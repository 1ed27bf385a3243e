/* Reads through NULL when a message is binary. */
#define MISUSE_MESSAGE crashes
#include "misuse.h"

static void crashes(void *self, gw_conn conn, void *state, const gw_message *message) {
    (void)self;
    (void)state;
    if (message->kind == GW_BINARY) {
        *(volatile int *)NULL = 1;
    }
    echo(conn, message);
}

MISUSE_TABLE("crashes")

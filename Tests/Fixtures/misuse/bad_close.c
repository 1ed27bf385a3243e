/* Closes with a code that may not be sent. */
#define MISUSE_MESSAGE closes
#include "misuse.h"

static void closes(void *self, gw_conn conn, void *state, const gw_message *message) {
    (void)self;
    (void)state;
    if (message->data.len == 0) {
        host->close(host, conn, 1006, NULL, 0);
    }
    echo(conn, message);
}

MISUSE_TABLE("bad_close")

/* Closes, and then says why. */
#define MISUSE_MESSAGE closes
#include "misuse.h"

static void closes(void *self, gw_conn conn, void *state, const gw_message *message) {
    (void)self;
    (void)state;
    if (message->kind == GW_TEXT) {
        echo(conn, message);
        return;
    }
    host->close(host, conn, 1003, NULL, 0);
    host->send(host, conn, GW_TEXT, 0, "text only", 9);
}

MISUSE_TABLE("sends_after_close")

/* Never comes back from a text of 1,000 bytes. */
#define MISUSE_MESSAGE hangs
#include "misuse.h"

static void hangs(void *self, gw_conn conn, void *state, const gw_message *message) {
    (void)self;
    (void)state;
    struct timespec pause = {.tv_sec = 1};
    while (message->data.len == 1000) {
        nanosleep(&pause, NULL);
    }
    echo(conn, message);
}

MISUSE_TABLE("hangs")

/* Is busy for 200 ms with a message of 20 bytes. */
#define MISUSE_MESSAGE blocks
#include "misuse.h"

static void blocks(void *self, gw_conn conn, void *state, const gw_message *message) {
    (void)self;
    (void)state;
    if (message->data.len == 20) {
        struct timespec pause = {.tv_nsec = 200 * 1000 * 1000};
        nanosleep(&pause, NULL);
    }
    echo(conn, message);
}

MISUSE_TABLE("blocks")

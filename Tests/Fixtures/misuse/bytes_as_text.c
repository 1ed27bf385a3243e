/* Sends bytes back as text. */
#define MISUSE_MESSAGE sends
#include "misuse.h"

static void sends(void *self, gw_conn conn, void *state, const gw_message *message) {
    (void)self;
    (void)state;
    host->send(host, conn, GW_TEXT, 0, message->data.ptr, message->data.len);
}

MISUSE_TABLE("bytes_as_text")

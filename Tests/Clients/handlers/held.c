/* "stream" subscribes and begins a fragment stream; anything else is published, and answered with how many it reached. */
#include "common.h"

static void message(void *self, gw_conn c, void *state, const gw_message *m) {
    if (begins(m, "stream")) {
        host->subscribe(host, c, 0, "t", 1);
        host->send_fragment(host, c, GW_TEXT, 0, "part", 4);
        return;
    }
    uint32_t reached = 0;
    host->publish(host, instance, "t", 1, GW_BINARY, 0, m->data.ptr, m->data.len, 0, &reached);
    say(c, reached);
}

static void close_client(void *self, gw_conn c, void *state, const gw_close *info) { tell("closed", info->code); }

TABLE("held", .message = message, .close = close_client)

/* "watch" subscribes a client that reads nothing, "join" a reader; "fill" publishes 4,000 bytes to all; "round" publishes
 * 4 times 14,000 bytes to all but the watched one and 20 bytes to all, in one turn. Each is answered with what the watched
 * one is charged. */
#include "common.h"

static gw_conn watched;
static char bytes[14000];

static void publish(size_t count, gw_conn except) {
    host->publish(host, instance, "t", 1, GW_BINARY, 0, bytes, count, except, NULL);
}

static void message(void *self, gw_conn c, void *state, const gw_message *m) {
    if (begins(m, "watch")) watched = c;
    if (begins(m, "watch") || begins(m, "join")) host->subscribe(host, c, 0, "t", 1);
    if (begins(m, "fill")) publish(4000, 0);
    if (begins(m, "round")) {
        for (int i = 0; i < 4; i++) publish(sizeof bytes, watched);
        publish(20, 0);
    }
    gw_conn_info info = {.struct_size = sizeof info};
    host->conn_info(host, watched, &info);
    say(c, (long long)info.queued_bytes);
}

TABLE("except", .message = message)

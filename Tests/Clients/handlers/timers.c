/* The usual idle timer, cancelled and started anew: "N" does that N times, "+N" starts N timers that are due in an hour. */
#include "common.h"

static void message(void *self, gw_conn c, void *state, const gw_message *m) {
    char text[32] = {0};
    memcpy(text, m->data.ptr, m->data.len < 31 ? m->data.len : 31);
    int adds = text[0] == '+', count = atoi(text);
    gw_timer timer = (gw_timer)(uintptr_t)state;
    for (int i = 0; i < count; i++) {
        if (!adds && timer) host->timer_cancel(host, timer);
        timer = host->timer_start(host, instance, c, 1, 3600 * 1000, 0);
    }
    host->conn_set_state(host, c, (void *)(uintptr_t)timer);
    say(c, count);
}

static void event(void *self, gw_conn c, void *state, const gw_event *event) {}

TABLE("timers", .message = message, .event = event)

/* "WHAT N" makes one call with N of what that call limits, and answers its status; "timers N" starts N timers and answers
 * how many were started. The lengths are those of bytes that need no escape and are UTF-8. */
#include "common.h"

static char letters[8192];

static gw_status call(gw_conn c, const char *what, size_t n) {
    if (strcmp(what, "ping") == 0) return host->ping(host, c, letters, n);
    if (strcmp(what, "pong") == 0) return host->pong(host, c, letters, n);
    if (strcmp(what, "reason") == 0) return host->close(host, c, 4000, letters, n);
    if (strcmp(what, "subscribe") == 0) return host->subscribe(host, c, 0, letters, n);
    if (strcmp(what, "publish") == 0)
        return host->publish(host, instance, letters, n, GW_TEXT, 0, "x", 1, c, NULL);
    if (strcmp(what, "log") == 0) {
        host->log(host, 0, GW_LOG_INFO, letters, n);
        return GW_OK;
    }
    if (strcmp(what, "timers") == 0) {
        gw_status started = 0;
        for (size_t i = 0; i < n; i++) started += host->timer_start(host, instance, c, i, 1000000, 0) != 0;
        return started;
    }
    return GW_E_UNSUPPORTED;
}

static void message(void *self, gw_conn c, void *state, const gw_message *m) {
    char text[64] = "", what[32] = "";
    size_t n = 0;
    memset(letters, 'e', sizeof letters);
    memcpy(text, m->data.ptr, m->data.len < 63 ? m->data.len : 63);
    if (sscanf(text, "%31s %zu", what, &n) == 2) say(c, call(c, what, n));
}

static gw_status http(void *self, const gw_request *request) {
    gw_reply reply = {.struct_size = sizeof reply, .status = 200};
    return host->reply(host, request->ticket, &reply);
}

TABLE("edges", .message = message, .http = http)

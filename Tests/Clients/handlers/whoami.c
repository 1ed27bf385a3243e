/* Answers plain requests and greets WebSockets with the address it was told of, and whether the way there is secret. */
#include "common.h"

static int write_down(char *text, size_t room, const gw_request *request) {
    return snprintf(text, room, "%.*s %d %s", (int)request->peer_addr.len, request->peer_addr.ptr, request->peer_port,
                    request->flags & GW_REQ_TLS ? "tls" : "plain");
}

static gw_status http(void *self, const gw_request *request) {
    char text[128];
    int length = write_down(text, sizeof text, request);
    gw_reply reply = {.struct_size = sizeof reply, .status = 200};
    reply.body = (gw_bytes){(const uint8_t *)text, (size_t)length};
    host->reply(host, request->ticket, &reply);
    return GW_DEFER;
}

static void open(void *self, gw_conn connection, void *state, const gw_request *request) {
    char text[128];
    int length = write_down(text, sizeof text, request);
    host->send(host, connection, GW_TEXT, 0, text, (size_t)length);
}

static void message(void *self, gw_conn connection, void *state, const gw_message *message) {}

TABLE("whoami", .http = http, .open = open, .message = message)

/* Gives host functions what gw_handler.h has no meaning for; each message says to which one. */
#include "common.h"

#define NO_NAME 0x40u

static gw_status attempt(gw_conn conn, const gw_message *message) {
    const uint32_t all = GW_FIN | GW_FIRST | GW_NO_COMPRESS | GW_COMPRESSED | GW_GLOBAL_TOPIC | GW_LOCAL_TOPIC;
    gw_conn_info info = {GW_CONN_INFO_INIT};
    if (begins(message, "send_buf")) return host->send_buf(host, conn, GW_TEXT, NO_NAME, host->buf_copy(host, "x", 1));
    if (begins(message, "send_fragment")) return host->send_fragment(host, conn, GW_TEXT, GW_FIN | NO_NAME, "x", 1);
    if (begins(message, "send")) return host->send(host, conn, GW_TEXT, NO_NAME, "x", 1);
    if (begins(message, "subscribe")) return host->subscribe(host, conn, NO_NAME, "t", 1);
    if (begins(message, "unsubscribe")) return host->unsubscribe(host, conn, 1u << 31, "t", 1);
    if (begins(message, "publish")) {
        return host->publish(host, instance, "t", 1, GW_TEXT, NO_NAME | GW_GLOBAL_TOPIC, "x", 1, 0, NULL);
    }
    if (begins(message, "conn_info 0")) info.struct_size = 0;
    if (begins(message, "conn_info 55")) info.struct_size = GW_CONN_INFO_MIN_SIZE - 1;
    if (begins(message, "conn_info")) return host->conn_info(host, conn, &info);
    /* Each bit that has a name is taken, whether it means something there or not. */
    if (begins(message, "named")) {
        gw_status status = host->subscribe(host, conn, all & ~(uint32_t)GW_GLOBAL_TOPIC, "t", 1);
        return status != GW_OK ? status : host->send(host, conn, GW_TEXT, all, "all", 3);
    }
    return GW_E_NOTFOUND;
}

static void message(void *self, gw_conn conn, void *state, const gw_message *message) {
    say(conn, attempt(conn, message));
}

/* The query says what is wrong with the answer. */
static gw_status http(void *self, const gw_request *request) {
    gw_reply reply = {GW_REPLY_INIT, .status = 204};
    gw_str value;
    if (host->req_query(host, request, "zero", &value) == GW_OK) reply.struct_size = 0;
    if (host->req_query(host, request, "short", &value) == GW_OK) reply.struct_size = GW_REPLY_MIN_SIZE - 1;
    if (host->req_query(host, request, "reserved", &value) == GW_OK) reply.reserved0 = 1;
    if (host->reply(host, request->ticket, &reply) != GW_E_INVALID) return GW_DEFER;
    /* The ticket is as good as before. */
    const gw_reply other = {GW_REPLY_INIT, .status = 418};
    return host->reply(host, request->ticket, &other) == GW_OK ? GW_DEFER : GW_E_FAILED;
}

TABLE("strict", .message = message, .http = http)

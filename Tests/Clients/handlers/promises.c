/* What another thread is answered, and what becomes of it. "close": a thread sends 50 messages, and when it has ended the
 * callback closes. "run": a thread sends numbers until it is refused, and the log says how many were taken. "abort": a
 * thread aborts the connection and tries it again in every way; "abort ID" aborts another handler's. */
#include <pthread.h>

#include "common.h"

static long long send_numbers(gw_conn connection, long long most) {
    long long taken = 0;
    char text[32];
    while (taken < most) {
        int length = snprintf(text, sizeof text, "%lld", taken);
        gw_status status = host->send(host, connection, GW_TEXT, 0, text, (size_t)length);
        if (status < 0) break;
        taken++;
    }
    return taken;
}

static void *send_some(void *context) {
    tell("taken", send_numbers(*(gw_conn *)context, 50));
    return NULL;
}

static void *send_all(void *context) {
    gw_conn *connection = context;
    tell("taken", send_numbers(*connection, 1000000));
    free(connection);
    return NULL;
}

static void *abort_it(void *context) {
    gw_conn connection = *(gw_conn *)context;
    tell("abort", host->abort(host, connection));
    tell("send", host->send(host, connection, GW_TEXT, 0, "x", 1));
    tell("fragment", host->send_fragment(host, connection, GW_TEXT, 0, "x", 1));
    tell("ping", host->ping(host, connection, "x", 1));
    tell("close", host->close(host, connection, 1000, NULL, 0));
    tell("again", host->abort(host, connection));
    return NULL;
}

static void join(void *(*body)(void *), void *context) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, body, context) == 0) pthread_join(thread, NULL);
}

static void message(void *self, gw_conn c, void *state, const gw_message *m) {
    if (begins(m, "close")) {
        join(send_some, &c);
        host->close(host, c, 4000, "done", 4);
    } else if (begins(m, "run")) {
        gw_conn *connection = malloc(sizeof *connection);
        pthread_t thread;
        if (connection == NULL) return;
        *connection = c;
        if (pthread_create(&thread, NULL, send_all, connection) == 0) pthread_detach(thread);
    } else if (begins(m, "abort ")) {
        gw_conn other = strtoull((const char *)m->data.ptr + 6, NULL, 10);
        join(abort_it, &other);
        say(c, 0);
    } else if (begins(m, "abort")) {
        join(abort_it, &c);
    } else {
        char text[32];
        int length = snprintf(text, sizeof text, "%llu", (unsigned long long)c);
        host->send(host, c, GW_TEXT, 0, text, (size_t)length);
    }
}

static void close_client(void *self, gw_conn c, void *state, const gw_close *info) {
    tell("closed", info->code);
    tell("by", info->by);
}

TABLE("promises", .message = message, .close = close_client)

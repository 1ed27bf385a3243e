/* Fragment streams of different threads. "1": a thread begins a stream. "2": a thread ends it, then the callback streams.
 * "3": a thread ends it, then the callback sends; "?" tells what became of that. "J": a job streams an answer. */
#include <pthread.h>
#include <sched.h>

#include "common.h"

static gw_status status;

struct piece { gw_conn connection; uint32_t flags; };

static void *send_piece(void *context) {
    struct piece *piece = context;
    host->send_fragment(host, piece->connection, GW_BINARY, piece->flags, "AAAA", 4);
    return NULL;
}

/* The thread has ended, and so its call has returned, when this returns. */
static void in_a_thread(gw_conn connection, uint32_t flags) {
    struct piece piece = {connection, flags};
    pthread_t thread;
    if (pthread_create(&thread, NULL, send_piece, &piece) == 0) pthread_join(thread, NULL);
}

static void message(void *self, gw_conn c, void *state, const gw_message *m) {
    switch (m->data.ptr[0]) {
    case '1': in_a_thread(c, 0); break;
    case '2':
        in_a_thread(c, GW_FIN);
        host->send_fragment(host, c, GW_BINARY, 0, "BBBB", 4);
        host->send_fragment(host, c, GW_BINARY, GW_FIN, "bbbb", 4);
        break;
    case '3':
        in_a_thread(c, GW_FIN);
        status = host->send(host, c, GW_BINARY, 0, "reply", 5);
        break;
    case '?': say(c, status); break;
    case 'J': host->offload(host, instance, c, 0, NULL); break;
    }
}

static gw_status work(void *self, gw_conn c, uint64_t token, void *pointer) {
    char piece[1000];
    memset(piece, 'j', sizeof piece);
    for (int i = 0; i < 4; i++, sched_yield()) {
        host->send_fragment(host, c, GW_BINARY, i == 3 ? GW_FIN : 0, piece, sizeof piece);
    }
    return GW_OK;
}

static void event(void *self, gw_conn c, void *state, const gw_event *event) {}

TABLE("streams", .message = message, .work = work, .event = event)

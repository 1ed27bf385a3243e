/* Asks for the state of a connection on a thread of its own. */
#define MISUSE_MESSAGE asks
#include "misuse.h"

static void *ask(void *conn) {
    host->conn_state(host, *(gw_conn *)conn);
    return NULL;
}

static void asks(void *self, gw_conn conn, void *state, const gw_message *message) {
    (void)self;
    (void)state;
    pthread_t thread;
    if (pthread_create(&thread, NULL, ask, &conn) == 0) {
        pthread_join(thread, NULL);
    }
    echo(conn, message);
}

MISUSE_TABLE("wrong_thread")

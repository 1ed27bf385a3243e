/* A sender that keeps to the rule: it stops at GW_BACKPRESSURE and goes on in drained(). "T" sends 100 messages of
 * 100,000 bytes from a thread, "C" from the callbacks. */
#include <pthread.h>

#include "common.h"

static char bytes[100000];

struct state {
    gw_conn connection;
    int is_threaded, left, has_drained, has_ended;
    pthread_mutex_t lock;
    pthread_cond_t wake;
};

/* Not freed: the thread may outlive the connection. */
static void open_client(void *self, gw_conn c, void *state, const gw_request *r) {
    struct state *s = calloc(1, sizeof *s);
    if (s == NULL) return;
    s->connection = c;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->wake, NULL);
    host->conn_set_state(host, c, s);
}

static gw_status next(struct state *s) {
    gw_status status = host->send(host, s->connection, GW_BINARY, 0, bytes, sizeof bytes);
    if (status >= 0) s->left--;
    return status;
}

static void pump(struct state *s) {
    while (s->left && next(s) == GW_OK) {}
}

static void *run(void *context) {
    struct state *s = context;
    int has_ended = 0;
    while (s->left && !has_ended) {
        pthread_mutex_lock(&s->lock);
        s->has_drained = 0;
        pthread_mutex_unlock(&s->lock);
        gw_status status = next(s);
        if (status < 0) break;
        if (status == GW_OK) continue;
        pthread_mutex_lock(&s->lock);
        while (!s->has_drained && !s->has_ended) pthread_cond_wait(&s->wake, &s->lock);
        has_ended = s->has_ended;
        pthread_mutex_unlock(&s->lock);
    }
    return NULL;
}

static void message(void *self, gw_conn c, void *state, const gw_message *m) {
    struct state *s = state;
    s->left = 100;
    s->is_threaded = m->data.ptr[0] == 'T';
    if (!s->is_threaded) {
        pump(s);
        return;
    }
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, s) == 0) pthread_detach(thread);
}

static void wake(struct state *s, int *what) {
    pthread_mutex_lock(&s->lock);
    *what = 1;
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
}

static void drained(void *self, gw_conn c, void *state) {
    struct state *s = state;
    if (s->is_threaded) wake(s, &s->has_drained); else pump(s);
}

static void close_client(void *self, gw_conn c, void *state, const gw_close *info) {
    struct state *s = state;
    wake(s, &s->has_ended);
}

TABLE("flood", .open = open_client, .message = message, .drained = drained, .close = close_client)

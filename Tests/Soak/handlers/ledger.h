/* What the handlers of the soak share: who is connected to an instance of theirs, and whether the gateway keeps to what
 * gw_handler.h promises about it. A breach is a line of the error log that begins with "soak: WRONG"; an instance that
 * is stopped says its balance, which the driver adds up. */
#ifndef SOAK_LEDGER_H
#define SOAK_LEDGER_H

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gw_handler.h"

#ifndef BUILD
#define BUILD "1"
#endif
/* A state of another image has another seal, so that one which came to the wrong generation is recognised. */
#define SEAL ((uintptr_t)&soak_seal)
#define BUCKETS 1024

static const gw_host *host;
static char soak_seal;

/* The head of every handler's own state of a connection. */
struct client {
    uintptr_t seal;
    gw_conn connection;
    struct client *next;  /* in the bucket */
    atomic_int inside;    /* callbacks of it that are running */
};

struct instance {
    gw_instance id;
    char route[64];
    pthread_mutex_t lock;
    struct client *clients[BUCKETS];
    uint64_t opened, restored, closed, dropped, live;
};

static _Atomic(struct instance *) instances[64];

__attribute__((format(printf, 2, 3))) static void wrong(gw_conn connection, const char *format, ...) {
    char text[512] = "soak: WRONG: ";
    size_t length = strlen(text);
    va_list list;
    va_start(list, format);
    vsnprintf(text + length, sizeof text - length, format, list);
    va_end(list);
    host->log(host, connection, GW_LOG_ERROR, text, strlen(text));
}

static const char *soak_name;  /* of the handler, for its lines */

static void *allocated(size_t size) {
    void *memory = calloc(1, size);
    if (memory == NULL) abort();
    return memory;
}

static void instance_begin(struct instance *instance, const gw_config *config) {
    instance->id = config->instance;
    snprintf(instance->route, sizeof instance->route, "%.*s", (int)config->route.len, config->route.ptr);
    pthread_mutex_init(&instance->lock, NULL);
    for (size_t i = 0; i < sizeof instances / sizeof *instances; i++) {
        struct instance *none = NULL;
        if (atomic_compare_exchange_strong(&instances[i], &none, instance)) {
            char text[256];
            int length = snprintf(text, sizeof text, "soak: begins %s %s instance=%llu build=%s", soak_name,
                                  instance->route, (unsigned long long)instance->id, BUILD);
            host->log(host, 0, GW_LOG_INFO, text, (size_t)length);
            return;
        }
    }
    wrong(0, "%s: more instances of one image than a handler has routes", soak_name);
}

static int instance_is_ours(struct instance *instance) {
    for (size_t i = 0; i < sizeof instances / sizeof *instances; i++)
        if (instances[i] == instance && instance != NULL) return 1;
    return 0;
}

/* Before the memory of the instance is freed. */
static void instance_end(struct instance *instance) {
    char text[256];
    int length = snprintf(
        text, sizeof text, "soak: ends %s %s instance=%llu opened=%llu restored=%llu closed=%llu dropped=%llu",
        soak_name, instance->route, (unsigned long long)instance->id, (unsigned long long)instance->opened,
        (unsigned long long)instance->restored, (unsigned long long)instance->closed,
        (unsigned long long)instance->dropped);
    host->log(host, 0, GW_LOG_INFO, text, (size_t)length);
    if (instance->live != 0)
        wrong(0, "%s %s: stopped with %llu connections that had neither close nor drop_conn", soak_name,
              instance->route, (unsigned long long)instance->live);
    for (size_t i = 0; i < sizeof instances / sizeof *instances; i++) {
        struct instance *it = instance;
        atomic_compare_exchange_strong(&instances[i], &it, (struct instance *)NULL);
    }
    pthread_mutex_destroy(&instance->lock);
}

/* Under the lock: the place that points to the client of a connection, or to NULL. */
static struct client **client_place(struct instance *instance, gw_conn connection) {
    struct client **place = &instance->clients[(connection ^ connection >> 20) % BUCKETS];
    while (*place != NULL && (*place)->connection != connection) place = &(*place)->next;
    return place;
}

/* open() or restore_conn(): the connection is this instance's from here on. */
static void client_begin(struct instance *instance, struct client *client, gw_conn connection, int is_restored) {
    client->seal = SEAL;
    client->connection = connection;
    pthread_mutex_lock(&instance->lock);
    struct client **place = client_place(instance, connection);
    int is_double = *place != NULL;
    if (!is_double) *place = client;
    instance->live++;
    if (is_restored) instance->restored++; else instance->opened++;
    pthread_mutex_unlock(&instance->lock);
    if (is_double) wrong(connection, "%s: %s twice", soak_name, is_restored ? "restored" : "opened");
}

/* At the beginning of a callback; NULL when it is for nobody of ours, which is said. */
static void *client_enter(void *self, gw_conn connection, void *state, const char *callback) {
    struct instance *instance = self;
    if (!instance_is_ours(instance)) {
        wrong(connection, "%s: %s with a `self` that is not of this generation", soak_name, callback);
        return NULL;
    }
    pthread_mutex_lock(&instance->lock);
    struct client *client = *client_place(instance, connection);
    pthread_mutex_unlock(&instance->lock);
    if (client == NULL) {
        wrong(connection, "%s: %s of a connection that is not here: never opened, or ended before", soak_name, callback);
        return NULL;
    }
    if (state != client || client->seal != SEAL) {
        wrong(connection, "%s: %s with a state that is not this generation's", soak_name, callback);
        return NULL;
    }
    if (atomic_fetch_add(&client->inside, 1) != 0)
        wrong(connection, "%s: %s beside another callback of the same connection", soak_name, callback);
    return client;
}

static void client_leave(void *client) { atomic_fetch_sub(&((struct client *)client)->inside, 1); }

/* In close() and drop_conn(); what is left is to free the client. NULL when it is for nobody of ours. */
static void *client_end(void *self, gw_conn connection, void *state, int is_dropped) {
    struct client *client = client_enter(self, connection, state, is_dropped ? "drop_conn" : "close");
    if (client == NULL) return NULL;
    struct instance *instance = self;
    pthread_mutex_lock(&instance->lock);
    struct client **place = client_place(instance, connection);
    *place = client->next;
    instance->live--;
    if (is_dropped) instance->dropped++; else instance->closed++;
    pthread_mutex_unlock(&instance->lock);
    client_leave(client);
    return client;
}

/* What a send answered, for those who promise to keep to the rules: it was taken, or the connection has ended. */
static gw_status checked(gw_conn connection, gw_status status, const char *what) {
    if (status < 0 && status != GW_E_CLOSED) wrong(connection, "%s: %s answered %d", soak_name, what, (int)status);
    return status;
}

#endif

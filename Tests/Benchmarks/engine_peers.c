/* Bare clients of an engine, as a yardstick: a publisher, and subscribers with a connection and a thread each.
 *
 *   engine_peers latency PORT COUNT                       one publication after the other, from the call that publishes
 *                                                         to the subscriber's
 *   engine_peers depth PORT SUBSCRIBERS DEPTH ROUNDS      so many publications in one write; the next ones follow when all
 *                                                         subscribers have heard the last
 *
 * Build with -DNATS -lnats or -DREDIS -lhiredis. It says `ready`, and begins when a line comes. */
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SIZE = 168, SUBSCRIBERS = 16 };

static sem_t heard;
static uint64_t last;
static int port;

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void die(const char *what) {
    fprintf(stderr, "engine_peers: %s\n", what);
    exit(2);
}

static void note(const char *data) {
    uint64_t time = now(), stamp;
    memcpy(&stamp, data, sizeof stamp);
    last = time - stamp;
    sem_post(&heard);
}

#ifdef NATS
#include <nats/nats.h>

static natsConnection *publisher;

static natsConnection *open_connection(bool is_prompt) {
    natsOptions *options;
    natsConnection *made;
    char url[64];
    snprintf(url, sizeof url, "nats://127.0.0.1:%d", port);
    if (natsOptions_Create(&options) != NATS_OK || natsOptions_SetURL(options, url) != NATS_OK) die("no options");
    /* At once, without waiting for the thread that flushes; but many publications are to be one write. */
    if (natsOptions_SetSendAsap(options, is_prompt) != NATS_OK) die("no options");
    if (natsConnection_Connect(&made, options) != NATS_OK) die("no connection");
    natsOptions_Destroy(options);
    return made;
}

static void on_message(natsConnection *connection, natsSubscription *subscription, natsMsg *message, void *closure) {
    (void)connection, (void)subscription, (void)closure;
    note(natsMsg_GetData(message));
    natsMsg_Destroy(message);
}

static void open_subscriber(void) {
    natsSubscription *subscription;
    natsConnection *connection = open_connection(true);
    if (natsConnection_Subscribe(&subscription, connection, "bench", on_message, NULL) != NATS_OK) die("not subscribed");
    if (natsConnection_Flush(connection) != NATS_OK) die("not subscribed");
}

static void open_publisher(int depth) { publisher = open_connection(depth == 1); }

static void publish(int count) {
    char data[SIZE] = {0};
    uint64_t stamp = now();
    memcpy(data, &stamp, sizeof stamp);
    for (int at = 0; at < count; at++) {
        if (natsConnection_Publish(publisher, "bench", data, SIZE) != NATS_OK) die("not published");
    }
    if (count > 1 && natsConnection_Flush(publisher) != NATS_OK) die("not published");
}
#else
#include <hiredis/hiredis.h>

static redisContext *publisher;

static redisContext *open_connection(void) {
    redisContext *made = redisConnect("127.0.0.1", port);
    if (made == NULL || made->err) die("no connection");
    return made;
}

static void *subscribe(void *argument) {
    redisContext *connection = argument;
    redisReply *reply;
    while (redisGetReply(connection, (void **)&reply) == REDIS_OK) {
        note(reply->element[2]->str);
        freeReplyObject(reply);
    }
    return NULL;
}

static void open_subscriber(void) {
    pthread_t thread;
    redisContext *connection = open_connection();
    redisReply *reply = redisCommand(connection, "SUBSCRIBE bench");
    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY) die("not subscribed");
    freeReplyObject(reply);
    if (pthread_create(&thread, NULL, subscribe, connection) != 0) die("no thread");
}

static void open_publisher(int depth) {
    (void)depth;
    publisher = open_connection();
}

static void publish(int count) {
    char data[SIZE] = {0};
    redisReply *reply;
    uint64_t stamp = now();
    memcpy(data, &stamp, sizeof stamp);
    for (int at = 0; at < count; at++) redisAppendCommand(publisher, "PUBLISH bench %b", data, (size_t)SIZE);
    for (int at = 0; at < count; at++) {
        if (redisGetReply(publisher, (void **)&reply) != REDIS_OK || reply->type == REDIS_REPLY_ERROR) die("not published");
        freeReplyObject(reply);
    }
}
#endif

static int ascending(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

static void wait_for_start(void) {
    char line[16];
    puts("ready");
    fflush(stdout);
    if (fgets(line, sizeof line, stdin) == NULL) exit(2);
}

static void latency(size_t count) {
    uint64_t *all = malloc(count * sizeof *all);
    if (all == NULL) die("no memory");
    for (size_t at = 0; at < count; at++) {
        publish(1);
        sem_wait(&heard);
        all[at] = last;
    }
    qsort(all, count, sizeof *all, ascending);
    printf("{\"p50_us\": %.1f, \"p99_us\": %.1f}\n", (double)all[count / 2] / 1e3, (double)all[count * 99 / 100] / 1e3);
}

int main(int count, char **words) {
    int is_depth = count == 6 && strcmp(words[1], "depth") == 0;
    if (!is_depth && !(count == 4 && strcmp(words[1], "latency") == 0)) die("usage: latency PORT COUNT | depth PORT SUBSCRIBERS DEPTH ROUNDS");
    int subscribers = is_depth ? atoi(words[3]) : 1, depth = is_depth ? atoi(words[4]) : 1;
    port = atoi(words[2]);
    if (subscribers > SUBSCRIBERS) die("too many subscribers");
    sem_init(&heard, 0, 0);
    for (int at = 0; at < subscribers; at++) open_subscriber();
    open_publisher(depth);
    wait_for_start();
    if (!is_depth) latency((size_t)atol(words[3]));
    for (long round = 0; is_depth && round < atol(words[5]); round++) {
        publish(depth);
        for (int at = 0; at < depth * subscribers; at++) sem_wait(&heard);
    }
    puts("done");
    fflush(stdout);
    /* Threads of the libraries are left where they are. */
    _Exit(0);
}

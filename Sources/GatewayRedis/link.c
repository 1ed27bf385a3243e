/* The table of the contract: what a gateway asks of a link to one Redis. */
#include "redis.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* ---- start and stop */

/* CLIENT SETNAME takes neither spaces nor what cannot be printed. */
static char *client_name(gw_span given) {
    char *name = malloc(given.len + 1);
    if (name == NULL) return NULL;
    for (size_t at = 0; at < given.len; at++) {
        name[at] = given.ptr[at] > ' ' && given.ptr[at] < 0x7f ? (char)given.ptr[at] : '-';
    }
    name[given.len] = 0;
    return name;
}

static bool prepare(link_ *link) {
    pthread_condattr_t monotonic;
    if (pthread_mutex_init(&link->mutex, NULL) != 0) return false;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    int error = pthread_cond_init(&link->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (error != 0) pthread_mutex_destroy(&link->mutex);
    return error == 0;
}

static void link_free(link_ *link) {
    if (link == NULL) return;
    target_free(&link->to);
    free(link->name);
    free(link->buffer);
    free(link->heard_buffer);
    free(link);
}

static int32_t start(const gw_backplane_host *host, void *context, const gw_backplane_config *config, char *error,
                     void **self) {
    bp_text why = {"there is no memory"};
    link_ *link = calloc(1, sizeof *link);
    bool is_old = host->struct_size < sizeof *host || config->struct_size < sizeof *config;
    if (is_old) bp_say(&why, "the gateway is too old for this module");
    bool done = link != NULL && !is_old && target_read(&link->to, config, &why);
    if (done) {
        link->host = host;
        link->context = context;
        link->timeout = config->timeout_ms;
        link->name = client_name(config->client_name);
        link->prefix = (gw_span){(const uint8_t *)link->to.prefix, strlen(link->to.prefix)};
        link->buffer = malloc(REDIS_READ);
        link->heard_buffer = malloc(REDIS_READ);
        link->publishing = link->subscribing = -1;
        done = link->name != NULL && link->buffer != NULL && link->heard_buffer != NULL && prepare(link);
    }
    if (!done) {
        link_free(link);
        memcpy(error, why.bytes, sizeof why.bytes);
        return GW_BACKPLANE_E_CONFIG;
    }
    *self = link;
    return GW_BACKPLANE_OK;
}

static void stop(void *self) {
    link_ *link = self;
    pthread_cond_destroy(&link->changed);
    pthread_mutex_destroy(&link->mutex);
    link_free(link);
}

/* ---- connect and disconnect */

static void close_sockets(link_ *link) {
    if (link->publishing >= 0) close(link->publishing);
    if (link->subscribing >= 0) close(link->subscribing);
    link->publishing = link->subscribing = -1;
    replies_close(&link->answers);
    replies_close(&link->heard);
    commands_free(&link->written);
}

/* One of the two connections. */
static int32_t open_one(link_ *link, greeting *hello, int *socket, replies *replies, bool asks_version) {
    if (!replies_open(replies)) {
        bp_say(&hello->said, "there is no memory");
        return GW_BACKPLANE_E_AWAY;
    }
    *socket = stream_open(&link->to.url, hello->deadline, &hello->said);
    if (*socket < 0) return GW_BACKPLANE_E_AWAY;
    return greet(hello, *socket, replies, asks_version);
}

static int start_listener(link_ *link) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&link->listener, NULL, listener_run, link);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

static void tell(gw_engine *found, const bp_text *text) {
    size_t room = found->struct_size - offsetof(gw_engine, text);
    snprintf(found->text, room < sizeof text->bytes ? room : sizeof text->bytes, "%s", text->bytes);
}

static int32_t connect_(void *self, uint64_t attempt, gw_engine *found) {
    link_ *link = self;
    greeting hello = {.to = &link->to, .name = link->name, .buffer = link->buffer, .software = {"Redis"},
                      .deadline = bp_now() + link->timeout};
    link->attempt = attempt;
    link->asked = link->confirmed = link->batched = 0;
    link->ended = link->leaving = false;
    int32_t status = open_one(link, &hello, &link->publishing, &link->answers, true);
    if (status == GW_BACKPLANE_OK) status = open_one(link, &hello, &link->subscribing, &link->heard, false);
    if (status == GW_BACKPLANE_OK) {
        int error = start_listener(link);
        if (error != 0) {
            stream_say(&hello.said, "no thread can be started", error);
            status = GW_BACKPLANE_E_AWAY;
        }
    }
    bp_text text;
    if (status == GW_BACKPLANE_OK) {
        link->connected = true;
        found->max_data = REDIS_DATA_MAX;
        bp_say(&text, "%.64s at %.400s", hello.software.bytes, link->to.address.bytes);
    } else {
        close_sockets(link);
        bp_say(&text, "Redis at %.120s: %.380s", link->to.address.bytes, hello.said.bytes);
    }
    tell(found, &text);
    return status;
}

static void disconnect(void *self) {
    link_ *link = self;
    if (!link->connected) return;
    bp_text why = {"the gateway has left"};
    pthread_mutex_lock(&link->mutex);
    link->leaving = true;
    pthread_mutex_unlock(&link->mutex);
    link_end(link, &why);
    pthread_join(link->listener, NULL);
    close_sockets(link);
    link->connected = false;
}

/* ---- traffic */

static int32_t fail(link_ *link, const char *what, int error) {
    bp_text why;
    stream_say(&why, what, error);
    link_end(link, &why);
    return GW_BACKPLANE_E_AWAY;
}

static int32_t ask(link_ *link, const char *word, const gw_span *names, size_t count) {
    if (count == 0) return GW_BACKPLANE_OK;
    commands *list = &link->written;
    commands_clear(list);
    commands_begin(list, count + 1);
    commands_argument(list, word, strlen(word));
    for (size_t at = 0; at < count; at++) commands_joined(list, link->prefix, names[at]);
    int error = ENOMEM;
    if (!list->failed) error = stream_write(link->subscribing, list->bytes, list->used, bp_now() + link->timeout);
    return error == 0 ? GW_BACKPLANE_OK : fail(link, word, error);
}

static int32_t subscribe(void *self, const gw_span *names, size_t count) {
    link_ *link = self;
    link->asked += count;
    return ask(link, "SUBSCRIBE", names, count);
}

static int32_t unsubscribe(void *self, const gw_span *names, size_t count) {
    return ask(self, "UNSUBSCRIBE", names, count);
}

/* There are two connections: what is published here must not overtake what was subscribed to there. */
static bool await_subscriptions(link_ *link, int64_t deadline) {
    struct timespec until = {.tv_sec = deadline / 1000, .tv_nsec = deadline % 1000 * 1000000};
    int error = 0;
    pthread_mutex_lock(&link->mutex);
    while (!link->ended && link->confirmed < link->asked && error == 0) {
        error = pthread_cond_timedwait(&link->changed, &link->mutex, &until);
    }
    bool done = !link->ended && link->confirmed >= link->asked;
    pthread_mutex_unlock(&link->mutex);
    return done;
}

/* Writes commands, and reads as many replies. An engine that waits for its replies to be read is not waited for. */
static int32_t exchange(link_ *link, size_t count, size_t *answered, int64_t deadline) {
    commands *list = &link->written;
    replies *heard = &link->answers;
    size_t done = 0;
    *answered = 0;
    /* An answer that nobody has asked for would be taken for the next one's. */
    if (replies_next(heard) != 0) return fail(link, "answers to nothing", EPROTO);
    while (*answered < count) {
        int there = replies_next(heard);
        if (there < 0) return fail(link, heard->why.bytes, EPROTO);
        if (there > 0) {
            const element *is = &heard->elements[0];
            if (!heard->is_array && is->type == REDIS_REPLY_ERROR) return GW_BACKPLANE_E_REFUSED;
            if (heard->is_array || is->type != REDIS_REPLY_INTEGER) return fail(link, "PUBLISH", EPROTO);
            (*answered)++;
            replies_forget(heard);
            continue;
        }
        struct pollfd one = {.fd = link->publishing, .events = POLLIN};
        if (done < list->used) one.events |= POLLOUT;
        int ready = poll(&one, 1, bp_until(deadline));
        if (ready == 0) return fail(link, "PUBLISH", ETIMEDOUT);
        if (ready < 0 && errno != EINTR) return fail(link, "PUBLISH", errno);
        if (ready > 0 && (one.revents & POLLOUT) != 0) {
            ssize_t more = send(link->publishing, list->bytes + done, list->used - done, MSG_NOSIGNAL);
            if (more > 0) done += (size_t)more;
            else if (more < 0 && errno != EAGAIN && errno != EINTR) return fail(link, "PUBLISH", errno);
        }
        if (ready > 0 && (one.revents & ~POLLOUT) != 0) {
            ssize_t got = recv(link->publishing, link->buffer, REDIS_FEED, 0);
            if (got == 0) return fail(link, "PUBLISH", ECONNRESET);
            if (got > 0) replies_feed(heard, link->buffer, (size_t)got);
            else if (errno != EAGAIN && errno != EINTR) return fail(link, "PUBLISH", errno);
        }
    }
    return GW_BACKPLANE_OK;
}

static void refuse(link_ *link) {
    const replies *heard = &link->answers;
    bp_text said, why;
    bp_quote(&said, (const char *)heard->bytes + heard->elements[0].at, heard->elements[0].length);
    bp_say(&why, "PUBLISH is refused: %.256s", said.bytes);
    link_end(link, &why);
}

static int32_t publish(void *self, const gw_publication *batch, size_t count, size_t *taken) {
    link_ *link = self;
    int64_t deadline = bp_now() + link->timeout;
    size_t at = 0;
    *taken = 0;
    if (!await_subscriptions(link, deadline)) return fail(link, "SUBSCRIBE", ETIMEDOUT);
    while (at < count) {
        commands *list = &link->written;
        commands_clear(list);
        for (; at < count && batch[at].data.len <= REDIS_DATA_MAX && list->used < REDIS_ROUND; at++) {
            commands_begin(list, 3);
            commands_argument(list, "PUBLISH", 7);
            commands_joined(list, link->prefix, batch[at].name);
            commands_argument(list, batch[at].data.ptr, batch[at].data.len);
        }
        if (list->failed) return fail(link, "PUBLISH", ENOMEM);
        if (at == *taken) return GW_BACKPLANE_E_TOO_LARGE;
        size_t answered;
        int32_t status = exchange(link, at - *taken, &answered, deadline);
        *taken += answered;
        if (status == GW_BACKPLANE_E_REFUSED) refuse(link);
        if (status != GW_BACKPLANE_OK) return status;
    }
    return GW_BACKPLANE_OK;
}

/* ---- the table */

#define TEXT_(value) #value
#define TEXT(value) TEXT_(value)

static const gw_backplane table = {
    .struct_size = sizeof(gw_backplane),
    .abi_version = GW_BACKPLANE_ABI_VERSION,
    .name = "redis",
    .version = "1.0 with hiredis " TEXT(HIREDIS_MAJOR) "." TEXT(HIREDIS_MINOR) "." TEXT(HIREDIS_PATCH),
    .schemes = "redis redis+unix valkey valkey+unix",
    .start = start,
    .connect = connect_,
    .subscribe = subscribe,
    .unsubscribe = unsubscribe,
    .publish = publish,
    .disconnect = disconnect,
    .stop = stop,
};

const gw_backplane *gw_backplane_entry_v1(uint32_t host_abi_version) {
    return host_abi_version / 65536 == GW_BACKPLANE_ABI_MAJOR ? &table : NULL;
}

/* The thread that hears what was subscribed to, and nothing else: the gateway is told from here. */
#include "redis.h"

#include <string.h>
#include <sys/socket.h>

void link_end(link_ *link, const bp_text *why) {
    pthread_mutex_lock(&link->mutex);
    if (!link->ended) {
        link->ended = true;
        link->why = *why;
        /* Both threads are brought back from wherever they wait. */
        shutdown(link->publishing, SHUT_RDWR);
        shutdown(link->subscribing, SHUT_RDWR);
        pthread_cond_broadcast(&link->changed);
    }
    pthread_mutex_unlock(&link->mutex);
}

static void deliver(link_ *link) {
    const uint8_t *strings = link->heard.bytes;
    for (size_t at = 0; at < link->batched; at++) {
        gw_publication *each = &link->batch[at];
        /* So far they are where they begin: the strings move as they become more. */
        each->name.ptr = strings + (uintptr_t)each->name.ptr;
        each->data.ptr = strings + (uintptr_t)each->data.ptr;
    }
    if (link->batched > 0) link->host->deliver(link->context, link->batch, link->batched);
    link->batched = 0;
    replies_forget(&link->heard);
}

static bool hear_publication(link_ *link) {
    const replies *heard = &link->heard;
    const element *channel = &heard->elements[1], *data = &heard->elements[2];
    size_t prefix = link->prefix.len;
    if (channel->type != REDIS_REPLY_STRING || data->type != REDIS_REPLY_STRING) return false;
    if (channel->length <= prefix || channel->length > prefix + GW_BACKPLANE_NAME_MAX) return false;
    if (memcmp(heard->bytes + channel->at, link->prefix.ptr, prefix) != 0) return false;
    gw_publication *next = &link->batch[link->batched++];
    next->name = (gw_span){(const uint8_t *)(channel->at + prefix), channel->length - prefix};
    next->data = (gw_span){(const uint8_t *)data->at, data->length};
    if (link->batched == GW_BACKPLANE_BATCH_MAX || heard->used > 4 * REDIS_ROUND) deliver(link);
    return true;
}

static bool hear_confirmation(link_ *link, bool is_subscribed) {
    const element *channel = &link->heard.elements[1];
    if (channel->type != REDIS_REPLY_STRING || link->heard.elements[2].type != REDIS_REPLY_INTEGER) return false;
    /* Its name is of no interest, and makes way where nothing lies behind that is still to be delivered. */
    if (link->batched == 0) replies_forget(&link->heard);
    if (!is_subscribed) return true;
    pthread_mutex_lock(&link->mutex);
    link->confirmed++;
    pthread_cond_broadcast(&link->changed);
    pthread_mutex_unlock(&link->mutex);
    return true;
}

/* False: nothing that can be right. */
static bool hear(link_ *link, bp_text *why) {
    const replies *heard = &link->heard;
    if (!heard->is_array && heard->elements[0].type == REDIS_REPLY_ERROR) {
        bp_text said;
        bp_quote(&said, (const char *)heard->bytes + heard->elements[0].at, heard->elements[0].length);
        bp_say(why, "a subscription is refused: %.256s", said.bytes);
        return false;
    }
    bool is_known = heard->is_array && heard->count == 3;
    if (is_known && replies_is(heard, 0, "message")) is_known = hear_publication(link);
    else if (is_known && replies_is(heard, 0, "subscribe")) is_known = hear_confirmation(link, true);
    else if (is_known && replies_is(heard, 0, "unsubscribe")) is_known = hear_confirmation(link, false);
    else is_known = false;
    if (!is_known) bp_say(why, "it says what no Redis says to a subscriber");
    return is_known;
}

static bool hear_all(link_ *link, const uint8_t *bytes, size_t length, bp_text *why) {
    for (size_t at = 0; at < length; at += REDIS_FEED) {
        replies_feed(&link->heard, bytes + at, length - at < REDIS_FEED ? length - at : REDIS_FEED);
        int there;
        while ((there = replies_next(&link->heard)) > 0) {
            if (!hear(link, why)) return false;
        }
        if (there == 0) continue;
        bp_say(why, "it sends garbage: %.256s", link->heard.why.bytes);
        return false;
    }
    deliver(link);
    return true;
}

void *listener_run(void *argument) {
    link_ *link = argument;
    bp_text why;
    for (;;) {
        ssize_t got = stream_read(link->subscribing, link->heard_buffer, REDIS_READ, -1);
        if (got == 0) bp_say(&why, "it closed the connection");
        else if (got < 0) stream_say(&why, "the connection broke", (int)-got);
        if (got <= 0 || !hear_all(link, link->heard_buffer, (size_t)got, &why)) break;
    }
    link_end(link, &why);
    pthread_mutex_lock(&link->mutex);
    bool leaving = link->leaving;
    why = link->why;
    pthread_mutex_unlock(&link->mutex);
    if (!leaving) link->host->lost(link->context, link->attempt, why.bytes, strlen(why.bytes));
    return NULL;
}

/* hiredis reads the protocol; what it makes of it is put here, so that nothing that an engine says is believed without a
 * look at its size. */
#include "redis.h"

#include <stdlib.h>
#include <string.h>

#if HIREDIS_MAJOR < 1
typedef int array_length;
#else
typedef size_t array_length;
#endif

/* hiredis wants something that is not NULL. Nobody looks at it. */
static int something;

static replies *owner(const redisReadTask *task) { return task->privdata; }

static void *refuse(replies *list, const char *what) {
    bp_say(&list->why, "%s", what);
    return NULL;
}

/* Where the next element goes. NULL: not expected here. */
static element *place(const redisReadTask *task) {
    replies *list = owner(task);
    if (task->parent == NULL) {
        list->is_array = false;
        list->expected = 1;
    } else if (task->parent->parent != NULL) {
        return refuse(list, "an array within an array came, which nobody has asked for");
    }
    if (list->count == REDIS_ELEMENTS) return refuse(list, "an array is longer than it said");
    element *next = &list->elements[list->count++];
    *next = (element){.type = task->type};
    return next;
}

static bool make_room(replies *list, size_t length) {
    if (length <= list->room - list->used) return true;
    size_t room = list->room < REDIS_READ ? REDIS_READ : list->room;
    while (room - list->used < length) room *= 2;
    uint8_t *larger = realloc(list->bytes, room);
    if (larger == NULL) return false;
    list->bytes = larger;
    list->room = room;
    return true;
}

static void *on_string(const redisReadTask *task, char *bytes, size_t length) {
    replies *list = owner(task);
    if (length > REDIS_REPLY_MAX - (list->used - list->begin)) return refuse(list, "a reply has more than 64 MiB");
    element *next = place(task);
    if (next == NULL) return NULL;
    if (!make_room(list, length)) return refuse(list, "there is no memory for a reply");
    next->at = list->used;
    next->length = length;
    if (length > 0) memcpy(list->bytes + list->used, bytes, length);
    list->used += length;
    return &something;
}

static void *on_array(const redisReadTask *task, array_length elements) {
    replies *list = owner(task);
    if (task->type != REDIS_REPLY_ARRAY) return refuse(list, "a reply of RESP3 came, which nobody has asked for");
    if (task->parent != NULL) return refuse(list, "an array within an array came, which nobody has asked for");
    if ((size_t)elements > REDIS_ELEMENTS) return refuse(list, "an array has more elements than any that was asked for");
    list->is_array = true;
    list->expected = (size_t)elements;
    return &something;
}

static void *on_integer(const redisReadTask *task, long long value) {
    element *next = place(task);
    if (next == NULL) return NULL;
    next->integer = value;
    return &something;
}

static void *on_nil(const redisReadTask *task) {
    element *next = place(task);
    if (next == NULL) return NULL;
    next->type = REDIS_REPLY_NIL;
    return &something;
}

static void free_nothing(void *object) { (void)object; }

static redisReplyObjectFunctions functions = {
    .createString = on_string,
    .createArray = on_array,
    .createInteger = on_integer,
    .createNil = on_nil,
    .freeObject = free_nothing,
};

bool replies_open(replies *list) {
    *list = (replies){.reader = redisReaderCreateWithFunctions(&functions)};
    if (list->reader == NULL) return false;
    list->reader->privdata = list;
    return true;
}

void replies_close(replies *list) {
    redisReaderFree(list->reader);
    free(list->bytes);
    *list = (replies){0};
}

void replies_feed(replies *list, const uint8_t *bytes, size_t length) {
    /* It fails when it has failed before, and when there is no memory; both are seen by the next look for a reply. */
    (void)redisReaderFeed(list->reader, (const char *)bytes, length);
}

/* hiredis waits for however much a length announces, and for the end of a line for ever. What it has not taken yet begins
 * with a line: if all of it is a number, more than that many octets are to come. */
static bool is_bounded(replies *list) {
    const redisReader *reader = list->reader;
    const char *line = reader->buf + reader->pos;
    size_t length = reader->len - reader->pos;
    const char *end = memchr(line, '\r', length < REDIS_LINE_MAX ? length : REDIS_LINE_MAX);
    if (end == NULL) {
        if (length >= REDIS_LINE_MAX) bp_say(&list->why, "a line has more than %d octets", REDIS_LINE_MAX);
        return length < REDIS_LINE_MAX;
    }
    size_t announced = 0;
    for (const char *at = *line == '$' ? line + 1 : line; at < end && *at >= '0' && *at <= '9'; at++) {
        announced = announced * 10 + (size_t)(*at - '0');
        if (announced > REDIS_REPLY_MAX - (list->used - list->begin)) {
            bp_say(&list->why, "a reply of more than 64 MiB is announced");
            return false;
        }
    }
    return true;
}

int replies_next(replies *list) {
    void *object = NULL;
    if (list->reader->reply == NULL && list->reader->ridx < 0) {
        list->begin = list->used;
        list->count = 0;
        list->expected = 0;
        list->why.bytes[0] = 0;
    }
    if (redisReaderGetReply(list->reader, &object) != REDIS_OK) {
        if (list->why.bytes[0] == 0) bp_quote(&list->why, list->reader->errstr, strlen(list->reader->errstr));
        return -1;
    }
    if (object == NULL) return is_bounded(list) ? 0 : -1;
    if (list->count == list->expected) return 1;
    bp_say(&list->why, "a reply of an unknown kind came");
    return -1;
}

void replies_forget(replies *list) {
    /* What there is of a reply that is not whole moves to the front. */
    size_t kept = list->reader->ridx < 0 ? 0 : list->used - list->begin;
    if (kept > 0) memmove(list->bytes, list->bytes + list->begin, kept);
    for (size_t at = 0; at < list->count; at++) list->elements[at].at -= list->begin;
    list->begin = 0;
    list->used = kept;
    if (kept > 0) return;
    if (list->room > 4 * REDIS_ROUND) {
        free(list->bytes);
        list->bytes = NULL;
        list->room = 0;
    }
}

bool replies_is(const replies *list, size_t index, const char *word) {
    const element *is = &list->elements[index];
    if (index >= list->count || is->type != REDIS_REPLY_STRING) return false;
    return is->length == strlen(word) && memcmp(list->bytes + is->at, word, is->length) == 0;
}

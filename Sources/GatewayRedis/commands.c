/* The same octets as redisFormatCommandArgv makes, many commands in one block. */
#include "redis.h"

#include <stdlib.h>
#include <string.h>

static void append(commands *list, const void *bytes, size_t length) {
    if (list->failed) return;
    if (length > list->room - list->used) {
        size_t room = list->room < 4096 ? 4096 : list->room;
        while (room - list->used < length) room *= 2;
        uint8_t *larger = realloc(list->bytes, room);
        if (larger == NULL) {
            list->failed = true;
            return;
        }
        list->bytes = larger;
        list->room = room;
    }
    if (length > 0) memcpy(list->bytes + list->used, bytes, length);
    list->used += length;
}

/* Three of each publication: half of what the thread of the link would do is what printf does for them. */
static void number(commands *list, char kind, size_t value) {
    char line[32], *end = line + sizeof line, *at = end;
    *--at = '\n';
    *--at = '\r';
    do *--at = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    *--at = kind;
    append(list, at, (size_t)(end - at));
}

void commands_begin(commands *list, size_t arguments) { number(list, '*', arguments); }

void commands_argument(commands *list, const void *bytes, size_t length) {
    number(list, '$', length);
    append(list, bytes, length);
    append(list, "\r\n", 2);
}

void commands_joined(commands *list, gw_span first, gw_span second) {
    number(list, '$', first.len + second.len);
    append(list, first.ptr, first.len);
    append(list, second.ptr, second.len);
    append(list, "\r\n", 2);
}

void commands_clear(commands *list) {
    /* One large batch is no reason to keep that much for good. */
    if (list->room > 4 * REDIS_ROUND) commands_free(list);
    list->used = 0;
    list->failed = false;
}

void commands_free(commands *list) {
    free(list->bytes);
    *list = (commands){0};
}

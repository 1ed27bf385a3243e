#include "backplane_kit.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { QUOTED = 256 };

void bp_say(bp_text *text, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    /* Longer texts are cut, which is what the contract says of them. */
    (void)vsnprintf(text->bytes, sizeof text->bytes, format, arguments);
    va_end(arguments);
}

void bp_quote(bp_text *text, const char *said, size_t length) {
    size_t at = 0;
    for (; at < length && at < QUOTED && said[at] != '\r' && said[at] != '\n' && said[at] != 0; at++) {
        unsigned char octet = (unsigned char)said[at];
        text->bytes[at] = octet < 0x20 || octet > 0x7e ? '?' : (char)octet;
    }
    /* Texts for humans have no full stop here. */
    while (at > 0 && (text->bytes[at - 1] == '.' || text->bytes[at - 1] == ' ')) at--;
    text->bytes[at] = 0;
}

char *bp_copy(gw_span text) {
    if (text.len > 0 && memchr(text.ptr, 0, text.len) != NULL) return NULL;
    char *copy = malloc(text.len + 1);
    if (copy == NULL) return NULL;
    if (text.len > 0) memcpy(copy, text.ptr, text.len);
    copy[text.len] = 0;
    return copy;
}

void bp_forget(char *secret) {
    if (secret != NULL) explicit_bzero(secret, strlen(secret));
    free(secret);
}

int64_t bp_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int bp_until(int64_t deadline) {
    int64_t left = deadline - bp_now();
    return left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left;
}

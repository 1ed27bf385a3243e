/* A name is one token of a subject behind "gw.", so that rights for gw.> are all that a gateway needs. What NATS gives a
 * meaning to, what is not printable, and % are written as %XX. */
#include "nats_module.h"

#include <string.h>

static bool is_plain(uint8_t octet) {
    return octet > ' ' && octet < 0x7f && octet != '.' && octet != '*' && octet != '>' && octet != '%';
}

void subject_write(char subject[SUBJECT_ROOM], gw_span name) {
    static const char digits[] = "0123456789ABCDEF";
    char *to = subject + SUBJECT_PREFIX_LENGTH;
    memcpy(subject, SUBJECT_PREFIX, SUBJECT_PREFIX_LENGTH);
    for (size_t at = 0; at < name.len; at++) {
        uint8_t octet = name.ptr[at];
        if (is_plain(octet)) {
            *to++ = (char)octet;
            continue;
        }
        *to++ = '%';
        *to++ = digits[octet >> 4];
        *to++ = digits[octet & 15];
    }
    *to = 0;
}

static int digit(char from) {
    if (from >= '0' && from <= '9') return from - '0';
    return from >= 'A' && from <= 'F' ? from - 'A' + 10 : -1;
}

size_t subject_read(uint8_t name[GW_BACKPLANE_NAME_MAX], const char *subject) {
    size_t length = 0;
    if (strncmp(subject, SUBJECT_PREFIX, SUBJECT_PREFIX_LENGTH) != 0) return 0;
    for (const char *at = subject + SUBJECT_PREFIX_LENGTH; *at != 0; at++) {
        if (length == GW_BACKPLANE_NAME_MAX) return 0;
        uint8_t octet = (uint8_t)*at;
        if (octet == '%') {
            int high = digit(at[1]), low = high < 0 ? -1 : digit(at[2]);
            if (low < 0 || is_plain((uint8_t)(high * 16 + low))) return 0;
            octet = (uint8_t)(high * 16 + low);
            at += 2;
        } else if (!is_plain(octet)) {
            return 0;
        }
        name[length++] = octet;
    }
    return length;
}

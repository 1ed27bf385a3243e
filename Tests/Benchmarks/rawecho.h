/* What the floors have in common: the reply to a request, and frames of a client that become those of a server. */
#ifndef RAWECHO_H
#define RAWECHO_H

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Where a connection stands in what its client sends. */
typedef struct {
    uint64_t left; /* of the payload under way */
    uint32_t key;  /* turned to its next byte */
    uint8_t closing, kept_count, kept[14];
} stream;

/* What the reply says besides. */
static const char *extensions = "";

/* Writes the reply to a request; its length, 0 when the request has no key. */
static int write_reply(const char *request, char *reply, size_t room) {
    char proof[80], accept[32], *key = strcasestr(request, "\r\nsec-websocket-key:");
    uint8_t digest[SHA_DIGEST_LENGTH];
    if (!key) return 0;
    key += 20;
    key += strspn(key, " ");
    int length = snprintf(proof, sizeof proof, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    SHA1((uint8_t *)proof, (size_t)length, digest);
    EVP_EncodeBlock((uint8_t *)accept, digest, sizeof digest);
    return snprintf(reply, room,
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    "Sec-WebSocket-Accept: %s\r\n%s\r\n",
                    accept, extensions);
}

static inline void unmask(uint8_t *to, const uint8_t *from, size_t count, uint32_t key) {
    uint64_t wide = (uint64_t)key << 32 | key, word;
    size_t at = 0;
    /* `to` is always at least four bytes in front of `from`: a block is read before it is overwritten. */
    for (; at + 32 <= count; at += 32) {
        uint64_t block[4];
        memcpy(block, from + at, 32);
        for (int i = 0; i < 4; i++) block[i] ^= wide;
        memcpy(to + at, block, 32);
    }
    for (; at + 8 <= count; at += 8) {
        memcpy(&word, from + at, 8);
        word ^= wide;
        memcpy(to + at, &word, 8);
    }
    for (; at < count; at++) to[at] = from[at] ^ (uint8_t)(key >> 8 * (at & 3));
}

/* Frames of a client become frames of a server, in place; answers where they end. */
static inline uint8_t *turn_round(stream *s, uint8_t *start, const uint8_t *end) {
    const uint8_t *in = start;
    uint8_t *out = start;
    for (;;) {
        if (s->left) {
            size_t there = (size_t)(end - in), take = there < s->left ? there : s->left;
            unmask(out, in, take, s->key);
            in += take;
            out += take;
            s->left -= take;
            uint32_t turn = 8 * (take & 3);
            if (turn) s->key = s->key >> turn | s->key << (32 - turn);
        }
        size_t there = (size_t)(end - in);
        if (there < 2) break;
        uint8_t kind = in[0] & 15, small = in[1] & 127;
        size_t header = small < 126 ? 2 : small == 126 ? 4 : 10;
        if (there < header + 4) break;
        uint64_t length = small;
        if (small == 126) length = (uint64_t)in[2] << 8 | in[3];
        if (small == 127) memcpy(&length, in + 2, 8), length = __builtin_bswap64(length);
        memcpy(&s->key, in + header, 4);
        s->closing |= kind == 8;
        uint8_t first = kind == 9 ? 0x8A : in[0];
        memmove(out, in, header);
        out[0] = first;
        out[1] = small;
        out += header;
        in += header + 4;
        s->left = length;
    }
    s->kept_count = (uint8_t)(end - in);
    memcpy(s->kept, in, s->kept_count);
    return out;
}

#endif

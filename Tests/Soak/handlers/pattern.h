/* Bytes that the driver knows without being told: a piece of one long pattern, chosen by stream and number. */
#ifndef SOAK_PATTERN_H
#define SOAK_PATTERN_H

#include <stdint.h>
#include <string.h>

#define PATTERN_SIZE (1u << 20)
static uint8_t pattern[PATTERN_SIZE];

static void pattern_make(void) {
    uint32_t x = 1;
    for (uint32_t i = 0; i < PATTERN_SIZE; i++) {
        x = x * 1664525u + 1013904223u;
        pattern[i] = (uint8_t)(x >> 24);
    }
}

static uint32_t pattern_mix(uint32_t stream, uint32_t number) {
    uint32_t x = stream * 2654435761u ^ number * 2246822519u;
    x ^= x >> 15;
    x *= 3266489917u;
    return x ^ x >> 13;
}

/* A message of a stream: 'J', stream, number, and a piece of the pattern of up to `most` bytes. Answers its length. */
static size_t pattern_message(uint8_t *to, uint32_t stream, uint32_t number, uint32_t most) {
    uint32_t chosen = pattern_mix(stream, number);
    uint32_t length = pattern_mix(number, stream) % (most + 1);
    uint32_t offset = chosen % (PATTERN_SIZE - most);
    to[0] = 'J';
    memcpy(to + 1, &stream, 4);
    memcpy(to + 5, &number, 4);
    memcpy(to + 9, pattern + offset, length);
    return 9 + (size_t)length;
}

#endif

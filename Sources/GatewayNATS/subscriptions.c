#include "nats_module.h"

#include <stdlib.h>
#include <string.h>

/* libnats forgets the subject of a subscription whose connection has ended. */
struct named {
    natsSubscription *subscription;
    char              subject[];
};

static size_t hash(const char *subject) {
    uint64_t value = 14695981039346656037u; /* FNV-1a; names come from the gateway, which bounds how many there are */
    for (const char *at = subject; *at != 0; at++) value = (value ^ (uint8_t)*at) * 1099511628211u;
    return (size_t)(value ^ value >> 32);
}

/* Where it is, or would be. */
static size_t place(const subscriptions *set, const char *subject) {
    size_t at = hash(subject) & (set->room - 1);
    while (set->slots[at] != NULL && strcmp(set->slots[at]->subject, subject) != 0) at = (at + 1) & (set->room - 1);
    return at;
}

static bool grow(subscriptions *set) {
    subscriptions larger = {.room = set->room == 0 ? 64 : set->room * 2, .count = set->count};
    larger.slots = calloc(larger.room, sizeof *larger.slots);
    if (larger.slots == NULL) return false;
    for (size_t at = 0; at < set->room; at++) {
        struct named *one = set->slots[at];
        if (one != NULL) larger.slots[place(&larger, one->subject)] = one;
    }
    free(set->slots);
    *set = larger;
    return true;
}

natsSubscription **subscriptions_insert(subscriptions *set, const char *subject) {
    if ((set->count + 1) * 4 > set->room * 3 && !grow(set)) return NULL;
    size_t at = place(set, subject), length = strlen(subject) + 1;
    if (set->slots[at] != NULL) return &set->slots[at]->subscription;
    struct named *one = malloc(sizeof *one + length);
    if (one == NULL) return NULL;
    one->subscription = NULL;
    memcpy(one->subject, subject, length);
    set->slots[at] = one;
    set->count++;
    return &one->subscription;
}

natsSubscription *subscriptions_take(subscriptions *set, const char *subject) {
    if (set->count == 0) return NULL;
    size_t hole = place(set, subject);
    struct named *one = set->slots[hole];
    if (one == NULL) return NULL;
    natsSubscription *subscription = one->subscription;
    free(one);
    set->slots[hole] = NULL;
    set->count--;
    /* Those that were put behind it because it was there move up. */
    for (size_t at = (hole + 1) & (set->room - 1); set->slots[at] != NULL; at = (at + 1) & (set->room - 1)) {
        struct named *next = set->slots[at];
        set->slots[at] = NULL;
        set->slots[place(set, next->subject)] = next;
    }
    return subscription;
}

void subscriptions_clear(subscriptions *set) {
    for (size_t at = 0; at < set->room; at++) {
        if (set->slots[at] == NULL) continue;
        natsSubscription_Destroy(set->slots[at]->subscription);
        free(set->slots[at]);
    }
    free(set->slots);
    *set = (subscriptions){0};
}

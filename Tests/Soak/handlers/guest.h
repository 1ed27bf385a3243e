/* The state of a connection of the busy handler. Its callbacks, threads and the pool share it, so it is counted: close()
 * and drop_conn() give up the gateway's reference, a job its own. */
#ifndef SOAK_GUEST_H
#define SOAK_GUEST_H

#include "ledger.h"

#define TIMERS 16

enum { DIES_RESTORED = 1, DIES_DROPPED };

struct timer {
    uint32_t token;  /* 0: a free place */
    uint32_t every, times, fired;
    gw_timer id;
};

/* What a client has asked for: `count` messages of up to `most` bytes each. */
struct job {
    struct job *next;
    struct guest *guest;
    uint32_t stream, count, most, how, done;
};

struct guest {
    struct client head;
    uint64_t count;
    struct timer timers[TIMERS];
    uint32_t doom;             /* the callback of a move in which it is dropped: DIES_... */
    struct job *pumped;        /* jobs that callbacks do, in their order */
    atomic_int references;
    atomic_int jobs;           /* under way: while there are some the guest stays with its generation */
    pthread_mutex_t turn;      /* who streams fragments: one message at a time */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t drains;           /* calls of drained(), under the lock, as has_ended */
    int has_ended;
};

static struct guest *guest_make(void) {
    struct guest *guest = allocated(sizeof *guest);
    guest->references = 1;
    pthread_mutex_init(&guest->turn, NULL);
    pthread_mutex_init(&guest->lock, NULL);
    pthread_cond_init(&guest->changed, NULL);
    return guest;
}

static void guest_release(struct guest *guest) {
    if (guest == NULL || atomic_fetch_sub(&guest->references, 1) != 1) return;
    for (struct job *job = guest->pumped, *next; job != NULL; job = next) {
        next = job->next;
        free(job);
    }
    pthread_mutex_destroy(&guest->turn);
    pthread_mutex_destroy(&guest->lock);
    pthread_cond_destroy(&guest->changed);
    free(guest);
}

static void guest_note(struct guest *guest, int has_ended) {
    pthread_mutex_lock(&guest->lock);
    guest->drains++;
    if (has_ended) guest->has_ended = 1;
    pthread_cond_broadcast(&guest->changed);
    pthread_mutex_unlock(&guest->lock);
}

static uint64_t guest_drains(struct guest *guest) {
    pthread_mutex_lock(&guest->lock);
    uint64_t drains = guest->drains;
    pthread_mutex_unlock(&guest->lock);
    return drains;
}

/* Until the queue has drained once more than `before`; false when the connection has ended. */
static int guest_wait(struct guest *guest, uint64_t before) {
    pthread_mutex_lock(&guest->lock);
    while (guest->drains == before && !guest->has_ended) pthread_cond_wait(&guest->changed, &guest->lock);
    int goes_on = !guest->has_ended;
    pthread_mutex_unlock(&guest->lock);
    return goes_on;
}

#endif

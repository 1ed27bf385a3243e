/* Sending by threads, the pool and callbacks, all of whom stop at GW_BACKPRESSURE and go on in drained(). */
#ifndef SOAK_JOB_H
#define SOAK_JOB_H

#include "guest.h"
#include "pattern.h"

enum {
    HOW_THREAD,      /* whole messages of a thread */
    HOW_FRAGMENTS,   /* messages of a thread in fragments, between those of other threads */
    HOW_CALLBACK,    /* whole messages of callbacks */
    HOW_POOL,        /* whole messages of work() */
    HOW_THEN_POST,   /* fragments of a thread; the callback of its post says the end */
    HOW_LEAVE,       /* `count` messages of a thread and then, from there, close() with the code `stream`, or abort() */
    HOW_COUNT
};

static struct job *job_make(struct guest *guest, uint32_t stream, uint32_t count, uint32_t most, uint32_t how) {
    struct job *job = allocated(sizeof *job);
    *job = (struct job){.guest = guest, .stream = stream, .count = count, .most = most, .how = how};
    return job;
}

/* The job is not pumped, so it has a reference of its own. */
static void job_free(struct job *job) {
    atomic_fetch_sub(&job->guest->jobs, 1);
    guest_release(job->guest);
    free(job);
}

/* One thing sent by a thread, which then waits if it must; false when nothing more can be sent. */
static int put(struct guest *guest, uint32_t flags, int is_fragment, const uint8_t *bytes, size_t length) {
    uint64_t before = guest_drains(guest);
    gw_conn connection = guest->head.connection;
    gw_status status = is_fragment ? host->send_fragment(host, connection, GW_BINARY, flags, bytes, length)
                                   : host->send(host, connection, GW_BINARY, flags, bytes, length);
    if (status == GW_BACKPRESSURE) return guest_wait(guest, before);
    return checked(connection, status, is_fragment ? "a thread's send_fragment" : "a thread's send") >= 0;
}

/* A message in fragments, with no other thread's between them. */
static int put_fragments(struct guest *guest, const uint8_t *bytes, size_t length, uint32_t seed) {
    int goes_on = 1;
    pthread_mutex_lock(&guest->turn);
    for (size_t at = 0, number = 0; goes_on; number++) {
        size_t left = length - at, now = pattern_mix(seed, (uint32_t)number) % 16000 + 1;
        if (now > left) now = left;
        goes_on = put(guest, now == left ? GW_FIN : 0, 1, bytes + at, now);
        at += now;
        if (at == length) break;
    }
    pthread_mutex_unlock(&guest->turn);
    return goes_on;
}

static size_t job_end_message(uint8_t *to, const struct job *job) {
    to[0] = 'D';
    memcpy(to + 1, &job->stream, 4);
    memcpy(to + 5, &job->count, 4);
    return 9;
}

/* So many x, and then the end of the connection; for callbacks and threads alike. */
static void leave(struct guest *guest, uint32_t code, uint32_t count) {
    gw_conn connection = guest->head.connection;
    for (uint32_t i = 0; i < count; i++) {
        uint8_t bytes[9] = {'x'};
        memcpy(bytes + 1, &i, 4);
        checked(connection, host->send(host, connection, GW_BINARY, 0, bytes, sizeof bytes), "send");
    }
    gw_status status = code == 0 ? host->abort(host, connection)
                                 : host->close(host, connection, (uint16_t)code, "as you wish", 11);
    if (checked(connection, status, code == 0 ? "abort" : "close") < 0) return;
    if ((status = host->send(host, connection, GW_BINARY, 0, "late", 4)) != GW_E_CLOSED)
        wrong(connection, "busy: a send after %s answered %d", code == 0 ? "abort" : "close", (int)status);
}

/* All of a job, on a thread or on the pool. True if its end is still to be said. */
static int job_run(struct job *job) {
    int in_fragments = job->how == HOW_FRAGMENTS || job->how == HOW_THEN_POST, goes_on = 1;
    if (job->how == HOW_LEAVE) {
        leave(job->guest, job->stream, job->count);
        return 0;
    }
    uint8_t *bytes = allocated(job->most + 9);
    for (; goes_on && job->done < job->count; job->done++) {
        size_t length = pattern_message(bytes, job->stream, job->done, job->most);
        goes_on = in_fragments ? put_fragments(job->guest, bytes, length, job->done)
                               : put(job->guest, 0, 0, bytes, length);
    }
    free(bytes);
    uint8_t end[9];
    size_t length = job_end_message(end, job);
    if (goes_on && job->how == HOW_THREAD) put(job->guest, 0, 0, end, length);
    if (goes_on && job->how == HOW_FRAGMENTS) put_fragments(job->guest, end, length, 0);
    return goes_on;
}

/* The jobs of callbacks, as far as the queue has room. */
static void pump(struct guest *guest) {
    gw_conn connection = guest->head.connection;
    while (guest->pumped != NULL) {
        struct job *job = guest->pumped;
        uint8_t *bytes = allocated(job->most + 9);
        int is_end = job->done == job->count;
        size_t length = is_end ? job_end_message(bytes, job)
                               : pattern_message(bytes, job->stream, job->done, job->most);
        gw_status status = checked(connection, host->send(host, connection, GW_BINARY, 0, bytes, length), "send");
        free(bytes);
        job->done++;
        if (is_end || status < 0) {
            guest->pumped = job->next;
            free(job);
        }
        if (status != GW_OK) return;
    }
}

#endif

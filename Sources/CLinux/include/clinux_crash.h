/* The last words of a process that a handler kills: which handler was running, and where. Nothing is recovered. */
#ifndef CLINUX_CRASH_H
#define CLINUX_CRASH_H

#include <stddef.h>
#include <stdint.h>

/* Which callback of gw_handler.h runs. */
enum clinux_callback {
    CLINUX_NO_CALLBACK,
    CLINUX_LOADING,
    CLINUX_ENTRY,
    CLINUX_START,
    CLINUX_RECONFIGURE,
    CLINUX_STOP,
    CLINUX_UPGRADE,
    CLINUX_OPEN,
    CLINUX_MESSAGE,
    CLINUX_FRAGMENT,
    CLINUX_PING,
    CLINUX_PONG,
    CLINUX_DRAINED,
    CLINUX_ERROR,
    CLINUX_CLOSE,
    CLINUX_HTTP,
    CLINUX_EVENT,
    CLINUX_WORK,
    CLINUX_SAVE_SELF,
    CLINUX_RESTORE_SELF,
    CLINUX_SAVE_CONN,
    CLINUX_RESTORE_CONN,
    CLINUX_DROP_CONN,
    CLINUX_CALLBACKS
};

/* One generation on one route. It lives as long as the process, so that a note may point to it at any time. */
struct clinux_crash_site {
    uint64_t generation;
    uint64_t digest; /* of the file it was loaded from: a later process knows the build by it */
    const char *handler;
    const char *route; /* "" when it is the business of no route */
    uint64_t stalls;   /* callbacks that held up a loop for longer than `patience` */
    uint32_t patience; /* milliseconds; 0 for ever */
    uint32_t log_level; /* one more than the least GW_LOG_* that is written of the handler there; 0 leaves it to others */
};

/* What this thread is doing for a handler; `site` is NULL when nothing. Its own thread writes it, another one may look
 * (clinux_look). */
struct clinux_crash_note {
    const struct clinux_crash_site *site;
    uint64_t connection;
    uint32_t callback; /* CLINUX_SEEN with it once another thread has looked */
};

/* The next callback writes over it, so a callback that bears it at the next look has not returned meanwhile: to find
 * one that takes too long costs callbacks nothing. */
#define CLINUX_SEEN 0x80000000u

extern __thread struct clinux_crash_note clinux_crash_note __attribute__((tls_model("initial-exec")));

/* Makes a site out of copies; never freed. NULL when there is no memory, which is as good as no site. */
struct clinux_crash_site *clinux_make_crash_site(const char *handler, uint64_t generation, uint64_t digest,
                                                       const char *route);

/* Around each callback: three stores before it, one behind it. Callbacks do not nest (R1). */
static inline void clinux_enter_callback(const struct clinux_crash_site *site, uint32_t callback,
                                         uint64_t connection) {
    __atomic_store_n(&clinux_crash_note.connection, connection, __ATOMIC_RELAXED);
    __atomic_store_n(&clinux_crash_note.callback, callback, __ATOMIC_RELAXED);
    /* Behind them: who sees the site sees its callback. */
    __atomic_store_n(&clinux_crash_note.site, site, __ATOMIC_RELEASE);
}

/* The callback that runs on this thread; CLINUX_NO_CALLBACK when none does. */
static inline enum clinux_callback clinux_current_callback(void) {
    uint32_t callback = __atomic_load_n(&clinux_crash_note.callback, __ATOMIC_RELAXED) & ~CLINUX_SEEN;
    return clinux_crash_note.site == NULL ? CLINUX_NO_CALLBACK : (enum clinux_callback)callback;
}

static inline void clinux_leave_callback(void) {
    __atomic_store_n(&clinux_crash_note.site, (const struct clinux_crash_site *)NULL, __ATOMIC_RELAXED);
}

/* The note of the calling thread, for others to look at as long as the thread lives. */
static inline struct clinux_crash_note *clinux_own_note(void) { return &clinux_crash_note; }

/* What another thread does; `site` is NULL when nothing. */
struct clinux_sighting {
    struct clinux_crash_site *site;
    uint64_t connection;
    enum clinux_callback callback;
    int is_same; /* the callback was running at the last look already */
};

/* Looks at the note of another thread, and marks the callback there as seen. One thread looks. */
struct clinux_sighting clinux_look(struct clinux_crash_note *note);

/* How long callbacks of a site may take, and how many took longer. Any thread. */
static inline void clinux_set_patience(struct clinux_crash_site *site, uint32_t milliseconds) {
    __atomic_store_n(&site->patience, milliseconds, __ATOMIC_RELAXED);
}
static inline uint32_t clinux_patience(const struct clinux_crash_site *site) {
    return __atomic_load_n(&site->patience, __ATOMIC_RELAXED);
}
/* What of the handler's log is written there. Any thread. */
static inline void clinux_set_log_level(struct clinux_crash_site *site, uint32_t level) {
    __atomic_store_n(&site->log_level, level, __ATOMIC_RELAXED);
}
static inline uint32_t clinux_log_level(const struct clinux_crash_site *site) {
    return __atomic_load_n(&site->log_level, __ATOMIC_RELAXED);
}
/* Whose code runs on the calling thread; NULL when none does. */
static inline const struct clinux_crash_site *clinux_own_site(void) { return clinux_crash_note.site; }
static inline void clinux_count_stall(struct clinux_crash_site *site) {
    __atomic_fetch_add(&site->stalls, 1, __ATOMIC_RELAXED);
}
static inline uint64_t clinux_stalls(const struct clinux_crash_site *site) {
    return __atomic_load_n(&site->stalls, __ATOMIC_RELAXED);
}

/* From now on a fault (SEGV, BUS, ILL, FPE, ABRT, TRAP) is recorded on standard error, and in `file` unless that is
 * negative; then the default action follows, not the backtrace of the Swift runtime. A later call changes the file. 0,
 * or -1 with errno set. */
int clinux_record_crashes(int file);

/* Whether lines wait to be written by a thread of a log, which says no once for each yes: a record waits for them, for a
 * moment. */
void clinux_note_unwritten(int yes);

/* Waits for them, for a moment. */
void clinux_await_lines(void);

/* Gives the calling thread a stack of its own for the record, so that an overflow of the other one can be told; it
 * goes with the thread. Harmless where there is one already. 0, or -1 with errno set. */
int clinux_make_crash_stack(void);

#endif

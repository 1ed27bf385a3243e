/* `clinux_begin_ending` and `clinux_await_rest` run in a signal handler as well: they call nothing but what
 * signal-safety(7) lists. */
#define _GNU_SOURCE
#include "clinux_ending.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "clinux_crash.h"

/* As many as there are workers at most. */
enum { MOST_TURNERS = 256, REST_MILLISECONDS = 100, TASKS_MILLISECONDS = 60 };

int clinux_is_ending_now;

__thread const uint64_t *clinux_message_count __attribute__((tls_model("initial-exec")));

static uint64_t *note;
/* One more than the eventfd; 0 for none. */
static int wakers[MOST_TURNERS];
static int turners;
static int resting;
static int tasks;
/* Of the thread that ends the process: they have no end. */
static int endless_tasks;
/* Changes with each thread that comes to rest. */
static int rests;

static __thread int own_place __attribute__((tls_model("initial-exec")));
static __thread int own_tasks __attribute__((tls_model("initial-exec")));

static void exit_in_callback(void) {
    if (clinux_current_callback() == CLINUX_NO_CALLBACK) {
        return;
    }
    clinux_begin_ending();
    clinux_await_rest();
    clinux_await_lines();
}

int clinux_note_endings(uint64_t *words) {
    if (__atomic_exchange_n(&note, words, __ATOMIC_SEQ_CST) != NULL) {
        return 0;
    }
    if (atexit(exit_in_callback) != 0) {
        errno = ENOMEM;
        return -1;
    }
    return 0;
}

void clinux_join_endings(int waker) {
    for (int place = 0; place < MOST_TURNERS; place += 1) {
        int none = 0;
        if (__atomic_compare_exchange_n(&wakers[place], &none, waker + 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
            own_place = place + 1;
            __atomic_fetch_add(&turners, 1, __ATOMIC_SEQ_CST);
            return;
        }
    }
}

void clinux_leave_endings(void) {
    if (own_place == 0) {
        return;
    }
    __atomic_store_n(&wakers[own_place - 1], 0, __ATOMIC_SEQ_CST);
    own_place = 0;
    __atomic_fetch_sub(&turners, 1, __ATOMIC_SEQ_CST);
}

static void tell_rest(void) {
    __atomic_fetch_add(&rests, 1, __ATOMIC_SEQ_CST);
    syscall(SYS_futex, &rests, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

_Noreturn void clinux_rest(void) {
    __atomic_fetch_add(&resting, 1, __ATOMIC_SEQ_CST);
    tell_rest();
    for (;;) {
        pause();
    }
}

void clinux_begin_task(void) {
    if (__atomic_load_n(&note, __ATOMIC_RELAXED) == NULL) {
        return;
    }
    __atomic_fetch_add(&tasks, 1, __ATOMIC_SEQ_CST);
    own_tasks += 1;
    /* Either this is seen there, or that here. */
    if (__atomic_load_n(&clinux_is_ending_now, __ATOMIC_SEQ_CST)) {
        clinux_end_task();
    }
}

void clinux_end_task(void) {
    if (own_tasks == 0) {
        return;
    }
    own_tasks -= 1;
    __atomic_fetch_sub(&tasks, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&clinux_is_ending_now, __ATOMIC_SEQ_CST)) {
        tell_rest();
        pause();
    }
}

void clinux_begin_ending(void) {
    uint64_t *words = __atomic_load_n(&note, __ATOMIC_SEQ_CST);
    int why = errno;
    if (words == NULL || __atomic_load_n(&clinux_is_ending_now, __ATOMIC_SEQ_CST)) {
        return;
    }
    if (clinux_current_callback() != CLINUX_NO_CALLBACK) {
        __atomic_store_n(&words[2], clinux_message_count == NULL ? 0 : *clinux_message_count, __ATOMIC_SEQ_CST);
        __atomic_store_n(&words[1], clinux_crash_note.connection, __ATOMIC_SEQ_CST);
        __atomic_store_n(&words[0], (uint64_t)clinux_current_callback(), __ATOMIC_SEQ_CST);
    }
    __atomic_store_n(&endless_tasks, own_tasks, __ATOMIC_SEQ_CST);
    __atomic_store_n(&clinux_is_ending_now, 1, __ATOMIC_SEQ_CST);
    for (int place = 0; place < MOST_TURNERS; place += 1) {
        int waker = __atomic_load_n(&wakers[place], __ATOMIC_SEQ_CST) - 1;
        uint64_t one = 1;
        /* Full: it is awake. */
        if (waker >= 0 && write(waker, &one, sizeof one) < 0) {
            continue;
        }
    }
    errno = why;
}

static int have_tasks_ended(void) {
    return __atomic_load_n(&tasks, __ATOMIC_SEQ_CST) <= __atomic_load_n(&endless_tasks, __ATOMIC_SEQ_CST);
}

static int is_quiet(void) {
    int others = __atomic_load_n(&turners, __ATOMIC_SEQ_CST) - (own_place != 0);
    return __atomic_load_n(&resting, __ATOMIC_SEQ_CST) >= others && have_tasks_ended();
}

static void await(int (*is_so)(void), long milliseconds) {
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_nsec += milliseconds * 1000000L;
    end.tv_sec += end.tv_nsec / 1000000000;
    end.tv_nsec %= 1000000000;
    for (;;) {
        int seen = __atomic_load_n(&rests, __ATOMIC_SEQ_CST);
        if (is_so()) {
            return;
        }
        long answer = syscall(SYS_futex, &rests, FUTEX_WAIT_BITSET_PRIVATE, seen, &end, NULL, FUTEX_BITSET_MATCH_ANY);
        if (answer != 0 && errno != EINTR && errno != EAGAIN) {
            return;
        }
    }
}

void clinux_await_tasks(void) { await(have_tasks_ended, TASKS_MILLISECONDS); }

void clinux_await_rest(void) {
    if (__atomic_load_n(&note, __ATOMIC_SEQ_CST) != NULL && clinux_is_ending()) {
        await(is_quiet, REST_MILLISECONDS);
    }
}

/* The end of a process that another one goes on from: what a callback ends is written down, and the other threads come
 * to the end of what they are at. Where nothing is written down, none of this does anything. */
#ifndef CLINUX_ENDING_H
#define CLINUX_ENDING_H

#include <stdint.h>

/* From now on, for as long as the process lives: a fault, and an exit() from inside a callback, is written down in three
 * words: the callback, 0 for none, its connection, and how many messages that has been given. 0, or -1 with errno set. */
int clinux_note_endings(uint64_t *words);

/* Where the connection that the calling thread serves counts its messages; NULL when it serves none. */
extern __thread const uint64_t *clinux_message_count __attribute__((tls_model("initial-exec")));
static inline void clinux_count_messages(const uint64_t *count) { clinux_message_count = count; }

/* The calling thread has turns, and is to come to the end of one before the process ends: the eventfd wakes it then. */
void clinux_join_endings(int waker);
void clinux_leave_endings(void);

extern int clinux_is_ending_now;

/* The process ends: the thread goes no further than it must, and then rests. */
static inline int clinux_is_ending(void) { return __atomic_load_n(&clinux_is_ending_now, __ATOMIC_RELAXED); }

/* The calling thread has come to the end of its turn, and never goes on. */
_Noreturn void clinux_rest(void);

/* Around what a thread of a pool is at. */
void clinux_begin_task(void);
void clinux_end_task(void);

/* The calling thread ends the process: the callback that runs on it is written down, and the others are woken. */
void clinux_begin_ending(void);

/* The process ends: returns when what threads of pools are at is over, or after a moment. */
void clinux_await_tasks(void);

/* Returns when the others rest, or after a moment. */
void clinux_await_rest(void);

#endif

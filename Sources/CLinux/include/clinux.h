/* What Swift cannot import from the C library by itself: headers outside its module map, macros with casts,
 * variadic calls, thread-local variables. Nothing here decides anything. */
#ifndef CLINUX_H
#define CLINUX_H

#include "clinux_crash.h"
#include "clinux_ending.h"
#include "clinux_memory.h"
#include "clinux_pass.h"
#include "clinux_spawn.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

/* The worker that runs on this thread, as an opaque pointer; NULL on every other thread. */
extern __thread void *clinux_current_worker __attribute__((tls_model("initial-exec")));

static inline void *clinux_worker(void) { return clinux_current_worker; }
static inline void clinux_set_worker(void *worker) { clinux_current_worker = worker; }

/* The callback queue whose callback runs on this thread, likewise; NULL where none does. */
extern __thread void *clinux_current_callback_queue __attribute__((tls_model("initial-exec")));

static inline void *clinux_callback_queue(void) { return clinux_current_callback_queue; }
static inline void clinux_set_callback_queue(void *queue) { clinux_current_callback_queue = queue; }

/* recv and send (without SIGPIPE) as bare system calls: in a program with threads the C library's are points where a
 * thread may be cancelled, which costs as much again as the rest of a call's way to the kernel, and no thread of ours
 * is ever cancelled. -1 with errno set. */
static inline ptrdiff_t clinux_receive(int descriptor, void *memory, size_t bytes) {
    return syscall(SYS_recvfrom, descriptor, memory, bytes, 0, NULL, NULL);
}
static inline ptrdiff_t clinux_send(int descriptor, const void *memory, size_t bytes) {
    return syscall(SYS_sendto, descriptor, memory, bytes, MSG_NOSIGNAL, NULL, 0);
}

/* Accepts one peer, non-blocking and close-on-exec; -1 with errno set. */
int clinux_accept(int listener);

/* Bytes that a stream socket has been given and its far end has not acknowledged; -1 with errno set. */
int clinux_unacknowledged(int socket);

/* Blocks every signal in the calling thread, and so in all threads it starts later. */
int clinux_block_signals(void);

/* A non-blocking, close-on-exec descriptor that reads TERM, INT, HUP, USR1, USR2; -1 with errno set. */
int clinux_signal_descriptor(void);

/* A descriptor like that one for some signals, which the calling thread does not hear any other way then. */
int clinux_watch_signals(const int *numbers, int count);

/* The next signal number that waits on a signal descriptor; 0 when there is none. */
int clinux_next_signal(int descriptor);

/* Fills memory with randomness of the kernel; how many bytes, or -1. */
ptrdiff_t clinux_random(void *memory, size_t bytes);

/* Opens a file for appending, private to this user, close-on-exec; -1 with errno set. A link is refused, ELOOP, and
 * what is no regular file or has a second name, EINVAL. */
int clinux_open_record(const char *path);

/* Makes /dev/null of those of the descriptors 0 to 2 that are closed, so that no socket becomes one of them; before
 * anything else is opened. 0, or -1 with errno set. */
int clinux_open_standard_descriptors(void);

/* How many cores this process may run on. */
int clinux_available_cores(void);

/* Names the calling thread for ps, top and debuggers (at most 15 bytes count). */
void clinux_name_thread(const char *name);

#endif

#define _GNU_SOURCE
#include "clinux.h"

#include <errno.h>
#include <linux/sockios.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <unistd.h>

__thread void *clinux_current_worker __attribute__((tls_model("initial-exec")));
__thread void *clinux_current_callback_queue __attribute__((tls_model("initial-exec")));

int clinux_accept(int listener) { return accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC); }

int clinux_unacknowledged(int socket) {
    int count = 0;
    return ioctl(socket, SIOCOUTQ, &count) == 0 ? count : -1;
}

int clinux_block_signals(void) {
    sigset_t all;
    sigfillset(&all);
    /* Faults must reach their thread: blocking them is undefined. */
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGILL);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGABRT);
    sigdelset(&all, SIGTRAP);
    /* A parent that ignores it hands that down, and then nobody would learn how a child ended. */
    signal(SIGCHLD, SIG_DFL);
    return pthread_sigmask(SIG_SETMASK, &all, NULL);
}

int clinux_signal_descriptor(void) {
    sigset_t watched;
    sigemptyset(&watched);
    sigaddset(&watched, SIGTERM);
    sigaddset(&watched, SIGINT);
    sigaddset(&watched, SIGHUP);
    sigaddset(&watched, SIGUSR1);
    sigaddset(&watched, SIGUSR2);
    return signalfd(-1, &watched, SFD_NONBLOCK | SFD_CLOEXEC);
}

int clinux_watch_signals(const int *numbers, int count) {
    sigset_t watched;
    sigemptyset(&watched);
    for (int i = 0; i < count; i++) sigaddset(&watched, numbers[i]);
    if (pthread_sigmask(SIG_BLOCK, &watched, NULL) != 0) return -1;
    return signalfd(-1, &watched, SFD_NONBLOCK | SFD_CLOEXEC);
}

int clinux_next_signal(int descriptor) {
    struct signalfd_siginfo info;
    ssize_t count = read(descriptor, &info, sizeof info);
    return count == (ssize_t)sizeof info ? (int)info.ssi_signo : 0;
}

void clinux_name_thread(const char *name) {
    char cut[16];
    strncpy(cut, name, sizeof cut - 1);
    cut[sizeof cut - 1] = 0;
    pthread_setname_np(pthread_self(), cut);
}

int clinux_available_cores(void) {
    cpu_set_t cores;
    return sched_getaffinity(0, sizeof cores, &cores) == 0 ? CPU_COUNT(&cores) : 1;
}

ptrdiff_t clinux_random(void *memory, size_t bytes) { return getrandom(memory, bytes, 0); }

int clinux_open_record(const char *path) {
    /* O_NONBLOCK: opening a FIFO must not wait for its reader. It means nothing to a regular file. */
    int file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    struct stat status;
    if (file >= 0 && (fstat(file, &status) != 0 || !S_ISREG(status.st_mode) || status.st_nlink != 1)) {
        close(file);
        errno = EINVAL;
        return -1;
    }
    return file;
}

int clinux_open_standard_descriptors(void) {
    for (int number = 0; number <= 2; number += 1) {
        /* The lowest number that is free is this one. */
        if (fcntl(number, F_GETFD) < 0 && open("/dev/null", O_RDWR) != number) {
            return -1;
        }
    }
    return 0;
}

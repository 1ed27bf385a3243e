#define _GNU_SOURCE
#include "clinux_spawn.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

pid_t clinux_fork(void) { return fork(); }

void clinux_close_all_but(int kept) {
    if (kept > STDERR_FILENO + 1) {
        close_range(STDERR_FILENO + 1, (unsigned)kept - 1, 0);
    }
    close_range(kept > STDERR_FILENO ? (unsigned)kept + 1 : STDERR_FILENO + 1, ~0U, 0);
}

pid_t clinux_reap_any(struct clinux_end *end) {
    int status;
    pid_t ended;
    do {
        ended = waitpid(-1, &status, WNOHANG);
    } while (ended < 0 && errno == EINTR);
    if (ended > 0) {
        end->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        end->status = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    }
    return ended;
}

void clinux_end_as(struct clinux_end end) {
    if (end.signal != 0 && getpid() != 1) {
        struct rlimit none = {0, 0};
        struct sigaction action;
        sigset_t one;
        memset(&action, 0, sizeof action);
        action.sa_handler = SIG_DFL;
        /* It has left one already, where cores are kept. */
        setrlimit(RLIMIT_CORE, &none);
        sigaction(end.signal, &action, NULL);
        sigemptyset(&one);
        sigaddset(&one, end.signal);
        raise(end.signal);
        sigprocmask(SIG_UNBLOCK, &one, NULL);
    }
    _exit(end.signal != 0 ? 128 + end.signal : end.status);
}

int clinux_next_signal_of(int descriptor, pid_t *sender) {
    struct signalfd_siginfo info;
    ssize_t count = read(descriptor, &info, sizeof info);
    if (count != (ssize_t)sizeof info) {
        return 0;
    }
    *sender = info.ssi_code == SI_KERNEL ? -1 : (pid_t)info.ssi_pid;
    return (int)info.ssi_signo;
}

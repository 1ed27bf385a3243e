#define _GNU_SOURCE
#include "clinux_spawn.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Reaps everybody who has ended; does not return when the gateway is among them. */
static void reap(pid_t gateway) {
    int status;
    pid_t ended;
    while ((ended = waitpid(-1, &status, WNOHANG)) > 0) {
        if (ended == gateway) {
            _exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
        }
    }
}

static _Noreturn void stay_behind(pid_t gateway) {
    sigset_t all;
    siginfo_t information;
    sigfillset(&all);
    /* What is a listener of the gateway, or a pipe, would not end with it. */
    close_range(STDERR_FILENO + 1, ~0U, 0);
    prctl(PR_SET_NAME, "gateway init");
    for (;;) {
        int number = sigwaitinfo(&all, &information);
        if (number == SIGCHLD) {
            reap(gateway);
        } else if (number > 0 && information.si_code != SI_KERNEL) {
            /* What a terminal sends (SI_KERNEL) goes to the whole process group: the gateway has it already. */
            kill(gateway, number);
        }
    }
}

int clinux_leave_process_one(void) {
    pid_t gateway;
    if (getpid() != 1) {
        return 0;
    }
    gateway = fork();
    if (gateway > 0) {
        stay_behind(gateway);
    }
    return gateway;
}

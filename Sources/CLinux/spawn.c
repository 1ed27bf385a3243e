#define _GNU_SOURCE
#include "clinux_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_DESCRIPTORS = 8 };

int clinux_pipe(int *reading, int *writing) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return -1;
    }
    if (fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) {
        int why = errno;
        close(ends[0]);
        close(ends[1]);
        errno = why;
        return -1;
    }
    *reading = ends[0];
    *writing = ends[1];
    return 0;
}

int clinux_memory_file(const char *name) { return memfd_create(name, MFD_CLOEXEC); }

int clinux_open_own_program(void) { return open("/proc/self/exe", O_PATH | O_CLOEXEC); }

int clinux_close_on_exec(int descriptor) { return fcntl(descriptor, F_SETFD, FD_CLOEXEC); }

static int prepare_actions(posix_spawn_file_actions_t *actions, const int *moved, int count) {
    int error = 0;
    for (int i = 0; i < count && error == 0; i += 1) {
        error = posix_spawn_file_actions_adddup2(actions, moved[i], i);
    }
    return error != 0 ? error : posix_spawn_file_actions_addclosefrom_np(actions, count);
}

static int prepare_attributes(posix_spawnattr_t *attributes) {
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int error = posix_spawnattr_setsigmask(attributes, &none);
    error = error != 0 ? error : posix_spawnattr_setsigdefault(attributes, &all);
    error = error != 0 ? error : posix_spawnattr_setpgroup(attributes, 0);
    return error != 0 ? error
                      : posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                                                 POSIX_SPAWN_SETSIGDEF);
}

static int spawn_moved(
    pid_t *process, const char *program, char *const *arguments, char *const *environment, const int *moved,
    int count) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int error = posix_spawn_file_actions_init(&actions);
    if (error != 0) {
        return error;
    }
    error = posix_spawnattr_init(&attributes);
    if (error == 0) {
        error = prepare_actions(&actions, moved, count);
        error = error != 0 ? error : prepare_attributes(&attributes);
        error = error != 0
                    ? error
                    : posix_spawn(process, program, &actions, &attributes, arguments, environment);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

pid_t clinux_spawn(const char *program, const char *argument, const char *other, const int *descriptors, int count) {
    char *arguments[] = {(char *)"gateway", (char *)argument, (char *)other, NULL};
    return clinux_spawn_with(program, arguments, descriptors, count);
}

pid_t clinux_spawn_with(const char *program, char *const *arguments, const int *descriptors, int count) {
    return clinux_spawn_in(program, arguments, environ, descriptors, count);
}

pid_t clinux_spawn_in(
    const char *program, char *const *arguments, char *const *environment, const int *descriptors, int count) {
    int moved[MOST_DESCRIPTORS];
    int made = 0, error = count < 0 || count > MOST_DESCRIPTORS ? EINVAL : 0;
    pid_t process = -1;
    /* Above all the numbers they are to get, so that none is overwritten before it was copied. */
    while (error == 0 && made < count) {
        moved[made] = fcntl(descriptors[made], F_DUPFD_CLOEXEC, count);
        if (moved[made] < 0) {
            error = errno;
        } else {
            made += 1;
        }
    }
    if (error == 0) {
        error = spawn_moved(&process, program, arguments, environment, moved, count);
    }
    while (made > 0) {
        made -= 1;
        close(moved[made]);
    }
    errno = error;
    return error == 0 ? process : -1;
}

int clinux_process_descriptor(pid_t process) { return (int)syscall(SYS_pidfd_open, process, 0); }

int clinux_reap(pid_t process, int waits, struct clinux_end *end) {
    siginfo_t information;
    int status, result;
    memset(&information, 0, sizeof information);
    do {
        result = waitid(P_PID, (id_t)process, &information, WEXITED | WNOWAIT | (waits ? 0 : WNOHANG));
    } while (result != 0 && errno == EINTR);
    if (result != 0) {
        return -1;
    }
    if (information.si_pid == 0) {
        return 0;
    }
    /* While it is not reaped no other process can have its number, nor its group's. */
    kill(-process, SIGKILL);
    do {
        result = waitpid(process, &status, 0);
    } while (result < 0 && errno == EINTR);
    if (result < 0) {
        return -1;
    }
    end->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    end->status = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    return 1;
}

int clinux_end_with_parent(void) { return prctl(PR_SET_PDEATHSIG, SIGKILL); }

/* Octets of data and stack that this process has, which RLIMIT_DATA limits; 0 when /proc does not say. To be called
 * where a fault is handled. */
static uint64_t data_octets(void) {
    char text[256];
    int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t count = file >= 0 ? read(file, text, sizeof text) : 0;
    uint64_t pages = 0;
    int field = 0;
    if (file >= 0) {
        close(file);
    }
    for (ssize_t i = 0; i < count && field <= 5; i += 1) {
        if (text[i] == ' ') {
            field += 1;
        } else if (field == 5 && text[i] >= '0' && text[i] <= '9') {
            pages = pages * 10 + (uint64_t)(text[i] - '0');
        }
    }
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static int limit(__rlimit_resource_t resource, uint64_t most) {
    struct rlimit limits;
    if (getrlimit(resource, &limits) != 0) {
        return -1;
    }
    if (limits.rlim_max == RLIM_INFINITY || limits.rlim_max > most) {
        limits.rlim_max = most;
    }
    limits.rlim_cur = limits.rlim_max;
    return setrlimit(resource, &limits);
}

static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGQUIT, SIGSYS};

static uint64_t present;
static int teller;

/* The kernel's own figure of the most that a process had begins with what its parent has, so the process says by itself
 * what it had: a word that it is dying, and octets, least significant first. */
static void tell_memory(int signal) {
    uint64_t had = data_octets();
    uint64_t words[2] = {CLINUX_DYING, had > present ? had - present : 0};
    unsigned char bytes[16];
    for (size_t i = 0; i < sizeof bytes; i += 1) {
        bytes[i] = (unsigned char)(words[i / 8] >> (i % 8 * 8));
    }
    if (write(teller, bytes, sizeof bytes) < 0) {
        /* Nobody listens any more. */
    }
    raise(signal);
}

/* Has the process say so when it dies of a fault of the thread that calls this, and die of that fault. */
static int watch_faults(void) {
    static char stack[16384];
    stack_t other = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_handler = tell_memory, .sa_flags = SA_ONSTACK | SA_RESETHAND | SA_NODEFER};
    if (sigaltstack(&other, NULL) != 0) {
        return -1;
    }
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i += 1) {
        if (sigaction(faults[i], &action, NULL) != 0) {
            return -1;
        }
    }
    return 0;
}

int clinux_confine(
    uint64_t memory, uint32_t processor_seconds, uint32_t files, uint32_t seconds, int told) {
    uint64_t data;
    present = data_octets();
    teller = told;
    if (clinux_end_with_parent() != 0) {
        return -1;
    }
    alarm(seconds);
    /* The Swift runtime would print a backtrace of some pages on a fault, and survive a signal that was only sent. */
    if (watch_faults() != 0) {
        return -1;
    }
    /* RLIMIT_DATA and not RLIMIT_AS: reserved address space costs nothing, and sanitizers reserve terabytes of it. */
    if (__builtin_add_overflow(present, memory, &data)) {
        data = UINT64_MAX - 1;
    }
    if (limit(RLIMIT_CORE, 0) != 0 || limit(RLIMIT_CPU, processor_seconds) != 0 || limit(RLIMIT_NOFILE, files) != 0) {
        return -1;
    }
    return limit(RLIMIT_DATA, data);
}

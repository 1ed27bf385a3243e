/* Preloaded into the gateway by tests (faults.py): lets chosen calls fail as a file says that the test changes while the
 * gateway runs. The gateway itself knows nothing of it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* In the order in which faults.py has them. */
enum call {
    ACCEPT, RECEIVE, SEND, SENDMSG, READV, READ, PREAD, WRITE, EPOLL_WAIT, EPOLL_CTL, POLL, OPEN, LINK, RENAME, FSYNC, MKDIR,
    BIND, MMAP, MALLOC, THREAD, CALLS
};

struct rule {
    _Atomic int32_t error;    /* none for 0 */
    _Atomic int32_t every;    /* each so manieth call fails; below zero in no order */
    _Atomic int64_t left;     /* how many may still fail */
    _Atomic int64_t calls;    /* how many there were that the rule is for */
    _Atomic int64_t failures; /* how many failed */
    char what[64];            /* only calls with this in their path, or in that of the library which calls */
};

struct plan {
    _Atomic int64_t process;     /* whose calls; 0 for nobody's, -1 for everybody's */
    _Atomic int64_t wall_offset; /* seconds by which the wall clock is wrong */
    struct rule rules[CALLS];
};

static struct plan *plan;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("GATEWAY_FAULTS");
    int file = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *memory = file >= 0 ? (void *)syscall(SYS_mmap, NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0L)
                             : MAP_FAILED;
    if (memory == MAP_FAILED) {
        static const char text[] = "faults: there is no plan\n";
        _exit(write(2, text, sizeof text - 1) < 0 ? 98 : 99);
    }
    close(file);
    plan = memory;
}

static int is_meant(void) {
    int64_t process = plan != NULL ? atomic_load(&plan->process) : 0;
    return process == -1 || process == getpid();
}

/* The rule for a call, if there is one now. */
static struct rule *rule(enum call call) {
    return plan != NULL && atomic_load(&plan->rules[call].error) != 0 && is_meant() ? &plan->rules[call] : NULL;
}

/* Whether this call is to fail; then errno is set. */
static int applies(struct rule *rule) {
    int64_t number = atomic_fetch_add(&rule->calls, 1) + 1;
    int32_t every = atomic_load(&rule->every);
    if (every > 1 && number % every != 0) return 0;
    /* On an average: calls that alternate must not be told apart by it. */
    if (every < -1 && ((uint64_t)number * 0x9E3779B97F4A7C15u >> 33) % (uint64_t)-every != 0) return 0;
    if (atomic_fetch_sub(&rule->left, 1) <= 0) {
        atomic_store(&rule->left, 0);
        return 0;
    }
    atomic_fetch_add(&rule->failures, 1);
    errno = atomic_load(&rule->error);
    return 1;
}

static int fails(enum call call) {
    struct rule *found = rule(call);
    return found != NULL && applies(found);
}

static int fails_at(enum call call, const char *path) {
    struct rule *found = rule(call);
    return found != NULL && path != NULL && strstr(path, found->what) != NULL && applies(found);
}

/* Regular files only: pipes and sockets have rules of their own. */
static int fails_in(enum call call, int descriptor) {
    struct rule *found = rule(call);
    struct stat status;
    char name[64], path[4096];
    if (found == NULL || fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) return 0;
    snprintf(name, sizeof name, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(name, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = 0;
    return strstr(path, found->what) != NULL && applies(found);
}

static int fails_for(enum call call, const void *caller) {
    struct rule *found = rule(call);
    Dl_info library;
    return found != NULL && dladdr(caller, &library) != 0 && library.dli_fname != NULL
           && strstr(library.dli_fname, found->what) != NULL && applies(found);
}

#define REAL(name) ({ \
    static __typeof__(&name) real; \
    if (real == NULL) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name); \
    real; \
})

int accept4(int listener, struct sockaddr *address, socklen_t *length, int flags) {
    struct rule *found = rule(ACCEPT);
    int family = 0;
    socklen_t size = sizeof family;
    /* The control socket has a way of its own. */
    if (found != NULL && getsockopt(listener, SOL_SOCKET, SO_DOMAIN, &family, &size) == 0
        && (family == AF_UNIX) == (strcmp(found->what, "unix") == 0) && applies(found)) {
        return -1;
    }
    return REAL(accept4)(listener, address, length, flags);
}

/* The gateway receives and sends by bare system calls. */
long syscall(long number, ...) {
    static long (*real)(long, ...);
    if (real == NULL) real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    va_list list;
    long words[6];
    va_start(list, number);
    for (int i = 0; i < 6; i++) words[i] = va_arg(list, long);
    va_end(list);
    if (number == SYS_recvfrom && fails(RECEIVE)) return -1;
    if (number == SYS_sendto && fails(SEND)) return -1;
    return real(number, words[0], words[1], words[2], words[3], words[4], words[5]);
}

ssize_t sendmsg(int descriptor, const struct msghdr *message, int flags) {
    return fails(SENDMSG) ? -1 : REAL(sendmsg)(descriptor, message, flags);
}

ssize_t readv(int descriptor, const struct iovec *vectors, int count) {
    return fails(READV) ? -1 : REAL(readv)(descriptor, vectors, count);
}

ssize_t read(int descriptor, void *memory, size_t bytes) {
    return fails(READ) ? -1 : REAL(read)(descriptor, memory, bytes);
}

ssize_t pread(int descriptor, void *memory, size_t bytes, off_t offset) {
    return fails(PREAD) ? -1 : REAL(pread)(descriptor, memory, bytes, offset);
}

ssize_t write(int descriptor, const void *memory, size_t bytes) {
    return fails_in(WRITE, descriptor) ? -1 : REAL(write)(descriptor, memory, bytes);
}

int epoll_wait(int descriptor, struct epoll_event *events, int most, int milliseconds) {
    return fails(EPOLL_WAIT) ? -1 : REAL(epoll_wait)(descriptor, events, most, milliseconds);
}

int epoll_ctl(int descriptor, int operation, int number, struct epoll_event *event) {
    if (operation != EPOLL_CTL_DEL && fails(EPOLL_CTL)) return -1;
    return REAL(epoll_ctl)(descriptor, operation, number, event);
}

struct pollfd;
int poll(struct pollfd *descriptors, unsigned long count, int milliseconds) {
    return fails(POLL) ? -1 : REAL(poll)(descriptors, count, milliseconds);
}

int open(const char *path, int flags, ...) {
    va_list list;
    va_start(list, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0;
    va_end(list);
    return fails_at(OPEN, path) ? -1 : REAL(open)(path, flags, mode);
}

int link(const char *from, const char *to) { return fails_at(LINK, to) ? -1 : REAL(link)(from, to); }

int rename(const char *from, const char *to) { return fails_at(RENAME, to) ? -1 : REAL(rename)(from, to); }

int fsync(int descriptor) { return fails_in(FSYNC, descriptor) ? -1 : REAL(fsync)(descriptor); }

int mkdir(const char *path, mode_t mode) { return fails_at(MKDIR, path) ? -1 : REAL(mkdir)(path, mode); }

int bind(int descriptor, const struct sockaddr *address, socklen_t length) {
    if (address->sa_family == AF_UNIX && fails_at(BIND, address->sa_data)) return -1;
    return REAL(bind)(descriptor, address, length);
}

void *mmap(void *address, size_t bytes, int protection, int flags, int descriptor, off_t offset) {
    if (fails(MMAP)) return MAP_FAILED;
    return REAL(mmap)(address, bytes, protection, flags, descriptor, offset);
}

/* dlsym itself may ask for memory. */
extern void *__libc_malloc(size_t bytes);
void *malloc(size_t bytes) { return fails_for(MALLOC, __builtin_return_address(0)) ? NULL : __libc_malloc(bytes); }

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*body)(void *), void *argument) {
    struct rule *found = rule(THREAD);
    if (found != NULL && applies(found)) return atomic_load(&found->error);
    return REAL(pthread_create)(thread, attributes, body, argument);
}

static void step(clockid_t clock, struct timespec *now) {
    if (!is_meant()) return;
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) now->tv_sec += atomic_load(&plan->wall_offset);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int status = REAL(clock_gettime)(clock, now);
    if (status == 0) step(clock, now);
    return status;
}

time_t time(time_t *result) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (result != NULL) *result = now.tv_sec;
    return now.tv_sec;
}

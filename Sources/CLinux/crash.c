/* Everything below `on_fault` runs in a signal handler, inside a process that is broken in unknown ways: it calls
 * nothing but what signal-safety(7) lists, and touches no memory but its stack, its own variables, and the note. */
#define _GNU_SOURCE
#include "clinux_crash.h"

#include "clinux_ending.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

__thread struct clinux_crash_note clinux_crash_note __attribute__((tls_model("initial-exec")));

enum { STACK_OCTETS = 128 << 10, GUARD_OCTETS = 64 << 10, RECORD_BYTES = 2048, TEXT_OCTETS = 256 };

static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP};
enum { FAULTS = sizeof faults / sizeof faults[0] };
static const char *const fault_names[FAULTS] = {"SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT", "SIGTRAP"};

static const char *const callback_names[CLINUX_CALLBACKS] = {
    "no callback", "loading",     "gw_handler_entry_v1", "start",    "reconfigure", "stop",      "upgrade",      "open",
    "message",     "fragment",    "ping",                "pong",     "drained",     "error",     "close",        "http",
    "event",       "work",        "save_self",           "restore_self", "save_conn", "restore_conn", "drop_conn"};

/* How long the lines of other threads are waited for, and a reader of standard error. */
enum { LINES_MILLISECONDS = 200, READER_MILLISECONDS = 1000 };

static int record_file = -1;
static int unwritten;
static int is_awaited;
static atomic_flag is_recording = ATOMIC_FLAG_INIT;
static pthread_key_t stack_key;
static pthread_once_t stack_once = PTHREAD_ONCE_INIT;
static int stack_key_error;

/* ---- text, without stdio */

struct text {
    size_t length;
    char bytes[RECORD_BYTES];
};

static void put_bytes(struct text *text, const char *bytes, size_t count) {
    for (size_t i = 0; i < count && text->length < sizeof text->bytes; i += 1) {
        text->bytes[text->length] = bytes[i];
        text->length += 1;
    }
}

static void put(struct text *text, const char *string) {
    size_t count = 0;
    while (count < TEXT_OCTETS && string[count] != 0) {
        count += 1;
    }
    put_bytes(text, string, count);
}

static void put_number(struct text *text, uint64_t number, unsigned base, int width) {
    char digits[32];
    int at = sizeof digits;
    do {
        at -= 1;
        digits[at] = "0123456789abcdef"[number % base];
        number /= base;
        width -= 1;
    } while (number > 0 || width > 0);
    put_bytes(text, digits + at, sizeof digits - (size_t)at);
}

static void put_address(struct text *text, uint64_t address) {
    put(text, "0x");
    put_number(text, address, 16, 1);
}

/* UTC as in RFC 3339; gmtime is not safe here. The calendar: days since the first of March of the year 0. */
static void put_time(struct text *text, int64_t seconds) {
    int64_t days = seconds / 86400 + 719468, rest = seconds % 86400;
    int64_t era = days / 146097, day_of_era = days % 146097;
    int64_t year = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day = day_of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * day + 2) / 153;
    put_number(text, (uint64_t)(year + era * 400 + (month >= 10 ? 1 : 0)), 10, 4);
    put(text, "-");
    put_number(text, (uint64_t)(month < 10 ? month + 3 : month - 9), 10, 2);
    put(text, "-");
    put_number(text, (uint64_t)(day - (153 * month + 2) / 5 + 1), 10, 2);
    put(text, "T");
    put_number(text, (uint64_t)(rest / 3600), 10, 2);
    put(text, ":");
    put_number(text, (uint64_t)(rest / 60 % 60), 10, 2);
    put(text, ":");
    put_number(text, (uint64_t)(rest % 60), 10, 2);
    put(text, "Z");
}

/* ---- where the code was */

static uint64_t program_counter(const void *context) {
    const ucontext_t *machine = context;
#if defined(__x86_64__)
    return (uint64_t)machine->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return machine->uc_mcontext.pc;
#else
#error "the gateway runs on x86-64 and aarch64"
#endif
}

static int digit(char byte) {
    if (byte >= '0' && byte <= '9') {
        return byte - '0';
    }
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

static uint64_t read_hexadecimal(const char **at) {
    uint64_t number = 0;
    while (digit(**at) >= 0) {
        number = number * 16 + (uint64_t)digit(**at);
        *at += 1;
    }
    return number;
}

/* A line of /proc/self/maps, "from-to rwxp offset device inode   path": puts path+offset if `address` is in it. */
static int put_if_inside(struct text *text, const char *line, uint64_t address) {
    const char *at = line;
    uint64_t from = read_hexadecimal(&at), to, offset;
    if (*at != '-') {
        return 0;
    }
    at += 1;
    to = read_hexadecimal(&at);
    if (address < from || address >= to) {
        return 0;
    }
    for (int spaces = 0; *at != 0 && spaces < 2; at += 1) {
        spaces += *at == ' ';
    }
    offset = read_hexadecimal(&at);
    while (*at != 0 && *at != '/') {
        at += 1;
    }
    if (*at == 0) {
        return 1;
    }
    put(text, ", in ");
    put(text, at);
    put(text, "+");
    put_address(text, address - from + offset);
    return 1;
}

/* What addr2line -e takes: the file that is mapped at an address, and the offset in it. */
static void put_place(struct text *text, uint64_t address) {
    char line[TEXT_OCTETS * 2], buffer[1024];
    size_t length = 0;
    ssize_t count;
    int found = 0, file = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return;
    }
    while (!found && (count = read(file, buffer, sizeof buffer)) > 0) {
        for (ssize_t i = 0; i < count && !found; i += 1) {
            if (buffer[i] != '\n') {
                if (length < sizeof line - 1) {
                    line[length] = buffer[i];
                    length += 1;
                }
                continue;
            }
            line[length] = 0;
            length = 0;
            found = put_if_inside(text, line, address);
        }
    }
    close(file);
}

/* ---- the record */

static void put_site(struct text *text, const struct clinux_crash_note *note) {
    const struct clinux_crash_site *site = note->site;
    uint32_t callback = note->callback & ~CLINUX_SEEN;
    if (site == NULL) {
        put(text, "outside of every handler");
        return;
    }
    put(text, "handler \"");
    put(text, site->handler);
    put(text, "\", generation ");
    put_number(text, site->generation, 10, 1);
    put(text, ", in ");
    put(text, callback_names[callback < CLINUX_CALLBACKS ? callback : 0]);
    if (site->route[0] != 0) {
        put(text, " of route ");
        put(text, site->route);
    }
    if (note->connection != 0) {
        put(text, ", connection ");
        put_number(text, note->connection, 16, 1);
    }
}

static int fault_index(int signal) {
    int index = 0;
    while (index < FAULTS - 1 && faults[index] != signal) {
        index += 1;
    }
    return index;
}

static void write_all(int file, const struct text *text) {
    size_t written = 0;
    while (written < text->length) {
        ssize_t count = write(file, text->bytes + written, text->length - written);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            return;
        }
        written += (size_t)count;
    }
}

void clinux_note_unwritten(int yes) {
    int left = __atomic_add_fetch(&unwritten, yes ? 1 : -1, __ATOMIC_SEQ_CST);
    if (left == 0 && __atomic_load_n(&is_awaited, __ATOMIC_SEQ_CST)) {
        syscall(SYS_futex, &unwritten, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    }
}

/* What other threads have said before the fault stands before it, if the threads that write it still can. */
void clinux_await_lines(void) {
    int left;
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_nsec += LINES_MILLISECONDS * 1000000L;
    end.tv_sec += end.tv_nsec / 1000000000;
    end.tv_nsec %= 1000000000;
    __atomic_store_n(&is_awaited, 1, __ATOMIC_SEQ_CST);
    while ((left = __atomic_load_n(&unwritten, __ATOMIC_SEQ_CST)) != 0) {
        /* Returns at once when there is nothing to wait for any more; the time is that of the monotonic clock. */
        long answer = syscall(SYS_futex, &unwritten, FUTEX_WAIT_BITSET_PRIVATE, left, &end, NULL, FUTEX_BITSET_MATCH_ANY);
        if (answer != 0 && errno != EINTR && errno != EAGAIN) {
            return;
        }
    }
}

/* Nobody may ever read it, and the process has to end all the same. A pipe with room takes the whole record. */
static int is_read(int file) {
    struct pollfd interest = {file, POLLOUT, 0};
    return poll(&interest, 1, READER_MILLISECONDS) == 1;
}

static void record(int signal, const siginfo_t *information, const void *context) {
    struct text text;
    struct timespec now = {0, 0};
    text.length = 0;
    clock_gettime(CLOCK_REALTIME, &now);
    put_time(&text, now.tv_sec);
    put(&text, " crash: ");
    put_site(&text, &clinux_crash_note);
    put(&text, ": ");
    put(&text, fault_names[fault_index(signal)]);
    /* A signal that a process sent has no address; si_code tells. */
    if (information->si_code > 0) {
        put(&text, " at address ");
        put_address(&text, (uint64_t)(uintptr_t)information->si_addr);
    }
    put(&text, " (");
    if (clinux_crash_note.site != NULL) {
        put(&text, "build ");
        put_number(&text, clinux_crash_note.site->digest, 16, 16);
        put(&text, ", ");
    }
    put(&text, "pid ");
    put_number(&text, (uint64_t)getpid(), 10, 1);
    put(&text, ", thread ");
    put_number(&text, (uint64_t)gettid(), 10, 1);
    put(&text, ", code at ");
    put_address(&text, program_counter(context));
    put_place(&text, program_counter(context));
    put(&text, ")");
    if (text.length == sizeof text.bytes) {
        text.length -= 1;
    }
    put(&text, "\n");
    if (record_file >= 0) {
        write_all(record_file, &text);
        fsync(record_file);
    }
    clinux_await_lines();
    if (is_read(STDERR_FILENO)) {
        write_all(STDERR_FILENO, &text);
    }
}

static void on_fault(int signal, siginfo_t *information, void *context) {
    struct sigaction usual;
    if (atomic_flag_test_and_set(&is_recording)) {
        /* Another thread is about to end the process; its record must not be cut off by ours. */
        for (;;) {
            pause();
        }
    }
    clinux_begin_ending();
    record(signal, information, context);
    clinux_await_rest();
    /* Not the handler from before: the Swift runtime's starts a process to print a backtrace, which does not always
     * come to an end, and survives a signal that was only sent. */
    memset(&usual, 0, sizeof usual);
    usual.sa_handler = SIG_DFL;
    sigaction(signal, &usual, NULL);
    /* Blocked until we return, and then it kills, with the registers of the fault and its own information, so that
     * exit status and core file are those of the fault. */
    if (syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), signal, information) != 0) {
        raise(signal);
    }
}

int clinux_record_crashes(int file) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    for (int i = 0; i < FAULTS; i += 1) {
        sigaddset(&action.sa_mask, faults[i]);
    }
    __atomic_store_n(&record_file, file, __ATOMIC_RELAXED);
    for (int i = 0; i < FAULTS; i += 1) {
        if (sigaction(faults[i], &action, NULL) != 0) {
            return -1;
        }
    }
    return 0;
}

/* ---- stacks */

static void free_stack(void *memory) {
    stack_t none;
    memset(&none, 0, sizeof none);
    none.ss_flags = SS_DISABLE;
    sigaltstack(&none, NULL);
    munmap(memory, GUARD_OCTETS + STACK_OCTETS);
}

static void make_stack_key(void) { stack_key_error = pthread_key_create(&stack_key, free_stack); }

int clinux_make_crash_stack(void) {
    stack_t stack;
    char *memory;
    if (sigaltstack(NULL, &stack) != 0) {
        return -1;
    }
    if ((stack.ss_flags & SS_DISABLE) == 0 && stack.ss_size >= STACK_OCTETS / 2) {
        return 0;
    }
    pthread_once(&stack_once, make_stack_key);
    if (stack_key_error != 0) {
        errno = stack_key_error;
        return -1;
    }
    memory = mmap(NULL, GUARD_OCTETS + STACK_OCTETS, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        return -1;
    }
    memset(&stack, 0, sizeof stack);
    stack.ss_sp = memory + GUARD_OCTETS;
    stack.ss_size = STACK_OCTETS;
    if (mprotect(memory, GUARD_OCTETS, PROT_NONE) != 0 || sigaltstack(&stack, NULL) != 0 ||
        pthread_setspecific(stack_key, memory) != 0) {
        int why = errno;
        free_stack(memory);
        errno = why;
        return -1;
    }
    return 0;
}

struct clinux_crash_site *clinux_make_crash_site(const char *handler, uint64_t generation, uint64_t digest,
                                                 const char *route) {
    struct clinux_crash_site *site = calloc(1, sizeof *site);
    if (site == NULL) {
        return NULL;
    }
    site->generation = generation;
    site->digest = digest;
    site->handler = strdup(handler);
    site->route = strdup(route);
    return site->handler != NULL && site->route != NULL ? site : NULL;
}

struct clinux_sighting clinux_look(struct clinux_crash_note *note) {
    struct clinux_sighting seen = {NULL, 0, CLINUX_NO_CALLBACK, 0};
    const struct clinux_crash_site *site = __atomic_load_n(&note->site, __ATOMIC_ACQUIRE);
    if (site == NULL) {
        return seen;
    }
    uint32_t callback = __atomic_load_n(&note->callback, __ATOMIC_RELAXED);
    seen.site = (struct clinux_crash_site *)(uintptr_t)site;
    seen.connection = __atomic_load_n(&note->connection, __ATOMIC_RELAXED);
    seen.callback = (enum clinux_callback)(callback & ~CLINUX_SEEN);
    seen.is_same = (callback & CLINUX_SEEN) != 0;
    /* A callback that began meanwhile has written over it, and must not be marked with the number of another one. */
    __atomic_compare_exchange_n(&note->callback, &callback, callback | CLINUX_SEEN, 0, __ATOMIC_RELAXED,
                                __ATOMIC_RELAXED);
    return seen;
}

/* A child process that is watched, confined and always reaped. */
#ifndef CLINUX_SPAWN_H
#define CLINUX_SPAWN_H

#include <stdint.h>
#include <sys/types.h>

/* How a child ended. */
struct clinux_end {
    int32_t signal; /* that killed it; 0 when it exited by itself */
    int32_t status; /* with which it exited, when it did */
};

/* Makes a close-on-exec pipe, whose end for reading does not block; 0, or -1 with errno set. */
int clinux_pipe(int *reading, int *writing);

/* Makes a close-on-exec file that lives in memory alone; -1 with errno set. */
int clinux_memory_file(const char *name);

/* Opens the file of this program, for nothing but to be looked at and started; -1 with errno set. */
int clinux_open_own_program(void);

/* No program started from here on inherits the descriptor; 0, or -1 with errno set. */
int clinux_close_on_exec(int descriptor);

/* Starts `program` with two arguments, in a process group of its own, with no signal blocked or ignored. The child
 * gets descriptors[0..<count] (at most 8) as 0, 1, 2 ..., and no others. The process id, or -1 with errno set. */
pid_t clinux_spawn(const char *program, const char *argument, const char *other, const int *descriptors, int count);

/* The same with arguments of any number: the name of the program first, NULL last. */
pid_t clinux_spawn_with(const char *program, char *const *arguments, const int *descriptors, int count);

/* The same with an environment of its own: NAME=VALUE each, NULL last. */
pid_t clinux_spawn_in(const char *program, char *const *arguments, char *const *environment, const int *descriptors,
                      int count);

/* A close-on-exec descriptor that is readable when the process has ended; -1 with errno set. */
int clinux_process_descriptor(pid_t process);

/* Waits for a child of either, or only looks; then kills what is left of its process group and reaps it.
 * 1 when it has ended, 0 when it has not, -1 with errno set. */
int clinux_reap(pid_t process, int waits, struct clinux_end *end);

/* From now on this process is killed when the thread that started it ends; 0, or -1 with errno set. */
int clinux_end_with_parent(void);

/* Divides this process, whose only thread calls it: 0 in the child, its number in the parent, -1 with errno set. */
pid_t clinux_fork(void);

/* Closes every descriptor above standard error but one. */
void clinux_close_all_but(int kept);

/* Ends as a process ended: exits with its status, or dies of its signal, without a core file of this one. Process 1, which
 * no signal of its own kills, exits with 128 more than the signal, as shells say it. */
_Noreturn void clinux_end_as(struct clinux_end end);

/* A child that has ended, which it is reaped with; 0 when none has, -1 with ECHILD when there is no child. */
pid_t clinux_reap_any(struct clinux_end *end);

/* What a signal descriptor says next: its number, 0 when there is nothing; who sent it, 0 when that is a process that
 * cannot be seen from here, as outside a container, -1 when the kernel did, as for a terminal. */
int clinux_next_signal_of(int descriptor, pid_t *sender);

/* The first of the two numbers that a confined process says when it dies of a fault. */
enum { CLINUX_DYING = 8 };

/* Limits this process, for good: bytes of memory on top of what it has, seconds of processor time, open files; no
 * core file, no handlers for faults that were set before. The process dies with the thread that started it, and by
 * SIGALRM after `seconds` whatever happens. When it dies of a fault it writes 16 octets to `told`: CLINUX_DYING, and how
 * many octets of that memory it had. */
int clinux_confine(uint64_t memory, uint32_t processor_seconds, uint32_t files, uint32_t seconds, int told);

#endif

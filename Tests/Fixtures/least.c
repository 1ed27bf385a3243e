/* The least a handler can be, and no mistake without macros; Tests/Support/Fixture.swift says what is built of it.
 *
 * SIZE, ABI, MIN_ABI, FLAGS, NAME: what its table says of it. WITHOUT_START, WITHOUT_MESSAGE: what its table lacks.
 * HIDES_FRAGMENT: what its table has, but behind its end. DECLINES: what its entry says instead of giving the table.
 * IN_CONSTRUCTOR, IN_ENTRY, IN_START, IN_STOP: which of the functions below is called there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "gw_handler.h"

#ifndef SIZE
#define SIZE sizeof(gw_handler)
#endif
#ifndef ABI
#define ABI GW_ABI_VERSION
#endif
#ifndef MIN_ABI
#define MIN_ABI 0x10000
#endif
#ifndef NAME
#define NAME FIXTURE
#endif
#ifndef FLAGS
#define FLAGS 0
#endif

static int *volatile nowhere;

static void give_up(void) { abort(); }

static void crash(void) { *nowhere = 1; }

static void complain_and_crash(void) {
    fputs("connecting to the database\n\033[1mno password\n", stderr);
    crash();
}

/* With the status of success, and before anybody could hear of it. */
static void leave(void) { _exit(0); }

static void leave_with_3(void) { exit(3); }

static void hang(void) {
    for (;;) {
        pause();
    }
}

static void take_all_memory(void) {
    /* Somewhere to be, or the compiler does without all of it. */
    static void *volatile taken;
    for (;;) {
        taken = malloc(1 << 20);
        if (taken == NULL) {
            abort();
        }
        memset(taken, 1, 1 << 20);
    }
}

#ifdef IN_CONSTRUCTOR
__attribute__((constructor)) static void construct(void) { IN_CONSTRUCTOR(); }
#endif

static gw_status start(const gw_host *host, const gw_config *config, void **self) {
    *self = NULL;
#ifdef IN_START
    IN_START();
#endif
    return GW_OK;
}

#ifdef IN_STOP
static void stop(void *self) { IN_STOP(); }
#endif

static void message(void *self, gw_conn conn, void *state, const gw_message *message) {}

static const gw_handler handler = {
    .struct_size = SIZE,
    .abi_version = ABI,
    .min_host_abi = MIN_ABI,
    .flags = FLAGS,
    .name = NAME,
    .version = "1.0",
#ifndef WITHOUT_START
    .start = start,
#endif
#ifdef IN_STOP
    .stop = stop,
#endif
#ifndef WITHOUT_MESSAGE
    .message = message,
#endif
#ifdef HIDES_FRAGMENT
    .fragment = message,
#endif
};

const gw_handler *gw_handler_entry_v1(const gw_host *host) {
#ifdef IN_ENTRY
    IN_ENTRY();
#endif
#ifdef DECLINES
    if (sizeof DECLINES > 1) {
        host->fail(host, DECLINES, sizeof DECLINES - 1);
    }
    return NULL;
#endif
    return &handler;
}

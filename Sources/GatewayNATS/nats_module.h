/* What the files of this module share. subject.c writes names as subjects, subscriptions.c finds them again, seeds.c is
 * what URLs mean, library.c keeps libnats, connection.c opens one,
 * watchdog.c sees to it that it does not take for ever, link.c is the table of the contract. */
#ifndef GATEWAY_NATS_H
#define GATEWAY_NATS_H

#include "backplane_kit.h"

#include <nats/nats.h>
#include <pthread.h>

#pragma GCC visibility push(hidden)

/* ---- subject.c */

#define SUBJECT_PREFIX "gw."

enum {
    SUBJECT_PREFIX_LENGTH = sizeof SUBJECT_PREFIX - 1,
    /* Every octet as %XX, and a NUL. With a size and a number it is shorter than the 4,096 octets that a NATS server and
     * its clients take for a line. */
    SUBJECT_ROOM = SUBJECT_PREFIX_LENGTH + 3 * GW_BACKPLANE_NAME_MAX + 1,
};

void subject_write(char subject[SUBJECT_ROOM], gw_span name);
/* The length of the name; 0: this is no subject that subject_write() makes. */
size_t subject_read(uint8_t name[GW_BACKPLANE_NAME_MAX], const char *subject);

/* ---- subscriptions.c */

/* By their subjects. */
typedef struct subscriptions {
    struct named **slots;
    size_t         room; /* a power of two */
    size_t         count;
} subscriptions;

/* Where it is kept: it holds NULL if it is a new one. NULL: there is no memory. */
natsSubscription **subscriptions_insert(subscriptions *set, const char *subject);
/* NULL: there is none. */
natsSubscription *subscriptions_take(subscriptions *set, const char *subject);
void subscriptions_clear(subscriptions *set);

/* ---- seeds.c */

typedef struct seeds {
    bp_url *urls;
    size_t  count;
    char   *user; /* of the configuration, for all */
    char   *password;
} seeds;

bool seeds_read(seeds *list, const gw_backplane_config *config, bp_text *why);
void seeds_free(seeds *list);

/* ---- library.c */

/* libnats has threads of its own while anybody uses it. */
bool library_enter(bp_text *why);
void library_leave(void);

/* ---- watchdog.c */

enum { WATCHDOG_KNOWN = 256 };

/* Ends a handshake that takes too long. */
typedef struct watchdog {
    struct addrinfo *addresses;
    int64_t          deadline;
    pthread_t        thread;
    pthread_mutex_t  mutex;
    pthread_cond_t   changed;
    bool             is_over;
    bool             has_bitten;
    size_t           known;
    int              before[WATCHDOG_KNOWN];
} watchdog;

bool watchdog_start(watchdog *dog, const bp_url *seed, int64_t milliseconds);
/* Whether it had to end one. */
bool watchdog_end(watchdog *dog);

/* ---- connection.c */

typedef struct link link_;

/* Tries one seed for that long. */
natsStatus connection_open(natsConnection **made, link_ *link, const bp_url *seed, int64_t milliseconds, bp_text *why);
int32_t connection_verdict(natsStatus status);

/* ---- link.c */

struct link {
    const gw_backplane_host *host;
    void                    *context;
    uint32_t                 timeout;
    seeds                    seeds;
    char                    *name;
    subscriptions            subscriptions;
    size_t                   limit; /* octets of data */
    char                     subject[SUBJECT_ROOM];

    /* Held while the gateway is called: behind disconnect() nobody is in there any more. */
    pthread_mutex_t gate;
    natsConnection *connection; /* the one whose callbacks count */
    uint64_t        attempt;
    link_          *next;
};

void link_message(natsConnection *connection, natsSubscription *subscription, natsMsg *message, void *link);
void link_closed(natsConnection *connection, void *link);
void link_error(natsConnection *connection, natsSubscription *subscription, natsStatus status, void *link);

#pragma GCC visibility pop

#endif

/* What the files of this module share. One noun each: commands.c writes what an engine is asked, replies.c reads what it
 * says, stream.c is the socket between, greeting.c the first words on it, target.c what a URL means, listener.c the thread
 * that hears publications, link.c the table of the contract. */
#ifndef GATEWAY_REDIS_H
#define GATEWAY_REDIS_H

#include "backplane_kit.h"

#include <hiredis/hiredis.h>
#include <pthread.h>
#include <stdatomic.h>

#pragma GCC visibility push(hidden)

enum {
    /* Of a publication's data. Redis takes more, but cuts a subscriber off for whom 32 MiB wait, and serves nobody else
     * while it copies: larger ones had better come in parts. */
    REDIS_DATA_MAX = 1 << 20,
    /* Of what the engine says at once: above it the connection ends. */
    REDIS_REPLY_MAX = 64 << 20,
    /* Of a line in it, such as an error. */
    REDIS_LINE_MAX = 4096,
    /* The reader of hiredis moves what is left after each reply, so what it is given at once is short. */
    REDIS_FEED = 16 << 10,
    REDIS_READ = 64 << 10,
    /* Of commands that are written before their replies are read. */
    REDIS_ROUND = 1 << 20,
    REDIS_ELEMENTS = 4,
    /* "2147483647:" before a channel's name. */
    REDIS_PREFIX_MAX = 11,
};

/* ---- commands.c */

typedef struct commands {
    uint8_t *bytes;
    size_t   used;
    size_t   room;
    bool     failed; /* no memory; what is there is of no use */
} commands;

void commands_begin(commands *list, size_t arguments);
void commands_argument(commands *list, const void *bytes, size_t length);
/* One argument out of two parts. */
void commands_joined(commands *list, gw_span first, gw_span second);
void commands_clear(commands *list);
void commands_free(commands *list);

/* ---- replies.c */

typedef struct element {
    int       type; /* REDIS_REPLY_STRING and so on; REDIS_REPLY_ARRAY stands for an empty one */
    long long integer;
    size_t    at; /* in `bytes` of the replies */
    size_t    length;
} element;

/* A reply is one element, or an array of a few. Its strings stay where they are until replies_forget(), while those of
 * the next ones come behind them; only what has come of the next one is kept then. */
typedef struct replies {
    redisReader *reader;
    uint8_t     *bytes;
    size_t       used;
    size_t       room;
    size_t       begin; /* of the reply that is being read */
    bool         is_array;
    size_t       expected;
    size_t       count;
    element      elements[REDIS_ELEMENTS];
    bp_text      why; /* once it has failed */
} replies;

bool replies_open(replies *list);
void replies_close(replies *list);
/* At most REDIS_FEED bytes. */
void replies_feed(replies *list, const uint8_t *bytes, size_t length);
/* 1: a reply is there. 0: not yet. -1: what came is no reply, or too large; `why` says more. */
int replies_next(replies *list);
void replies_forget(replies *list);
bool replies_is(const replies *list, size_t index, const char *word);

/* ---- stream.c */

/* A socket that does not block. */
int stream_open(const bp_url *target, int64_t deadline, bp_text *why);
/* 0: all is written. Else an errno. */
int stream_write(int socket, const uint8_t *bytes, size_t length, int64_t deadline);
/* More than 0: bytes. 0: the end. Below: an errno. A deadline of -1 never comes. */
ssize_t stream_read(int socket, uint8_t *bytes, size_t room, int64_t deadline);
void stream_say(bp_text *why, const char *what, int error);

/* ---- target.c */

typedef struct target {
    bp_url  url;
    char   *user;
    char   *password;
    char    prefix[REDIS_PREFIX_MAX + 1];
    bp_text address;
} target;

bool target_read(target *to, const gw_backplane_config *config, bp_text *why);
void target_free(target *to);

/* ---- greeting.c */

typedef struct greeting {
    const target *to;
    const char   *name; /* for CLIENT SETNAME */
    int64_t       deadline;
    bp_text       said;     /* the last error, or why it has failed */
    bp_text       software; /* "Redis 7.0.15" */
    uint8_t      *buffer;   /* REDIS_READ bytes */
} greeting;

/* GW_BACKPLANE_OK, or why not. */
int32_t greet(greeting *hello, int socket, replies *heard, bool asks_version);

/* ---- listener.c */

typedef struct link {
    const gw_backplane_host *host;
    void                    *context;
    uint32_t                 timeout;
    target                   to;
    char                    *name;
    gw_span                  prefix;

    /* Of the connection, if there is one. */
    bool     connected;
    uint64_t attempt;
    int      publishing;  /* sockets */
    int      subscribing;
    replies  answers; /* on `publishing` */
    replies  heard;   /* on `subscribing` */
    commands written;
    uint8_t *buffer;
    uint8_t *heard_buffer;
    uint64_t asked; /* subscriptions */

    pthread_t       listener;
    pthread_mutex_t mutex;
    pthread_cond_t  changed;
    uint64_t        confirmed; /* subscriptions; with `mutex`, as what follows */
    bool            ended;
    bp_text         why;
    bool            leaving; /* disconnect() knows already */

    gw_publication batch[GW_BACKPLANE_BATCH_MAX];
    size_t         batched;
} link_;

/* Of no use any more: whoever waits for it is woken up, and the listener tells the gateway. The first reason counts. */
void link_end(link_ *link, const bp_text *why);
void *listener_run(void *link);

#pragma GCC visibility pop

#endif

/* gw_backplane.h - the contract between the gateway and the modules that carry its topics to other gateways.
 *
 * A backplane is a shared object that speaks with one kind of engine, such as NATS or Redis, in that engine's own
 * protocol. It exports exactly ONE symbol, gw_backplane_entry_v1, which returns a table of functions. It moves named
 * bytes and knows nothing of topics, members, numbers or WebSockets: what is subscribed when, what is sent again, what
 * is lost and how long to wait for an engine that is away is decided by the gateway.
 *
 * VERSION LOG
 *   1.0   first version.
 *   A minor version adds fields at the end of structs, and new constants. A major one may change anything, and its
 *   entry has another name.
 *
 * WORDS
 *   engine      the server or cluster of servers that `cluster` names.
 *   link        one engine for one gateway: what start() gives as `self`. A gateway with several redis:// URLs has a
 *               link for each; several nats:// URLs are seeds of one.
 *   name        whom a publication is for. Octets, 1 to GW_BACKPLANE_NAME_MAX of any value, compared exactly. The module
 *               carries it as it is, or encodes it where its engine wants other octets; delivered is what was given.
 *   attempt     a number of the gateway's for each connect(). Never used twice.
 *
 * LIFE of a link
 *   start ( connect ( subscribe | unsubscribe | publish )* [lost] disconnect )* stop
 *   A connect() that fails needs no disconnect(). All subscriptions end with the connection: the gateway makes them
 *   again.
 *
 * THREADS: every function carries a tag.
 *   [entry]  inside gw_backplane_entry_v1, once for each loading; must not block.
 *   [link]   on the gateway's thread for this link, one call at a time. May block, for config.timeout_ms at most: nobody
 *            but the link waits, but what is published meanwhile piles up. Only the look for a host's address takes as
 *            long as the system's resolver does.
 *   [any]    from every thread of the module's, never inside of a call by the gateway; thread-safe; never blocks, and may
 *            be called with a lock held that a [link] function waits for. Deliveries come one after the other, in the
 *            order of the engine: those of one connection are not made on several threads at once.
 *
 * RULES
 *   R1  Pointers are borrowed until the call returns, in both directions. Config and host stay until stop() returns.
 *   R2  Each side only READS the other's structs, and only the first struct_size bytes. Absent == zero. Arrays of
 *       structs have the stride of this header; the structs in them never grow.
 *   R3  No exception, trap or longjmp crosses this boundary. No signal handlers, no chdir, no setlocale, no fork. SIGPIPE
 *       is ignored in the gateway. Threads of the module block all signals and end in disconnect() or stop().
 *   R4  When disconnect() has returned no host function is called for that attempt any more.
 *   R5  What comes from the engine is hostile: it may be cut, oversized, garbage. It may end the connection, and nothing
 *       else.
 *   R6  A second publish() of one link is behind the first one for every subscriber that hears both.
 *   R7  Whoever subscribes hears his own publications as well.
 *   R8  Subscriptions come into force in their order, and a publish() comes behind the subscribe() calls of the same link
 *       before it: it is heard by whoever has subscribed to its name there. When a publication to a name has come back
 *       that was subscribed last, all subscriptions before it are in force, for publications of others as well.
 */
#ifndef GW_BACKPLANE_H
#define GW_BACKPLANE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GW_BACKPLANE_ABI(major, minor) ((major) * 65536u + (minor))
#define GW_BACKPLANE_ABI_MAJOR 1u
#define GW_BACKPLANE_ABI_MINOR 0u
#define GW_BACKPLANE_ABI_VERSION GW_BACKPLANE_ABI(GW_BACKPLANE_ABI_MAJOR, GW_BACKPLANE_ABI_MINOR)

#define GW_BACKPLANE_EXPORT __attribute__((visibility("default")))

/* Bytes of a name. */
#define GW_BACKPLANE_NAME_MAX 1024u
/* Names in one subscribe() or unsubscribe(), publications in one publish(). */
#define GW_BACKPLANE_BATCH_MAX 512u
/* Bytes of a text for humans; more are cut. */
#define GW_BACKPLANE_TEXT_MAX 512u

/* Bytes, not ended by NUL. */
typedef struct gw_span {
    const uint8_t *ptr;
    size_t         len;
} gw_span;

/* What is published or delivered. */
typedef struct gw_publication {
    gw_span name;
    gw_span data;
} gw_publication;

enum {
    GW_BACKPLANE_OK          = 0,
    GW_BACKPLANE_E_CONFIG    = -1,  /* start: the URL, user or file cannot be used */
    GW_BACKPLANE_E_AWAY      = -2,  /* nobody answers there, or not within timeout_ms; the connection is of no use */
    GW_BACKPLANE_E_REFUSED   = -3,  /* the engine answers, and refuses: the password, the right, the database */
    GW_BACKPLANE_E_TOO_LARGE = -4,  /* publish: more than the engine takes */
};

/* Levels of log(). */
enum { GW_BACKPLANE_DEBUG = 0, GW_BACKPLANE_INFO = 1, GW_BACKPLANE_WARNING = 2, GW_BACKPLANE_ERROR = 3 };

typedef struct gw_backplane_config {
    uint32_t       struct_size;
    uint32_t       timeout_ms;   /* what a call may take, and an engine that does not answer */
    const gw_span *urls;         /* as in gateway.conf: one for an engine without seeds */
    size_t         url_count;
    gw_span        client_name;  /* printable; tells the engine's operator who this is */
    gw_span        user;         /* empty: none, or that of the URL */
    gw_span        password;     /* the same */
} gw_backplane_config;

/* What connect() has found. */
typedef struct gw_engine {
    uint32_t struct_size;        /* set by the gateway */
    uint32_t reserved;
    size_t   max_data;           /* bytes of data that a publication has at most, because the engine or the module takes no
                                    more; 0 = no limit is known */
    char     text[GW_BACKPLANE_TEXT_MAX];  /* engine, what is known of it, and address, as in "Redis 7.0.15 at
                                              127.0.0.1:6379"; or, when it has failed, why. Ended by NUL, and without any
                                              password */
} gw_engine;

/* What the gateway does for a module. */
typedef struct gw_backplane_host {
    uint32_t struct_size;
    uint32_t abi_version;

    /* [any] At most GW_BACKPLANE_BATCH_MAX publications to names that are subscribed to. An engine that is broken may
     * send others, so the gateway looks whom they are for. Read before it returns, which is soon: it does not wait for
     * anybody. */
    void (*deliver)(void *context, const gw_publication *batch, size_t count);

    /* [any] The connection of an attempt that had succeeded has ended, or is of no use any more. Once is enough, more
     * often does no harm. It may come before connect() has returned. `why` is for humans, without a full stop. */
    void (*lost)(void *context, uint64_t attempt, const char *why, size_t length);

    /* [any] A line of the error log, which says which engine it is about. */
    void (*log)(void *context, int32_t level, const char *text, size_t length);
} gw_backplane_host;

/* What a module is. All functions are needed. */
typedef struct gw_backplane {
    uint32_t    struct_size;
    uint32_t    abi_version;
    const char *name;            /* as in "nats" */
    const char *version;         /* of the module and of the client library it uses */
    const char *schemes;         /* of URLs, with a space between them: "nats tls" */
    uint32_t    flags;           /* GW_BACKPLANE_SEEDS */
    uint32_t    reserved;

    /* [link] Looks at the configuration, which it may keep (R1). Connects to nobody. `error` has room for
     * GW_BACKPLANE_TEXT_MAX bytes and says, ended by NUL, what is wrong when it fails; there is no stop() then. */
    int32_t (*start)(const gw_backplane_host *host, void *context, const gw_backplane_config *config, char *error,
                     void **self);

    /* [link] Tries once to reach the engine. Whether it has succeeded or not `found->text` says what there is to say. */
    int32_t (*connect)(void *self, uint64_t attempt, gw_engine *found);

    /* [link] Deliveries of names begin soon, or have ended soon. A name is subscribed to once. E_AWAY or E_REFUSED: the
     * connection is of no use, and disconnect() is next; lost() may come, or not. An engine may refuse later as well, and
     * then lost() says so. */
    int32_t (*subscribe)(void *self, const gw_span *names, size_t count);
    int32_t (*unsubscribe)(void *self, const gw_span *names, size_t count);

    /* [link] Hands publications to the engine, in their order. With GW_BACKPLANE_OK the engine has them, or they are on
     * their way. `*taken` is how many of the first ones are; of those behind nobody knows, but that E_TOO_LARGE is about the
     * next one alone, which was not sent, as those behind it were not: the connection is as good as before. With other
     * errors it is of no use, and disconnect() is next; lost() may come, or not. All of a batch has to be written within
     * timeout_ms, so the gateway keeps batches of large publications small. */
    int32_t (*publish)(void *self, const gw_publication *batch, size_t count, size_t *taken);

    /* [link] Ends the connection, or what is left of it. Harmless where there is none. */
    void (*disconnect)(void *self);

    /* [link] The end. Not called while connected. */
    void (*stop)(void *self);
} gw_backplane;

/* flags: several URLs are seeds of one engine; without it each is an engine of its own. */
#define GW_BACKPLANE_SEEDS 1u

/* [entry] The one symbol. NULL: the host is too old, or too new. Its own list of what is needed of the host is the
 * module's affair; what the gateway needs is abi_version with its own major. */
GW_BACKPLANE_EXPORT const gw_backplane *gw_backplane_entry_v1(uint32_t host_abi_version);

#ifdef __cplusplus
}
#endif
#endif

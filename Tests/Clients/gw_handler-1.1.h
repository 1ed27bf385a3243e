/* gw_handler.h - the contract between the gateway and its handlers.
 *
 * This file is the whole of it: a handler needs nothing else to be compiled, in C11, in C++17, or in any language
 * that can read C declarations. It is also the manual: read WORDS, LIFE, THREADS and RULES, then gw_handler. A whole
 * handler with everything a reload wants stands at the end, AN EXAMPLE.
 *
 *   cc -shared -fPIC -fvisibility=hidden -I (this folder) chat.c -o chat.so     # into the folder of the gateway's
 *   route /chat { handler chat; }                                               # plugins, and this into gateway.conf
 *
 * VERSION LOG
 *   1.0   first version.
 *   1.1   gw_request.subprotocol; save_conn of a GW_HF_STATELESS handler may keep a connection where it is.
 *   A minor version adds fields at the end of structs and new constants. A major one may change anything, and its
 *   entry has another name (gw_handler_entry_v2), so that one file can serve gateways of both.
 *
 * A handler is a shared object that exports exactly ONE symbol, gw_handler_entry_v1, and returns a table of
 * callbacks. The gateway owns sockets, TLS, the HTTP handshake, framing, UTF-8 checking, compression, ping/pong
 * replies, timeouts, backpressure accounting and topics. The handler owns meaning.
 *
 * WORDS
 *   image       one dlopen()ed copy of a handler file.
 *   generation  one loaded image plus its private gw_host. A reload makes a new generation; both run.
 *   instance    one generation serving one route of gateway.conf: what start() returns as `self`.
 *   connection  a gw_conn: a number, never a pointer. Never reused while the process lives, so a stale one is
 *               harmless: every call on it answers GW_E_CLOSED.
 *
 * LIFE: which callbacks come, and in which order. Those that are NULL are left out.
 *   generation   gw_handler_entry_v1
 *   instance     start ... stop. Between them reconfigure, restore_self (once, right after start), save_self, event on
 *                [home], work, and everything below
 *   handshake    upgrade, and then nothing more if it is refused
 *   connection   open or restore_conn; then in any order message or fragment, ping, pong, drained, event on [conn];
 *                at most one error; in the end exactly one of close and drop_conn
 *   request      http, once for each plain request
 *   In the throw-away process that tries a file before it is loaded: entry, start with GW_CFG_PROBE, stop. There host
 *   functions may be called, and nothing comes of it.
 *
 * THREADS: every function carries one tag. Tags are promises about concurrency, not about OS threads.
 *   [entry]    inside gw_handler_entry_v1 only; one call per generation; must not block.
 *   [control]  serialized per instance, on a thread of its own; may block: for the route's `start_timeout`, and stop()
 *              for 10 s. Whoever takes longer is left alone: its generation is not used, but stays in memory.
 *   [conn]     serialized per connection, in order, never two at once for one connection; different connections of
 *              one instance DO run at once, unless flags has GW_HF_SERIAL. Must return quickly (aim < 1 ms): it
 *              borrows the event loop of thousands of other connections. On a route with `dispatch pool` it runs on
 *              threads beside the loops instead, as does [home], and may block: its connection waits, nobody else.
 *   [home]     events that belong to no connection; serialized per instance, runs beside [conn]. As quick.
 *   [pool]     a worker thread; may block; may run beside everything else.
 *   [any]      callable from every thread, also threads the handler made; thread-safe; never blocks.
 *
 * RULES
 *   R1 No re-entry. A host function never calls a handler callback before it returns.
 *   R2 Borrowed means until the callback returns. Pointers the host passes in (request, message, close info, config,
 *      event, strings) die with the callback. Keep bytes with buf_retain() or copy them. Pointers the handler passes
 *      to the host are read before the call returns, except buf_wrap().
 *   R3 Each side only READS the other's structs, and only the first struct_size bytes. Absent == zero. Out-structs
 *      are filled up to the struct_size the caller set. No enum, bool, bitfield or long appears in a struct; padding
 *      is explicit; new fields go at the end; no field changes meaning.
 *   R4 No exception, panic, trap, longjmp or thread cancellation crosses this boundary.
 *   R5 No raw function pointer is stored by the host except this table and buf_wrap's release. Timers, posts and
 *      pool work come back as tokens through event()/work() of the table that is current for the connection, so a
 *      swapped-out image is never jumped into.
 *   R6 Process-wide state belongs to the gateway: no signal handlers, chdir, setlocale, umask, fork without exec,
 *      stdio redirection, atexit. Threads the handler starts are joined in stop().
 *   R7 Free with the allocator that allocated. Nothing is ever freed across the boundary.
 *   Who keeps to them can be seen: in `mode development` what was lent is overwritten when a callback returns, and
 *   mistakes are lines of the error log; `gateway test FILE.so` lets clients of all kinds at a handler and tells.
 *
 * OWNERSHIP
 *   self        the handler's, from start() to stop(). NULL is a value like any other.
 *   conn state  the handler's, and NULL until it says otherwise: by gw_reply.conn_state (if reply() answered GW_OK; if
 *               not, it is still the caller's), conn_set_state() or restore_conn(). Freed in close() or drop_conn().
 *   gw_buf      counted. buf_copy, buf_wrap and buf_retain give one reference; buf_release and send_buf take one.
 *               gw_message.buf and gw_request.body_buf are borrowed: do not release them; send_buf copies those.
 *   table       the handler's, as its strings: static, or never freed.
 *   gw_host     the gateway's, never freed. One for each generation: keep it in a static variable of the image.
 *
 * UNITS AND LIMITS
 *   Times are milliseconds where a name ends in _ms, microseconds in _us, nanoseconds in _ns. Lengths are octets.
 *   Texts are UTF-8 with a length; only the names given to look-ups and get_extension end with NUL.
 *   What a route of gateway.conf may change: max_message, max_body, send_buffer, and the timeouts. What is fixed:
 *     close reason 123; ping and pong 125; topic name 255; topics of a connection 256; timers of a connection, and of
 *     [home] of an instance, 1,024; jobs that wait for the pool 1,024, its threads 16; a line of the log 4,096; name,
 *     version, sdk 256; saved state of a connection, or of an instance, 64 MiB; buffers of received data that are kept,
 *     of an instance, 64 MiB; posts under way to a worker 64 MiB.
 *
 * NOT YET: this gateway ends no TLS (tls_* are empty) and agrees to no compression (GW_NO_COMPRESS changes nothing,
 * GW_COMPRESSED never comes), and `slow_consumer` knows close alone. Handlers written for them work as they are.
 */
#ifndef GW_HANDLER_H
#define GW_HANDLER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GW_ABI_MAJOR 1u
#define GW_ABI_MINOR 1u
#define GW_ABI_VERSION ((GW_ABI_MAJOR << 16) | GW_ABI_MINOR)

/* The one symbol must be visible also where everything else is hidden (-fvisibility=hidden, recommended). */
#define GW_EXPORT __attribute__((visibility("default")))

/* True when the other side's struct is new enough to have field f. Required before touching any field that is newer
 * than v1.0. */
#define GW_HAS(p, T, f) ((p)->struct_size >= offsetof(T, f) + sizeof(((const T *)0)->f))

/* ------------------------------------------------------------------------------------------------ status ---- */

typedef int32_t gw_status;  /* >= 0 worked, < 0 did not */

enum {
    GW_OK            = 0,   /* done; for a send: written or queued below the high-water mark */
    GW_BACKPRESSURE  = 1,   /* queued, but above the high-water mark: stop until drained() */
    GW_REJECT        = 2,   /* upgrade(): refuse with 403; http(): not mine, answer 404. Another status: reply() */
    GW_DEFER         = 3,   /* upgrade()/http(): answered through reply(), already or later */
    GW_E_CLOSED      = -1,  /* connection is gone, closing, or never was; nothing was queued */
    GW_E_DROPPED     = -2,  /* queue limit reached; nothing was queued; the connection lives */
    GW_E_STATE       = -3,  /* wrong moment: whole message inside an open fragment stream, second reply */
    GW_E_INVALID     = -4,  /* bad argument: not UTF-8, bad close code, header injection, NULL */
    GW_E_LIMIT       = -5,  /* larger than the route allows (message, topics, timers, retained bytes) */
    GW_E_NOMEM       = -6,  /* out of memory */
    GW_E_UNSUPPORTED = -7,  /* this side does not do that */
    GW_E_NOTFOUND    = -8,  /* a look-up found nothing */
    GW_E_RETIRED     = -9,  /* this generation has been stopped; only buf_release() and log() still work */
    GW_E_THREAD      = -10, /* a [conn] function was called from elsewhere (always checked, never UB) */
    GW_E_FAILED      = -11  /* the handler's own failure; the SDKs return it for a caught throw/panic */
};

/* ------------------------------------------------------------------------------------------------ values ---- */

typedef uint64_t gw_conn;      /* 0 = no connection */
typedef uint64_t gw_instance;  /* one generation serving one route; from gw_config, never reused, kept by
                                  reconfigure(). A wrong one answers GW_E_NOTFOUND, a stopped one GW_E_RETIRED */
typedef uint64_t gw_ticket;    /* names one pending reply; 0 = none */
typedef uint64_t gw_timer;     /* 0 = none */

typedef struct gw_buf  gw_buf;   /* immutable, reference-counted bytes owned by the host */
typedef struct gw_sink gw_sink;  /* where save callbacks write */

/* Views: a pointer and a count. gw_str is UTF-8 and NOT NUL-terminated. */
typedef struct gw_str   { const char    *ptr; size_t len; } gw_str;
typedef struct gw_bytes { const uint8_t *ptr; size_t len; } gw_bytes;
typedef struct gw_kv    { gw_str key, value; } gw_kv;
typedef struct gw_kvs   { const gw_kv   *ptr; size_t len; } gw_kvs;
typedef struct gw_strs  { const gw_str  *ptr; size_t len; } gw_strs;

enum { GW_TEXT = 1, GW_BINARY = 2 };  /* kind of a message; the opcodes of RFC 6455 */

enum {                         /* flags of messages, sends and topics */
    GW_FIN          = 1,       /* last piece of a message */
    GW_FIRST        = 2,       /* first piece of a message */
    GW_NO_COMPRESS  = 4,       /* send as it is, also where compression was negotiated */
    GW_COMPRESSED   = 8,       /* the message came compressed */
    GW_GLOBAL_TOPIC = 16       /* the topic is the gateway's, not the route's */
};

/* level of log() */
enum { GW_LOG_TRACE, GW_LOG_DEBUG, GW_LOG_INFO, GW_LOG_WARN, GW_LOG_ERROR };

enum {                         /* gw_request.flags */
    GW_REQ_TLS       = 1,
    GW_REQ_WEBSOCKET = 2,      /* a WebSocket handshake, not a plain request */
    GW_REQ_MIGRATED  = 4       /* the handshake of a connection that moved here from an older generation */
};

enum {                         /* gw_close.by: who began the end */
    GW_BY_PEER = 1,            /* its Close frame came first */
    GW_BY_HANDLER,             /* close() or abort() */
    GW_BY_GATEWAY,             /* a broken rule, a limit, a timeout */
    GW_BY_TRANSPORT,           /* the connection broke, or ended without a Close frame: 1006 */
    GW_BY_RELOAD,              /* `reload close`, or `drain_timeout`: 1012 */
    GW_BY_SHUTDOWN             /* the gateway ends: 1001 */
};

enum {                         /* gw_event.kind */
    GW_EV_TIMER = 1,
    GW_EV_POST,
    GW_EV_WORK_DONE,
    GW_EV_RELOAD_PENDING,      /* save_self() comes next */
    GW_EV_DRAINING             /* this generation gets no new connections any more */
};

/* A request: the WebSocket handshake or a plain HTTP request. Borrowed (R2). */
typedef struct gw_request {
    uint32_t struct_size;
    uint32_t flags;            /* GW_REQ_* */
    uint64_t id;               /* the id in the access log */
    uint8_t uuid[16];          /* UUIDv7 of the connection, for handlers that key state by GUID */
    gw_ticket ticket;          /* for reply() */
    gw_str method;
    gw_str path;               /* normalized and decoded, but for %2F */
    gw_str query;              /* raw */
    gw_str route;
    gw_str host;               /* as sent, with its port */
    gw_str origin;
    gw_str peer_addr;          /* numeric, no port */
    gw_str local_addr;
    uint16_t peer_port;
    uint16_t local_port;
    uint16_t http_version;     /* 11 = HTTP/1.1 */
    uint16_t reserved0;
    gw_str tls_version;        /* the four tls_* are empty when absent */
    gw_str tls_cipher;
    gw_str tls_sni;
    gw_str tls_client_name;
    gw_kvs params;             /* the :name parts of the route */
    gw_kvs headers;            /* in wire order; names are lower case */
    gw_strs subprotocols;      /* as offered */
    gw_bytes body;             /* http() only */
    gw_buf *body_buf;          /* owner of body, for buf_retain(); may be NULL */
    gw_str subprotocol;        /* since 1.1: as agreed, from open() on; empty before, and when there is none */
} gw_request;

/* The answer to upgrade() or http(). Read before reply() returns. The caller sets struct_size and zeroes the rest:
 *   gw_reply no = {.struct_size = sizeof no, .status = 401}; */
typedef struct gw_reply {
    uint32_t struct_size;
    uint16_t status;           /* 101 or 0 accepts an upgrade, 200 to 599 refuses it; of http(): 200 to 599 */
    uint16_t reserved0;
    gw_str subprotocol;        /* one of the offered ones; empty: what the route's `subprotocols` chooses */
    gw_kvs headers;            /* names in any case. Refused: line ends, control characters, and what is the gateway's
                                  to say: Date, Connection, Content-Length, Transfer-Encoding, Upgrade, Sec-... */
    gw_bytes body;             /* of a refusal or of http(); Content-Type is text/plain unless headers say otherwise */
    void *conn_state;          /* becomes the connection's state pointer before open() */
} gw_reply;

/* A message, or a piece of one. Borrowed. */
typedef struct gw_message {
    uint32_t struct_size;
    uint32_t kind;             /* GW_TEXT or GW_BINARY */
    uint32_t flags;            /* GW_FIRST|GW_FIN, single in fragment() */
    uint32_t reserved0;
    gw_bytes data;             /* text is valid UTF-8, also split across fragments */
    gw_buf *buf;               /* exactly data; to keep it: buf_retain() */
    uint64_t received_ns;      /* now_ns() clock, when the last byte arrived */
} gw_message;

/* How a connection ended. Borrowed.
 * code and by are those of whoever began it: the code in the first Close frame, 1005 if that was empty, 1006 if there
 * was none (EOF, reset: GW_BY_TRANSPORT). A slow consumer is 1013 by GATEWAY (what was queued goes first). After the
 * handler's close() it is that code (1005 for code 0), by HANDLER, also if the peer then vanished; after abort() it is
 * 1006 by HANDLER. */
typedef struct gw_close {
    uint32_t struct_size;
    uint16_t code;
    uint16_t by;               /* GW_BY_* */
    gw_str reason;
    uint64_t msgs_in;
    uint64_t msgs_out;
    uint64_t bytes_in;
    uint64_t bytes_out;
    int32_t os_error;          /* errno of the transport, 0 if it was not the cause */
    uint32_t reserved0;
} gw_close;

/* Something that was asked for earlier. Borrowed. */
typedef struct gw_event {
    uint32_t struct_size;
    uint32_t kind;             /* GW_EV_* */
    uint64_t token;            /* what the handler gave to post/timer_start/offload */
    gw_timer timer;            /* what timer_start() answered; 0 for the others */
    void *ptr;                 /* offload(): the pointer given to it */
    gw_bytes data;             /* post(): the host's copy of the bytes */
    gw_status status;          /* GW_EV_WORK_DONE: what work() returned */
    uint32_t reserved0;
} gw_event;

enum {                         /* gw_config.flags */
    GW_CFG_PROBE = 1           /* start() runs in the throw-away probe process, stop() follows: check everything,
                                  but bind no port, take no lock, migrate no data */
};

/* The route's block of gateway.conf. Borrowed. */
typedef struct gw_config {
    uint32_t struct_size;
    uint32_t flags;            /* GW_CFG_* */
    gw_instance instance;      /* names this instance in publish, post, timers, offload, conns */
    gw_str route;
    gw_str origin;             /* "gateway.conf:42", for error messages */
    gw_kvs values;             /* the `set key value` lines, in file order; config_get() finds one by its key */
} gw_config;

/* What restore_self() and restore_conn() get. Borrowed. */
typedef struct gw_saved {
    uint32_t struct_size;
    uint32_t state_version;    /* of the generation that saved, as the next two */
    uint64_t state_format;
    uint64_t generation;
    gw_bytes data;
} gw_saved;

/* The caller sets struct_size, the host fills the rest. */
typedef struct gw_conn_info {
    uint32_t struct_size;
    uint32_t flags;            /* 1 = reading is off, 2 = a fragment stream is open */
    uint64_t queued_bytes;
    uint64_t high_water;
    uint64_t age_ms;
    uint64_t last_in_ms;       /* ms since the last octet came in */
    uint64_t last_out_ms;      /* ms since the last octet went out */
    uint32_t rtt_us;
    uint32_t topics;
} gw_conn_info;

/* ---------------------------------------------------------------------------------- what the host offers ---- */

/* One gw_host per generation, never freed: after stop() of the last instance it answers GW_E_RETIRED. Pass it back
 * as the first argument. A generation may send to, ping and close every live connection of its own handler, whichever
 * generation owns it now; conn_state and conn_request are the owner's; connections of other handlers answer
 * GW_E_CLOSED. */
typedef struct gw_host gw_host;
struct gw_host {
    uint32_t struct_size;
    uint32_t abi_version;
    uint64_t generation;       /* 1, 2, 3 ... per handler file */
    const char *name;          /* of the gateway */
    const char *version;

    /* Optional tables by id "gw.<name>/<revision>", third parties "<reverse-domain>.<name>/<revision>". NULL when not
     * offered. The pointer lives as long as the gw_host. [any] */
    const void *(*get_extension)(const gw_host *host, const char *id);
    /* Writes to the gateway's error log, without a line end; level is GW_LOG_*, conn may be 0. Control characters are
     * escaped. [any] */
    void (*log)(const gw_host *host, gw_conn conn, int32_t level, const char *msg, size_t len);
    /* Nanoseconds of CLOCK_MONOTONIC, in a callback as of the beginning of the turn: cheap. [any] */
    uint64_t (*now_ns)(const gw_host *host);
    /* Says why entry/start/reconfigure is about to fail; shown to the operator, kept in the reload report. One
     * sentence without a line end: "set history: 0 to 65535, not \"many\"". [entry] [control] */
    void (*fail)(const gw_host *host, const char *why, size_t len);

    /* Look-ups in a borrowed struct; *out is borrowed like the struct. GW_OK or GW_E_NOTFOUND. [any] while the struct
     * lives. header: case-insensitive. query/cookie: percent-decoded ("+" is a space in a query, a key without "=" is
     * there and empty), first match. param: decoded after matching, so %2F never changes the route; what a trailing
     * wildcard stands for (no leading slash) is called "*". */
    gw_status (*config_get)(const gw_host *host, const gw_config *config, const char *key, gw_str *out);
    gw_status (*req_header)(const gw_host *host, const gw_request *request, const char *name, gw_str *out);
    gw_status (*req_query)(const gw_host *host, const gw_request *request, const char *name, gw_str *out);
    gw_status (*req_cookie)(const gw_host *host, const gw_request *request, const char *name, gw_str *out);
    gw_status (*req_param)(const gw_host *host, const gw_request *request, const char *name, gw_str *out);

    /* Answers an upgrade() or http(), inside it or later (return GW_DEFER). Succeeds once; a reply refused with
     * GW_E_INVALID leaves the ticket usable, a second one answers GW_E_STATE (GW_E_CLOSED once the ticket is
     * forgotten); after success the callback's own return value is ignored; http() that returns GW_OK without a reply
     * is answered 500. After the route's reply_timeout the gateway has answered 504 and this returns GW_E_CLOSED. An
     * accepted connection always gets its open() and then its close(), also when the client left in between (sends
     * answer GW_E_CLOSED), so that conn_state can be freed. [any] */
    gw_status (*reply)(const gw_host *host, gw_ticket ticket, const gw_reply *reply);

    /* Buffers. NULL is harmless to all of them. [any]
     * buf_wrap hands over memory without copying: release(ctx) is called exactly once, on any thread, also when this
     * fails; until then the generation cannot end. buf_retain counts retained receive memory against the route and
     * answers the buffer to keep, perhaps another one than it was given (read it through buf_bytes()); NULL means over
     * budget: copy instead. NULL of the others: no memory, or bytes was NULL and len was not 0. */
    gw_buf *(*buf_copy)(const gw_host *host, const void *bytes, size_t len);
    gw_buf *(*buf_wrap)(const gw_host *host, const void *bytes, size_t len, void (*release)(void *ctx), void *ctx);
    gw_buf *(*buf_retain)(const gw_host *host, gw_buf *buf);
    void (*buf_release)(const gw_host *host, gw_buf *buf);
    gw_bytes (*buf_bytes)(const gw_host *host, const gw_buf *buf);

    /* Sending. Order: sends made by one thread to one connection keep their order; sends from [conn] go before sends
     * other threads made later. send copies; send_buf takes over one reference of the buffer, always. send_fragment
     * streams one message: the first call opens it, GW_FIN ends it, on whatever threads: fragments go out in the order
     * in which they were taken. Meanwhile whole messages to that connection answer GW_E_STATE, publications wait for its
     * end (and count: together with what is queued they may be `send_buffer`), control frames still pass. Text is
     * checked (across fragments), unless GW_HF_NO_UTF8.
     * Promise: what was answered GW_OK or GW_BACKPRESSURE goes out before the Close, whoever begins that: the handler,
     * the gateway or the peer. It is lost only when the connection breaks or is aborted first, or when the peer does not
     * read it in time (`close_timeout`).
     * Flow: `send_buffer` of the route is the limit, half of it the high-water mark (GW_BACKPRESSURE), a quarter the
     * low one (drained(), once per stretch). Below the high-water mark one message of any legal size is taken, from any
     * thread. Beyond the limit: `slow_consumer close` begins a close and answers GW_E_CLOSED, drop_new answers
     * GW_E_DROPPED, drop_old gives up the oldest whole messages and answers GW_OK, pause_reads stops reading the peer
     * and answers GW_E_DROPPED. A refused fragment is not queued and the stream stays open: try again after drained(). Nothing else limits what is sent; max_message is for what comes in.
     * So for most handlers: ignore the result, close() follows where it has to. For one that sends faster than clients
     * read: stop at GW_BACKPRESSURE, which did queue, and go on in drained(). [any] */
    gw_status (*send)(const gw_host *host, gw_conn conn, uint32_t kind, uint32_t flags, const void *bytes, size_t len);
    gw_status (*send_buf)(const gw_host *host, gw_conn conn, uint32_t kind, uint32_t flags, gw_buf *buf);
    gw_status (*send_fragment)(const gw_host *host, gw_conn conn, uint32_t kind, uint32_t flags, const void *bytes,
                               size_t len);
    /* More than 125 bytes: GW_E_INVALID. [any] */
    gw_status (*ping)(const gw_host *host, gw_conn conn, const void *bytes, size_t len);
    /* For GW_HF_MANUAL_PONG, or unasked. [any] */
    gw_status (*pong)(const gw_host *host, gw_conn conn, const void *bytes, size_t len);
    /* Starts the closing handshake after what is queued. From here on sends and a second close answer GW_E_CLOSED and
     * no message, fragment, ping or pong is delivered; the close() callback follows once, later (R1); timers and posts
     * of it end, abort() still works, conns() counts it until close(). Code 0 without a reason sends an empty Close. A
     * code not allowed on the wire or a reason over 123 octets or not UTF-8 is GW_E_INVALID. A Close from the peer is
     * answered with its own code and reason. [any] */
    gw_status (*close)(const gw_host *host, gw_conn conn, uint16_t code, const char *reason, size_t len);
    /* Drops the connection without handshake, open or closing: close() follows with 1006 by HANDLER. On the thread that
     * asks, and on those that hear of it from there, every call for the connection answers GW_E_CLOSED from here on, a
     * second abort() too. [any] */
    gw_status (*abort)(const gw_host *host, gw_conn conn);
    /* Inbound flow control: 0 stops reading the socket (TCP pushes back) and holds back what was read already, 1
     * resumes. Pings are then answered late, too. [any] */
    gw_status (*set_reading)(const gw_host *host, gw_conn conn, uint32_t on);
    gw_status (*conn_info)(const gw_host *host, gw_conn conn, gw_conn_info *out);  /* [any] */
    /* NULL in restore_conn. [conn] of that connection */
    void *(*conn_state)(const gw_host *host, gw_conn conn);
    /* [conn] of that connection */
    gw_status (*conn_set_state)(const gw_host *host, gw_conn conn, void *state);
    /* The handshake, with GW_HF_KEEP_REQUEST. [conn] */
    const gw_request *(*conn_request)(const gw_host *host, gw_conn conn);
    /* Snapshot of this instance's open connections; writes at most cap of them and returns how many there are. [any] */
    size_t (*conns)(const gw_host *host, gw_instance instance, gw_conn *out, size_t cap);

    /* Topics belong to the route (GW_GLOBAL_TOPIC: to the gateway) and to the CONNECTION, not to the generation: a
     * reload keeps them. To subscribe twice is to be subscribed once. publish goes to the topic of the instance's
     * route and frames the payload once; `except` may be 0; `reached` may be NULL and is how many connections it goes
     * to; slow receivers are treated as `slow_consumer` of their route says. [any] */
    gw_status (*subscribe)(const gw_host *host, gw_conn conn, uint32_t flags, const char *topic, size_t len);
    gw_status (*unsubscribe)(const gw_host *host, gw_conn conn, uint32_t flags, const char *topic, size_t len);
    gw_status (*publish)(const gw_host *host, gw_instance instance, const char *topic, size_t topic_len, uint32_t kind,
                         uint32_t flags, const void *bytes, size_t len, gw_conn except, uint32_t *reached);

    /* Later. Each comes back as event(): on [conn] when conn != 0, else on [home] of the instance. Posts and timers of
     * a connection that has ended are dropped silently. post copies its bytes; posts of one thread keep their order.
     * timer_start: due after after_ms, then every every_ms, or once if that is 0; answers 0 when it could not be
     * started (too many, no such connection). A timer is never early; one that is late does not make up for it.
     * timer_cancel: once it has answered GW_OK the event does not come; GW_E_NOTFOUND: it has ended already. [any] */
    gw_status (*post)(const gw_host *host, gw_instance instance, gw_conn conn, uint64_t token, const void *bytes,
                      size_t len);
    gw_timer (*timer_start)(const gw_host *host, gw_instance instance, gw_conn conn, uint64_t token, uint32_t after_ms,
                            uint32_t every_ms);
    gw_status (*timer_cancel)(const gw_host *host, gw_timer timer);
    /* Runs work(self, conn, token, ptr) on [pool], then event GW_EV_WORK_DONE, which is never dropped: if the
     * connection has ended it comes on [home] with conn 0; stop() waits for it. So ptr is always free()d in one place.
     * work must not touch the connection's state, which [conn] may be using. GW_E_LIMIT: pool full, and work is not
     * called. [any] */
    gw_status (*offload)(const gw_host *host, gw_instance instance, gw_conn conn, uint64_t token, void *ptr);

    /* Appends to what is saved. Inside save_self() and save_conn() only. [control] [conn] */
    gw_status (*sink_write)(const gw_host *host, gw_sink *sink, const void *bytes, size_t len);
};

/* --------------------------------------------------------------------------------- what a handler offers ---- */

enum {                         /* gw_handler.flags */
    GW_HF_SERIAL       = 1,    /* all [conn] and [home] calls of an instance are serialized with each other */
    GW_HF_UNLOAD       = 2,    /* the author vouches that dlclose is safe; without it images stay mapped */
    GW_HF_NO_UTF8      = 4,    /* text is not checked; the handler validates */
    GW_HF_MANUAL_PONG  = 8,    /* the gateway does not answer pings; ping() must call pong() */
    GW_HF_STATELESS    = 16,   /* nothing is kept per connection or instance: a reload may move connections without
                                  save and restore; save_conn, if it is there, is asked for its consent only */
    GW_HF_KEEP_REQUEST = 32    /* conn_request() and restore_conn() still have the handshake after open(); costs its
                                  size per connection. Without it they give NULL. The generation that accepted the
                                  connection decides */
};

/* The table. NULL callback = default. Only start and one of message/fragment/http are required. `state` is the
 * connection's state pointer, `self` the instance. A callback may call every host function of its tag and of [any],
 * and may end the connection it is about: the connection is closed at once for whoever sends to it, but its close()
 * comes after the callback has returned (R1), so `state` stays valid until then. */
typedef struct gw_handler {
    uint32_t struct_size;      /* of the header compiled against, as abi_version */
    uint32_t abi_version;
    uint32_t min_host_abi;     /* refuse older hosts */
    uint32_t flags;            /* GW_HF_* */
    const char *name;          /* "chat" */
    const char *version;       /* "2.1.0" */
    const char *sdk;           /* "swift-sdk 1.0 (6.3.1)" */
    uint64_t state_format;     /* any constant; equal formats may hand state over */
    uint32_t state_version;
    uint32_t reserved0;

    /* One instance per route. May connect to databases, fill caches, start timers with config->instance. Runs while the
     * old generation still serves; < 0 abandons the reload, the old generation stays. [control] */
    gw_status (*start)(const gw_host *host, const gw_config *config, void **self);
    /* gateway.conf changed, the file did not. GW_E_UNSUPPORTED: reload instead. [control] */
    gw_status (*reconfigure)(void *self, const gw_config *config);
    /* After the last close()/drop_conn(); also when a start() that succeeded is rolled back, not when start() itself
     * failed, and also when it succeeds too late (start_timeout). Join threads, free self. Nothing is called on self
     * afterwards. [control] */
    void (*stop)(void *self);

    /* Before 101 is sent; there is no gw_conn yet. GW_OK accepts, with the client's first offer that the route's
     * `subprotocols` lists, if any; reply() may name another offered one. GW_REJECT 403, GW_DEFER + reply(), < 0: 500.
     * [conn] */
    gw_status (*upgrade)(void *self, const gw_request *request);
    /* 101 is sent; sending works. Every open() is followed by exactly one close() or drop_conn(). [conn] */
    void (*open)(void *self, gw_conn conn, void *state, const gw_request *request);
    /* A whole message. [conn] */
    void (*message)(void *self, gw_conn conn, void *state, const gw_message *message);
    /* If set, replaces message(): called per piece as it arrives (a piece is what was read, not a frame), GW_FIRST ..
     * GW_FIN, all with the kind of the message. Each piece of text is valid UTF-8 by itself (up to 3 octets are held
     * back); an empty piece comes only as the first or the last. [conn] */
    void (*fragment)(void *self, gw_conn conn, void *state, const gw_message *piece);
    /* The pong was already sent, unless manual. [conn] */
    void (*ping)(void *self, gw_conn conn, void *state, gw_bytes payload);
    void (*pong)(void *self, gw_conn conn, void *state, gw_bytes payload);  /* [conn] */
    /* Below the low-water mark again. [conn] */
    void (*drained)(void *self, gw_conn conn, void *state);
    /* close() follows. `what` says it in words for a log; status: GW_E_INVALID the peer broke RFC 6455 or sent text
     * that is none, GW_E_LIMIT a message or the queue is too large, GW_E_CLOSED the transport broke. A peer that ends
     * the connection without a Close frame is no error, just close() with 1006. [conn] */
    void (*error)(void *self, gw_conn conn, void *state, gw_status status, gw_str what);
    /* The last call; free state. [conn] */
    void (*close)(void *self, gw_conn conn, void *state, const gw_close *info);

    /* A request on the same path without upgrade, any method; HEAD gets the head of the answer only. GW_REJECT: 404,
     * GW_DEFER + reply(), < 0: 500. Without it: 400 not-a-websocket-request. [conn] */
    gw_status (*http)(void *self, const gw_request *request);

    void (*event)(void *self, gw_conn conn, void *state, const gw_event *event);  /* [conn] or [home] */
    gw_status (*work)(void *self, gw_conn conn, uint64_t token, void *ptr);       /* [pool] */

    /* Reload. A connection moves only at a quiet point: no callback of it running, no offload under way, no deferred
     * reply, no fragment stream open in either direction. Its timers, topics, queued output and unread input move with
     * it, so their tokens and names are part of state_format. Timers of [home] end at the switch. save_self is a
     * snapshot: what the old instance learns after it stays with its connections or is lost. Refused connections stay
     * on the old generation and are offered to each later one. GW_EV_RELOAD_PENDING comes to [home] of the old
     * instance, and has returned, just before save_self; the reload may still fail. In restore_conn *state is what
     * counts, conn_set_state() is GW_E_STATE.
     * save_* must not change anything: if the other side refuses, this side carries on.
     * Per instance: old.save_self -> new.restore_self, once, after new.start; if either answers < 0, the new one has
     * started empty and serves so. [control]
     * Per connection, between two callbacks of that connection: old.save_conn -> new.restore_conn -> (accepted)
     * old.drop_conn, and the next event goes to the new generation. Refused or NULL: route policy (drain on the old
     * generation, or close 1012). Saved bytes are host memory. */
    gw_status (*save_self)(void *self, gw_sink *sink);                                /* [control] */
    gw_status (*restore_self)(void *self, const gw_saved *saved);                     /* [control] */
    gw_status (*save_conn)(void *self, gw_conn conn, void *state, gw_sink *sink);     /* [conn] */
    gw_status (*restore_conn)(void *self, gw_conn conn, const gw_request *request, const gw_saved *saved,
                              void **state);                                          /* [conn] */
    void (*drop_conn)(void *self, gw_conn conn, void *state);  /* moved away: free state only. [conn] */

    /* Tables the handler offers by id, as in gw_host. [any] */
    const void *(*get_extension)(const char *id);
} gw_handler;

/* THE symbol. Called once per generation, before start(). Returns a table that stays valid for the life of the image,
 * or NULL after host->fail(). Must not start threads or block. [entry] */
typedef const gw_handler *(*gw_handler_entry_fn)(const gw_host *host);
GW_EXPORT const gw_handler *gw_handler_entry_v1(const gw_host *host);

/* --------------------------------------------------------------------------------- first optional tables ---- */

#define GW_EXT_METRICS "gw.metrics/1"
typedef struct gw_ext_metrics {  /* `gateway status --json` shows them; names get the prefix handler_<name>_ ; label:
                                  * the route */
    uint32_t struct_size;
    uint32_t reserved0;
    /* kind 0 counter, 1 gauge, 2 histogram; same name gives the same id, also across reloads; 0 = refused. [control]
     * only, so that recording never takes a lock */
    uint32_t (*define)(const gw_host *host, gw_instance instance, int32_t kind, const char *name, const char *help);
    /* add, set or observe. [any] */
    void (*record)(const gw_host *host, uint32_t id, double value);
} gw_ext_metrics;

#define GW_EXT_THREAD_CHECK "gw.thread-check/1"
typedef struct gw_ext_thread_check {
    uint32_t struct_size;
    uint32_t reserved0;
    uint32_t (*is_conn_thread)(const gw_host *host, gw_conn conn);  /* [any] */
} gw_ext_thread_check;

/* ------------------------------------------------------------------------------------------------ AN EXAMPLE ----
 *
 * Counts the messages of each client and of all of them, and goes on counting in a newer build of itself: that is what
 * the last five callbacks are for. The octets that pass are this file's own affair: numbers of a fixed size, so that
 * any compiler lays them out alike, and a version, so that a later build knows what it reads. (A test compiles this.)
 *
 *   #include <stdatomic.h>
 *   #include <stdio.h>
 *   #include <stdlib.h>
 *   #include <string.h>
 *   #include "gw_handler.h"
 *
 *   struct room { _Atomic uint64_t total; };    // [conn] of different clients run at once, hence _Atomic
 *   struct client { uint64_t count; };          // [conn] of one client never does
 *   static const gw_host *host;                 // of this generation; the next one is an image of its own
 *
 *   static gw_status start(const gw_host *h, const gw_config *config, void **self) {
 *       struct room *room = calloc(1, sizeof *room);
 *       if (room == NULL) { h->fail(h, "no memory", 9); return GW_E_NOMEM; }
 *       *self = room;
 *       return GW_OK;
 *   }
 *   static void stop(void *self) { free(self); }
 *
 *   static void open_client(void *self, gw_conn conn, void *state, const gw_request *request) {
 *       struct client *client = calloc(1, sizeof *client);
 *       if (client == NULL || host->conn_set_state(host, conn, client) < 0) {
 *           free(client);
 *           host->abort(host, conn);            // close_client() follows, with state NULL
 *       }
 *   }
 *   static void close_client(void *self, gw_conn conn, void *state, const gw_close *info) { free(state); }
 *
 *   static void message(void *self, gw_conn conn, void *state, const gw_message *message) {
 *       struct room *room = self;
 *       struct client *client = state;
 *       unsigned long long own = ++client->count, all = ++room->total;
 *       char text[64];
 *       int length = snprintf(text, sizeof text, "%llu of %llu", own, all);
 *       host->send(host, conn, GW_TEXT, 0, text, (size_t)length);
 *   }
 *
 *   static gw_status save_self(void *self, gw_sink *sink) {
 *       uint64_t total = ((struct room *)self)->total;
 *       return host->sink_write(host, sink, &total, sizeof total);
 *   }
 *   static gw_status restore_self(void *self, const gw_saved *saved) {
 *       uint64_t total;
 *       if (saved->state_version != 1 || saved->data.len != sizeof total) return GW_E_UNSUPPORTED;
 *       memcpy(&total, saved->data.ptr, sizeof total);        // it may lie anywhere: no cast
 *       ((struct room *)self)->total = total;
 *       return GW_OK;
 *   }
 *   static gw_status save_client(void *self, gw_conn conn, void *state, gw_sink *sink) {
 *       return host->sink_write(host, sink, state, sizeof(struct client));    // changes nothing, frees nothing
 *   }
 *   static gw_status restore_client(void *self, gw_conn conn, const gw_request *request, const gw_saved *saved,
 *                                   void **state) {
 *       if (saved->state_version != 1 || saved->data.len != sizeof(struct client)) return GW_E_UNSUPPORTED;
 *       struct client *client = malloc(sizeof *client);
 *       if (client == NULL) return GW_E_NOMEM;                // it stays where it is, and is asked again later
 *       memcpy(client, saved->data.ptr, sizeof *client);
 *       *state = client;
 *       return GW_OK;
 *   }
 *   static void drop_client(void *self, gw_conn conn, void *state) { free(state); }    // the old build's own copy
 *
 *   static const gw_handler table = {
 *       .struct_size = sizeof table, .abi_version = GW_ABI_VERSION, .min_host_abi = 0x10000,
 *       .flags = GW_HF_UNLOAD,                  // no thread, no exit handler, no thread-local with a destructor
 *       .name = "counter", .version = "1.0",
 *       .state_format = 0x636f756e746572, .state_version = 1,
 *       .start = start, .stop = stop, .open = open_client, .message = message, .close = close_client,
 *       .save_self = save_self, .restore_self = restore_self,
 *       .save_conn = save_client, .restore_conn = restore_client, .drop_conn = drop_client,
 *   };
 *   const gw_handler *gw_handler_entry_v1(const gw_host *h) { host = h; return &table; }
 */

#ifdef __cplusplus
}
#endif
#endif

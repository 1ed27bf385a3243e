/* The floor of wss: `rawecho` with OpenSSL between the socket and the frames.
 *
 *   rawecho_tls PORT CERTIFICATE KEY      build: cc -O3 -march=native rawecho_tls.c -lssl -lcrypto
 *
 * One BIO over two buffers serves all connections: one read, one SSL_write and one send for each ready socket, as a server
 * that knows OpenSSL would do it. It checks nothing that a real server has to check: a yardstick. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rawecho.h"

enum { ROOM = 256 << 10, FRONT = 4096, EVENTS = 1024, RECORD = 16384 };

typedef struct {
    SSL *session;
    stream stream;
    int fd;
    uint8_t open;
    uint8_t *waiting; /* records that the socket did not take */
    size_t waiting_count;
} peer;

static int poller;
static SSL_CTX *context;
static BIO *wire;
/* What came and OpenSSL has not read, and what it has written and no socket was given yet. */
static uint8_t received[ROOM], *sealed;
static const uint8_t *unread;
static size_t unread_count, sealed_count, sealed_room;
/* What a read left over stands in front of the next one, so that headers are always in one piece. */
static uint8_t memory[FRONT + ROOM + RECORD + 16];

static void *must(void *block) {
    if (!block) abort();
    return block;
}

static int wire_read(BIO *bio, char *to, int most) {
    size_t take = (size_t)most < unread_count ? (size_t)most : unread_count;
    BIO_clear_retry_flags(bio);
    if (!take) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(to, unread, take);
    unread += take;
    unread_count -= take;
    return (int)take;
}

static int wire_write(BIO *bio, const char *from, int count) {
    BIO_clear_retry_flags(bio);
    if (sealed_count + (size_t)count > sealed_room)
        sealed = must(realloc(sealed, sealed_room = (sealed_count + (size_t)count) * 2));
    memcpy(sealed + sealed_count, from, (size_t)count);
    sealed_count += (size_t)count;
    return count;
}

static long wire_control(BIO *bio, int command, long number, void *argument) {
    (void)bio, (void)number, (void)argument;
    return command == BIO_CTRL_FLUSH;
}

static void drop(peer *p) {
    SSL_set_shutdown(p->session, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(p->session);
    close(p->fd);
    free(p->waiting);
    free(p);
}

static void watch(peer *p, uint32_t events, int operation) {
    struct epoll_event event = {.events = events, .data.ptr = p};
    epoll_ctl(poller, operation, p->fd, &event);
}

/* Sends what OpenSSL has written; false when the connection is broken. Nothing is read while output waits. */
static bool flush(peer *p) {
    size_t count = sealed_count;
    sealed_count = 0;
    if (!count) return true;
    ssize_t taken = p->waiting_count ? 0 : send(p->fd, sealed, count, MSG_NOSIGNAL);
    if (taken < 0 && errno != EAGAIN) return false;
    if (taken < 0) taken = 0;
    if ((size_t)taken == count) return true;
    if (!p->waiting_count) watch(p, EPOLLOUT, EPOLL_CTL_MOD);
    p->waiting = must(realloc(p->waiting, p->waiting_count + count - (size_t)taken));
    memcpy(p->waiting + p->waiting_count, sealed + taken, count - (size_t)taken);
    p->waiting_count += count - (size_t)taken;
    return true;
}

static void writable(peer *p) {
    ssize_t taken = send(p->fd, p->waiting, p->waiting_count, MSG_NOSIGNAL);
    if (taken < 0) {
        if (errno != EAGAIN) drop(p);
        return;
    }
    p->waiting_count -= (size_t)taken;
    memmove(p->waiting, p->waiting + taken, p->waiting_count);
    if (p->waiting_count) return;
    free(p->waiting);
    p->waiting = NULL;
    watch(p, EPOLLIN, EPOLL_CTL_MOD);
}

/* The request comes in one record, as all clients send it; false when it is none. */
static bool shake_hands(peer *p, char *request) {
    char reply[256];
    int length = write_reply(request, reply, sizeof reply);
    if (!length || !strstr(request, "\r\n\r\n")) return false;
    p->open = 1;
    return SSL_write(p->session, reply, length) == length;
}

/* Plain bytes of what was received, behind `memory + FRONT`; -1 at the end of the stream. */
static ssize_t decrypt(peer *p) {
    size_t count = 0;
    while (unread_count) {
        int part = SSL_read(p->session, memory + FRONT + count, (int)(ROOM + RECORD - count));
        if (part > 0) {
            count += (size_t)part;
            continue;
        }
        bool is_over = SSL_get_error(p->session, part) != SSL_ERROR_WANT_READ;
        ERR_clear_error();
        if (is_over && !count) return -1;
        break;
    }
    unread_count = 0;
    return (ssize_t)count;
}

static void readable(peer *p) {
    uint8_t *start = memory + FRONT - p->stream.kept_count;
    ssize_t count = recv(p->fd, received, ROOM, 0);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) {
        drop(p);
        return;
    }
    unread = received;
    unread_count = (size_t)count;
    count = decrypt(p);
    if (count > 0 && !p->open) {
        memory[FRONT + count] = 0;
        if (!shake_hands(p, (char *)memory + FRONT)) count = -1;
    } else if (count > 0) {
        memcpy(start, p->stream.kept, p->stream.kept_count);
        size_t turned = (size_t)(turn_round(&p->stream, start, memory + FRONT + count) - start);
        if (turned && SSL_write(p->session, start, (int)turned) != (int)turned) count = -1;
    }
    if (!flush(p) || count < 0 || (p->stream.closing && !p->stream.left)) drop(p);
}

static void welcome(int listener) {
    int on = 1;
    for (int i = 0; i < 64; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        peer *p = must(calloc(1, sizeof *p));
        p->fd = fd;
        p->session = must(SSL_new(context));
        BIO_up_ref(wire);
        SSL_set_bio(p->session, wire, wire);
        SSL_set_accept_state(p->session);
        watch(p, EPOLLIN, EPOLL_CTL_ADD);
    }
}

static bool prepare(const char *certificate, const char *key) {
    BIO_METHOD *method = must(BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "wire"));
    BIO_meth_set_read(method, wire_read);
    BIO_meth_set_write(method, wire_write);
    BIO_meth_set_ctrl(method, wire_control);
    wire = must(BIO_new(method));
    BIO_set_init(wire, 1);
    context = must(SSL_CTX_new(TLS_server_method()));
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context, 1);
    return SSL_CTX_use_certificate_chain_file(context, certificate) == 1 &&
           SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) == 1;
}

int main(int count, char **arguments) {
    static struct epoll_event events[EVENTS];
    struct rlimit limit;
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    signal(SIGPIPE, SIG_IGN);
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (count != 4 || !prepare(arguments[2], arguments[3])) {
        fprintf(stderr, "usage: rawecho_tls PORT CERTIFICATE KEY\n");
        ERR_print_errors_fp(stderr);
        return 2;
    }
    address.sin_port = htons((uint16_t)atoi(arguments[1]));
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) {
        perror("rawecho_tls");
        return 1;
    }
    poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event wish = {.events = EPOLLIN};
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &wish);
    for (;;) {
        int ready = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            peer *p = events[i].data.ptr;
            if (!p) welcome(listener);
            else if (events[i].events & EPOLLOUT) writable(p);
            else readable(p);
        }
    }
}

/* The floor: the least an epoll loop can do and still look like a WebSocket server.
 *
 *   rawecho PORT      build: cc -O3 -march=native rawecho.c -lcrypto
 *
 * One read for each ready socket, frames turned round in place, one send for each read; under /chat what came in during a
 * turn goes to every member with one send each. It checks nothing that a real server has to check: a yardstick. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
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

enum { ROOM = 256 << 10, FRONT = 4096, EVENTS = 1024 };

typedef struct {
    uint64_t left;  /* of the payload under way */
    uint32_t key;   /* turned to its next byte */
    int fd, member; /* place among the members, -1 for none */
    uint8_t open, closing, kept_count, kept[14];
    uint8_t *waiting; /* output that the socket did not take, or the front of a request */
    size_t waiting_count;
} peer;

static int poller;
/* What a read left over stands in front of the next one, so that headers are always in one piece. */
static uint8_t memory[FRONT + ROOM + 16];
static peer **members;
static size_t member_count, member_room;
static uint8_t *news;
static size_t news_count, news_room;

static void *must(void *block) {
    if (!block) abort();
    return block;
}

static void drop(peer *p) {
    if (p->member >= 0) {
        peer *last = members[--member_count];
        last->member = p->member;
        members[p->member] = last;
    }
    close(p->fd);
    free(p->waiting);
    free(p);
}

static void watch(peer *p, uint32_t events, int operation) {
    struct epoll_event event = {.events = events, .data.ptr = p};
    epoll_ctl(poller, operation, p->fd, &event);
}

static void hold(peer *p, const uint8_t *bytes, size_t count) {
    p->waiting = must(realloc(p->waiting, p->waiting_count + count + 1));
    memcpy(p->waiting + p->waiting_count, bytes, count);
    p->waiting_count += count;
    p->waiting[p->waiting_count] = 0;
}

/* False when the connection is broken. Nothing is read while output waits. */
static bool put(peer *p, const uint8_t *bytes, size_t count) {
    ssize_t taken = p->waiting_count ? 0 : send(p->fd, bytes, count, MSG_NOSIGNAL);
    if (taken < 0 && errno != EAGAIN) return false;
    if (taken < 0) taken = 0;
    if ((size_t)taken == count) return true;
    if (!p->waiting_count) watch(p, EPOLLOUT, EPOLL_CTL_MOD);
    hold(p, bytes + taken, count - (size_t)taken);
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

/* The bytes end with a zero behind them. A request that comes in one piece, as they do, is never copied. */
static void shake_hands(peer *p, uint8_t *bytes, size_t count) {
    char *request = (char *)bytes;
    if (p->waiting_count || !strstr(request, "\r\n\r\n")) {
        hold(p, bytes, count);
        request = (char *)p->waiting;
    }
    if (!strstr(request, "\r\n\r\n")) {
        if (p->waiting_count > FRONT) drop(p);
        return;
    }
    char *key = strcasestr(request, "\r\nsec-websocket-key:");
    if (!key) {
        drop(p);
        return;
    }
    char proof[80], accept[32], reply[256];
    uint8_t digest[SHA_DIGEST_LENGTH];
    key += 20;
    key += strspn(key, " ");
    int length = snprintf(proof, sizeof proof, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    SHA1((uint8_t *)proof, (size_t)length, digest);
    EVP_EncodeBlock((uint8_t *)accept, digest, sizeof digest);
    length = snprintf(reply, sizeof reply,
                      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                      "Sec-WebSocket-Accept: %s\r\n\r\n",
                      accept);
    if (!strncmp(request, "GET /chat", 9)) {
        if (member_count == member_room)
            members = must(realloc(members, sizeof *members * (member_room = member_room * 2 + 64)));
        p->member = (int)member_count;
        members[member_count++] = p;
    }
    free(p->waiting);
    p->waiting = NULL;
    p->waiting_count = 0;
    p->open = 1;
    if (!put(p, (uint8_t *)reply, (size_t)length)) drop(p);
}

static void unmask(uint8_t *to, const uint8_t *from, size_t count, uint32_t key) {
    uint64_t wide = (uint64_t)key << 32 | key, word;
    size_t at = 0;
    /* `to` is always at least four bytes in front of `from`: a block is read before it is overwritten. */
    for (; at + 32 <= count; at += 32) {
        uint64_t block[4];
        memcpy(block, from + at, 32);
        for (int i = 0; i < 4; i++) block[i] ^= wide;
        memcpy(to + at, block, 32);
    }
    for (; at + 8 <= count; at += 8) {
        memcpy(&word, from + at, 8);
        word ^= wide;
        memcpy(to + at, &word, 8);
    }
    for (; at < count; at++) to[at] = from[at] ^ (uint8_t)(key >> 8 * (at & 3));
}

/* Frames of a client become frames of a server, in place; answers where they end. */
static uint8_t *turn_round(peer *p, uint8_t *start, const uint8_t *end) {
    const uint8_t *in = start;
    uint8_t *out = start;
    for (;;) {
        if (p->left) {
            size_t there = (size_t)(end - in), take = there < p->left ? there : p->left;
            unmask(out, in, take, p->key);
            in += take;
            out += take;
            p->left -= take;
            uint32_t turn = 8 * (take & 3);
            if (turn) p->key = p->key >> turn | p->key << (32 - turn);
        }
        size_t there = (size_t)(end - in);
        if (there < 2) break;
        uint8_t kind = in[0] & 15, small = in[1] & 127;
        size_t header = small < 126 ? 2 : small == 126 ? 4 : 10;
        if (there < header + 4) break;
        uint64_t length = small;
        if (small == 126) length = (uint64_t)in[2] << 8 | in[3];
        if (small == 127) memcpy(&length, in + 2, 8), length = __builtin_bswap64(length);
        memcpy(&p->key, in + header, 4);
        p->closing |= kind == 8;
        uint8_t first = kind == 9 ? 0x8A : in[0];
        memmove(out, in, header);
        out[0] = first;
        out[1] = small;
        out += header;
        in += header + 4;
        p->left = length;
    }
    p->kept_count = (uint8_t)(end - in);
    memcpy(p->kept, in, p->kept_count);
    return out;
}

static void readable(peer *p) {
    uint8_t *start = memory + FRONT - p->kept_count;
    ssize_t count = recv(p->fd, memory + FRONT, ROOM, 0);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) {
        drop(p);
        return;
    }
    if (!p->open) {
        memory[FRONT + count] = 0;
        shake_hands(p, memory + FRONT, (size_t)count);
        return;
    }
    memcpy(start, p->kept, p->kept_count);
    size_t turned = (size_t)(turn_round(p, start, memory + FRONT + count) - start);
    if (p->member >= 0 && !p->closing) {
        if (news_count + turned > news_room) news = must(realloc(news, news_room = (news_count + turned) * 2));
        memcpy(news + news_count, start, turned);
        news_count += turned;
        return;
    }
    if ((turned && !put(p, start, turned)) || (p->closing && !p->left)) drop(p);
}

static void welcome(int listener) {
    int on = 1;
    for (int i = 0; i < 64; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        peer *p = must(calloc(1, sizeof *p));
        p->fd = fd;
        p->member = -1;
        watch(p, EPOLLIN, EPOLL_CTL_ADD);
    }
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
    address.sin_port = htons((uint16_t)(count > 1 ? atoi(arguments[1]) : 0));
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) {
        perror("rawecho");
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
        if (!news_count) continue;
        for (size_t i = member_count; i-- > 0;)
            if (!put(members[i], news, news_count)) shutdown(members[i]->fd, SHUT_RDWR);
        news_count = 0;
    }
}

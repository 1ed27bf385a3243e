/* What floors without TLS have in common: peers, their output, the handshake, and the loop. Each has its own `readable`. */
#ifndef RAWLOOP_H
#define RAWLOOP_H
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
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

enum { ROOM = 256 << 10, FRONT = 4096, EVENTS = 1024 };

typedef struct {
    stream stream;
    int fd, member; /* place among the members, -1 for none */
    uint8_t open;
    uint8_t *waiting; /* output that the socket did not take, or the front of a request */
    size_t waiting_count;
} peer;

static int poller;
static peer **members;
static size_t member_count, member_room;
static uint8_t *news;
static size_t news_count;

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
static inline void shake_hands(peer *p, uint8_t *bytes, size_t count) {
    char *request = (char *)bytes;
    if (p->waiting_count || !strstr(request, "\r\n\r\n")) {
        hold(p, bytes, count);
        request = (char *)p->waiting;
    }
    if (!strstr(request, "\r\n\r\n")) {
        if (p->waiting_count > FRONT) drop(p);
        return;
    }
    char reply[384];
    int length = write_reply(request, reply, sizeof reply);
    if (!length) {
        drop(p);
        return;
    }
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

/* The socket of a peer has something. */
static void readable(peer *p);

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

/* Returns for an error alone. */
static int serve(int port) {
    static struct epoll_event events[EVENTS];
    struct rlimit limit;
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    signal(SIGPIPE, SIG_IGN);
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    address.sin_port = htons((uint16_t)port);
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

#endif

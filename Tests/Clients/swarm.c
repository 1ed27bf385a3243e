/* Many WebSocket clients in one thread, each always with a message in flight, talking to the counter of Tests/Fixtures.
 *
 *   swarm PORT PATH CLIENTS [PAUSE_MS]
 *
 * Each client numbers its texts from 1 and checks that the answer is "<version> <count> <text>" with that number in both
 * places: a message that is lost, doubled or out of order, or a counter that jumps, is found at once. With PAUSE_MS a
 * client waits that long between an answer and its next text. A line on standard input ends a window, which is told of
 * in JSON on standard output; the line "end" also ends the program. Exit 1 when anything was wrong. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SUB = 64, POWERS = 40, EVENTS = 512, ROOM = 256 };

struct client {
    int socket;
    uint64_t number;  /* of the text in flight */
    uint64_t sent_at; /* 0: none is */
    uint64_t due;
    char version[24];
    size_t length; /* bytes of a frame that has come in part */
    unsigned char bytes[ROOM];
};

static struct client *clients;
static size_t count, *waiting, first_waiting, waiting_count;
static uint64_t pause_ns;

/* The window. */
static uint64_t histogram[POWERS][SUB], messages, longest, begun, switched, last_switch;
/* Since the beginning. */
static uint64_t all, wrong, closed;

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void die(const char *what) {
    perror(what);
    exit(2);
}

/* ---- latencies, to a part in SUB */

static void record(uint64_t ns) {
    int power = ns < SUB ? 0 : 63 - __builtin_clzll(ns) - 5;
    if (power >= POWERS) power = POWERS - 1;
    histogram[power][(ns >> power) & (SUB - 1)] += 1;
    messages += 1;
    if (ns > longest) longest = ns;
}

static double quantile(double part) {
    uint64_t wanted = (uint64_t)(part * (double)messages), seen = 0;
    for (int power = 0; power < POWERS; power += 1) {
        for (uint64_t sub = 0; sub < SUB; sub += 1) {
            seen += histogram[power][sub];
            if (seen > wanted) return (double)(sub << power) / 1000.0;
        }
    }
    return (double)longest / 1000.0;
}

static void report(void) {
    uint64_t time = now(), outstanding = 0;
    /* Whoever waits for an answer has waited at least so long. */
    for (size_t i = 0; i < count; i += 1) {
        if (clients[i].sent_at == 0) continue;
        outstanding += 1;
        if (time - clients[i].sent_at > longest) longest = time - clients[i].sent_at;
    }
    printf("{\"seconds\": %.3f, \"messages\": %llu, \"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f,"
           " \"max_us\": %.1f, \"switched\": %llu, \"last_switch_ms\": %.2f, \"outstanding\": %llu, \"all\": %llu,"
           " \"wrong\": %llu, \"closed\": %llu}\n",
           (double)(time - begun) / 1e9, (unsigned long long)messages, quantile(0.5), quantile(0.99), quantile(0.999),
           (double)longest / 1000.0, (unsigned long long)switched,
           last_switch ? (double)(last_switch - begun) / 1e6 : 0.0, (unsigned long long)outstanding,
           (unsigned long long)all, (unsigned long long)wrong, (unsigned long long)closed);
    fflush(stdout);
    memset(histogram, 0, sizeof histogram);
    messages = longest = switched = last_switch = 0;
    begun = now();
}

/* ---- clients */

static void lose(struct client *client, const char *why) {
    if (closed < 5) fprintf(stderr, "client %zu lost: %s\n", (size_t)(client - clients), why);
    closed += 1;
    close(client->socket);
    client->socket = -1;
    client->sent_at = 0;
}

static void say(struct client *client, uint64_t time) {
    char frame[32];
    int length = snprintf(frame + 6, sizeof frame - 6, "%llu", (unsigned long long)++client->number);
    frame[0] = (char)0x81;
    frame[1] = (char)(0x80 | length);
    memset(frame + 2, 0, 4); /* a masking key of zeros leaves the payload as it is */
    client->sent_at = time;
    if (send(client->socket, frame, (size_t)length + 6, MSG_NOSIGNAL) != length + 6) lose(client, "send");
}

static void answered(struct client *client, char *text, uint64_t time) {
    char version[sizeof client->version], said[24], expected[24];
    unsigned long long counted = 0;
    snprintf(expected, sizeof expected, "%llu", (unsigned long long)client->number);
    if (client->sent_at == 0 || sscanf(text, "%23s %llu %23s", version, &counted, said) != 3 ||
        counted != client->number || strcmp(said, expected) != 0) {
        if (wrong < 5) fprintf(stderr, "expected %s, got \"%s\"\n", expected, text);
        wrong += 1;
        return;
    }
    record(time - client->sent_at);
    all += 1;
    client->sent_at = 0;
    if (strcmp(version, client->version) != 0) {
        if (client->version[0]) switched += 1, last_switch = time;
        strcpy(client->version, version);
    }
    if (pause_ns == 0) return say(client, time);
    client->due = time + pause_ns;
    waiting[(first_waiting + waiting_count++) % count] = (size_t)(client - clients);
}

static void hear(struct client *client) {
    ssize_t got = recv(client->socket, client->bytes + client->length, ROOM - 1 - client->length, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) return lose(client, got == 0 ? "end of stream" : strerror(errno));
    client->length += (size_t)got;
    uint64_t time = now();
    while (client->socket >= 0 && client->length >= 2) {
        size_t length = client->bytes[1], opcode = client->bytes[0] & 0x0F;
        if (length > 125) return lose(client, "a frame too large");
        if (client->length < 2 + length) return;
        char text[ROOM];
        memcpy(text, client->bytes + 2, length);
        text[length] = 0;
        client->length -= 2 + length;
        memmove(client->bytes, client->bytes + 2 + length, client->length);
        if (opcode == 8) return lose(client, "a Close frame");
        if (opcode == 1) answered(client, text, time);
    }
}

static void join(struct client *client, uint16_t port, const char *path) {
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(port)};
    char bytes[1024];
    size_t length = 0;
    int on = 1;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    client->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client->socket < 0 || connect(client->socket, (struct sockaddr *)&name, sizeof name) != 0) die("connect");
    setsockopt(client->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    int request = snprintf(bytes, sizeof bytes,
                           "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                           path);
    if (send(client->socket, bytes, (size_t)request, MSG_NOSIGNAL) != request) die("send");
    /* Nothing comes behind the head before we have said something. */
    do {
        ssize_t got = recv(client->socket, bytes + length, sizeof bytes - 1 - length, 0);
        if (got <= 0) die("handshake");
        length += (size_t)got;
        bytes[length] = 0;
    } while (strstr(bytes, "\r\n\r\n") == NULL);
    if (strncmp(bytes, "HTTP/1.1 101 ", 13) != 0) {
        fprintf(stderr, "refused: %s\n", bytes);
        exit(2);
    }
}

static void wake_waiting(void) {
    uint64_t time = now();
    while (waiting_count > 0 && clients[waiting[first_waiting]].due <= time) {
        struct client *client = &clients[waiting[first_waiting]];
        first_waiting = (first_waiting + 1) % count;
        waiting_count -= 1;
        if (client->socket >= 0) say(client, time);
    }
}

/* Answers false when it was the last line. */
static int obey(void) {
    static char line[256];
    static size_t length;
    ssize_t got = read(0, line + length, sizeof line - length);
    if (got <= 0) return 0;
    length += (size_t)got;
    for (char *end; (end = memchr(line, '\n', length)) != NULL;) {
        int isLast = strncmp(line, "end", 3) == 0;
        report();
        if (isLast) return 0;
        length -= (size_t)(end + 1 - line);
        memmove(line, end + 1, length);
    }
    return length < sizeof line;
}

int main(int words, char **word) {
    if (words < 4 || words > 5) return fprintf(stderr, "usage: swarm PORT PATH CLIENTS [PAUSE_MS]\n"), 2;
    struct rlimit limit = {0};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    count = strtoul(word[3], NULL, 10);
    pause_ns = words == 5 ? strtoull(word[4], NULL, 10) * 1000000u : 0;
    clients = calloc(count, sizeof *clients);
    waiting = calloc(count, sizeof *waiting);
    int poller = epoll_create1(EPOLL_CLOEXEC);
    if (count == 0 || clients == NULL || waiting == NULL || poller < 0) die("swarm");
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = UINT64_MAX}, events[EVENTS];
    epoll_ctl(poller, EPOLL_CTL_ADD, 0, &event);
    for (size_t i = 0; i < count; i += 1) {
        join(&clients[i], (uint16_t)strtoul(word[1], NULL, 10), word[2]);
        event.data.u64 = i;
        epoll_ctl(poller, EPOLL_CTL_ADD, clients[i].socket, &event);
    }
    begun = now();
    for (size_t i = 0; i < count; i += 1) {
        if (pause_ns == 0) {
            say(&clients[i], now());
        } else { /* spread, not all at once for ever */
            clients[i].due = begun + pause_ns * i / count;
            waiting[waiting_count++] = i;
        }
    }
    printf("{\"ready\": %zu}\n", count);
    fflush(stdout);
    for (int goes = 1; goes;) {
        int ready = epoll_wait(poller, events, EVENTS, pause_ns && waiting_count ? 1 : -1);
        for (int i = 0; i < ready; i += 1) {
            if (events[i].data.u64 == UINT64_MAX) {
                goes = obey();
            } else if (clients[events[i].data.u64].socket >= 0) {
                hear(&clients[events[i].data.u64]);
            }
        }
        if (pause_ns) wake_waiting();
    }
    return wrong || closed ? 1 : 0;
}

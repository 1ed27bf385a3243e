/* WebSocket clients of the handler `stamp` at two gateways, or twice at the same one.
 *
 *   cluster_peers latency PORT MEMBER_PORT COUNT          one publication after the other: how long each took from the
 *                                                         publisher's call of `publish` to the member's `recv`
 *   cluster_peers flow PORT MEMBER_PORT MEMBERS ROUNDS PUBLICATIONS SIZE
 *                                                         rounds of so many publications in one message, each of which
 *                                                         begins when all members have heard the last one
 *
 * It says `ready` when a publication has come to all, and begins when a line comes. Latencies come out as JSON. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 1 << 20 };

struct peer {
    int socket;
    size_t length;
    uint8_t bytes[BUFFER];
};

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void die(const char *what) {
    perror(what);
    exit(2);
}

static struct peer *open_peer(int port) {
    static const char head[] = "GET /stamp HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct peer *peer = calloc(1, sizeof *peer);
    int one = 1;
    if (peer == NULL || (peer->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0) die("socket");
    if (connect(peer->socket, (struct sockaddr *)&to, sizeof to) < 0) die("connect");
    setsockopt(peer->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (write(peer->socket, head, sizeof head - 1) < 0) die("write");
    char *end = NULL;
    while (end == NULL) {
        ssize_t got = recv(peer->socket, peer->bytes + peer->length, BUFFER - peer->length - 1, 0);
        if (got <= 0) die("handshake");
        peer->length += (size_t)got;
        end = strstr((char *)peer->bytes, "\r\n\r\n");
    }
    size_t used = (size_t)(end + 4 - (char *)peer->bytes);
    memmove(peer->bytes, peer->bytes + used, peer->length -= used);
    return peer;
}

static void say(struct peer *peer, const char *text) {
    uint8_t frame[128] = {0x81, (uint8_t)(0x80 | strlen(text))};
    memcpy(frame + 6, text, strlen(text));
    if (write(peer->socket, frame, 6 + strlen(text)) < 0) die("write");
}

/* Takes whole frames off: how many there were, and the first octets of the last one. */
static long take(struct peer *peer, uint64_t *stamp) {
    size_t at = 0;
    long count = 0;
    for (;;) {
        size_t left = peer->length - at, head = 2;
        if (left < 2) break;
        size_t length = peer->bytes[at + 1];
        if (length == 126) {
            if (left < 4) break;
            length = (size_t)peer->bytes[at + 2] << 8 | peer->bytes[at + 3];
            head = 4;
        }
        if (left < head + length) break;
        uint8_t opcode = peer->bytes[at] & 15;
        if (opcode == 8) {
            fputs("the gateway closed a connection\n", stderr);
            exit(2);
        }
        if (opcode < 8) count++;
        if (stamp != NULL && length >= 8) memcpy(stamp, peer->bytes + at + head, 8);
        at += head + length;
    }
    memmove(peer->bytes, peer->bytes + at, peer->length -= at);
    return count;
}

/* False: nothing within the milliseconds. */
static int hear(struct peer *peer, long *count, uint64_t *stamp, int milliseconds) {
    long found;
    while ((found = take(peer, stamp)) == 0) {
        struct pollfd one = {.fd = peer->socket, .events = POLLIN};
        if (milliseconds >= 0 && poll(&one, 1, milliseconds) == 0) return 0;
        ssize_t got = recv(peer->socket, peer->bytes + peer->length, BUFFER - peer->length, 0);
        if (got <= 0) die("recv");
        peer->length += (size_t)got;
    }
    *count += found;
    return 1;
}

static void hear_all(struct peer *peer, long count, long expected) {
    while (count < expected) {
        if (hear(peer, &count, NULL, 20000)) continue;
        fprintf(stderr, "%ld of %ld came\n", count, expected);
        exit(2);
    }
}

static void ask(struct peer *peer, const char *text) {
    say(peer, text);
    hear_all(peer, 0, 1);
}

/* Until everybody hears, and nothing more is under way. */
static void meet(struct peer *publisher, struct peer **members, int count) {
    for (int at = 0; at < count; at++) {
        long heard = 0;
        do ask(publisher, "p 1 8");
        while (!hear(members[at], &heard, NULL, 100));
    }
    for (int at = 0; at < count; at++) {
        long heard = 0;
        while (hear(members[at], &heard, NULL, 300)) {}
    }
    puts("ready");
    fflush(stdout);
    char line[16];
    if (fgets(line, sizeof line, stdin) == NULL) exit(2);
}

static int ascending(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

static void latency(struct peer *publisher, struct peer *member, size_t count) {
    uint64_t *all = malloc(count * sizeof *all), stamp = 0;
    if (all == NULL) die("malloc");
    for (size_t at = 0; at < count; at++) {
        long heard = 0;
        say(publisher, "p 1 128");
        if (!hear(member, &heard, &stamp, 20000)) die("nothing came");
        all[at] = now() - stamp;
        hear_all(publisher, 0, 1);
    }
    qsort(all, count, sizeof *all, ascending);
    printf("{\"p50_us\": %.1f, \"p99_us\": %.1f}\n", (double)all[count / 2] / 1e3, (double)all[count * 99 / 100] / 1e3);
}

int main(int count, char **words) {
    int is_flow = count == 8 && strcmp(words[1], "flow") == 0;
    if (!is_flow && !(count == 5 && strcmp(words[1], "latency") == 0)) {
        fputs("usage: cluster_peers latency PORT PORT COUNT | flow PORT PORT MEMBERS ROUNDS PUBLICATIONS SIZE\n", stderr);
        return 2;
    }
    int members = is_flow ? atoi(words[4]) : 1;
    struct peer *publisher = open_peer(atoi(words[2])), **all = calloc((size_t)members, sizeof *all);
    for (int at = 0; at < members; at++) {
        all[at] = open_peer(atoi(words[3]));
        ask(all[at], "s");
    }
    meet(publisher, all, members);
    if (!is_flow) latency(publisher, all[0], (size_t)atol(words[4]));
    for (long round = 0; is_flow && round < atol(words[5]); round++) {
        char text[64];
        snprintf(text, sizeof text, "p %s %s", words[6], words[7]);
        ask(publisher, text);
        for (int at = 0; at < members; at++) hear_all(all[at], 0, atol(words[6]));
    }
    puts("done");
    return 0;
}

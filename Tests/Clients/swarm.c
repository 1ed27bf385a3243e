/* Many WebSocket clients in one thread, each always with a message in flight, talking to the counter of Tests/Fixtures.
 *
 *   swarm PORT PATH[,PATH...] CLIENTS [PAUSE_MS [BURST [sums]]]
 *
 * Each client numbers its texts from 1 and checks that the answer is "<version> <count> <text>" with that number in both
 * places: a message that is lost, doubled or out of order, or a counter that jumps, is found at once. With `sums` it talks
 * to Tests/Clients/handlers/isolated.c instead, and checks the checksum of all its texts as well. With PAUSE_MS a client
 * waits that long between its last answer and its next BURST of texts, which leave in one piece. Clients take the paths
 * in turn.
 *
 * A line on standard input ends a window, which is told of in JSON on standard output. "at N" also tells how long each
 * client of that path has waited at most; "rejoin" has those come back that were closed, as new ones; "rest" begins no
 * burst any more, and waits until every answer is there, or none comes; "end" ends the program. Exit 1 when anything was
 * wrong. */
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

enum { SUB = 64, POWERS = 40, EVENTS = 512, ROOM = 2048, PATHS = 64, BURSTS = 64, CODES = 5000 };
/* How an end without a Close is counted, and how long "rest" waits for the next answer. */
enum { NO_CLOSE = 1006, REST_MS = 15000 };

struct client {
    int socket;
    uint64_t number;  /* of the text whose answer comes next */
    uint64_t said;    /* of the last text */
    uint64_t sent_at; /* 0: none is in flight */
    uint64_t due;
    int waits;        /* for that time, in `waiting` */
    uint64_t longest; /* of the window */
    uint32_t sum;     /* of all texts before the next answer's */
    char version[24];
    size_t length; /* bytes of a frame that has come in part */
    unsigned char bytes[ROOM];
};

static struct client *clients;
static size_t count, *waiting, first_waiting, waiting_count;
static uint64_t pause_ns, burst = 1, heard_at;
static int sums, rests, poller;
static uint16_t port;
static char *paths[PATHS];
static size_t path_count;

/* The window. */
static uint64_t histogram[POWERS][SUB], messages, longest, begun, switched, last_switch;
/* Since the beginning; what is wrong is also counted by what it is, and ends by their codes. */
static uint64_t all, wrong, closed, lost, doubled, states, codes[CODES];

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

static void waited(struct client *client, uint64_t ns) {
    if (ns > longest) longest = ns;
    if (ns > client->longest) client->longest = ns;
}

static void report_ends(void) {
    const char *between = "";
    printf(", \"ends\": {");
    for (int code = 0; code < CODES; code += 1) {
        if (codes[code] == 0) continue;
        printf("%s\"%d\": %llu", between, code, (unsigned long long)codes[code]);
        between = ", ";
    }
    printf("}");
}

/* The longest that each client of a path has waited; all of them begin anew. */
static void report_waits(long path) {
    const char *between = "";
    printf(", \"waits_us\": [");
    for (size_t i = 0; i < count; i += 1) {
        if ((long)(i % path_count) == path && clients[i].socket >= 0) {
            printf("%s%.1f", between, (double)clients[i].longest / 1000.0);
            between = ", ";
        }
        clients[i].longest = 0;
    }
    printf("]");
}

/* With the waits on a path; on none where that is negative. */
static void report(long path) {
    uint64_t time = now(), outstanding = 0;
    /* Whoever waits for an answer has waited at least so long. */
    for (size_t i = 0; i < count; i += 1) {
        if (clients[i].sent_at == 0) continue;
        outstanding += 1;
        waited(&clients[i], time - clients[i].sent_at);
    }
    printf("{\"seconds\": %.3f, \"messages\": %llu, \"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f,"
           " \"max_us\": %.1f, \"switched\": %llu, \"last_switch_ms\": %.2f, \"outstanding\": %llu, \"all\": %llu,"
           " \"wrong\": %llu, \"closed\": %llu, \"lost\": %llu, \"doubled\": %llu, \"states\": %llu",
           (double)(time - begun) / 1e9, (unsigned long long)messages, quantile(0.5), quantile(0.99), quantile(0.999),
           (double)longest / 1000.0, (unsigned long long)switched,
           last_switch ? (double)(last_switch - begun) / 1e6 : 0.0, (unsigned long long)outstanding,
           (unsigned long long)all, (unsigned long long)wrong, (unsigned long long)closed, (unsigned long long)lost,
           (unsigned long long)doubled, (unsigned long long)states);
    report_ends();
    report_waits(path);
    printf("}\n");
    fflush(stdout);
    memset(histogram, 0, sizeof histogram);
    messages = longest = switched = last_switch = 0;
    begun = now();
}

/* ---- clients */

static void lose(struct client *client, const char *why, unsigned code) {
    if (closed < 5) fprintf(stderr, "client %zu lost: %s, %u\n", (size_t)(client - clients), why, code);
    closed += 1;
    codes[code < CODES ? code : 0] += 1;
    close(client->socket);
    client->socket = -1;
    client->sent_at = 0;
}

/* CRC-32, as that of zlib. */
static uint32_t checksum(uint32_t before, const char *text) {
    uint32_t value = ~before;
    for (; *text; text += 1) {
        value ^= (unsigned char)*text;
        for (int bit = 0; bit < 8; bit += 1) value = value >> 1 ^ (value & 1 ? 0xEDB88320u : 0);
    }
    return ~value;
}

static int compose(char *text, size_t room, uint64_t number) {
    return snprintf(text, room, sums ? "n %llu" : "%llu", (unsigned long long)number);
}

static void say(struct client *client, uint64_t time) {
    char bytes[BURSTS * 32];
    size_t length = 0;
    for (uint64_t i = 0; i < burst; i += 1) {
        char *frame = bytes + length;
        int text = compose(frame + 6, 26, ++client->said);
        frame[0] = (char)0x81;
        frame[1] = (char)(0x80 | text);
        memset(frame + 2, 0, 4); /* a masking key of zeros leaves the payload as it is */
        length += (size_t)text + 6;
    }
    client->sent_at = time;
    if (send(client->socket, bytes, length, MSG_NOSIGNAL) != (ssize_t)length) lose(client, "send", NO_CLOSE);
}

/* Whether it is the answer to the text that is due, with the state that is due; if not, what is wrong with it is counted. */
static int is_right(struct client *client, const char *text, char version[24]) {
    char due[24], whole[64], said[24];
    unsigned long long counted = 0, number = 0;
    compose(due, sizeof due, client->number);
    uint32_t sum = sums ? checksum(client->sum, due) : 0;
    snprintf(whole, sizeof whole, "%llu %08x %s", (unsigned long long)client->number, sum, due);
    int is_same = sums ? strcmp(text, whole) == 0
                       : sscanf(text, "%23s %llu %23s", version, &counted, said) == 3 && counted == client->number &&
                             strcmp(said, due) == 0;
    client->sum = sum;
    if (is_same && client->sent_at != 0) return 1;
    if (wrong < 5) fprintf(stderr, "client %zu expected %s, got \"%s\"\n", (size_t)(client - clients), due, text);
    wrong += 1;
    if (sscanf(text, sums ? "%llu %*x n %llu" : "%*s %llu %llu", &counted, &number) == 2) {
        *(number > client->number ? &lost : number < client->number ? &doubled : &states) += 1;
    }
    return 0;
}

static void wait_for(struct client *client, uint64_t due) {
    /* One that has come back may be there from before, and is due sooner. */
    if (client->waits) return;
    client->waits = 1;
    client->due = due;
    waiting[(first_waiting + waiting_count++) % count] = (size_t)(client - clients);
}

static void answered(struct client *client, char *text, uint64_t time) {
    char version[sizeof client->version] = "";
    if (!is_right(client, text, version)) return lose(client, "a wrong answer", 0);
    record(time - client->sent_at);
    waited(client, time - client->sent_at);
    all += 1;
    heard_at = time;
    client->number += 1;
    if (strcmp(version, client->version) != 0) {
        if (client->version[0]) switched += 1, last_switch = time;
        strcpy(client->version, version);
    }
    if (client->number <= client->said) return;
    client->sent_at = 0;
    if (pause_ns == 0 && !rests) return say(client, time);
    if (pause_ns != 0) wait_for(client, time + pause_ns);
}

static void hear(struct client *client) {
    ssize_t got = recv(client->socket, client->bytes + client->length, ROOM - 1 - client->length, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) return lose(client, got == 0 ? "end of stream" : strerror(errno), NO_CLOSE);
    client->length += (size_t)got;
    uint64_t time = now();
    while (client->socket >= 0 && client->length >= 2) {
        size_t length = client->bytes[1], opcode = client->bytes[0] & 0x0F;
        if (length > 125) return lose(client, "a frame too large", 0);
        if (client->length < 2 + length) return;
        char text[128];
        memcpy(text, client->bytes + 2, length);
        text[length] = 0;
        client->length -= 2 + length;
        memmove(client->bytes, client->bytes + 2 + length, client->length);
        if (opcode == 8) return lose(client, "a Close", length < 2 ? 1005 : (unsigned char)text[0] * 256u + (unsigned char)text[1]);
        if (opcode == 1) answered(client, text, time);
    }
}

static void join(struct client *client) {
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
                           paths[(size_t)(client - clients) % path_count]);
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
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)(client - clients)};
    epoll_ctl(poller, EPOLL_CTL_ADD, client->socket, &event);
}

/* As a new client, which says its first text at once. */
static void rejoin(struct client *client) {
    *client = (struct client){.socket = -1, .number = 1, .due = client->due, .waits = client->waits};
    join(client);
    say(client, now());
}

static void wake_waiting(void) {
    uint64_t time = now();
    while (!rests && waiting_count > 0 && clients[waiting[first_waiting]].due <= time) {
        struct client *client = &clients[waiting[first_waiting]];
        first_waiting = (first_waiting + 1) % count;
        waiting_count -= 1;
        client->waits = 0;
        /* One that was lost meanwhile and has come back has said something. */
        if (client->socket >= 0 && client->sent_at == 0) say(client, time);
    }
}

static size_t in_flight(void) {
    size_t number = 0;
    for (size_t i = 0; i < count; i += 1) number += clients[i].sent_at != 0;
    return number;
}

/* Answers false when it was the last line. */
static int obey(void) {
    static char line[256];
    static size_t length;
    ssize_t got = read(0, line + length, sizeof line - length);
    if (got <= 0) return 0;
    length += (size_t)got;
    for (char *end; (end = memchr(line, '\n', length)) != NULL;) {
        int is_last = strncmp(line, "end", 3) == 0;
        if (strncmp(line, "rest", 4) == 0) {
            /* The report comes when all is quiet. */
            rests = 1;
            heard_at = now();
        } else {
            for (size_t i = 0; i < count && strncmp(line, "rejoin", 6) == 0; i += 1) {
                if (clients[i].socket < 0) rejoin(&clients[i]);
            }
            report(strncmp(line, "at ", 3) == 0 ? strtol(line + 3, NULL, 10) : -1);
        }
        if (is_last) return 0;
        length -= (size_t)(end + 1 - line);
        memmove(line, end + 1, length);
    }
    return length < sizeof line;
}

static void begin(void) {
    for (size_t i = 0; i < count; i += 1) {
        clients[i].number = 1;
        join(&clients[i]);
    }
    begun = now();
    for (size_t i = 0; i < count; i += 1) {
        if (pause_ns == 0) {
            say(&clients[i], now());
        } else { /* spread, not all at once for ever */
            wait_for(&clients[i], begun + pause_ns * i / count);
        }
    }
    printf("{\"ready\": %zu}\n", count);
    fflush(stdout);
}

/* The lines and the clients, in turn. */
static void serve(void) {
    struct epoll_event events[EVENTS];
    int is_told = 0;
    for (int goes = 1; goes;) {
        int ready = epoll_wait(poller, events, EVENTS, rests ? 20 : pause_ns && waiting_count ? 1 : -1);
        for (int i = 0; i < ready; i += 1) {
            if (events[i].data.u64 == UINT64_MAX) {
                goes = obey();
            } else if (clients[events[i].data.u64].socket >= 0) {
                hear(&clients[events[i].data.u64]);
            }
        }
        if (pause_ns) wake_waiting();
        if (rests && !is_told && (in_flight() == 0 || now() - heard_at > REST_MS * 1000000ull)) {
            is_told = 1;
            report(-1);
        }
    }
}

int main(int words, char **word) {
    if (words < 4 || words > 7) return fprintf(stderr, "usage: swarm PORT PATHS CLIENTS [PAUSE_MS [BURST [sums]]]\n"), 2;
    struct rlimit limit = {0};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    port = (uint16_t)strtoul(word[1], NULL, 10);
    for (char *path = strtok(word[2], ","); path && path_count < PATHS; path = strtok(NULL, ",")) paths[path_count++] = path;
    count = strtoul(word[3], NULL, 10);
    pause_ns = words > 4 ? strtoull(word[4], NULL, 10) * 1000000u : 0;
    burst = words > 5 ? strtoull(word[5], NULL, 10) : 1;
    sums = words > 6 && strcmp(word[6], "sums") == 0;
    clients = calloc(count, sizeof *clients);
    waiting = calloc(count, sizeof *waiting);
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (count == 0 || path_count == 0 || burst < 1 || burst > BURSTS || !clients || !waiting || poller < 0) die("swarm");
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = UINT64_MAX};
    epoll_ctl(poller, EPOLL_CTL_ADD, 0, &event);
    begin();
    serve();
    return wrong || closed ? 1 : 0;
}

/* Sends numbered messages to whoever said "reader", in every way there is: a letter for the sender, ten digits that
 * grow, and a filler that follows from the number. What was refused is counted, what was taken as well. */
#include <pthread.h>
#include <stdatomic.h>

#include "common.h"

static gw_conn reader;
static atomic_long taken, refused;
/* A message that is being sent in fragments: how many are out, and what it is. */
static struct { int sent; size_t size; char bytes[1 << 16]; } stream;
static long numbers[128];

static size_t make(char *bytes, char sender, size_t size) {
    long number = numbers[(int)sender]++;
    if (size < 16) size = 16;
    int head = snprintf(bytes, 16, "%c%010ld", sender, number);
    /* Nothing that can be compressed. */
    for (size_t i = (size_t)head; i < size; i++)
        bytes[i] = (char)((uint32_t)((uint32_t)(number * 7 % 4096 + (long)i) * 2654435761u) >> 13);
    return size;
}

static int count(gw_status status) {
    if (status == GW_OK || status == GW_BACKPRESSURE) taken++;
    if (status == GW_E_DROPPED) refused++;
    return status >= 0;
}

/* Fragments are thirds. One that was refused is tried again the next time. */
static void go_on(void) {
    while (stream.sent < 3) {
        size_t third = stream.size / 3, from = third * (size_t)stream.sent;
        size_t size = stream.sent == 2 ? stream.size - from : third;
        gw_status status = host->send_fragment(host, reader, GW_BINARY, stream.sent == 2 ? GW_FIN : 0,
                                               stream.bytes + from, size);
        if (status == GW_E_DROPPED) refused++;
        if (status < 0) return;
        stream.sent++;
    }
    taken++;
}

static void send_one(unsigned way, size_t size) {
    static char bytes[1 << 16];
    uint32_t reached;
    if (stream.sent < 3 && stream.size > 0) go_on();
    int is_open = stream.size > 0 && stream.sent < 3;
    switch (is_open ? 2 : way % 5) {
    case 0: count(host->send(host, reader, GW_BINARY, 0, bytes, make(bytes, 'w', size))); break;
    case 1: {
        size_t length = make(bytes, 'w', size);
        count(host->send_buf(host, reader, GW_BINARY, 0, host->buf_copy(host, bytes, length)));
        break;
    }
    /* It has room or not once it comes to the members; that is the business of the route. */
    case 2:
    case 3:
        if (host->publish(host, instance, "t", 1, GW_BINARY, 0, bytes, make(bytes, 'p', size), 0, &reached) == GW_OK)
            taken += reached;
        break;
    default:
        stream.size = make(stream.bytes, 'w', size);
        stream.sent = 0;
        go_on();
    }
}

struct job { long count; size_t size; };
static pthread_t thread;
static int has_thread;

static void *run(void *context) {
    struct job *job = context;
    char *bytes = malloc(1 << 16);
    for (long i = 0; i < job->count; i++) {
        gw_status status = host->send(host, reader, GW_BINARY, 0, bytes, make(bytes, 't', job->size));
        count(status);
        /* Inside a fragmented message of another thread. */
        if (status == GW_E_STATE) numbers['t']--;
    }
    free(bytes);
    free(job);
    return NULL;
}

static void await(void) {
    if (has_thread) pthread_join(thread, NULL);
    has_thread = 0;
}

static void message(void *self, gw_conn c, void *state, const gw_message *m) {
    char text[64] = "";
    long times = 0, most = 0, seed = 0;
    memcpy(text, m->data.ptr, m->data.len < 63 ? m->data.len : 63);
    if (strcmp(text, "reader") == 0) {
        reader = c;
        host->subscribe(host, c, 0, "t", 1);
        return;
    }
    if (sscanf(text, "burst %ld %ld %ld", &times, &most, &seed) == 3) {
        unsigned random = (unsigned)seed;
        for (long i = 0; i < times; i++) {
            random = random * 1103515245 + 12345;
            send_one(random >> 16, 16 + (random >> 8) % (unsigned)most);
        }
    } else if (sscanf(text, "open %ld", &most) == 1) {
        stream.size = make(stream.bytes, 'w', (size_t)most);
        size_t third = stream.size / 3;
        stream.sent = host->send_fragment(host, reader, GW_BINARY, 0, stream.bytes, third) >= 0;
    } else if (sscanf(text, "publish %ld %ld", &times, &most) == 2) {
        static char bytes[1 << 16];
        uint32_t reached;
        for (long i = 0; i < times; i++)
            host->publish(host, instance, "t", 1, GW_BINARY, 0, bytes, make(bytes, 'p', (size_t)most), 0, &reached);
    } else if (sscanf(text, "thread %ld %ld", &times, &most) == 2) {
        await();
        struct job *job = malloc(sizeof *job);
        *job = (struct job){times, (size_t)most};
        has_thread = pthread_create(&thread, NULL, run, job) == 0;
    } else if (strcmp(text, "finish") == 0) {
        await();
        if (stream.size > 0 && stream.sent < 3) go_on();
        say(c, stream.size > 0 && stream.sent < 3);
        return;
    } else if (strcmp(text, "taken") == 0) {
        say(c, taken);
        return;
    } else if (strcmp(text, "refused") == 0) {
        say(c, refused);
        return;
    }
    say(c, 0);
}

TABLE("flow", .message = message)

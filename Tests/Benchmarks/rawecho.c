/* The floor: the least an epoll loop can do and still look like a WebSocket server.
 *
 *   rawecho PORT      build: cc -O3 -march=native rawecho.c -lcrypto
 *
 * One read for each ready socket, frames turned round in place, one send for each read; under /chat what came in during a
 * turn goes to every member with one send each. It checks nothing that a real server has to check: a yardstick. */
#include "rawloop.h"

/* What a read left over stands in front of the next one, so that headers are always in one piece. */
static uint8_t memory[FRONT + ROOM + 16];
static size_t news_room;

static void readable(peer *p) {
    uint8_t *start = memory + FRONT - p->stream.kept_count;
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
    memcpy(start, p->stream.kept, p->stream.kept_count);
    size_t turned = (size_t)(turn_round(&p->stream, start, memory + FRONT + count) - start);
    if (p->member >= 0 && !p->stream.closing) {
        if (news_count + turned > news_room) news = must(realloc(news, news_room = (news_count + turned) * 2));
        memcpy(news + news_count, start, turned);
        news_count += turned;
        return;
    }
    if ((turned && !put(p, start, turned)) || (p->stream.closing && !p->stream.left)) drop(p);
}

int main(int count, char **arguments) { return serve(count > 1 ? atoi(arguments[1]) : 0); }

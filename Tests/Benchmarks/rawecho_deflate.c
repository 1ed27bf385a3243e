/* The floor with permessage-deflate: a bare loop that inflates each compressed message and deflates it again.
 *
 *   rawecho_deflate PORT [LEVEL]      build: cc -O3 -march=native rawecho_deflate.c -lcrypto -lz [-DHAVE_ISAL -lisal]
 *
 * It has one deflater and one inflater, of the libraries that the gateway has: zlib for input, isa-l for output where that
 * is there and up to its level 3. No window is kept. It checks nothing that a real server has to check: a yardstick. */
#include "rawloop.h"

#include <zlib.h>
#ifdef HAVE_ISAL
#include <isa-l/igzip_lib.h>
#endif

/* Frames that are cut by the end of a read are kept by the peer, in `waiting`: nothing is read while output waits. */
enum { PLAIN = 1 << 20 };

static uint8_t plain[PLAIN], *out;
static size_t out_count, out_room;
static int level = 1;
static z_stream deflater, inflater;

#ifdef HAVE_ISAL
static struct isal_zstream isal;
static uint8_t isal_memory[ISAL_DEF_LVL3_DEFAULT];

static void prepare_isal(void) {
    static const uint32_t room[] = {
        ISAL_DEF_LVL0_DEFAULT, ISAL_DEF_LVL1_DEFAULT, ISAL_DEF_LVL2_DEFAULT, ISAL_DEF_LVL3_DEFAULT};
    isal_deflate_init(&isal);
    isal.level = (uint32_t)level;
    isal.level_buf = level ? isal_memory : NULL;
    isal.level_buf_size = room[level];
    isal.hist_bits = 15;
    isal.flush = SYNC_FLUSH;
    if (!level) isal_deflate_set_hufftables(&isal, NULL, IGZIP_HUFFTABLE_STATIC);
}
#endif

static void prepare(void) {
    inflateInit2(&inflater, -15);
    deflateInit2(&deflater, level ? level : 1, Z_DEFLATED, -15, 8, level ? Z_DEFAULT_STRATEGY : Z_FIXED);
#ifdef HAVE_ISAL
    if (level <= 3) prepare_isal();
#endif
}

static void make_room(size_t count) {
    if (out_count + count > out_room) out = must(realloc(out, out_room = (out_count + count) * 2));
}

/* Four bytes behind the message are written. */
static size_t inflate_message(uint8_t *bytes, size_t count) {
    memcpy(bytes + count, "\0\0\xff\xff", 4);
    inflater.next_in = bytes;
    inflater.avail_in = (unsigned)count + 4;
    inflater.next_out = plain;
    inflater.avail_out = PLAIN;
    int status = inflate(&inflater, Z_SYNC_FLUSH);
    inflateReset(&inflater);
    return status == Z_OK ? PLAIN - inflater.avail_out : SIZE_MAX;
}

static size_t deflate_message(uint8_t *to, size_t room, size_t count) {
#ifdef HAVE_ISAL
    if (level <= 3) {
        isal.next_in = plain;
        isal.avail_in = (uint32_t)count;
        isal.next_out = to;
        isal.avail_out = (uint32_t)room;
        isal_deflate(&isal);
        isal_deflate_reset(&isal);
        return room - isal.avail_out - 4;
    }
#endif
    deflater.next_in = plain;
    deflater.avail_in = (unsigned)count;
    deflater.next_out = to;
    deflater.avail_out = (unsigned)room;
    deflate(&deflater, Z_SYNC_FLUSH);
    deflateReset(&deflater);
    return room - deflater.avail_out - 4;
}

static size_t header_size(size_t length) { return length < 126 ? 2 : length < 65536 ? 4 : 10; }

static void put_header(uint8_t *to, uint8_t first, size_t length) {
    size_t size = header_size(length);
    to[0] = first;
    to[1] = (uint8_t)(size == 2 ? length : size == 4 ? 126 : 127);
    for (size_t i = 2; i < size; i++) to[i] = (uint8_t)(length >> 8 * (size - 1 - i));
}

static void answer_plain(uint8_t first, const uint8_t *bytes, size_t count) {
    make_room(count + 10);
    put_header(out + out_count, first, count);
    memcpy(out + out_count + header_size(count), bytes, count);
    out_count += header_size(count) + count;
}

/* False when the message is broken. */
static bool answer(uint8_t first, uint8_t *bytes, size_t count) {
    if ((first & 15) == 9) first = 0x8A;
    if (!(first & 0x40)) {
        answer_plain(first, bytes, count);
        return true;
    }
    count = inflate_message(bytes, count);
    if (count == SIZE_MAX) return false;
    size_t most = count + count / 8 + 512, guess = header_size(count);
    make_room(most + 10);
    uint8_t *to = out + out_count;
    size_t made = deflate_message(to + guess, most, count);
    if (header_size(made) != guess) memmove(to + header_size(made), to + guess, made);
    put_header(to, first, made);
    out_count += header_size(made) + made;
    return true;
}

/* Answers whole frames; what is left is for the next read. */
static uint8_t *answer_all(peer *p, uint8_t *at, const uint8_t *end) {
    while (end - at >= 2) {
        uint8_t small = at[1] & 127, first = at[0], behind[4];
        size_t header = (small < 126 ? 2 : small == 126 ? 4 : 10) + 4;
        if ((size_t)(end - at) < header) break;
        uint64_t length = small;
        if (small == 126) length = (uint64_t)at[2] << 8 | at[3];
        if (small == 127) memcpy(&length, at + 2, 8), length = __builtin_bswap64(length);
        if ((uint64_t)(end - at) < header + length) break;
        uint32_t key;
        memcpy(&key, at + header - 4, 4);
        unmask(at, at + header, length, key);
        memcpy(behind, at + length, 4);
        p->stream.closing |= (first & 15) == 8;
        bool good = answer(first, at, length);
        memcpy(at + length, behind, 4);
        at += header + length;
        if (!good || p->stream.closing) {
            p->stream.closing = 1;
            break;
        }
    }
    return at;
}

static void readable(peer *p) {
    static uint8_t input[PLAIN + ROOM + 16];
    size_t kept = p->open ? p->waiting_count : 0;
    memcpy(input, p->waiting, kept);
    ssize_t count = recv(p->fd, input + kept, ROOM, 0);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) {
        drop(p);
        return;
    }
    if (!p->open) {
        input[count] = 0;
        shake_hands(p, input, (size_t)count);
        return;
    }
    free(p->waiting);
    p->waiting = NULL;
    p->waiting_count = 0;
    uint8_t *end = input + kept + count, *left = answer_all(p, input, end);
    bool sent = put(p, out, out_count);
    out_count = 0;
    if (!sent || p->stream.closing || end - left > PLAIN) {
        drop(p);
        return;
    }
    /* Output that the socket did not take would come first; the messages of a benchmark are shorter than its buffer. */
    if (left < end && p->waiting_count) abort();
    if (left < end) hold(p, left, (size_t)(end - left));
}

int main(int count, char **arguments) {
    extensions = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n";
    if (count > 2) level = atoi(arguments[2]);
    prepare();
    return serve(count > 1 ? atoi(arguments[1]) : 0);
}

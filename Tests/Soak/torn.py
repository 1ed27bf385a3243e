"""Peers of HTTP/2 that break off, say half of it, or say nonsense, on connections with streams that somebody serves."""
import os
import ssl
import struct

import hpack

from multiplexing import (CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, INITIAL_WINDOW_SIZE, PING, PREFACE,
                          PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE)
from wire import frame

SILENT = struct.pack("!HI", INITIAL_WINDOW_SIZE, 0)


def h2_frame(kind, flags=0, number=0, payload=b""):
    return len(payload).to_bytes(3, "big") + struct.pack("!BBI", kind, flags, number) + payload


class Torn:
    """Ways for Hostility, each a method that answers the connection as it is left."""

    def __init__(self, hostility):
        self.hostility, self.random = hostility, hostility.random
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.check_hostname, self.context.verify_mode = False, ssl.CERT_NONE
        self.context.set_alpn_protocols(["h2"])
        self.ways = [self.h2_half_a_preface, self.h2_half_a_frame, self.h2_nonsense, self.h2_torn_streams, self.h2_resets,
                     self.h2_ends_without_close, self.h2_bad_heads, self.h2_deaf, self.h2_silent_streams, self.h2_bad_frames,
                     self.h2_goes]

    def connect(self):
        hostility = self.hostility
        if self.random.random() < 0.5:
            return hostility.connect(hostility.doors.port)
        peer = hostility.connect(hostility.doors.tls_port)
        try:
            return self.context.wrap_socket(peer, server_hostname="localhost")
        except BaseException:
            peer.close()
            raise

    def head(self, encoder, *more):
        fields = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":authority", "a"),
                  (":path", self.random.choice(self.hostility.paths).decode()), ("sec-websocket-version", "13"), *more]
        return encoder.encode(fields)

    def opened(self, count, settings=b"", *more):
        """A connection with so many streams that were asked for; nobody waits for the answers."""
        peer, encoder = self.connect(), hpack.Encoder()
        data = PREFACE + h2_frame(SETTINGS, 0, 0, settings)
        for number in range(1, 2 * count, 2):
            data += h2_frame(HEADERS, END_HEADERS, number, self.head(encoder, *more))
        return self.hear(peer, data)

    def hear(self, peer, data):
        """Says it and waits until the gateway has taken it."""
        try:
            peer.sendall(data + h2_frame(PING, 0, 0, b"round it"))
            heard = b""
            while b"round it" not in heard:
                more = peer.recv(65536)
                if not more:
                    raise ConnectionResetError
                heard = heard[-16:] + more
        except BaseException:
            peer.close()
            raise
        return peer

    def some(self, size=3000):
        """Frames of a client that may be half done."""
        whole = b"".join(frame(2, os.urandom(self.random.randrange(size))) for _ in range(self.random.randint(1, 4)))
        return whole[:self.random.randint(1, len(whole))]

    # ---- ways
    def h2_half_a_preface(self):
        return self.hostility.say(self.connect(), PREFACE[:self.random.randrange(len(PREFACE) + 1)])

    def h2_half_a_frame(self):
        encoder = hpack.Encoder()
        data = h2_frame(HEADERS, END_HEADERS, 5, self.head(encoder)) + h2_frame(DATA, 0, 1, self.some())
        return self.hostility.say(self.opened(2), data)

    def h2_nonsense(self):
        return self.hostility.say(self.opened(self.random.randrange(4)), os.urandom(300))

    def h2_torn_streams(self):
        """Streams in the middle of messages, and then nothing more of the connection."""
        count = self.random.randint(1, 20)
        peer = self.opened(count)
        self.hear(peer, b"".join(h2_frame(DATA, 0, number, self.some()) for number in range(1, 2 * count, 2)))
        return peer

    def h2_resets(self):
        """In the middle of messages, one stream after the other."""
        count = self.random.randint(1, 20)
        peer, numbers = self.opened(count), list(range(1, 2 * count, 2))
        self.random.shuffle(numbers)
        for number in numbers:
            code = struct.pack("!I", self.random.choice([0, CANCEL, 7, 0xFFFF]))
            self.hear(peer, h2_frame(DATA, 0, number, self.some()) + h2_frame(RST_STREAM, 0, number, code))
        return peer

    def h2_ends_without_close(self):
        count = self.random.randint(1, 10)
        peer = self.opened(count)
        self.hear(peer, b"".join(h2_frame(DATA, END_STREAM, number, self.some()) for number in range(1, 2 * count, 2)))
        return peer

    def h2_bad_heads(self):
        bad = self.random.choice([
            ("Upper-Case", "x"), ("connection", "x"), (":late", "x"), ("te", "gzip"), ("content-length", "-1"),
            ("sec-websocket-version", "8"), ("x", "y" * 20_000)])
        return self.opened(3, b"", bad)

    def h2_deaf(self):
        """Asks for much, opens no window, and reads nothing."""
        peer = self.opened(4)
        peer.settimeout(0.05)
        try:
            for turn in range(12):
                payload = frame(2, os.urandom(5000))
                peer.sendall(h2_frame(DATA, 0, 1 + turn % 4 * 2, payload))
        except TimeoutError:
            pass
        return peer

    def h2_silent_streams(self):
        """Windows of nothing: what is echoed must wait, and goes nowhere in the end."""
        peer = self.opened(4, SILENT)
        self.hear(peer, b"".join(h2_frame(DATA, 0, number, frame(2, os.urandom(3000))) for number in (1, 3, 5, 7)))
        return peer

    def h2_bad_frames(self):
        """What ends the connection, with streams on it."""
        return self.hostility.say(self.opened(3), self.random.choice([
            h2_frame(DATA, 0, 0, b"x"), h2_frame(DATA, 0, 99, b"x"), h2_frame(HEADERS, END_HEADERS, 2, b"\x82"),
            h2_frame(WINDOW_UPDATE, 0, 0, bytes(4)), h2_frame(WINDOW_UPDATE, 0, 1, b"\x7f\xff\xff\xff"),
            h2_frame(SETTINGS, 1, 0, b"x"), h2_frame(PUSH_PROMISE, END_HEADERS, 1, bytes(8)), h2_frame(CONTINUATION, 0, 1, b""),
            h2_frame(PING, 0, 0, b"short"), h2_frame(HEADERS, END_HEADERS, 7, b"\xff\xff\xff\xff\xff"),
            b"\xff\xff\xff" + bytes(6), h2_frame(RST_STREAM, 0, 77, bytes(4))]))

    def h2_goes(self):
        """Says GOAWAY and lets its streams be."""
        return self.hear(self.opened(3), h2_frame(GOAWAY, 0, 0, bytes(8)))

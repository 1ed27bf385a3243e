"""Peers that break off, say half of it, or say nonsense; over HTTP/2 as well. Nobody is served by them; others must not
notice."""
import os
import socket
import ssl
import struct
import threading
from collections import deque

from torn import Torn
from wire import frame

UPGRADE = (b"GET %b HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n")


class Hostility:
    """Does something of the kind every few milliseconds from start to stop, and leaves most of it lying half done."""
    MOST, PATIENCE = 24, 60.0

    def __init__(self, doors, paths, random, faults):
        self.doors, self.random, self.faults = doors, random, faults
        self.paths = [path.encode() for path in paths]
        self.over = threading.Event()
        self.held = deque()
        self.done = {}
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.check_hostname, self.context.verify_mode = False, ssl.CERT_NONE
        self.torn = Torn(self)

    def start(self):
        self.over.clear()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        ways = [self.silence, self.half_a_head, self.long_head, self.bad_frames, self.bad_deflate, self.half_a_hello,
                self.garbage_records, self.plain_on_tls, self.hello_on_plain, self.garbage_inside, self.torn_record,
                self.half_a_head_inside, self.deaf, *self.torn.ways]
        while not self.over.wait(self.random.uniform(0.002, 0.05)):
            way = self.random.choice(ways)
            self.done[way.__name__] = self.done.get(way.__name__, 0) + 1
            try:
                self.keep(way())
            except TimeoutError:
                self.faults.append(f"a hostile peer, {way.__name__}: no answer within {self.PATIENCE:.0f} s")
            except (ConnectionError, ssl.SSLError):
                # The gateway has thrown it out in the middle of it, which is its right.
                self.done["thrown out"] = self.done.get("thrown out", 0) + 1

    def stop(self):
        self.over.set()
        self.thread.join()
        while self.held:
            self.drop(self.held.popleft())

    def keep(self, peer):
        if peer is None:
            return
        self.held.append(peer)
        while len(self.held) > self.random.randint(0, self.MOST):
            self.drop(self.held.popleft())

    def drop(self, peer):
        if self.random.random() < 0.5:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()

    # ---- beginnings
    def connect(self, port):
        return socket.create_connection(("127.0.0.1", port), self.PATIENCE)

    def say(self, peer, data):
        """In pieces, and often not all of it."""
        if self.random.random() < 0.5:
            data = data[:self.random.randrange(len(data) + 1)]
        while data:
            count = self.random.choice([1, 7, 100, len(data)])
            peer.sendall(data[:count])
            data = data[count:]
            if len(data) > 2000:
                break
        return peer

    def hello(self):
        outward = ssl.MemoryBIO()
        try:
            self.context.wrap_bio(ssl.MemoryBIO(), outward, server_hostname="localhost").do_handshake()
        except ssl.SSLWantReadError:
            pass
        return outward.read()

    def upgrade(self):
        return UPGRADE % self.random.choice(self.paths)

    def secure(self):
        """A socket with TLS on it; closing it closes the connection without close_notify."""
        peer = self.connect(self.doors.tls_port)
        try:
            return self.context.wrap_socket(peer, server_hostname="localhost")
        except BaseException:
            peer.close()
            raise

    def upgraded(self):
        """A connection whose handshake is done, plain or not."""
        peer = self.connect(self.doors.port) if self.random.random() < 0.5 else self.secure()
        try:
            peer.sendall(self.upgrade())
            if not peer.recv(65536).startswith(b"HTTP/1.1 101"):
                raise ConnectionRefusedError
        except BaseException:
            peer.close()
            raise
        return peer

    # ---- ways
    def silence(self):
        return self.connect(self.random.choice([self.doors.port, self.doors.tls_port]))

    def half_a_head(self):
        return self.say(self.connect(self.doors.port), self.upgrade())

    def long_head(self):
        return self.say(self.connect(self.doors.port), b"GET / HTTP/1.1\r\nX: " + b"a" * self.random.randrange(100_000))

    def bad_frames(self):
        return self.say(self.upgraded(), self.random.choice([
            os.urandom(200), frame(2, bytes(300))[:100], b"\x82\xff" + b"\x7f" * 8 + bytes(20), b"\x81\x02hi",
            frame(1, b"\xff\xfe"), frame(9, bytes(125)) * 50]))

    def bad_deflate(self):
        return self.say(self.upgraded(), frame(2, os.urandom(self.random.randrange(1, 120)), rsv=4))

    def half_a_hello(self):
        hello = self.hello()
        return self.say(self.connect(self.doors.tls_port), hello[:self.random.randrange(len(hello))])

    def garbage_records(self):
        kind, length = self.random.choice([20, 21, 22, 23, 0, 255]), self.random.choice([0, 1, 300, 16384, 65535])
        record = bytes([kind, 3, self.random.choice([0, 1, 3, 9])]) + struct.pack("!H", length)
        return self.say(self.connect(self.doors.tls_port), record + os.urandom(min(length, 2000)))

    def plain_on_tls(self):
        return self.say(self.connect(self.doors.tls_port), self.upgrade())

    def hello_on_plain(self):
        return self.say(self.connect(self.doors.port), self.hello())

    def garbage_inside(self):
        """Bytes that are no record, behind a handshake that was fine."""
        peer = self.upgraded() if self.random.random() < 0.5 else self.secure()
        with socket.socket(fileno=os.dup(peer.fileno())) as bare:
            self.say(bare, os.urandom(200))
        return peer

    def torn_record(self):
        """A record that ends in its middle, and then the stream."""
        peer = self.secure()
        with socket.socket(fileno=os.dup(peer.fileno())) as bare:
            bare.sendall(b"\x17\x03\x03\x10\x00" + os.urandom(self.random.randrange(1000)))
            if self.random.random() < 0.5:
                bare.shutdown(socket.SHUT_WR)
        return peer

    def half_a_head_inside(self):
        return self.say(self.secure(), self.upgrade())

    def deaf(self):
        """Asks for much and reads nothing."""
        peer = self.upgraded()
        peer.settimeout(0.05)
        try:
            for _ in range(20):
                peer.sendall(frame(2, os.urandom(50_000)))
        except TimeoutError:
            pass
        return peer

"""A gateway whose program is replaced while it serves, its processes, and clients that notice every octet that is wrong."""
import os
import random
import re
import socket
import subprocess
import threading
import zlib
from pathlib import Path

from gateway_process import BINARY, eventually
from raw_peer import BINARY as OCTETS
from raw_peer import CLOSE, CONTINUATION, PING, PONG, TEXT, RawPeer, frame
from test_control import ask

# A long way for a busy machine, and builds without optimisation.
LONG = 60.0


def children(process):
    try:
        return [int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except FileNotFoundError:
        return []


def name(process):
    """What `ps` shows; nothing for a process that has gone."""
    try:
        return Path(f"/proc/{process}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def descriptors(process):
    """What its descriptors are open on."""
    found = {}
    for number in os.listdir(f"/proc/{process}/fd"):
        try:
            found[int(number)] = os.readlink(f"/proc/{process}/fd/{number}")
        except FileNotFoundError:
            continue
    return found


def resident(process):
    """KiB of its own."""
    return int(re.search(r"RssAnon:\s+(\d+)", Path(f"/proc/{process}/status").read_text())[1])


def is_there(process):
    """Whether it is, and is no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Upgraded:
    """The gateway of a test, started here, and what its upgrades say."""

    def __init__(self, running):
        self.running = running.start()
        self.first = running.process.pid
        self.ended = 0

    @property
    def serving(self):
        """The process that serves, where only one does."""
        below = children(self.first)
        return below[0] if below else self.first

    def ask(self, *words):
        told = ask(self.running, "upgrade", *words)
        assert told.returncode == 0, (told.stdout, told.stderr, self.running.log()[-3000:])
        return told.stdout

    def upgrade(self):
        """Replaces it, and returns once nothing is left of the program before; what was said."""
        said = self.ask()
        self.settle()
        return said

    def settle(self, deadline=LONG):
        """Waits until one process serves, below the one that watches."""
        self.ended += 1
        eventually("the end of the program before",
                   lambda: self.running.log().count("has nothing left, and ends") >= self.ended, deadline)
        eventually("one process that watches, and one that serves", self.is_settled, deadline)

    def is_settled(self):
        below = children(self.first)
        return len(below) == 1 and not children(below[0]) and name(self.first).startswith("gateway ")


def another_build(running, handler):
    """Puts what is as good as the module that lies there in its place."""
    module = running.plugins / f"{handler}.so"
    fresh = module.with_suffix(".new")
    fresh.write_bytes(module.read_bytes() + b"\0")
    fresh.chmod(0o755)
    fresh.rename(module)


def asking(running, *words):
    return subprocess.Popen([BINARY, *words, "-c", running.file], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


class Deflate:
    """Both directions of permessage-deflate, with contexts; what is sent refers to no more than a window of so many bits."""

    def __init__(self, bits=15):
        self.out, self.into = zlib.compressobj(wbits=-bits), zlib.decompressobj(wbits=-15)

    def pack(self, payload):
        return (self.out.compress(payload) + self.out.flush(zlib.Z_SYNC_FLUSH))[:-4]

    def unpack(self, payload):
        return self.into.decompress(payload + b"\0\0\xff\xff")


class Worker(threading.Thread):
    """A thread of a client; its fault is the test's, when it is joined."""

    def __init__(self, work):
        super().__init__(daemon=True)
        self.work, self.fault = work, None
        self.start()

    def run(self):
        try:
            self.work()
        except BaseException as fault:
            self.fault = fault

    def end(self, deadline=LONG):
        self.join(deadline)
        if self.fault:
            raise self.fault
        assert not self.is_alive(), "a client waits for ever"


class Echoed:
    """Sends messages of any kind and size in frames of any size, cut anywhere, and checks that each comes back as it was and in
    its turn, pongs among them."""

    SIZES = (0, 1, 125, 126, 127, 1000, 4096, 65535, 65536, 200_000)

    def __init__(self, running, seed, path="/echo", deflate=False):
        self.random = random.Random(seed)
        headers = {"Sec-WebSocket-Extensions": "permessage-deflate"} if deflate else {}
        self.peer = RawPeer(running, path, headers=headers, timeout=LONG).opened()
        if deflate:
            assert "permessage-deflate" in self.peer.headers["sec-websocket-extensions"]
        self.peer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.deflate = Deflate() if deflate else None
        self.expected, self.pings = [], []
        self.sent = self.heard = self.octets = 0
        self.room = threading.Semaphore(4)
        self.over = threading.Event()
        self.lock = threading.Lock()
        self.workers = Worker(self._send), Worker(self._read)

    # ---- out
    def _message(self):
        source = self.random
        size = source.choice(self.SIZES) if source.random() < 0.4 else int(source.expovariate(1 / 3000))
        if source.random() < 0.5:
            return OCTETS, source.randbytes(size)
        return TEXT, ("".join(source.choice("aé€😀 word") for _ in range(40)) * (size // 60 + 1)).encode()

    def _frames(self, kind, payload):
        source, rsv = self.random, 0
        if self.deflate and source.random() < 0.7:
            payload, rsv = self.deflate.pack(payload), 4
        cuts = sorted(source.randrange(len(payload) + 1) for _ in range(source.choice((0, 0, 0, 1, 2, 7))))
        edges = [0, *cuts, len(payload)]
        for index, (begin, end) in enumerate(zip(edges, edges[1:])):
            yield frame(CONTINUATION if index else kind, payload[begin:end], fin=index == len(cuts), rsv=0 if index else rsv)
            if source.random() < 0.2:
                word = source.randbytes(source.randrange(126))
                with self.lock:
                    self.pings.append(word)
                yield frame(PING, word)

    def _send(self):
        source = self.random
        while not self.over.is_set():
            if not self.room.acquire(timeout=0.1):
                continue
            kind, payload = self._message()
            with self.lock:
                self.expected.append((kind, payload))
            whole = b"".join(self._frames(kind, payload))
            cuts = sorted(source.randrange(len(whole) + 1) for _ in range(source.choice((0, 0, 1, 2, 5))))
            for begin, end in zip([0, *cuts], [*cuts, len(whole)]):
                self.peer.send(whole[begin:end])
                # What is half there is so for a while.
                self.over.wait(source.random() * 0.01)
            self.sent += 1
        self.peer.send(frame(CLOSE, b"\x0f\xa0the end"))

    # ---- in
    def _read(self):
        kind, parts, compressed = None, [], False
        while True:
            opcode, fin, payload = self.peer.read_frame()
            if opcode == PONG:
                with self.lock:
                    assert payload == self.pings.pop(0), "a pong that is not the next one"
            elif opcode == CLOSE:
                return self._closed(payload, kind)
            else:
                assert opcode in (TEXT, OCTETS, CONTINUATION), opcode
                assert (opcode == CONTINUATION) == (kind is not None)
                if kind is None:
                    kind, compressed = opcode, self.peer.was_compressed
                parts.append(payload)
                if fin:
                    self._take(kind, b"".join(parts), compressed)
                    kind, parts = None, []

    def _closed(self, payload, kind):
        """It has ended, in the midst of a message where that has a kind."""
        assert self.over.is_set() and payload[:2] == b"\x0f\xa0", f"closed with {payload!r} after {self.heard}"
        assert kind is None and self.peer.at_end()

    def _take(self, kind, whole, compressed):
        if compressed:
            whole = self.deflate.unpack(whole)
        with self.lock:
            expected = self.expected.pop(0)
        if (kind, whole) != expected:
            at = next((i for i, (a, b) in enumerate(zip(whole, expected[1])) if a != b), min(len(whole), len(expected[1])))
            raise AssertionError(f"message {self.heard}: opcode {kind} for {expected[0]}, {len(whole)} octets for"
                                 f" {len(expected[1])}, different from octet {at} on")
        self.heard += 1
        self.octets += len(whole)
        self.room.release()

    def check(self):
        """That nothing has gone wrong so far."""
        for each in self.workers:
            if each.fault:
                raise each.fault

    def end(self):
        self.over.set()
        for each in self.workers:
            each.end()
        assert not self.expected and not self.pings and self.heard == self.sent
        self.peer.close()

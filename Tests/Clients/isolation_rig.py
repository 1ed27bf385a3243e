"""Gateways whose handlers run in processes of their own, and clients that count what they say; see handlers/isolated.c."""
import os
import random
import signal
import zlib
from pathlib import Path

import c_handler
from gateway_process import eventually
from raw_peer import BINARY, CLOSE, TEXT, RawPeer, frame
from test_control import ask, status
from upgrade_rig import LONG, Echoed, another_build, children, is_there

# Ways to die that the kernel, or the C library, sees to at once.
WAYS = ["null", "const", "abort", "exit", "exit0", "_exit", "overflow", "alloc", "scribble", "kill", "trap"]
# What nobody can go on with ends so.
RESTART = (1012).to_bytes(2)
ROUTE = "isolation process; checkpoint message;"


def seeded():
    """A source of chance whose seed is shown where a test fails; $SEED repeats it."""
    seed = int(os.environ.get("SEED") or random.randrange(1 << 32))
    print(f"SEED={seed}")
    return random.Random(seed)


def words_of(process):
    """Its command line."""
    try:
        return Path(f"/proc/{process}/cmdline").read_text().split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return []


def maps(process):
    try:
        return Path(f"/proc/{process}/maps").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def settled(process):
    """Waits until no thread of a process has anything to do."""
    def is_idle():
        states = [Path(f"/proc/{process}/task/{each}/stat").read_text().rpartition(")")[2].split()[0]
                  for each in os.listdir(f"/proc/{process}/task")]
        return all(state == "S" for state in states)
    eventually("every thread waits", lambda: all(is_idle() for _ in range(3)))
    return process


class Isolated:
    """The gateway of a test, with isolated.c on the route /x, and its processes."""

    def __init__(self, make_gateway, more="", *, main="threads 2;", defaults="", routes="", defines=(), route=ROUTE,
                 start=True, **how):
        routes = f"route /x {{ handler isolated; {route} {more} }}\n{routes}"
        self.defines = tuple(defines)
        self.running = make_gateway(main=f"{main} defaults {{ ping_interval off; {defaults} }}", routes=routes, **how)
        text = self.running.file.read_text()
        text = text.replace("plugins ./Plugins;", "plugins ./Plugins { watch off; }")
        self.running.file.write_text(text.replace("stderr info", "stderr debug"))
        self.folder = self.running.folder
        self.build()
        self.seen = set()
        if start:
            self.running.start()
            self.seen = {self.process()}

    # ---- what it serves
    def build(self, version=1, *defines, under="isolated", put=True):
        return c_handler.build(self.running, "isolated", f'VERSION="{version}"', *self.defines, *defines, under=under, put=put)

    def reload(self, version, *defines, code=0):
        """Puts another build there, and answers what is said of it."""
        self.build(version, *defines)
        told = ask(self.running, "reload", "isolated")
        assert told.returncode == code, (told.stdout, told.stderr, self.running.log()[-3000:])
        return told.stdout + told.stderr

    def peer(self, path="/x", **how):
        return RawPeer(self.running, path, timeout=LONG, **how).opened()

    def configure(self, old, new):
        """Changes the file, and has it read."""
        text = self.running.file.read_text()
        assert old in text
        self.running.file.write_text(text.replace(old, new))
        return ask(self.running, "reload")

    # ---- its processes
    def processes(self, handler="isolated"):
        """Those of a handler that live."""
        return [each for each in children(self.running.process.pid)
                if words_of(each)[1:3] == ["--handler", handler] and is_there(each)]

    def process(self, handler="isolated"):
        """The one that there is, once there is one."""
        return eventually("one process of the handler",
                          lambda: (found := self.processes(handler)) and len(found) == 1 and found[0])

    def another(self, handler="isolated"):
        """The process that has taken the place of those before."""
        def fresh():
            found = set(self.processes(handler))
            return len(found) == 1 and not found & self.seen and found.pop()
        process = eventually("another process of the handler", fresh, LONG)
        self.seen.add(process)
        return process

    def settle(self, handler="isolated"):
        """Waits until no thread of the handler's process has anything to do."""
        return settled(self.process(handler))

    def kill(self, handler="isolated"):
        """Has the process end where it has nothing to do, and waits for the next one."""
        os.kill(self.settle(handler), signal.SIGKILL)
        return self.another(handler)

    def status(self, handler="isolated"):
        return next(each for each in status(self.running)["handlers"] if each["handler"] == handler)

    def live(self, handler="isolated"):
        """The generation that serves."""
        return next(each for each in self.status(handler)["generations"] if each["state"] == "live")

    def count(self):
        return status(self.running)["process"]["connections"]

    def is_empty(self):
        eventually("nobody is left", lambda: self.count() == 0)

    def crowd(self, number, source, path="/x", **how):
        return Crowd([Numbered(self.running, source.randrange(1 << 32), path, **how) for _ in range(number)])


def who(peer):
    """What the handler knows of a client, and of itself."""
    pairs = dict(word.split("=") for word in peer.ask("who").split())
    return {key: value if key in ("version", "conn", "opened", "checksum") else int(value) for key, value in pairs.items()}


def say(peer, text):
    peer.send(frame(TEXT, text.encode()))


def number(peer, index, filler=b""):
    """Sends a numbered message by hand, and checks all of the answer but the checksum."""
    text = b"n %d " % index + filler
    peer.send(frame(TEXT, text))
    counted, _, rest = peer.read_message()[1].split(b" ", 2)
    assert (int(counted), rest) == (index + 1, text)


def ends_with(peer, perhaps=None):
    """The code of the Close that comes next, perhaps behind another frame; nothing comes behind it. 1006 where the connection
    just ends."""
    try:
        opcode, _, payload = peer.read_frame()
        if opcode == perhaps:
            opcode, _, payload = peer.read_frame()
    except (EOFError, ConnectionResetError):
        return 1006
    assert opcode == CLOSE, (opcode, payload)
    if len(payload) >= 2:
        peer.send(frame(CLOSE, payload[:2]))
    assert peer.at_end()
    return int.from_bytes(payload[:2]) if payload else 1005


class Numbered(Echoed):
    """Sends numbered messages of any size in frames of any size, cut anywhere, and checks that each is counted and answered
    once, in its turn, with the checksum of all that came before it."""

    SIZES = (0, 1, 110, 125, 126, 1000, 4096, 65535, 70_000)

    def __init__(self, running, seed, path="/x", deflate=False, is_counted=True):
        self.number = self.checksum = 0
        self.is_counted = is_counted
        # What the handler counted, where its state is not that of the last message.
        self.counts = []
        # It ended with 1012, between two messages, since nobody could go on with it.
        self.is_lost = False
        self.log = running.log
        super().__init__(running, seed, path, deflate)

    def _message(self):
        kind, filler = super()._message()
        payload = b"n %d " % self.number + filler
        self.number += 1
        return kind, payload

    def _take(self, kind, whole, compressed):
        if compressed:
            whole = self.deflate.unpack(whole)
        with self.lock:
            expected_kind, payload = self.expected.pop(0)
        self.checksum = zlib.crc32(payload, self.checksum)
        counted, checksum, rest = whole.split(b" ", 2)
        assert (kind, rest) == (expected_kind, payload), f"answer {self.heard}: {kind} {rest[:40]!r} for {payload[:40]!r}"
        self.heard += 1
        if self.is_counted:
            told = f"{counted.decode()} {checksum.decode()}"
            assert told == f"{self.heard} {self.checksum:08x}", f"{told} after {self.heard}, {self.checksum:08x}"
        else:
            self.counts.append(int(counted))
        self.octets += len(whole)
        self.room.release()

    def _closed(self, payload, kind):
        if payload[:2] == RESTART and not self.over.is_set():
            assert kind is None, "the end comes in the midst of a message"
            self.is_lost = True
            self.over.set()
        else:
            super()._closed(payload, kind)

    def _send(self):
        try:
            super()._send()
        except OSError:
            # What the end was is for the reader to say.
            self.workers[1].join(LONG)
            if not self.is_lost:
                raise

    def end(self):
        if not self.is_lost:
            return super().end()
        for each in self.workers:
            each.end()
        self.peer.close()


class Crowd:
    """Clients that are all at it at once."""

    def __init__(self, clients):
        self.clients = clients
        # So many may be lost.
        self.grace = 0

    @property
    def lost(self):
        return sum(each.is_lost for each in self.clients)

    def check(self):
        for each in self.clients:
            each.check()
        assert self.lost <= self.grace, f"{self.lost} clients of {len(self.clients)} were closed with 1012"

    def go_on(self, more=3):
        """Waits until each has had so many further answers."""
        goals = [(each, each.heard + more) for each in self.clients]
        eventually(f"{more} further answers for each of {len(goals)} clients",
                   lambda: self.check() or all(each.is_lost or each.heard >= goal for each, goal in goals), LONG)

    def end(self):
        for each in self.clients:
            each.over.set()
        for each in self.clients:
            each.end()
        self.check()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        for each in self.clients:
            each.over.set()
        if kind is None:
            self.end()
        else:
            print(self.clients[0].log()[-6000:])


__all__ = ["BINARY", "LONG", "ROUTE", "TEXT", "WAYS", "Crowd", "Isolated", "Numbered", "another_build", "ends_with", "frame",
           "is_there", "maps", "number", "say", "seeded", "who"]

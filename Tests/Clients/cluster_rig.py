"""Several gateways with one engine, clients that publish there and clients that listen."""
import itertools
import json
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import c_handler
from gateway_process import BINARY, TOP, Gateway, eventually
from raw_peer import BINARY as OCTETS
from raw_peer import CLOSE, PING, PONG, TEXT, RawPeer, frame

sys.path.append(str(TOP / "Tests/Backplane"))
from engines import KNOWN  # noqa: E402

NO_COMPRESS, GLOBAL, LOCAL = 4, 16, 32
OK, BACKPRESSURE, DROPPED = 0, 1, -2
# A long way for a busy machine.
LONG = 60.0
MARK = b"?is it in force"
ROUTES = "route /crowd { handler crowd; max_message 96m; send_buffer 256m; }"


def octets(text):
    return text.encode() if isinstance(text, str) else text


class Client:
    """A connection to the handler `crowd`: what it asks is answered, and whatever else comes is in `heard`."""

    def __init__(self, gateway, path="/crowd", **how):
        self.peer = RawPeer(gateway, path, **how).opened()
        self.gateway = gateway
        self.peer.socket.settimeout(None)
        self.heard, self.gaps, self.answers = [], [], []
        self.compressed = self.bytes = 0
        self.awaited = None
        self.ended = None
        self.changed = threading.Condition()
        self.sending = threading.Lock()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    # ---- what comes
    def _read(self):
        data = bytearray(self.peer.pending)
        try:
            while True:
                self._take(data)
                if not (more := self.peer.socket.recv(1 << 18)):
                    break
                data += more
        except (OSError, ValueError) as error:
            self.ended = repr(error)
        with self.changed:
            self.ended = self.ended or "the end of the stream"
            self.changed.notify_all()

    def _take(self, data):
        at, found = 0, []
        while len(data) - at >= 2:
            length, begin = data[at + 1], at + 2
            if length == 126:
                length, begin = int.from_bytes(data[at + 2:at + 4]), at + 4
            elif length == 127:
                length, begin = int.from_bytes(data[at + 2:at + 10]), at + 10
            if begin > len(data) or begin + length > len(data):
                break
            found.append((data[at], bytes(data[begin:begin + length])))
            at = begin + length
        del data[:at]
        if found:
            with self.changed:
                for head, payload in found:
                    self._sort(head, payload)
                self.changed.notify_all()

    def _sort(self, head, payload):
        opcode = head & 0x0F
        if opcode == CLOSE:
            raise ValueError(f"closed with {payload!r}")
        if opcode == PING:
            self._send(frame(PONG, payload))
        if opcode > CLOSE:
            return
        self.compressed += head >> 6 & 1
        if self.awaited and opcode == TEXT and payload.startswith(self.awaited):
            self.awaited = None
            self.answers.append(payload[2:])
        elif opcode == TEXT and payload.startswith(b"! "):
            self.gaps.append(payload[2:])
        else:
            self.bytes += len(payload)
            self.heard.append((opcode, payload))

    def wait(self, condition, what, deadline=LONG):
        end = time.monotonic() + deadline
        with self.changed:
            while not (answer := condition(self)):
                left = end - time.monotonic()
                assert self.ended is None, f"{self.ended} while waiting for {what}"
                assert left > 0, f"not within {deadline:.0f} s: {what}; heard {len(self.heard)}, last {self.heard[-2:]!r:.200}, gaps {self.gaps}"
                self.changed.wait(min(left, 1))
            return answer

    def texts(self):
        return [payload for _, payload in self.heard]

    def hears(self, payload, deadline=LONG):
        """Waits until it has heard a payload, and answers all that came before it."""
        self.wait(lambda client: any(each == payload for _, each in client.heard[-2000:]), repr(payload)[:80], deadline)
        return self.texts()[:self.texts().index(payload)]

    def hears_gap(self, *topics, deadline=LONG):
        self.wait(lambda client: any(each in topics for each in client.gaps), f"a gap of {topics}", deadline)

    def clear(self):
        with self.changed:
            self.heard.clear()
            self.gaps.clear()

    # ---- what is asked
    def _send(self, data):
        with self.sending:
            self.peer.send(data)

    def send(self, letter, *words, body=b""):
        self._send(frame(OCTETS, octets(" ".join([letter, *map(str, words)]) + "\n") + body))

    def ask(self, letter, *words, body=b"", deadline=LONG):
        with self.changed:
            self.awaited = letter.encode() + b" "
            count = len(self.answers)
        self.send(letter, *words, body=body)
        self.wait(lambda client: len(client.answers) > count, f"the answer to {letter}", deadline)
        return self.answers[-1]

    def subscribe(self, topic, flags=0):
        assert int(self.ask("S", flags, len(octets(topic)), body=octets(topic))) == OK
        return self

    def unsubscribe(self, topic, flags=0):
        assert int(self.ask("U", flags, len(octets(topic)), body=octets(topic))) == OK

    def publish(self, topic, payload, flags=0, kind=TEXT, except_me=False):
        """The status, and how many it reached here."""
        said = self.ask("P", flags, len(octets(topic)), kind, int(except_me), body=octets(topic) + octets(payload))
        return tuple(map(int, said.split()))

    def number(self, topic, word, first, count, size=0, flags=0, kind=TEXT):
        """Publishes `word N` for a range of numbers: how many statuses of each kind there were."""
        said = self.ask("N", flags, len(octets(topic)), kind, first, count, size, body=octets(topic) + octets(word))
        return dict(zip(("ok", "high", "dropped", "other"), map(int, said.split())))

    def flood(self, topic, payload, flags=0, kind=TEXT):
        self.ask("F", flags, len(octets(topic)), kind, body=octets(topic) + octets(payload))

    def end_flood(self):
        return int(self.ask("Q"))

    def hear_gaps(self):
        self.ask("H")
        return self

    def count_gaps(self):
        return int(self.ask("G"))

    def round_trip(self):
        begin = time.monotonic()
        self.ask("E", body=b"E x")
        return time.monotonic() - begin

    def close(self):
        try:
            self.peer.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # It has ended.
        self.thread.join(LONG)
        self.peer.close()


class Rig:
    """The gateways and engines of one test."""

    def __init__(self, Kind, folder):
        self.Kind, self.folder = Kind, Path(folder)
        self.engines, self.gateways, self.clients = [], [], []
        self.numbers = itertools.count()

    def engine(self, **how):
        self.engines.append(self.Kind(self.folder / f"engine{len(self.engines)}", **how))
        return self.engines[-1]

    def line(self, *urls, **inner):
        """A `cluster` line; by default that of the first engine."""
        urls = urls or (self.engines[0].url(),)
        inner.setdefault("probe", "500ms")
        return f"cluster {' '.join(urls)} {{ " + " ".join(f"{name} {value};" for name, value in inner.items()) + " }"

    def prepared(self, line=None, routes=ROUTES, main="threads 2;"):
        folder = self.folder / f"gateway{next(self.numbers)}"
        folder.mkdir()
        made = Gateway(folder, main=f"admin 127.0.0.1:0;\n{main}", routes=f"{line or self.line()}\n{routes}")
        c_handler.build(made, "crowd")
        self.gateways.append(made)
        return made

    def gateway(self, line=None, up=True, **how):
        made = self.prepared(line, **how).start()
        if up:
            self.is_up(made)
        return made

    def is_up(self, running, deadline=LONG):
        eventually("the engines are up", lambda: all(each["up"] for each in engines(running)), deadline)
        return running

    def client(self, running, path="/crowd", **how):
        self.clients.append(Client(running, path, **how))
        return self.clients[-1]

    def clients_of(self, *gateways, **how):
        return [self.client(each, **how) for each in gateways]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        faults = []
        for each in self.clients:
            each.close()
        for each in self.engines:
            # Whoever waits for it waits no longer.
            each.kill()
        for each in self.gateways:
            try:
                each.stop()
            except AssertionError as fault:
                faults.append(fault)
        if faults:
            raise faults[0]


# ---- what gateways say

def command(running, *words, **how):
    return subprocess.run([how.pop("binary", BINARY), *words, "-c", running.file], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=LONG, **how)


def upgrade(gateway):
    """What the command says when it has succeeded."""
    said = []

    def is_done():
        said.append(command(gateway, "upgrade"))
        # The program before this one may not have ended.
        assert said[-1].returncode in (0, 75), said[-1]
        return said[-1].returncode == 0

    eventually("an upgrade", is_done, LONG)
    return said[-1].stdout


def status(running):
    return json.loads(command(running, "status", "--json").stdout)


def cluster(running):
    return status(running).get("cluster") or {"engines": []}


def engines(running):
    return cluster(running)["engines"]


def change(running, old, new):
    """Puts another text into gateway.conf, and reloads."""
    text = running.file.read_text()
    assert old in text
    running.file.write_text(text.replace(old, new))
    return command(running, "reload")


def resident(running):
    """MiB."""
    return int(next(line for line in (running.proc / "status").read_text().splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


# ---- what clients agree on

def meet(publishers, members, topic, flags=0, deadline=LONG, keep=False):
    """Returns once each member has heard of each publisher, and nothing of that is under way any more; what members have
    heard before is forgotten, unless it is to be kept."""
    for index, publisher in enumerate(publishers):
        mark = MARK + b" %d %d" % (index, time.monotonic_ns())
        missing = list(members)

        def all_heard():
            publisher.publish(topic, mark, flags)
            missing[:] = [each for each in missing if mark not in each.texts()]
            return not missing

        eventually(f"{topic!r} of {publisher.gateway.folder.name} meets", all_heard, deadline)
        last = mark + b"!"
        publisher.publish(topic, last, flags)
        for each in members:
            each.hears(last)
    for each in members:
        with each.changed:
            kept = [pair for pair in each.heard if keep and not pair[1].startswith(MARK)]
            gaps = list(each.gaps) if keep else []
            each.heard[:], each.gaps[:] = kept, gaps


def numbers(client, word):
    """The numbers that a client heard behind a word, in their order."""
    word = octets(word) + b" "
    return [int(payload[len(word):]) for _, payload in client.heard if payload.startswith(word)]


def once_in_order(client, word, count, first=0):
    heard = numbers(client, word)
    assert heard == list(range(first, first + count)), (
        f"{len(heard)} of {count}, {len(heard) - len(set(heard))} doubled, missing "
        f"{sorted(set(range(first, first + count)) - set(heard))[:10]}, in order: {heard == sorted(heard)}")


def together(*calls):
    """Runs calls at the same time; the first fault of any is that of the test."""
    faults, answers = [], [None] * len(calls)

    def run(index, call):
        try:
            answers[index] = call()
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    if faults:
        raise faults[0]
    return answers

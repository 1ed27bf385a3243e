"""`gateway trace`: frames as they pass, both ways, and nobody held up by it."""
import json
import queue
import re
import signal
import subprocess
import threading
import zlib

import pytest

from gateway_process import BINARY, DEADLINE, eventually
from raw_peer import BINARY as BYTES
from raw_peer import CLOSE, CONTINUATION, PING, TEXT, RawPeer, close_payload, frame
from test_connections import connections, ids, over_tls
from test_control import ask, control

# A ping of the gateway's own would stand between what is looked for, where a machine is slow enough.
QUIET = "defaults { ping_interval off; }"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"


class Trace:
    """A `gateway trace` that runs beside the test."""

    def __init__(self, running, *words):
        self.process = subprocess.Popen([BINARY, "trace", *words, "-c", running.file], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self.begun = self.next()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def next(self):
        """The next line; None at the end."""
        return self.lines.get(timeout=DEADLINE)

    def frames(self, count):
        """So many lines without time and id."""
        return [re.sub(rf"^{TIME} [0-9a-f]+ ", "", self.next()) for _ in range(count)]

    def records(self, count):
        return [json.loads(self.next()) for _ in range(count)]

    def status(self):
        status = self.process.wait(DEADLINE)
        self.process.stderr.close()
        return status

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.status()


@pytest.fixture
def gateway(make_gateway):
    return make_gateway(main=QUIET).start()


def test_one_connection_from_its_beginning_to_its_end(gateway):
    with RawPeer(gateway).opened() as peer, RawPeer(gateway).opened() as other:
        port = peer.socket.getsockname()[1]
        number, = (each["id"] for each in connections(gateway)["connections"] if each["peer"].endswith(f":{port}"))
        with Trace(gateway, number) as trace:
            assert trace.begun == f"# connection {number}: 1 connection is open"
            other.send(frame(TEXT, b"unheard"))
            other.read_frame()
            peer.send(frame(TEXT, "höre \"das\"".encode()) + frame(BYTES, b"\x00\xff") + frame(PING, b"p"))
            for _ in range(3):
                peer.read_frame()
            first = trace.next()
            assert re.fullmatch(rf'{TIME} {number} in  text 11 "höre \\"das\\""', first)
            assert trace.frames(5) == [
                'out text 11 "höre \\"das\\""', "in  binary 2 00ff", "out binary 2 00ff", "in  ping 1 70", "out pong 1 70"]
            peer.send(frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"b"))
            peer.read_frame()
            assert trace.frames(3) == ['in  text fin=0 1 "a"', 'in  continuation 1 "b"', 'out text 2 "ab"']
            peer.send(frame(CLOSE, close_payload(4001, b"bye")))
            assert peer.read_close() == 4001
            assert trace.frames(3) == ['in  close 5 code=4001 "bye"', 'out close 5 code=4001 "bye"', "end code=4001 by=peer"]
            assert trace.next() is None
            assert trace.status() == 0


def test_a_route_and_whoever_comes_later(make_gateway):
    running = make_gateway(main=QUIET).start()
    with RawPeer(running).opened() as peer, Trace(running, "--route", "/echo", "--json") as trace:
        begun = json.loads(trace.begun)
        assert (begun["event"], begun["connections"]) == ("trace", 1)
        peer.send(frame(TEXT, b"one"))
        peer.read_frame()
        told, answered = trace.records(2)
        assert re.fullmatch(TIME, told.pop("time"))
        number = told.pop("id")
        assert told == {"event": "frame", "direction": "in", "opcode": "text", "fin": True, "compressed": False,
                        "length": 3, "text": "one"}
        assert (answered["direction"], answered["text"], answered["id"]) == ("out", "one", number)
        with RawPeer(running).opened() as late, RawPeer(running, "/chat").opened() as elsewhere:
            elsewhere.send(frame(TEXT, b"unheard"))
            late.send(frame(BYTES, b"\x01" * 200))
            late.read_frame()
            opened, told, answered = trace.records(3)
            assert opened["event"] == "open" and opened["route"] == "/echo" and opened["id"] != number
            assert opened["peer"].endswith(f":{late.socket.getsockname()[1]}")
            assert (told["id"], told["hex"], told["length"], told["truncated"]) == (opened["id"], "01" * 128, 200, True)
        assert trace.records(1)[0]["event"] == "end"
    # Nobody follows any more: it goes on as before.
    running.wait_for(r"info: the trace of route /echo is over")
    with RawPeer(running).opened() as peer:
        peer.send(frame(TEXT, b"again"))
        assert peer.read_frame()[2] == b"again"


def test_redacted_nothing_of_what_is_said_shows(gateway):
    with Trace(gateway, "--route", "/echo", "--redact") as trace, RawPeer(gateway).opened() as peer:
        peer.send(frame(TEXT, b"secret") + frame(PING, b"secret") + frame(CLOSE, close_payload(1000, b"secret")))
        peer.read_close()
        lines = trace.frames(8)
        assert lines[1:] == ["in  text 6", "out text 6", "in  ping 6", "out pong 6", "in  close 8 code=1000",
                             "out close 8 code=1000", "end code=1000 by=peer"]


def test_compressed_messages_are_shown_inflated(make_gateway):
    running = make_gateway(main=QUIET, routes="route /echo { handler echo; compression on { threshold 1; } }").start()
    text = b"again and " * 30
    with RawPeer(running, headers={"Sec-WebSocket-Extensions": "permessage-deflate"}).opened() as peer:
        with Trace(running, "--route", "/echo", "--limit", "10") as trace:
            deflate = zlib.compressobj(wbits=-15)
            data = (deflate.compress(text) + deflate.flush(zlib.Z_SYNC_FLUSH))[:-4]
            peer.send(frame(TEXT, data, rsv=4))
            _, _, payload = peer.read_frame()
            assert peer.was_compressed
            assert trace.frames(2) == [f'in  text {len(data)} rsv1 inflated=300 "again and "…',
                                       f'out text {len(payload)} rsv1 inflated=300 "again and "…']


def test_publications_are_shown_to_each_who_gets_them(gateway):
    with RawPeer(gateway, "/chat").opened() as first, RawPeer(gateway, "/chat").opened() as second:
        with Trace(gateway, "--route", "/chat", "--json") as trace:
            first.send(frame(TEXT, b"hello there"))
            while b"hello there" not in second.read_frame()[2]:
                pass
            records = []
            while len([each for each in records if each["direction"] == "out" and "hello there" in each["text"]]) < 1:
                records += trace.records(1)
            assert records[0]["direction"] == "in" and "hello there" in records[0]["text"]


def test_over_tls(make_gateway, tmp_path):
    running, peer = over_tls(make_gateway, tmp_path)
    with Trace(running, "--route", "/echo") as trace:
        with peer:
            peer.sendall(b"GET /echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                         b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
                         + frame(TEXT, b"hello"))
            assert trace.frames(3)[1:] == ['in  text 5 "hello"', 'out text 5 "hello"']


def test_a_reload_does_not_end_it(make_gateway):
    running = make_gateway(main=QUIET, routes="route /echo { handler echo; }").start()
    with RawPeer(running).opened() as peer:
        number, = ids(running)
        with Trace(running, number) as one, Trace(running, "--route", "/echo") as route:
            running.file.write_text(running.file.read_text().replace("handler echo;", "handler echo; max_message 2m;"))
            assert ask(running, "reload").returncode == 0
            peer.send(frame(TEXT, b"hello"))
            peer.read_frame()
            for trace in (one, route):
                assert trace.frames(2) == ['in  text 5 "hello"', 'out text 5 "hello"']


def test_a_follower_that_does_not_read_misses_lines_and_hears_how_many(make_gateway):
    running = make_gateway(main=QUIET, routes="route /echo { handler echo; send_buffer 8m; }").start()
    follower = control(running, b"trace json route=/echo limit=100\n")
    assert b'"event":"trace"' in follower.recv(4096)
    with RawPeer(running).opened() as peer:
        data, total = frame(TEXT, b"x" * 100), 40_000
        for _ in range(total // 1000):
            peer.send(data * 1000)
            for _ in range(1000):
                assert peer.read_frame()[2] == b"x" * 100
        # The gateway was not held up. Now it is read.
        text, shown, dropped = "", 0, 0
        while shown + dropped < 2 * total + 1:
            text += follower.recv(1 << 20).decode()
            *lines, text = text.split("\n")
            for record in map(json.loads, lines):
                if record["event"] == "dropped":
                    dropped += record["lines"]
                else:
                    shown += 1
        assert dropped > 0 and shown + dropped == 2 * total + 1
    follower.close()


def test_it_ends_after_its_time(gateway):
    with Trace(gateway, "--route", "/echo", "--for", "50ms") as trace:
        assert trace.next() is None
        assert trace.status() == 0


def test_it_ends_with_the_gateway(make_gateway):
    running = make_gateway(main=QUIET).start()
    with RawPeer(running).opened(), Trace(running, "--route", "/echo") as trace:
        running.signal()
        assert trace.frames(1) == ['out close 30 code=1001 "the gateway is shutting down"']
        running.exit_status()
        while trace.next() is not None:
            pass
        assert trace.status() in (0, 1)


@pytest.mark.parametrize("words, status, sentence", [
    (["100000fff"], 1, "error: no open connection has the id 100000fff; `gateway connections` shows them"),
    (["--route", "/ech"], 1, 'error: there is no route "/ech" (did you mean "/echo"?)'),
    ([], 2, "error: trace takes the id of a connection, or --route and a path"),
    (["1", "--route", "/echo"], 2, "error: trace takes the id of a connection, or --route and a path"),
    (["zz"], 2, 'error: "zz" is no id of a connection'),
    (["1", "--for", "5"], 2, "error: --for is a duration such as 500ms, 30s or 5m"),
    (["1", "--limit", "1m"], 2, "error: --limit is a size such as 64 or 4k, at most 65536"),
])
def test_what_cannot_be_followed_is_said(gateway, words, status, sentence):
    said = ask(gateway, "trace", *words)
    assert (said.returncode, said.stdout) == (status, "")
    assert sentence in said.stderr


def test_no_more_than_four_at_once(gateway):
    followers = [control(gateway, b"trace text route=/echo\n") for _ in range(4)]
    for each in followers:
        assert each.recv(4096).startswith(b"# route /echo: ")
    said = ask(gateway, "trace", "--route", "/echo")
    assert (said.returncode, said.stdout) == (75, "")
    assert "4 traces are on already" in said.stderr
    for each in followers:
        each.close()
    eventually("there is room", lambda: ask(gateway, "trace", "--route", "/echo", "--for", "1ms").returncode == 0)


def test_a_reader_that_has_seen_enough_ends_it(gateway):
    with RawPeer(gateway).opened() as peer:
        process = subprocess.Popen(f"{BINARY} trace --route /echo -c {gateway.file} | sed -u 2q", shell=True,
                                   stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        assert process.stdout.readline().startswith("# route /echo")
        peer.send(frame(TEXT, b"hello"))
        peer.read_frame()
        assert 'in  text 5 "hello"' in process.stdout.readline()
        # What comes then breaks the pipe.
        def has_ended():
            peer.send(frame(TEXT, b"hello"))
            peer.read_frame()
            return process.poll() is not None
        eventually("it has ended", has_ended)
        process.stdout.close()

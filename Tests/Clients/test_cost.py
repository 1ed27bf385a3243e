"""What one peer or one handler may cost: callbacks that hold up a loop, peers that do not read."""
import json
import os
import random
import socket
import zlib

import pytest

import c_handler
from gateway_process import eventually
from raw_peer import BINARY, CONTINUATION, PING, PONG, TEXT, RawPeer, accepted, frame
from test_control import ask
from test_dispatch import SLEEPER
from test_handlers import compile_handler
from test_tls import certificate, listen, trust


def status(running):
    return json.loads(ask(running, "status", "--json").stdout)


def stalls(running, handler="sleeper"):
    found = next(each for each in status(running)["handlers"] if each["handler"] == handler)
    return found["generations"][0]["stalls"]


# ---- callback_stall

def held_up(running, path="/slow"):
    """A peer in whose callback the handler waits, and the end of the FIFO that it waits for."""
    fifo = running.folder / f"fifo{len(list(running.folder.iterdir()))}"
    os.mkfifo(fifo)
    peer = RawPeer(running, path).opened()
    peer.send(frame(TEXT, str(fifo).encode()))
    return peer, open(fifo, "wb", buffering=0)


def sleeping(make_gateway, routes):
    made = make_gateway(main="threads 3;", routes=routes)
    compile_handler(made, "sleeper", SLEEPER)
    return made.start()


def test_a_callback_that_holds_up_its_loop_is_named_while_it_does(make_gateway):
    running = sleeping(make_gateway, "route /slow { handler sleeper; callback_stall 20ms; }")
    peer, fifo = held_up(running)
    # It has not returned, and does not before this test lets it.
    found = running.wait_for(r'handler "sleeper", generation 1: message\(\) of connection [0-9a-f]+ has held up worker '
                             r"\d for (\d+) ms and goes on \(callback_stall 20ms\)")
    assert int(found[1]) >= 20
    assert stalls(running) == 1
    fifo.write(b"x")
    peer.read_message()
    ended = running.wait_for(r'handler "sleeper", generation 1: message\(\) of connection \w+ held up worker \d for '
                             r"(\d+) ms$")
    assert int(ended[1]) >= int(found[1])
    assert stalls(running) == 1


def test_repeats_are_counted_and_not_all_told(make_gateway):
    running = sleeping(make_gateway, "route /slow { handler sleeper; callback_stall 20ms; }")
    for count in range(1, 4):
        peer, fifo = held_up(running)
        eventually("another stall", lambda count=count: stalls(running) == count)
        fifo.write(b"x")
        peer.read_message()
    assert running.log().count("and goes on") == 1


def test_nobody_is_held_up_by_the_pool(make_gateway):
    running = sleeping(make_gateway, "route /pool { handler sleeper; dispatch pool; callback_stall 20ms; }\n"
                                     "route /slow { handler sleeper; callback_stall 20ms; }\n"
                                     "route /off { handler sleeper; callback_stall off; }")
    (pooled, first), (off, second) = held_up(running, "/pool"), held_up(running, "/off")
    # Longer than these two were waited for.
    slow, third = held_up(running)
    eventually("the stall of /slow", lambda: stalls(running) == 1)
    for peer, fifo in ((pooled, first), (off, second), (slow, third)):
        fifo.write(b"x")
        peer.read_message()
    assert running.log().count("and goes on") == 1
    assert stalls(running) == 1


def test_a_reload_changes_how_long_a_callback_may_take(make_gateway):
    routes = "route /slow {{ handler sleeper; callback_stall {}; }}"
    running = sleeping(make_gateway, routes.format("off"))
    running.file.write_text(running.file.read_text().replace("callback_stall off", "callback_stall 20ms"))
    assert ask(running, "reload").returncode == 0
    peer, fifo = held_up(running)
    running.wait_for("has held up worker")
    fifo.write(b"x")
    peer.read_message()


# ---- write_timeout

def route_costs(running, number=0):
    return status(running)["routes"][number]


def test_a_peer_that_takes_nothing_is_cut_off(make_gateway):
    running = make_gateway(routes="route /flood { handler flood; write_timeout 300ms; ping_interval off; }")
    c_handler.build(running, "flood")
    running.start()
    with RawPeer(running, "/flood", receive_buffer=4096).opened() as peer, \
            RawPeer(running, "/flood").opened() as reader:
        peer.send(frame(TEXT, b"C"))
        reader.send(frame(TEXT, b"C"))
        for _ in range(100):
            assert len(reader.read_message()[1]) == 100_000
        found = running.wait_for(r"connection [0-9a-f]+ of (\S+) on /flood: took none of its output for write_timeout")
        assert found[1] == "{}:{}".format(*peer.socket.getsockname())
        # It is reset: no Close could have left.
        with pytest.raises((ConnectionResetError, EOFError)):
            while True:
                peer.read_frame()
        assert route_costs(running)["write_timeouts"] == 1
        reader.send(frame(PING, b"still"))
        assert reader.read_frame() == (PONG, True, b"still")


def test_a_peer_of_tls_that_takes_nothing_is_cut_off(make_gateway, tmp_path):
    certificate(tmp_path, "first", "localhost")
    running = make_gateway(listen=(), main=listen("first"), routes=(
        "route /flood { handler flood; write_timeout 300ms; ping_interval off; }"))
    running.listen = ["tls"]
    c_handler.build(running, "flood")
    running.start()
    with socket.socket() as plain:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.connect(running.endpoint)
        with trust(tmp_path, "first").wrap_socket(plain, server_hostname="localhost") as peer:
            peer.sendall(b"GET /flood HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                         b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
            assert peer.recv(12) == b"HTTP/1.1 101"
            peer.sendall(frame(TEXT, b"C"))
            running.wait_for("took none of its output for write_timeout")
    assert route_costs(running)["write_timeouts"] == 1


def test_a_plain_answer_that_nobody_takes_is_cut_off(make_gateway):
    """The console is far larger than what a connection takes unread, asked for often enough."""
    running = make_gateway(main="console /; defaults { write_timeout 300ms; handshake_timeout 1m; }").start()
    with socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.connect(running.endpoint)
        peer.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 400)
        running.wait_for("took none of its output for write_timeout")
        eventually("the count", lambda: status(running)["process"]["write_timeouts"] == 1)


# ---- slow_consumer

class SlowReader:
    """Reads when it is told to, and as much as it is told to; what it got is looked at in the end."""

    def __init__(self, running, headers=()):
        self.peer = RawPeer(running, "/flow", receive_buffer=4096, headers=headers).opened()
        self.peer.send(frame(TEXT, b"reader") + frame(PING, b"here"))
        while self.peer.read_frame() != (PONG, True, b"here"):
            pass
        self.got = bytearray(self.peer.pending)
        self.peer.socket.setblocking(False)

    def read(self, most):
        while most > 0:
            try:
                more = self.peer.socket.recv(min(most, 65536))
            except BlockingIOError:
                return
            assert more, "the gateway has ended the connection"
            most -= len(more)
            self.got += more

    def read_to_the_end(self):
        """What other workers and threads have for it is on its way when the first answer comes, and here with the last."""
        self.peer.socket.setblocking(True)
        # With a small window what the kernels hold would take a minute.
        self.peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        for word in (b"first ping", b"second ping", b"last ping"):
            self.peer.send(frame(PING, word))
            while self.got.find(word, max(0, len(self.got) - 65536 - len(word))) < 0:
                self.got += self.peer.socket.recv(65536)

    def messages(self):
        """Whole messages, put together and decompressed."""
        parts, is_compressed, at = [], False, 0
        while at < len(self.got):
            first, length, at = self.got[at], self.got[at + 1], at + 2
            if length >= 126:
                wide = 2 if length == 126 else 8
                length, at = int.from_bytes(self.got[at:at + wide]), at + wide
            payload, at = bytes(self.got[at:at + length]), at + length
            assert len(payload) == length
            opcode = first & 0x0F
            assert opcode in (CONTINUATION, BINARY, PONG), opcode
            if opcode == PONG:
                continue
            assert (opcode == CONTINUATION) == bool(parts)
            is_compressed = bool(first & 0x40) if opcode == BINARY else is_compressed
            parts.append(payload)
            if first & 0x80:
                whole, parts = b"".join(parts), []
                yield zlib.decompressobj(-15).decompress(whole + b"\0\0\xff\xff") if is_compressed else whole


def check_messages(messages):
    """Each is as it was made, and those of a sender come in its order."""
    pattern = bytes((number * 2654435761 & 0xFFFFFFFF) >> 13 & 0xFF for number in range(1 << 17))
    last = {}
    for message in messages:
        sender, number = message[:1], int(message[1:11])
        start = number * 7 % 4096 + 11
        assert message[11:] == pattern[start:start + len(message) - 11], (sender, number)
        assert number > last.get(sender, -1), f"{sender}{number} after {last[sender]}"
        last[sender] = number
    return last


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("policy, more", [
    ("drop_new", ""), ("drop_old", ""), ("pause_reads", ""), ("drop_old", "compression on;"),
    ("drop_new", "compression no-context-takeover;"),
])
def test_what_a_slow_peer_gets_is_whole_and_in_order(make_gateway, policy, more, threads):
    running = make_gateway(main=f"threads {threads};", routes=(
        f"route /flow {{ handler flow; send_buffer 32k; slow_consumer {policy}; ping_interval off; {more} }}"))
    c_handler.build(running, "flow")
    running.start()
    seed = random.randrange(1 << 30)
    print("seed", seed)
    chance = random.Random(seed)
    headers = {"Sec-WebSocket-Extensions": "permessage-deflate"} if more else {}
    reader = SlowReader(running, headers)
    with RawPeer(running, "/flow").opened() as driver:
        for _ in range(150):
            if chance.random() < 0.3:
                driver.ask(f"thread {chance.randrange(60)} {chance.randrange(16, 3000)}")
            driver.ask(f"burst {chance.randrange(60)} {chance.choice((100, 2000, 20_000))} {chance.randrange(1 << 20)}")
            # A third of what comes, or the kernel would take all of it.
            reader.read(chance.choice((0, 0, 1000, 30_000, 100_000)))
        # The kernel may have taken all of it: the test is one of what it does not take.
        wanted = {"drop_new": ["drop_new"], "drop_old": ["drop_old"], "pause_reads": ["drop_new", "pause_reads"]}[policy]
        while not all(route_costs(running)["slow_consumer"][each] for each in wanted):
            driver.ask(f"burst 60 20000 {chance.randrange(1 << 20)}")
        while driver.ask("finish") != "0":
            reader.read(100_000)
        reader.read_to_the_end()
        received = list(reader.messages())
        # What the thread of its own sends may find no room each time, and then a newer message is what is left out.
        missing = {b"w", b"p", b"t"} - set(check_messages(received))
        assert not missing or policy == "drop_new" and missing == {b"t"}
        taken, refused = int(driver.ask("taken")), int(driver.ask("refused"))
    counts = route_costs(running)["slow_consumer"]
    assert taken + refused == len(received) + counts["drop_new"] + counts["drop_old"]
    assert counts["drop_new"] >= refused
    assert counts["close"] == 0
    assert (counts["pause_reads"] > 0) == (policy == "pause_reads")
    assert (counts["drop_old"] > 0) == (policy == "drop_old")
    reader.peer.close()


@pytest.mark.parametrize("policy", ["drop_new", "drop_old", "pause_reads"])
def test_what_waits_behind_a_fragmented_message_does_not_keep_it_from_its_end(make_gateway, policy):
    running = make_gateway(main="threads 1;", routes=(
        f"route /flow {{ handler flow; send_buffer 32k; slow_consumer {policy}; ping_interval off; }}"))
    c_handler.build(running, "flow")
    running.start()
    reader = SlowReader(running)
    with RawPeer(running, "/flow").opened() as driver:
        driver.ask("open 9000")
        # More than there is room for; none of it goes before the message has ended.
        for _ in range(15):
            driver.ask("publish 2 2000")
        eventually("the end of the message", lambda: driver.ask("finish") == "0")
        reader.read_to_the_end()
    first, *others = reader.messages()
    assert first[:1] == b"w" and len(first) == 9000
    assert 8 <= len(others) <= 17 and {message[:1] for message in others} == {b"p"}
    reader.peer.close()


# ---- max_memory

def test_too_much_memory_sheds_the_fattest_and_refuses_newcomers(make_gateway):
    running = make_gateway(main="threads 2; max_memory 2m;", routes=(
        "route /flow { handler flow; send_buffer 8m; close_timeout 30s; write_timeout off; ping_interval off; }"))
    c_handler.build(running, "flow")
    running.start()
    with RawPeer(running, "/flow").opened() as driver:
        reader = SlowReader(running)
        while status(running)["process"]["memory"]["shed"] == 0:
            driver.ask("burst 20 20000 1")
        running.wait_for(r"warning: max_memory: the buffers of connections hold \d+ bytes, more than 2097152")
        reader.peer.socket.setblocking(True)
        reader.peer.pending, reader.got = bytes(reader.got), b""
        assert reader.peer.read_close() == 1013
        running.wait_for("max_memory: the buffers of connections hold .* 1 connections were closed")
        # It is below, so the next one is served.
        assert eventually("a newcomer", lambda: accepted(running, "/flow"))
        assert driver.ask("finish") in ("0", "1")
        assert status(running)["process"]["memory"]["max"] == 2 << 20
        assert running.log().count("warning: max_memory") == 1

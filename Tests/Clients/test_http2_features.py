"""Streams of HTTP/2 are connections like others: handlers are replaced under them, topics, timers, compression, the pool, traces,
lists, logs and metrics know them."""
import os
import random
import re
import zlib

import pytest

import c_handler
from admin_client import samples
from gateway_process import eventually
from h2_peer import H2Peer
from raw_peer import BINARY, CLOSE, TEXT, RawPeer, close_payload, frame
from swarm import counter_in_c, counter_in_swift, put
from test_connections import connections, ids
from test_control import ask, status
from test_deflate import put_echo
from test_dispatch import SLEEPER
from test_handlers import compile_handler
from test_http2 import LISTEN, answers, on_routes, serve  # noqa: F401, since a fixture is among them
from test_logs import logged, records
from test_trace import QUIET, Trace


# ---- reload

@pytest.mark.parametrize("language", ["c", "swift"])
def test_handlers_are_replaced_under_streams(make_gateway, tmp_path, language):
    make = counter_in_c if language == "c" else counter_in_swift
    builds = [make(tmp_path, version) for version in (1, 2)]
    running = make_gateway(listen=(LISTEN,), routes="route /counter { handler counter; }")
    put(builds[0], running.plugins / "counter.so", in_place=False)
    running.start()
    with H2Peer(running) as peer, H2Peer(running) as second, RawPeer(running, "/counter").opened() as other:
        streams = [each.open("/counter").opened() for each in (peer, peer, peer, second)]
        count = 0
        for generation in range(1, 6):
            if generation > 1:
                put(builds[(generation - 1) % 2], running.plugins / "counter.so", in_place=False)
                running.wait_for(f"generation {generation} is serving, 5 connections moved")
            for _ in range(3):
                count += 1
                for each in (*streams, other):
                    each.send(frame(TEXT, b"text"))
                for each in (*streams, other):
                    version, number, _ = each.read_message()[1].decode().split(" ")
                    assert (version, int(number)) == (str((generation - 1) % 2 + 1), count)
        streams[0].reset()
        streams[1].send(frame(CLOSE, close_payload(1000)))
        assert streams[1].read_close() == 1000
        eventually("three are left", lambda: on_routes(running) == 3)


def test_half_a_message_is_as_it_is_over_http_1(make_gateway, tmp_path):
    builds = [counter_in_c(tmp_path, version) for version in (1, 2)]
    running = make_gateway(listen=(LISTEN,), routes="route /counter { handler counter; }")
    put(builds[0], running.plugins / "counter.so", in_place=False)
    running.start()
    with H2Peer(running) as peer, RawPeer(running, "/counter").opened() as other:
        both, data = (peer.open("/counter").opened(), other), frame(TEXT, b"x" * 100)
        for each in both:
            each.send(data[:30])
        peer.ping()
        put(builds[1], running.plugins / "counter.so", in_place=False)
        running.wait_for("generation 2 is serving")
        for each in both:
            each.send(data[30:])
        # Whether half of it had come before decides which generation hears it.
        for each in both:
            assert each.read_message()[1] in (b"1 1 " + b"x" * 100, b"2 1 " + b"x" * 100)
        for number, each in ((number, each) for number in range(2, 4) for each in both):
            each.send(frame(TEXT, b"y"))
            assert each.read_message()[1] in (b"1 %d y" % number, b"2 %d y" % number)


def test_reload_close_says_1012_to_streams(serve):
    running = serve("route /witness { handler witness; reload close; close_timeout 1s; }\nroute /echo { handler echo; }")
    with H2Peer(running) as peer:
        stream, other = peer.open("/witness").opened(), peer.open().opened()
        stream.read_message()
        c_handler.build(running, "witness", "BUILD=2")
        running.wait_for("generation 2 is serving")
        assert stream.read_close() == 1012
        stream.send(frame(CLOSE, close_payload(1012)))
        assert stream.at_end()
        assert answers(other) and not peer.goaways
        assert peer.open("/witness").opened().read_message()[1].startswith(b"build=2 ")


# ---- topics

def test_topics_join_clients_of_both_versions(make_gateway):
    running = make_gateway(listen=(LISTEN,), main="threads 2;").start()
    with H2Peer(running) as peer, H2Peer(running) as second, RawPeer(running, "/chat").opened() as other:
        members = [peer.open("/chat").opened(), peer.open("/chat").opened(), second.open("/chat").opened(), other]
        for number, member in enumerate(members):
            # Who is heard by himself is a member.
            member.send(frame(TEXT, b"here"))
            assert member.read_message()[1].endswith(b"here")
        heard = [set() for _ in members]
        for number, member in enumerate(members):
            member.send(frame(TEXT, b"line of %d" % number))
        for own, member in zip(heard, members):
            while len(own) < len(members):
                text = member.read_message()[1]
                if b"line of " in text:
                    own.add(text.rpartition(b": ")[2])
        assert heard == [{b"line of %d" % number for number in range(4)}] * 4
        members[0].reset()
        members[3].send(frame(TEXT, b"still"))
        for member in members[1:]:
            while not member.read_message()[1].endswith(b": still"):
                pass


# ---- permessage-deflate

OFFER = {"sec-websocket-extensions": "permessage-deflate"}


@pytest.mark.parametrize("mode", ["on", "no-context-takeover"])
@pytest.mark.parametrize("dispatch", ["loop", "pool"])
def test_compressed_messages_come_back(make_gateway, mode, dispatch):
    running = make_gateway(listen=(LISTEN,), routes=(
        f"route /echo {{ handler echo; compression {mode} {{ threshold 1; }} dispatch {dispatch}; }}")).start()
    chance = random.Random(5)
    with H2Peer(running) as peer:
        streams = []
        for _ in range(3):
            stream = peer.open(headers=OFFER).opened()
            assert stream.headers["sec-websocket-extensions"].startswith("permessage-deflate")
            streams.append((stream, zlib.compressobj(6, zlib.DEFLATED, -15), zlib.decompressobj(-15)))
        plain = peer.open().opened()
        assert "sec-websocket-extensions" not in plain.headers
        for size in (1, 100, 5000, 70_000, 300):
            for stream, packer, inflater in streams:
                text = "".join(chance.choices("abcdefg ", k=size)).encode()
                packer = packer if mode == "on" else zlib.compressobj(6, zlib.DEFLATED, -15)
                stream.send(frame(TEXT, (packer.compress(text) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4], rsv=4))
                opcode, _, heard = stream.read_frame()
                if stream.was_compressed:
                    inflater = inflater if mode == "on" else zlib.decompressobj(-15)
                    heard = inflater.decompress(heard + b"\0\0\xff\xff")
                assert (opcode, heard) == (TEXT, text)
            assert answers(plain)


def test_windows_outlive_a_reload(make_gateway):
    running = make_gateway(listen=(LISTEN,), routes="route /echo { handler echo; compression on { threshold 1; } }")
    put_echo(running, 1)
    running.start()
    packer, inflater = zlib.compressobj(6, zlib.DEFLATED, -15), zlib.decompressobj(-15)
    with H2Peer(running) as peer, peer.open(headers=OFFER).opened() as stream:
        for version in range(2, 5):
            for text in (b"the same again and again " * 20, b"the same again"):
                stream.send(frame(TEXT, (packer.compress(text) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4], rsv=4))
                heard = stream.read_frame()[2]
                assert (inflater.decompress(heard + b"\0\0\xff\xff") if stream.was_compressed else heard) == text
            put_echo(running, version)
            running.signal(1)
            running.wait_for(f"generation {version} is serving, 1 connection moved")


# ---- the pool and threads

def test_nobody_waits_for_a_handler_that_blocks(make_gateway):
    running = make_gateway(listen=(LISTEN,), main="threads 1;",
                           routes="route /slow { handler sleeper; dispatch pool; }\nroute /echo { handler echo; }")
    compile_handler(running, "sleeper", SLEEPER)
    running.start()
    fifo = running.folder / "fifo"
    os.mkfifo(fifo)
    with H2Peer(running) as peer:
        blocked, same, other = (peer.open(path).opened() for path in ("/slow", "/slow", "/echo"))
        blocked.send(frame(TEXT, str(fifo).encode()) + frame(TEXT, b"next"))
        with open(fifo, "wb", buffering=0) as gate:
            assert answers(other) and answers(same, b"quick")
            blocked_too = peer.open("/slow").opened()
            assert answers(blocked_too, b"late")
            gate.write(b"x")
            assert blocked.read_message()[1] == str(fifo).encode()
            assert blocked.read_message()[1] == b"next"


@pytest.mark.parametrize("way", [b"T", b"C"], ids=["a thread", "callbacks"])
def test_senders_obey_the_windows(make_gateway, way):
    """Ten megabytes by somebody who stops at backpressure and goes on when it has drained."""
    running = make_gateway(listen=(LISTEN,), main="threads 2;", routes="route /flood { handler flood; send_buffer 300k; }")
    c_handler.build(running, "flood")
    running.start()
    with H2Peer(running) as peer:
        streams = [peer.open("/flood").opened() for _ in range(2)]
        for stream in streams:
            stream.send(frame(BINARY, way))
        for number in range(100):
            for stream in streams:
                assert stream.read_message() == (BINARY, bytes(100_000)), number
        assert sum(route["slow_consumer"]["close"] for route in status(running)["routes"]) == 0


# ---- what operators see

def test_streams_are_listed_as_connections(make_gateway):
    running = make_gateway(listen=(LISTEN,), routes="route /echo { handler echo; subprotocols a.v1; }").start()
    with H2Peer(running) as peer, RawPeer(running).opened():
        streams = [peer.open(headers={"sec-websocket-protocol": "a.v1"}).opened() for _ in range(3)]
        for _ in range(3):
            assert answers(streams[1])
        every = connections(running)["connections"]
        assert len({row["id"] for row in every}) == len(every) == 5
        # The connection under the streams is listed, too.
        below, = (row for row in every if row["route"] is None)
        assert (below["state"], below["peer"]) == ("http2", "127.0.0.1:%d" % peer.socket.getsockname()[1])
        rows = [row for row in every if row["route"] == "/echo"]
        own = [row for row in rows if row["peer"] == "127.0.0.1:%d" % peer.socket.getsockname()[1]]
        assert len(own) == 3 and all(row["subprotocol"] == "a.v1" for row in own)
        busy, = (row for row in own if row["messages_in"] == 3)
        # The bytes are those of the frames of RFC 6455, those of HTTP/2 not among them; before them came the head.
        assert busy["bytes_in"] - row_of_the_silent(own)["bytes_in"] == 3 * 11 and busy["bytes_out"] == 3 * 7
        assert on_routes(running) == len(ids(running, "--route", "/echo")) == 4
        streams[0].reset()
        eventually("it is gone", lambda: len(ids(running, "--route", "/echo")) == 3)


def row_of_the_silent(rows):
    return next(row for row in rows if row["messages_in"] == 0)


def test_a_trace_of_a_stream(make_gateway):
    running = make_gateway(listen=(LISTEN,), main=QUIET).start()
    with H2Peer(running) as peer:
        stream, other = peer.open().opened(), peer.open().opened()
        assert answers(other)
        number, = (row["id"] for row in connections(running)["connections"] if row["route"] and row["messages_in"] == 0)
        with Trace(running, number) as trace:
            assert answers(other, b"unheard") and answers(stream)
            assert trace.frames(2) == ['in  text 5 "hello"', 'out text 5 "hello"']
            stream.send(frame(CLOSE, close_payload(4001, b"bye")))
            assert stream.read_close() == 4001
            assert trace.frames(3) == ['in  close 5 code=4001 "bye"', 'out close 5 code=4001 "bye"', "end code=4001 by=peer"]
            assert trace.next() is None and trace.status() == 0


def test_the_access_log(make_gateway):
    running = logged(make_gateway, "access.log json", listen=(LISTEN,), main="console /console;").start()
    log = running.folder / "access.log"
    with H2Peer(running) as peer:
        stream = peer.open("/echo?a=b").opened()
        assert answers(stream)
        stream.send(frame(CLOSE, close_payload(4001, b"all")))
        assert stream.read_close() == 4001
        assert peer.open("/nothing").status == 404
        assert peer.request("/console").status == 200
        lost = peer.open().opened()
        lost.reset()
        eventually("its lines", lambda: len(records(log)) == 6)
        port = peer.socket.getsockname()[1]
        events = records(log)
        assert all(each["peer"] == f"127.0.0.1:{port}" for each in events)
        assert [each["event"] for each in events] == ["open", "close", "refuse", "request", "open", "close"]
        opened, closed, refused, asked, _, broken = events
        assert (opened["status"], opened["method"], opened["path"], opened["host"]) == (200, "GET", "/echo?a=b", "127.0.0.1")
        assert (closed["code"], closed["by"], closed["detail"], closed["messages_in"]) == (4001, "peer", "all", 1)
        assert (refused["status"], refused["reason"]) == (404, "no-route")
        assert (asked["status"], asked["path"]) == (200, "/console")
        assert (broken["code"], broken["by"]) == (1006, "transport")
        assert {str(each["http"]) for each in events} <= {"2", "2.0"}


def test_metrics_count_streams(make_gateway):
    running = make_gateway(listen=(LISTEN,), main="admin 127.0.0.1:0;").start()
    with H2Peer(running) as peer:
        streams = [peer.open().opened() for _ in range(3)]
        assert all(answers(stream) for stream in streams)
        assert peer.open("/nothing").status == 404

        def value(name, **labels):
            return sum(number for (found, own), number in samples(running).items()
                       if found == name and labels.items() <= dict(own).items())
        for name, due in {"connections": 3, "connections_opened_total": 3, "messages_received_total": 3,
                          "received_bytes_total": 33, "sent_bytes_total": 21}.items():
            eventually(name, lambda: value(f"gateway_{name}", route="/echo") == due)
        assert value("gateway_handshakes_rejected_total", reason="no-route") == 1
        streams[0].reset()
        eventually("its end", lambda: value("gateway_connections_closed_total", code="1006", initiator="transport") == 1)


def test_explain_and_the_effective_configuration(make_gateway):
    running = make_gateway(listen=("127.0.0.1:0 { http2 on; max_streams 9; }",)).start()
    shown = ask(running, "-T")
    assert shown.returncode == 0 and re.search(r"http2 +on;", shown.stdout) and re.search(r"max_streams +9;", shown.stdout)


@pytest.mark.parametrize("text, said", [
    ("max_streams 0;", "max_streams"), ("max_streams many;", "max_streams"), ("http2 perhaps;", "http2"),
    ("http2 on; http2 off;", "duplicate"), ("max_stream 5;", "max_streams"),
])
def test_what_the_directives_take(make_gateway, text, said):
    still = make_gateway(listen=(f"127.0.0.1:0 {{ {text} }}",))
    checked = ask(still, "check")
    assert checked.returncode == 78 and said in checked.stderr, checked.stderr


def test_http2_is_switched_by_a_reload(make_gateway):
    running = make_gateway(listen=(LISTEN,)).start()
    with H2Peer(running) as peer, peer.open().opened() as stream:
        text = running.file.read_text()
        running.file.write_text(text.replace("http2 on;", "http2 off;"))
        assert ask(running, "reload").returncode == 0
        assert answers(stream), "who is connected stays"
        with running.connect() as other:
            other.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            assert not other.recv(100).startswith(b"\0")
        running.file.write_text(text)
        assert ask(running, "reload").returncode == 0
        with H2Peer(running) as again, again.open().opened() as another:
            assert answers(another)


def test_a_bench_over_http2(make_gateway):
    running = make_gateway(listen=(LISTEN,)).start()
    done = ask(None, "bench", "echo", running.url(), "--http2", "-c", "4", "-d", "4", "-s", "100", "--seconds", "0.5")
    assert done.returncode == 0, done.stdout + done.stderr

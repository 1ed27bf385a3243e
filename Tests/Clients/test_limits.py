"""Limits crossed by one, descriptors that run out, peers that vanish."""
import resource

import pytest
from websockets.sync.client import connect

import c_handler
from gateway_process import DEADLINE, eventually
from raw_peer import BINARY, CLOSE, PING, PONG, TEXT, RawPeer, accepted, close_payload, frame


def answers(peer, text=b"hello"):
    peer.send(frame(TEXT, text))
    return peer.read_frame() == (TEXT, True, text)


@pytest.mark.parametrize("main, routes", [
    ("defaults { max_connections 3; }", "route /echo { handler echo; }"),
    ("", "route /echo { handler echo; max_connections 3; }"),
], ids=["of the gateway", "of a route"])
def test_max_connections(make_gateway, main, routes):
    running = make_gateway(main=main, routes=routes).start()
    peers = [RawPeer(running).opened() for _ in range(3)]
    with RawPeer(running) as fourth:
        assert fourth.status in (429, 503)
        assert fourth.body.strip()
    assert all(answers(peer) for peer in peers)
    peers.pop().close()
    peers.append(eventually("a place for the next", lambda: accepted(running)))
    assert all(answers(peer) for peer in peers)


@pytest.mark.parametrize("size, code", [(1023, None), (1024, None), (1025, 1009)])
def test_max_message(make_gateway, size, code):
    routes = "route /echo { handler echo; max_message 1k; max_frame 1k; }"
    with make_gateway(routes=routes) as running, RawPeer(running).opened() as peer:
        peer.send(frame(BINARY, b"x" * size))
        if code:
            assert peer.read_close() == code
        else:
            assert peer.read_frame() == (BINARY, True, b"x" * size)


def test_max_message_counts_all_fragments(make_gateway):
    routes = "route /echo { handler echo; max_message 1k; max_frame 1k; }"
    with make_gateway(routes=routes) as running, RawPeer(running).opened() as peer:
        peer.send(frame(BINARY, b"x" * 1000, fin=False) + frame(0, b"x" * 25))
        assert peer.read_close() == 1009


@pytest.mark.parametrize("size, code", [(511, None), (512, None), (513, 1009)])
def test_max_frame(make_gateway, size, code):
    """Of a message that may be longer."""
    routes = "route /echo { handler echo; max_message 4k; max_frame 512; }"
    with make_gateway(routes=routes) as running, RawPeer(running).opened() as peer:
        peer.send(frame(BINARY, b"x" * 500, fin=False) + frame(0, b"y" * size))
        if code:
            assert peer.read_close() == code
        else:
            assert peer.read_frame() == (BINARY, True, b"x" * 500 + b"y" * size)


@pytest.mark.parametrize("size, status", [(1023, 200), (1024, 200), (1025, 413)])
def test_max_body(make_gateway, size, status):
    running = make_gateway(routes="route /edges { handler edges; max_body 1k; }")
    c_handler.build(running, "edges")
    with running.start(), running.connect() as peer:
        peer.sendall(f"POST /edges HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n".encode() + b"x" * size)
        assert peer.recv(12) == f"HTTP/1.1 {status}".encode()


@pytest.mark.parametrize("size, is_compressed", [(299, False), (300, True), (301, True)])
def test_the_threshold_of_compression(make_gateway, size, is_compressed):
    routes = "route /echo { handler echo; compression on { threshold 300; } }"
    offer = {"Sec-WebSocket-Extensions": "permessage-deflate"}
    with make_gateway(routes=routes) as running, RawPeer(running, headers=offer).opened() as peer:
        peer.send(frame(TEXT, b"x" * size))
        payload = peer.read_frame()[2]
        assert peer.was_compressed == is_compressed
        assert is_compressed or payload == b"x" * size


GW_E_INVALID, GW_E_LIMIT = -4, -5


@pytest.fixture
def edges(make_gateway):
    running = make_gateway(routes="route /edges { handler edges; }")
    c_handler.build(running, "edges")
    return running.start()


@pytest.mark.parametrize("what, most, refusal", [
    ("ping", 125, GW_E_INVALID), ("pong", 125, GW_E_INVALID), ("subscribe", 255, GW_E_LIMIT),
    ("publish", 255, GW_E_LIMIT)])
def test_what_a_handler_may_ask_for(edges, what, most, refusal):
    with RawPeer(edges, "/edges").opened() as peer:
        answers = [peer.ask(f"{what} {size}") for size in (most - 1, most, most + 1)]
        assert answers == ["0", "0", str(refusal)]


@pytest.mark.parametrize("size, code", [(122, 4000), (123, 4000), (124, None)])
def test_the_reason_of_a_close(edges, size, code):
    with RawPeer(edges, "/edges").opened() as peer:
        peer.send(frame(TEXT, f"reason {size}".encode()))
        if code:
            assert peer.read_frame() == (CLOSE, True, close_payload(code, b"e" * size))
        else:
            assert peer.read_frame() == (TEXT, True, str(GW_E_INVALID).encode())


@pytest.mark.parametrize("count, started", [(1023, 1023), (1024, 1024), (1025, 1024)])
def test_timers_of_a_connection(edges, count, started):
    with RawPeer(edges, "/edges").opened() as peer:
        assert peer.ask(f"timers {count}") == str(started)


@pytest.mark.parametrize("size, kept", [(4095, 4095), (4096, 4096), (4097, 4096)])
def test_a_line_of_the_log(edges, size, kept):
    with RawPeer(edges, "/edges").opened() as peer:
        assert peer.ask(f"log {size}") == "0"
    assert len(edges.wait_for(r"(eeeee+)")[1]) == kept


def test_a_handshake_has_an_end(make_gateway):
    with make_gateway(main="defaults { handshake_timeout 300ms; }") as running, running.connect() as sock:
        sock.sendall(b"GET /echo HTTP/1.1\r\nHost: a\r\n")
        answer = b""
        while more := sock.recv(65536):
            answer += more
        assert answer == b"" or answer.startswith(b"HTTP/1.1 408 ")


def test_a_silent_peer_is_pinged_and_then_dropped(make_gateway):
    main = "defaults { ping_interval 200ms; pong_timeout 200ms; close_timeout 200ms; }"
    with make_gateway(main=main) as running, RawPeer(running).opened() as silent:
        assert silent.read_frame()[0] == PING
        with pytest.raises((EOFError, ConnectionError)):
            while True:
                silent.read_frame()


def test_an_idle_peer_that_answers_is_kept(make_gateway):
    main = "defaults { ping_interval 100ms; pong_timeout 5s; }"
    with make_gateway(main=main) as running, RawPeer(running).opened() as idle:
        for _ in range(10):
            opcode, _, payload = idle.read_frame()
            assert opcode == PING
            idle.send(frame(PONG, payload))
        idle.send(frame(TEXT, b"alive"))
        while (got := idle.read_frame())[0] == PING:
            idle.send(frame(PONG, got[2]))
        assert got == (TEXT, True, b"alive")


def test_descriptors_run_out_and_come_back(make_gateway):
    running = make_gateway(main="defaults { close_timeout 200ms; }").start()
    served = RawPeer(running).opened()
    # Somebody else in the process, a handler perhaps, takes what was reserved for connections.
    limits = resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE, (running.descriptor_count() + 20, limits[1]))
    flood = [running.connect() for _ in range(90)]
    running.wait_for("cannot accept: Too many open files")
    # What is connected goes on being served while accept() answers EMFILE.
    assert all(answers(served, b"%d" % n) for n in range(200))
    for sock in flood:
        sock.close()
    with eventually("a new connection", lambda: accepted(running)) as again:
        assert answers(again)
    eventually("the flood to be gone", lambda: running.descriptor_count() < 40)
    assert answers(served)
    running.stop()


def test_5000_connections_that_vanish_leave_nothing_behind(make_gateway):
    running = make_gateway().start()
    with RawPeer(running).opened() as steady:
        assert answers(steady)
        descriptors, threads = running.descriptor_count(), running.thread_count()
        for n in range(5000):
            reset_somewhere(running, n % 5)
            if n % 500 == 0:
                assert answers(steady)
        eventually("every descriptor closed", lambda: running.descriptor_count() <= descriptors)
        assert running.thread_count() == threads
        assert answers(steady)
    running.stop()


def reset_somewhere(running, stage):
    """A connection that ends with a RST: before, inside, or after the handshake, inside a message, at the close."""
    if stage < 2:
        peer = RawPeer.__new__(RawPeer)
        peer.socket = running.connect()
        if stage == 1:
            peer.send(b"GET /echo HTTP/1.1\r\nHost: a\r\nUpgr")
    else:
        peer = RawPeer(running).opened()
        peer.send({2: b"", 3: frame(BINARY, b"x" * 3000)[:2000], 4: frame(CLOSE, close_payload(1000))}[stage])
    peer.reset()


def test_connections_spread_over_the_workers(make_gateway):
    running = make_gateway(main="threads 2;").start()
    before = running.watched_counts()
    peers = [RawPeer(running).opened() for _ in range(64)]
    assert all(answers(peer) for peer in peers)
    grown = [count - before.get(name, 0) for name, count in running.watched_counts().items()]
    assert sum(1 for n in grown if n >= 8) >= 2, f"connections per event loop: {grown}"


def test_a_peer_that_does_not_read_hurts_nobody(make_gateway):
    running = make_gateway(main="defaults { send_buffer 64k; }").start()
    with RawPeer(running).opened() as deaf, connect(running.url(), proxy=None) as other:
        deaf.socket.settimeout(1)
        with pytest.raises((TimeoutError, ConnectionError)):
            # Without reading a single answer: in the end the gateway stops reading, or it drops the peer.
            for _ in range(2000):
                deaf.send(frame(BINARY, b"x" * 32768))
        other.send("still here")
        assert other.recv(DEADLINE) == "still here"

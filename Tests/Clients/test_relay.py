"""Clients of TLS and of HTTP/2 at handlers with processes of their own: what goes between both is relayed by the first process,
and neither notices."""
import http.client
import os
import re
import signal
import socket

import pytest
import websockets

import c_handler
from gateway_process import DEADLINE, eventually
from h2_peer import CANCEL, H2Peer, StreamReset
from isolation_rig import settled
from raw_peer import BINARY, CLOSE, TEXT, close_payload, frame
from swarm import counter_in_c, put
from test_control import status
from test_http2 import facts, said_closed
from test_tls import make, trust, wss  # noqa: F401, since a fixture is among them

ROUTES = "route /echo { handler echo; }\nroute /witness { handler witness; }\n"
ISOLATED = "defaults { isolation process; }"


@pytest.fixture
def serve(make):  # noqa: F811
    """A gateway that speaks TLS, and with it HTTP/2, with the witness among its handlers."""
    def serve(main=ISOLATED, routes=ROUTES, start=True, **how):
        running = make(main="threads 1; " + main, routes=routes, **how)
        c_handler.build(running, "witness")
        if not start:
            return running
        running.start()
        assert len(processes(running)) == (2 if main == ISOLATED else 0)
        return running
    return serve


@pytest.fixture
def context(tmp_path):
    return lambda: trust(tmp_path, "first")


def processes(running):
    """Those of handlers."""
    children = (running.proc / "task" / running.proc.name / "children").read_text().split()
    return [each for each in children if b"--handler" in (running.proc.parent / each / "cmdline").read_bytes()]


def deserted(running):
    """Nobody is left there."""
    return all(route["connections"] == 0 for route in status(running)["routes"])


def request(running, context, method="GET", body=None):
    """The answer of the witness to a plain request over TLS."""
    asked = http.client.HTTPSConnection("localhost", running.port, context=context, timeout=DEADLINE)
    asked.request(method, "/witness?a=b", body=body, headers={"X-Own": "1"})
    answer = asked.getresponse()
    return answer.status, answer.headers.get_content_type(), answer.read()


def comparable(text):
    """What the witness was told, without the numbers of ports."""
    first, headers = facts(text)
    return {name: re.sub(r":\d+$", "", value) for name, value in first.items()}, [
        (name, re.sub(r":\d+$", "", value)) for name, value in headers if name != "sec-websocket-key"]


def test_handlers_are_told_the_same_of_requests(serve, context):
    told = []
    for main in ("", ISOLATED):
        running = serve(main)
        with wss(running, context(), "/witness?a=b", additional_headers={"X-Own": "1"}) as peer:
            over_http_1 = peer.recv(DEADLINE)
        with H2Peer(running, context=context()) as peer:
            with peer.open("/witness?a=b", headers=[("x-own", "1"), ("cookie", "a=b"), ("cookie", "c=d")]).opened() as stream:
                over_http_2 = stream.read_message()[1]
            plain = peer.request("/witness?c=d", method="POST", body=b"12345", headers=[("content-length", "5")])
            assert plain.answered().status == 200
            told.append([comparable(text) for text in (over_http_1.encode(), over_http_2, plain.body)])
        told[-1].append([comparable(request(running, context(), *how)[2]) for how in (("GET",), ("POST", b"123"))])
    assert told[0] == told[1]
    assert told[1][0][0]["tls"].startswith("TLSv1.3/") and told[1][0][0]["tls"].endswith("/localhost")
    assert [each[0]["http"] for each in told[1][:3]] == ["11", "20", "20"]
    assert "body=5" in plain.body.decode()


def test_large_messages_both_ways(serve, context):
    running = serve(routes="route /echo { handler echo; max_message 8m; send_buffer 16m; }\nroute /witness { handler witness; }")
    messages = [os.urandom(size) for size in (1, 70_000, 1_000_000, 5_000_000)]
    with wss(running, context()) as peer, H2Peer(running, context=context()) as other:
        with other.open().opened() as stream:
            for message in messages:
                peer.send(message)
                assert peer.recv(DEADLINE) == message
                stream.send(frame(BINARY, message))
                assert stream.read_message() == (BINARY, message)


def test_refusals_are_the_handlers(serve, context):
    running = serve()
    for query, code, word in (("refuse", 403, b"handler-refused"), ("teapot", 418, b"short and stout")):
        with pytest.raises(websockets.exceptions.InvalidStatus) as refusal:
            wss(running, context(), f"/witness?{query}")
        answer = refusal.value.response
        with H2Peer(running, context=context()) as peer:
            stream = peer.open(f"/witness?{query}").answered()
            assert (stream.status, stream.body) == (code, answer.body) and word in stream.body
            assert stream.headers["content-length"] == str(len(answer.body)) and "connection" not in stream.headers
            assert (stream.headers.get("x-pot"), answer.headers.get("x-pot")) == (("tea",) * 2 if code == 418 else (None,) * 2)
        assert answer.status_code == code
    eventually("nobody is left", lambda: deserted(running))


def test_plain_requests_one_after_the_other_on_a_connection(serve, context):
    running = serve()
    with H2Peer(running, context=context()) as peer:
        streams = [peer.request("/witness", method=method) for method in ("GET", "HEAD", "GET")]
        bodies = [stream.answered() and stream.body for stream in streams]
        assert [stream.status for stream in streams] == [200] * 3
        # It tells its method, which has a letter more.
        assert bodies[0] and not bodies[1] and streams[1].headers["content-length"] == str(len(bodies[0]) + 1)
        assert [stream.answered().status for stream in (peer.request("/nowhere"), peer.request("/echo"))] == [404, 400]
    eventually("nobody is left", lambda: deserted(running))


def test_the_closing_handshake_of_either_side(serve, context):
    running = serve()
    with wss(running, context(), "/witness") as peer:
        peer.recv(DEADLINE)
        peer.send("end")
        with pytest.raises(websockets.exceptions.ConnectionClosed) as closed:
            peer.recv(DEADLINE)
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4007, "as asked")
    with H2Peer(running, context=context()) as peer:
        stream = peer.open("/witness").opened()
        stream.read_message()
        stream.send(frame(TEXT, b"end"))
        assert stream.read_frame()[::2] == (CLOSE, close_payload(4007, b"as asked"))
        stream.send(frame(CLOSE, close_payload(4007)), end=True)
        assert stream.at_end()
        stream = peer.open("/witness").opened()
        stream.read_message()
        stream.send(frame(CLOSE, close_payload(1000)), end=True)
        assert stream.read_close() == 1000 and stream.at_end()
        # And the connection serves on.
        with peer.open().opened() as another:
            assert another.ask("on") == "on"
    eventually("all closes", lambda: sorted(said_closed(running)) == [(1000, 1), (4007, 2), (4007, 2)])
    eventually("nobody is left", lambda: deserted(running))


def test_a_client_that_vanishes_is_heard_of(serve, context):
    running = serve()
    with H2Peer(running, context=context()) as peer:
        stream = peer.open("/witness").opened()
        stream.read_message()
        stream.reset(CANCEL)
        eventually("the reset", lambda: said_closed(running) == [(1006, 4)])
        peer.open("/witness").opened().read_message()
    eventually("the end of the connection", lambda: said_closed(running) == [(1006, 4)] * 2)
    raw = context().wrap_socket(running.connect(), server_hostname="localhost")
    raw.sendall(b"GET /witness HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
    assert raw.recv(12) == b"HTTP/1.1 101"
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    raw.close()
    eventually("the reset of TLS", lambda: said_closed(running) == [(1006, 4)] * 3)
    eventually("nobody is left", lambda: deserted(running))


def test_an_abort_of_the_handler_is_a_reset(serve, context):
    running = serve()
    with H2Peer(running, context=context()) as peer:
        stream, other = peer.open("/witness").opened(), peer.open().opened()
        stream.read_message()
        stream.send(frame(TEXT, b"abort"))
        assert stream.was_reset() == CANCEL
        assert other.ask("on") == "on"
    with wss(running, context(), "/witness") as peer:
        peer.recv(DEADLINE)
        peer.send("abort")
        with pytest.raises(websockets.exceptions.ConnectionClosedError) as closed:
            peer.recv(DEADLINE)
        assert closed.value.rcvd is None
    eventually("both", lambda: said_closed(running) == [(1006, 2)] * 2)
    eventually("nobody is left", lambda: deserted(running))


def test_who_does_not_read_is_not_read(serve, context):
    """The bytes on the way are bounded, and none is lost when it reads on."""
    running = serve(routes="route /echo { handler echo; send_buffer 64k; }\nroute /witness { handler witness; }")
    with H2Peer(running, context=context(), window=2000) as peer:
        stream, other = peer.open().opened(), peer.open().opened()
        stream.acknowledges = False
        payload, sent = b"".join(frame(BINARY, bytes([n % 256]) * 1000) for n in range(3000)), 0
        while (room := min(peer.h2.local_flow_control_window(stream.number), len(payload) - sent, 16_000)) > 0:
            stream.send(payload[sent:sent + room])
            sent += room
            assert other.ask("on") == "on"
        assert sent < 1_000_000
        stream.acknowledges = True
        stream.acknowledge(stream.received)
        whole = sent // len(frame(BINARY, bytes(1000)))
        for number in range(whole):
            assert stream.read_message() == (BINARY, bytes([number % 256]) * 1000)


def test_clients_move_in_a_reload(make, context, tmp_path):  # noqa: F811
    versions = [counter_in_c(tmp_path, version) for version in (1, 2)]
    running = make(main=ISOLATED, routes="route /counter { handler counter; }")
    put(versions[0], running.plugins / "counter.so", in_place=False)
    running.start()
    with wss(running, context(), "/counter") as peer, H2Peer(running, context=context()) as other:
        stream = other.open("/counter").opened()
        peer.send("a")
        assert peer.recv(DEADLINE) == "1 1 a" and stream.ask("a") == "1 1 a"
        put(versions[1], running.plugins / "counter.so", in_place=False)
        running.signal(signal.SIGHUP)
        running.wait_for("generation 2 is serving, 2 connections moved")
        peer.send("b")
        assert peer.recv(DEADLINE) == "2 2 b" and stream.ask("b") == "2 2 b"


def test_clients_outlive_the_process_of_their_handler(make, context, tmp_path):  # noqa: F811
    running = make(main=ISOLATED, routes="route /counter { handler counter; checkpoint message; }")
    put(counter_in_c(tmp_path, 1), running.plugins / "counter.so", in_place=False)
    running.start()
    with wss(running, context(), "/counter") as peer, H2Peer(running, context=context()) as other:
        stream = other.open("/counter").opened()
        for number in (1, 2, 3):
            peer.send("a")
            assert peer.recv(DEADLINE) == f"1 {number} a" and stream.ask("a") == f"1 {number} a"
            process, = processes(running)
            # What it is busy with when it is killed nobody could go on with.
            os.kill(int(settled(process)), signal.SIGKILL)
            eventually("another process", lambda: (found := processes(running)) and found != [process])


def test_whoever_a_process_dies_of_is_told(serve, context):
    running = serve(routes=ROUTES + "route /x { handler isolated; checkpoint message; }", start=False)
    c_handler.build(running, "isolated", 'VERSION="1"')
    running.start()
    with H2Peer(running, context=context()) as peer:
        stream, idle = peer.open("/x").opened(), peer.open("/x").opened()
        assert idle.ask("n 0 ").startswith("1 ")
        stream.send(frame(TEXT, b"die null"))
        assert stream.read_close() == 1011
        assert idle.ask("n 1 ").startswith("2 ")
    with wss(running, context(), "/x") as peer:
        peer.send("die abort")
        with pytest.raises(websockets.exceptions.ConnectionClosed) as closed:
            peer.recv(DEADLINE)
        assert closed.value.rcvd.code == 1011
    eventually("nobody is left", lambda: deserted(running))


def test_the_end_of_the_gateway_is_told(serve, context):
    running = serve()
    with H2Peer(running, context=context()) as peer, wss(running, context()) as other:
        stream = peer.open().opened()
        assert stream.ask("on") == "on"
        running.signal(signal.SIGTERM)
        assert stream.read_close() == 1001
        with pytest.raises((StreamReset, EOFError)):
            stream.send(frame(CLOSE, close_payload(1001)), end=True)
            stream.read_frame()
        with pytest.raises(websockets.exceptions.ConnectionClosed) as closed:
            other.recv(DEADLINE)
        assert closed.value.rcvd.code == 1001
    assert running.process.wait(DEADLINE) == 0

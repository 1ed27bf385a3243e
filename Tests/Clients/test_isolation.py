"""Handlers in processes of their own: what a client meets is what it meets where there is one process."""
import http.client
import os
import signal
import socket
import threading

import pytest

from gateway_process import DEADLINE, eventually
from isolation_rig import BINARY, LONG, TEXT, ends_with, frame, is_there, number, say, seeded, who
from raw_peer import CLOSE, PING, PONG, RawPeer, accepted, close_payload
from streams import MIB, fragmented
from test_control import ask, status
from upgrade_rig import children

BESIDE = "route /in { handler inside; }"


def beside(isolated, *words, **how):
    """With the same handler in the first process, on the route /in."""
    made = isolated(*words, start=False, routes=BESIDE, **how)
    made.build(under="inside")
    made.running.start()
    made.seen = {made.process()}
    return made


def plain(running, path="/x", method="GET", body=None, headers=None, connection=None):
    client = connection or http.client.HTTPConnection("127.0.0.1", running.port, timeout=DEADLINE)
    client.request(method, path, body=body, headers=headers or {})
    answer = client.getresponse()
    told = answer.status, answer.getheader("x-handler"), answer.read()
    if connection is None:
        client.close()
    return told


def answer(stream):
    """Whether the connection stays, the status and the body."""
    first, length, stays = stream.readline(), 0, True
    while (line := stream.readline()) != b"\r\n":
        assert line, "the stream ends in the head of an answer"
        name, _, value = line.decode().strip().lower().partition(": ")
        length = int(value) if name == "content-length" else length
        stays = stays and (name, value) != ("connection", "close")
    return stays, int(first.split()[1]), stream.read(length)


# ---- WebSockets

def test_it_serves_in_a_process_of_its_own(isolated):
    made = beside(isolated)
    with made.peer() as peer, made.peer() as other, made.peer("/in") as inside:
        for index in range(3):
            number(peer, index)
        number(other, 0)
        mine, his, here = who(peer), who(other), who(inside)
        assert mine["pid"] == his["pid"] == made.process() != made.running.process.pid == here["pid"]
        assert (mine["count"], his["count"], here["count"]) == (3, 1, 0)
        # One number is one connection, whatever process has it.
        assert mine["conn"] == mine["opened"] and len({mine["conn"], his["conn"], here["conn"]}) == 3
        assert len(children(made.running.process.pid)) == 1
        assert made.count() == 3
    made.is_empty()


def test_clients_of_all_kinds_of_messages(isolated):
    """Frames of any size cut anywhere, pings between them, and messages of up to a mebibyte."""
    made = isolated("max_message 2m; max_frame 2m; send_buffer 4m;")
    with made.crowd(6, seeded()) as crowd, made.peer() as peer:
        for size in (0, 1, 65535, 65536, MIB):
            peer.send(frame(BINARY, b"n 0 " + bytes(size)))
            kind, whole = peer.read_message()
            assert kind == BINARY and len(whole.split(b" ", 2)[2]) == size + 4
        for piece in fragmented(TEXT, b"n 0 " + b"x" * MIB, 10_000):
            peer.send(piece)
        assert peer.read_message()[1].endswith(b" n 0 " + b"x" * MIB)
        crowd.go_on(20)
    made.is_empty()


@pytest.mark.parametrize("kind", ["on", "no-context-takeover"])
def test_compression(isolated, kind):
    made = isolated(f"compression {kind} {{ threshold 1; }}" if kind == "on" else f"compression {kind};")
    with made.peer(headers={"Sec-WebSocket-Extensions": "permessage-deflate"}) as peer:
        assert "permessage-deflate" in peer.headers["sec-websocket-extensions"]
        assert ("server_no_context_takeover" in peer.headers["sec-websocket-extensions"]) == (kind != "on")
    if kind == "on":
        with made.crowd(4, seeded(), deflate=True) as crowd:
            crowd.go_on(20)
    made.is_empty()


def test_subprotocols(isolated):
    made = isolated("subprotocols b.v2 b.v1;")
    for offer, chosen in [("a, b.v1, b.v2", "b.v1"), ("b.v2", "b.v2"), ("c", None)]:
        with made.peer(headers={"Sec-WebSocket-Protocol": offer}) as peer:
            assert peer.headers.get("sec-websocket-protocol") == chosen


def test_what_comes_with_the_request_is_not_lost(isolated):
    """The first message, or half of it, is in the segment that has the request."""
    made = beside(isolated)
    whole = frame(TEXT, b"n 0 at once") + frame(TEXT, b"n 1 and another")
    for path in ("/x", "/in"):
        request = (f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{made.running.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n").encode()
        for cut in (len(request), len(request) + 1, len(request) + 9, len(request + whole)):
            with made.running.connect() as client, client.makefile("rb") as stream:
                client.sendall((request + whole)[:cut])
                while stream.readline() not in (b"\r\n", b""):
                    pass
                client.sendall((request + whole)[cut:])
                for index, text in enumerate([b"n 0 at once", b"n 1 and another"]):
                    head = stream.read(2)
                    assert head[0] == 0x81 and stream.read(head[1]).startswith(b"%d " % (index + 1)), (path, cut, text)
    made.is_empty()


def test_requests_cut_anywhere(isolated):
    made = isolated()
    request = (f"GET /x?a=b HTTP/1.1\r\nHost: 127.0.0.1:{made.running.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n").encode()
    source = seeded()
    for _ in range(20):
        with made.running.connect() as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            cuts = sorted(source.randrange(1, len(request)) for _ in range(3))
            for begin, end in zip([0, *cuts], [*cuts, len(request)]):
                client.sendall(request[begin:end])
            assert client.recv(4096).startswith(b"HTTP/1.1 101 ")
    made.is_empty()


def test_pings_and_the_end(isolated):
    made = isolated()
    with made.peer() as peer:
        peer.send(frame(PING, b"there?"))
        assert peer.read_frame() == (PONG, True, b"there?")
        peer.send(frame(CLOSE, close_payload(4001, b"enough")))
        assert peer.read_frame() == (CLOSE, True, close_payload(4001, b"enough"))
        assert peer.at_end()
    made.running.wait_for("isolated closed 4001 by 1")
    for wrong, code in ((frame(TEXT, b"x", masked=False), 1002), (frame(TEXT, b"\xff"), 1007), (frame(3, b""), 1002)):
        with made.peer() as peer:
            peer.send(wrong)
            assert peer.read_close() == code and peer.at_end()
    made.peer().reset()
    made.is_empty()
    assert made.process() in made.seen


def test_limits_of_messages_and_times(isolated):
    made = isolated("max_message 1k; max_frame 1k; idle_timeout 1s;")
    with made.peer() as peer:
        peer.send(frame(BINARY, b"x" * 1025))
        assert peer.read_close() == 1009 and peer.at_end()
    with made.peer() as peer:
        assert peer.read_close() in (1000, 1001, 1011, 4000) and peer.at_end()
    made.is_empty()


# ---- plain requests

def test_requests_with_bodies(isolated):
    made = beside(isolated, "max_body 200k;")
    running = made.running
    assert plain(running) == plain(running, "/in") == (200, "1", b"")
    for size in (1, 1000, 65536, 200 * 1024):
        body = os.urandom(size)
        assert plain(running, method="POST", body=body) == (200, "1", body), size
        with running.connect() as client, client.makefile("rb") as stream:
            client.sendall(b"PUT /x HTTP/1.1\r\nHost: a:%d\r\nContent-Length: %d\r\n\r\n" % (running.port, size))
            # The body comes once the process of the handler has the head.
            eventually("the request", lambda: made.count() == 1)
            for begin in range(0, size, 30_000):
                client.sendall(body[begin:begin + 30_000])
            assert answer(stream)[1:] == (200, body)
    assert plain(running, method="POST", body=bytes(200 * 1024 + 1))[0] == 413
    assert plain(running, method="HEAD") == (200, "1", b"")
    made.is_empty()


def test_one_connection_asks_all_routes(isolated):
    """Clients keep connections of plain requests, whose routes are in this process and in that."""
    made = beside(isolated)
    for paths in (["/in", "/x", "/in", "/x"], ["/x", "/x"], ["/x", "/in", "/nowhere", "/x"]):
        connection = http.client.HTTPConnection("127.0.0.1", made.running.port, timeout=DEADLINE)
        for index, path in enumerate(paths):
            told = plain(made.running, path, "POST", f"{index} {path}".encode(), connection=connection)
            assert told == ((200, "1", f"{index} {path}".encode()) if path != "/nowhere" else (404, None, told[2])), paths
        connection.close()
    made.is_empty()


def test_requests_behind_each_other_without_waiting(isolated):
    """What is behind an answer that ends the connection is for the next one."""
    made = beside(isolated)
    requests = [b"POST %s HTTP/1.1\r\nHost: a:%d\r\nContent-Length: 2\r\n\r\n%02d" % (path.encode(), made.running.port, index)
                for index, path in enumerate(["/x", "/in", "/x", "/x", "/in", "/in", "/x"])]
    done = 0
    while done < len(requests):
        with made.running.connect() as client, client.makefile("rb") as stream:
            client.sendall(b"".join(requests[done:]))
            stays = True
            while stays and done < len(requests):
                stays, status_of_it, body = answer(stream)
                assert (status_of_it, body) == (200, b"%02d" % done)
                done += 1
    made.is_empty()


def test_a_websocket_behind_a_plain_request(isolated):
    made = beside(isolated)
    preface = f"GET /in HTTP/1.1\r\nHost: a:{made.running.port}\r\n\r\n".encode()
    with RawPeer(made.running, "/x", preface=preface) as peer:
        assert peer.status == 200
        peer._read_head()
        number(peer.opened(), 0)
    made.is_empty()


# ---- who may come in

@pytest.mark.parametrize("more, path, headers, expected", [
    ("", "/nowhere", {}, (404, b"no-route")), ("", "/x", {"Origin": "http://evil.example"}, (403, b"origin-not-allowed")),
    ("deny 127.0.0.0/8; allow all;", "/x", {}, (403, b"address-not-allowed")), ("", "/x?reject=1", {}, (403, b"")),
    ("", "/x", {"Sec-WebSocket-Version": "12"}, (426, b"")), ("", "/x", {f"a{i}": "b" for i in range(99)}, (431, b"")),
    ("", "/x", {"a": "b" * 20_000}, (431, b"")),
], ids=["no route", "origin", "address", "handler", "version", "headers", "head"])
def test_refusals_are_those_of_one_process(isolated, more, path, headers, expected):
    made = beside(isolated, more)
    with RawPeer(made.running, path, headers=headers) as peer:
        assert peer.status == expected[0] and peer.body.startswith(expected[1])
    made.is_empty()


@pytest.mark.parametrize("defaults, more, status", [
    ("max_connections 3;", "", 503), ("", "max_connections 3;", 503), ("", "max_connections_per_ip 3;", 429)],
    ids=["gateway", "route", "address"])
def test_limits_of_connections_count_those_that_are_away(isolated, defaults, more, status):
    made = isolated(more, defaults=defaults)
    for _ in range(2):
        peers = [made.peer() for _ in range(3)]
        with RawPeer(made.running, "/x") as fourth:
            assert fourth.status == status
        for index, peer in enumerate(peers):
            number(peer, 0)
            peer.close()
            peers[index] = eventually("a place", lambda: accepted(made.running, "/x"))
        with RawPeer(made.running, "/x") as fourth:
            assert fourth.status == status
        for peer in peers:
            peer.close()
        made.is_empty()


def test_a_limit_of_the_gateway_is_of_all_routes(isolated):
    made = beside(isolated, defaults="max_connections 4;")
    peers = [made.peer("/x"), made.peer("/in"), made.peer("/x"), made.peer("/in")]
    for path in ("/x", "/in"):
        with RawPeer(made.running, path) as fifth:
            assert fifth.status == 503
    peers.pop(0).close()
    peers.append(eventually("a place", lambda: accepted(made.running, "/in")))
    with RawPeer(made.running, "/x") as fifth:
        assert fifth.status == 503


def test_many_clients_come_and_go(isolated):
    """Descriptors and slots of both processes are those of whoever is there."""
    made = isolated()
    def come(count):
        for index in range(count):
            with made.peer() as peer:
                number(peer, 0)
                if index % 3 == 0:
                    peer.reset()
    come(20)
    made.is_empty()
    before = made.running.descriptor_count(), len(os.listdir(f"/proc/{made.process()}/fd"))
    threads = [threading.Thread(target=come, args=(60,)) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(LONG)
    made.is_empty()
    eventually("no descriptor is left", lambda: (
        made.running.descriptor_count(), len(os.listdir(f"/proc/{made.process()}/fd"))) == before)


# ---- several of them

def test_handlers_and_routes_side_by_side(isolated):
    """Two handlers in processes of their own, one of them on two routes, and one in the first process."""
    made = isolated(start=False, routes="route /y/:name { handler isolated; isolation process; checkpoint off; set value of-y; }\n"
                    "route /z { handler other; isolation process; set value of-z; }\n" + BESIDE, defines=["FORMAT=1"])
    for name in ("other", "inside"):
        made.build(under=name)
    made.running.start()
    with made.peer("/x") as x, made.peer("/y/1") as y, made.peer("/z") as z, made.peer("/in") as inside:
        found = [who(peer)["pid"] for peer in (x, y, z, inside)]
        assert found[0] == found[1] == made.process() and found[2] == made.process("other")
        assert found[3] == made.running.process.pid and len(set(found)) == 3
        assert z.ask("set value") == "of-z" and inside.ask("set value") == "-"
        # Topics are the route's.
        for peer in (x, y, z, inside):
            assert peer.ask("sub t") == "0"
        assert [peer.ask("pub t hello") for peer in (x, y, z, inside)] == ["0"] * 4
        assert {route["route"]: route["connections"] for route in status(made.running)["routes"]} == {
            "/x": 1, "/y/:name": 1, "/z": 1, "/in": 1}
        os.kill(made.process("other"), signal.SIGKILL)
        eventually("another process", lambda: made.processes("other") and made.process("other") != found[2])
        for peer in (x, y, inside):
            number(peer, 0)
            assert who(peer)["restored"] == 0
    with made.peer("/z") as z:
        number(z, 0)


def test_settings_reach_the_start(isolated):
    made = isolated("set value hello;")
    with made.peer() as peer:
        assert peer.ask("set value") == "hello"


# ---- the end of all

def test_stop_tells_everybody(isolated):
    made = beside(isolated)
    peers = [made.peer(path) for path in ("/x", "/x", "/in", "/x", "/x")]
    for peer in peers:
        number(peer, 0)
    process = made.process()
    told = []
    stopping = threading.Thread(target=lambda: told.append(ask(made.running, "stop")))
    stopping.start()
    for peer in peers:
        assert peer.read_close() == 1001
        peer.send(frame(CLOSE, close_payload(1001)))
        assert peer.at_end()
    stopping.join(DEADLINE)
    assert told[0].returncode == 0, told
    assert made.running.exit_status() == 0
    assert not is_there(process)
    for line in ("isolated closed 1001 by 6", "isolated stops 1"):
        assert line in made.running.log()


def test_sigterm_waits_for_closes_as_long_as_in_one_process(isolated):
    made = isolated("close_timeout 500ms;")
    process = made.process()
    with made.peer() as polite, made.peer() as silent:
        made.running.signal(signal.SIGTERM)
        assert ends_with(polite) == 1001
        assert silent.read_close() == 1001
        assert made.running.exit_status() == 0
    assert not is_there(process)


@pytest.mark.parametrize("number_of_signal", [signal.SIGKILL, signal.SIGSEGV])
def test_the_end_of_the_first_process_is_that_of_all(isolated, number_of_signal):
    made = isolated()
    process = made.process()
    with made.peer() as peer:
        number(peer, 0)
        made.running.signal(number_of_signal)
        assert made.running.exit_status() == -number_of_signal
        assert ends_with(peer) in (1001, 1006)
        eventually("the end of the handler's process", lambda: not is_there(process))


def test_two_signals_end_it_at_once(isolated):
    made = isolated("close_timeout 60s;")
    process = made.process()
    with made.peer() as peer:
        made.running.signal(signal.SIGTERM)
        assert peer.read_close() == 1001
        made.running.signal(signal.SIGTERM)
        assert made.running.exit_status() == 128 + signal.SIGTERM
    eventually("the end of the handler's process", lambda: not is_there(process))


def test_drain_refuses_and_ends(isolated):
    made = isolated()
    with made.peer() as peer:
        draining = threading.Thread(target=lambda: ask(made.running, "drain"))
        draining.start()
        made.running.wait_for("drain")
        eventually("it refuses", lambda: RawPeer(made.running, "/x").status == 503)
        number(peer, 0)
        peer.send(frame(CLOSE, close_payload(1000)))
        assert peer.read_close() == 1000
    draining.join(DEADLINE)
    assert made.running.exit_status() == 0


def test_a_signal_for_the_handlers_process_alone_is_a_crash_for_nobody(isolated):
    """Somebody who means well ends it with SIGTERM: it is the same as any other end, and what is underway goes on."""
    made = isolated("callback_stall 10s;")
    with made.peer() as peer, made.crowd(6, seeded()) as crowd:
        number(peer, 0)
        before = made.process()
        for _ in range(2):
            os.kill(made.process(), signal.SIGTERM)
            made.another()
            crowd.go_on()
        number(peer, 1)
        assert who(peer)["pid"] != before
    assert f"process {before} was told to end (SIGTERM)" in made.running.log()
    # It was no crash.
    assert made.live()["connections"] == made.count()


@pytest.mark.parametrize("number_of_signal", [signal.SIGINT, signal.SIGHUP, signal.SIGUSR2])
def test_what_a_terminal_says_to_all_is_heard_by_the_first_process_alone(isolated, number_of_signal):
    made = isolated()
    process = made.process()
    with made.peer() as peer:
        os.kill(process, number_of_signal)
        number(peer, 0)
        assert who(peer)["pid"] == made.process() == process


def test_a_signal_to_all_processes_ends_the_gateway_once(isolated):
    """As from a terminal, or a service manager with `KillMode=control-group`."""
    for number_of_signal in (signal.SIGINT, signal.SIGTERM):
        made = isolated()
        processes = [made.running.process.pid, made.process()]
        with made.peer() as peer:
            number(peer, 0)
            for each in processes:
                os.kill(each, number_of_signal)
            assert ends_with(peer) == 1001
            assert made.running.exit_status() == 0
        assert not is_there(processes[1])


@pytest.mark.parametrize("route", ["", "isolation process;", "isolation process; checkpoint message;"])
def test_other_threads_hear_once_that_they_may_go_on(isolated, route):
    """Whoever goes on as soon as it hears that never has more under way than `send_buffer`."""
    made = isolated("send_buffer 1m;", route=route, start=False)
    made.running.start()
    with made.peer() as peer:
        for round_ in range(1, 4):
            say(peer, "aside 200 4000")
            for index in range(200):
                assert peer.read_message()[1] == b"%c" % (97 + index % 26) * 4000
            eventually("it has drained", lambda: who(peer)["drained"] >= round_)
            assert who(peer)["drained"] == round_

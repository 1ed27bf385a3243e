"""`gateway connections`: who is connected, with filters, sorted, and without holding anything up."""
import json
import re

import pytest

from gateway_process import eventually
from raw_peer import TEXT, RawPeer, frame
from test_control import ask, control
from test_cost import held_up, sleeping
from test_tls import certificate, listen, trust

ROUTES = "route /echo { handler echo; subprotocols a.v1; }\nroute /chat { handler chat; }\n"


def connections(running, *options):
    said = ask(running, "connections", "--json", *options)
    assert (said.returncode, said.stderr) == (0, ""), said
    return json.loads(said.stdout)


def ids(running, *options):
    return [each["id"] for each in connections(running, *options)["connections"]]


def test_a_table_for_people(make_gateway):
    running = make_gateway(routes=ROUTES).start()
    assert ask(running, "connections").stdout == "no connections\n"
    with RawPeer(running).opened() as peer:
        peer.send(frame(TEXT, b"hello"))
        peer.read_frame()
        said = ask(running, "connections")
        assert (said.returncode, said.stderr) == (0, "")
        head, row = said.stdout.splitlines()
        assert head.split("  ")[0] == "ID" and "PEER" in head and "SUBPROTOCOL" not in head
        assert re.match(r"^[0-9a-f]+ +127\.0\.0\.1:\d+ +/echo +echo +1 +open +[\d.]+s +[\d.]+s +1 +1 +\d+ +\d+ +0$", row)
        assert max(map(len, said.stdout.splitlines())) <= 120


def test_an_object_for_programs(make_gateway):
    running = make_gateway(routes=ROUTES).start()
    with RawPeer(running, headers={"Sec-WebSocket-Protocol": "a.v1"}).opened() as peer:
        for _ in range(3):
            peer.send(frame(TEXT, b"hello"))
            peer.read_frame()
        found = connections(running)
        assert found["matched"] == 1
        row, = found["connections"]
        port = peer.socket.getsockname()[1]
        assert row["peer"] == f"127.0.0.1:{port}"
        assert (row["route"], row["handler"], row["generation"], row["state"]) == ("/echo", "echo", 1, "open")
        assert (row["messages_in"], row["messages_out"]) == (3, 3)
        # A frame of five bytes has a header of two, and a client's has a key of four besides.
        assert row["bytes_in"] >= 3 * 11 and row["bytes_out"] >= 3 * 7
        assert (row["tls"], row["subprotocol"], row["queued_bytes"]) == (None, "a.v1", 0)
        assert 0 <= row["idle_ms"] <= row["age_ms"] + 32


def test_filters(make_gateway):
    running = make_gateway(routes=ROUTES).start()
    with RawPeer(running).opened(), RawPeer(running, "/chat").opened(), running.connect():
        everybody = connections(running)["connections"]
        assert sorted(each["state"] for each in everybody) == ["open", "open", "request"]
        echo, = (each["id"] for each in everybody if each["route"] == "/echo")
        chat, = (each["id"] for each in everybody if each["route"] == "/chat")
        assert ids(running, "--route", "/echo") == [echo]
        assert ids(running, "--handler=chat") == [chat]
        assert sorted(ids(running, "--generation", "1")) == sorted([echo, chat])
        assert ids(running, "--generation", "2") == []
        assert len(ids(running, "--peer", "127.0.0.0/8")) == 3
        assert ids(running, "--peer", "10.0.0.0/8") == []
        assert ids(running, "--id", chat) == [chat]
        assert ids(running, "--route", "/echo", "--handler", "chat") == []
        shown = connections(running, "--limit", "2")
        assert (shown["matched"], len(shown["connections"])) == (3, 2)
        assert "2 of 3 connections are shown; --limit N shows more" in ask(running, "connections", "--limit", "2").stdout


def test_the_order_is_that_of_the_key(make_gateway):
    running = make_gateway().start()
    peers = [RawPeer(running).opened() for _ in range(5)]
    for count, peer in enumerate(peers):
        for _ in range(count):
            peer.send(frame(TEXT, b"x" * 50))
            peer.read_frame()
    counts = [each["messages_in"] for each in connections(running, "--sort", "messages:desc")["connections"]]
    assert counts == [4, 3, 2, 1, 0]
    counts = [each["messages_in"] for each in connections(running, "--sort", "bytes")["connections"]]
    assert counts == [0, 1, 2, 3, 4]
    for key in ("age", "idle", "queue:desc"):
        assert len(ids(running, "--sort", key)) == 5
    for peer in peers:
        peer.close()


def test_what_waits_for_a_slow_peer_shows(make_gateway):
    running = make_gateway(routes="route /echo { handler echo; send_buffer 1m; }").start()
    with RawPeer(running, receive_buffer=4096).opened() as slow, RawPeer(running).opened():
        slow.socket.setblocking(False)
        data = rest = frame(TEXT, b"x" * 10_000)

        def fill():
            nonlocal rest
            try:
                while True:
                    rest = rest[slow.socket.send(rest):] or data
            except BlockingIOError:
                first = connections(running, "--sort", "queue:desc", "--limit", "1")["connections"][0]
                return first if first["queued_bytes"] > 0 else None

        assert eventually("something waits", fill)["peer"].endswith(f":{slow.socket.getsockname()[1]}")


def test_one_that_closes_is_shown_as_such(make_gateway):
    running = make_gateway(routes="route /echo { handler echo; close_timeout 60s; }").start()
    with RawPeer(running).opened() as peer:
        peer.send(frame(TEXT, b"\xff"))
        assert peer.read_close() == 1007
        # The gateway has ended its side and waits for the end of ours.
        eventually("it is closing", lambda: [each["state"] for each in connections(running)["connections"]] == ["closing"])


def over_tls(make_gateway, folder):
    """A gateway whose only listener speaks TLS, and a connection to it."""
    certificate(folder, "first", "localhost")
    made = make_gateway(listen=(), main=listen("first"), routes=ROUTES)
    made.listen = ("tls",)
    running = made.start()
    return running, trust(folder, "first").wrap_socket(running.connect(), server_hostname="localhost")


def test_the_version_of_tls(make_gateway, tmp_path):
    running, peer = over_tls(make_gateway, tmp_path)
    with peer:
        row, = eventually("it is there", lambda: [
            each for each in connections(running)["connections"] if each["tls"]])
        assert row["tls"] == peer.version() and row["state"] == "request"
        assert peer.version() in ask(running, "connections").stdout


def test_thousands_are_all_there(make_gateway):
    total = 2000
    running = make_gateway(main="threads 2;", descriptors=2 * total + 500).start()
    peers = [RawPeer(running).opened() for _ in range(total)]
    found = connections(running, "--limit", "50000")
    assert found["matched"] == total and len({each["id"] for each in found["connections"]}) == total
    assert {int(each["id"], 16) >> 56 for each in found["connections"]} == {0, 1}
    assert len(ask(running, "connections").stdout.splitlines()) == 1000 + 2
    for peer in peers:
        peer.close()


def test_a_worker_that_is_held_up_is_named_and_the_others_answer(make_gateway):
    running = sleeping(make_gateway, "route /slow { handler sleeper; }\nroute /echo { handler echo; }")
    others = [RawPeer(running).opened() for _ in range(6)]
    peer, fifo = held_up(running)
    said = ask(running, "connections", "--json")
    assert said.returncode == 1
    found = json.loads(said.stdout)
    assert len(found["silent_workers"]) == 1
    assert 0 < len(found["connections"]) < 7
    fifo.write(b"x")
    peer.read_message()
    assert len(ids(running)) == 7
    for each in [*others, peer]:
        each.close()


def test_a_client_that_does_not_read_or_leaves_holds_nothing_up(make_gateway):
    running = make_gateway().start()
    with RawPeer(running).opened():
        silent = [control(running, b"connections json\n") for _ in range(2)]
        for _ in range(5):
            control(running, b"connections\n").close()
        assert len(ids(running)) == 1
        for each in silent:
            each.close()


@pytest.mark.parametrize("words, sentence", [
    (["--sort", "size"], "--sort is one of age, messages, bytes, queue, idle, and perhaps :desc behind it"),
    (["--limit", "0"], "--limit is a number from 1 to 50000"),
    (["--peer", "nowhere"], '--peer "nowhere" is no numeric address or network'),
    (["--id", "xyz"], '"xyz" is no id of a connection'),
    (["--colour", "x"], 'unknown option "--colour" of "connections"'),
    (["now"], 'unexpected "now"'),
])
def test_what_cannot_be_followed_is_said(gateway, words, sentence):
    said = ask(gateway, "connections", *words)
    assert (said.returncode, said.stdout) == (2, "")
    assert f"error: {sentence}" in said.stderr
    assert "gateway connections --help" in said.stderr


def test_nobody_there(make_gateway):
    said = ask(make_gateway(), "connections")
    assert (said.returncode, said.stdout) == (69, "")

"""What handlers send from threads of their own: in order, bounded, and kept as promised."""
import os
import threading

import pytest

import c_handler
from gateway_process import eventually
from raw_peer import BINARY, CLOSE, CONTINUATION, TEXT, RawPeer, close_payload, frame

ROUTES = "route /loop { handler %s; }\nroute /pool { handler %s; dispatch pool; }"


@pytest.fixture
def serving(make_gateway):
    """Starts a gateway with one handler in C on a loop and on the pool."""
    def start(name, main="threads 2;", routes=None, also=()):
        running = make_gateway(main=main, routes=routes or ROUTES % (name, name))
        for under in (name, *also):
            c_handler.build(running, name, under=under)
        return running.start()
    return start


def number(running, word, at=-1):
    """What a handler told the log under a word; the line may be on its way."""
    running.wait_for(f": {word} ")
    lines = [line for line in running.log().splitlines() if f": {word} " in line]
    return int(lines[at].rpartition(" ")[2])


# ---- fragments

def test_a_fragment_of_the_callback_comes_behind_what_a_thread_sent_before(serving):
    running = serving("streams")
    with RawPeer(running, "/loop").opened() as peer:
        peer.send(frame(TEXT, b"1"))
        peer.send(frame(TEXT, b"2"))
        assert [peer.read_frame() for _ in range(4)] == [
            (BINARY, False, b"AAAA"), (CONTINUATION, True, b"AAAA"),
            (BINARY, False, b"BBBB"), (CONTINUATION, True, b"bbbb")]


@pytest.mark.parametrize("path", ["/loop", "/pool"])
def test_a_message_may_follow_the_last_fragment_of_a_thread(serving, path):
    with RawPeer(serving("streams"), path).opened() as peer:
        peer.send(frame(TEXT, b"1") + frame(TEXT, b"3") + frame(TEXT, b"?"))
        assert peer.read_message() == (BINARY, b"AAAAAAAA")
        assert peer.read_message() == (BINARY, b"reply")
        assert peer.read_message() == (TEXT, b"0")


@pytest.mark.parametrize("path", ["/loop", "/pool"])
def test_streams_of_jobs_never_mix(serving, path):
    running, faults = serving("streams"), []

    def client():
        try:
            with RawPeer(running, path).opened() as peer:
                for _ in range(1500):
                    peer.send(frame(TEXT, b"J"))
                    assert peer.read_message() == (BINARY, b"j" * 4000)
        except (AssertionError, EOFError, OSError) as fault:
            faults.append(repr(fault))
    clients = [threading.Thread(target=client) for _ in range(3)]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    assert faults == []


# ---- promises

@pytest.mark.parametrize("path", ["/loop", "/pool"])
def test_what_a_thread_was_promised_goes_before_the_close_of_the_callback(serving, path):
    running = serving("promises")
    for _ in range(20):
        with RawPeer(running, path).opened() as peer:
            peer.send(frame(TEXT, b"close"))
            for each in range(50):
                assert peer.read_frame() == (TEXT, True, str(each).encode())
            assert peer.read_frame() == (CLOSE, True, close_payload(4000, b"done"))
            peer.send(frame(CLOSE, close_payload(4000)))
            assert peer.at_end()


def test_what_a_thread_was_promised_goes_before_the_answer_to_the_peers_close(serving):
    running = serving("promises", main="threads 2; defaults { send_buffer 64m; }")
    for turn in range(1, 21):
        with RawPeer(running, "/loop").opened() as peer:
            peer.send(frame(TEXT, b"run"))
            heard = int(peer.read_frame()[2])
            peer.send(frame(CLOSE, close_payload(1000)))
            while (got := peer.read_frame())[0] == TEXT:
                heard += 1
                assert int(got[2]) == heard
            assert got == (CLOSE, True, close_payload(1000))
        eventually("the thread has ended", lambda: running.log().count(": taken ") == turn)
        assert number(running, "taken") == heard + 1


@pytest.mark.parametrize("path", ["/loop", "/pool"])
def test_an_aborted_connection_is_dead_at_once(serving, path):
    running = serving("promises")
    with RawPeer(running, path).opened() as peer:
        peer.send(frame(TEXT, b"abort"))
        assert peer.at_end()
    running.wait_for(": closed 1006")
    running.wait_for(": by 2")
    answers = [number(running, word) for word in ("abort", "send", "fragment", "ping", "close", "again")]
    assert answers == [0, -1, -1, -1, -1, -1]


def test_another_handlers_connection_cannot_be_aborted(serving):
    routes = "route /loop { handler promises; }\nroute /other { handler other; }"
    running = serving("promises", routes=routes, also=["other"])
    with RawPeer(running, "/loop").opened() as peer, RawPeer(running, "/other").opened() as other:
        foreign = peer.ask("who")
        assert other.ask(f"abort {foreign}\0") == "0"
        assert number(running, "abort") == -1
        assert peer.ask("who") == foreign


# ---- flow

@pytest.mark.parametrize("path", ["/loop", "/pool"])
@pytest.mark.parametrize("sender", ["C", "T"])
def test_a_sender_that_keeps_to_the_rule_is_never_dropped(serving, path, sender):
    running, faults = serving("flood", main="threads 2; defaults { send_buffer 256k; }"), []

    def client(receive_buffer):
        try:
            with RawPeer(running, path, receive_buffer=receive_buffer).opened() as peer:
                peer.send(frame(TEXT, sender.encode()))
                for _ in range(100):
                    assert peer.read_message() == (BINARY, bytes(100000))
        except (AssertionError, EOFError, OSError) as fault:
            faults.append(repr(fault)[:100])
    clients = [threading.Thread(target=client, args=(size,)) for size in (2048, 8192, 30000, None) * 3]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    assert faults == []


@pytest.mark.parametrize("size, count", [(100_000, 120), (300_000, 60), (1_000_000, 20)])
@pytest.mark.parametrize("path", ["/loop", "/pool"])
def test_an_echo_of_more_than_the_peer_reads_is_not_read_from(make_gateway, path, size, count):
    running = make_gateway(routes=ROUTES % ("echo", "echo"), main="defaults { max_message 1m; max_frame 1m; }").start()
    with RawPeer(running, path).opened() as peer:
        sent = threading.Event()

        def feed():
            for each in range(count):
                peer.send(frame(BINARY, bytes([each]) * size))
            sent.set()
        feeder = threading.Thread(target=feed)
        feeder.start()
        # Far more than the kernel keeps for a socket: it stands still, or everything has come back.
        sent.wait(0.5)
        for each in range(count):
            assert peer.read_message() == (BINARY, bytes([each]) * size)
        feeder.join()


@pytest.mark.parametrize("path", ["/loop", "/pool"])
def test_what_came_before_the_peers_close_is_answered(make_gateway, path):
    running = make_gateway(routes=ROUTES % ("echo", "echo")).start()
    for _ in range(20):
        with RawPeer(running, path).opened() as peer:
            texts = [str(each).encode() for each in range(200)]
            peer.send(b"".join(frame(TEXT, text) for text in texts) + frame(CLOSE, close_payload(4321, b"bye")))
            assert [peer.read_frame() for _ in texts] == [(TEXT, True, text) for text in texts]
            assert peer.read_frame() == (CLOSE, True, close_payload(4321, b"bye"))
            assert peer.at_end()


# ---- requests

def test_the_next_request_waits_for_the_callback_that_has_answered_the_one_before(make_gateway):
    running = make_gateway(main="threads 1;", routes="route /a { handler answers; dispatch pool; }\n"
                                                     "route /echo { handler echo; }")
    c_handler.build(running, "answers")
    running.start()
    gate = running.folder / "gate"
    os.mkfifo(gate)
    request = f"GET /a?{gate} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    with running.connect() as plain, RawPeer(running).opened() as other:
        plain.sendall(request + request)
        running.wait_for(": inside 1")
        # The worker has had its chance to begin the other one.
        for _ in range(20):
            assert other.ask("there?") == "there?"
        assert running.log().count(": inside ") == 1
        for turn in (1, 2):
            open(gate, "wb").close()
            assert plain.recv(65536).startswith(b"HTTP/1.1 200 ")
            eventually("the next one", lambda: turn == 2 or running.log().count(": inside ") == 2)
    assert running.log().count(": inside 1") == 2

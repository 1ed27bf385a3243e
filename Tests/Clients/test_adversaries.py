"""Peers that keep to the letter of the protocol, or nearly, and mean no good: what one of them costs is bounded."""
import os
import socket
import subprocess
import threading

import pytest

from gateway_process import BINARY, DEADLINE, eventually
from raw_peer import BINARY as OCTETS
from raw_peer import CLOSE, CONTINUATION, PING, TEXT, RawPeer, frame
from test_control import ask, status
from test_limits import answers
from test_memory import mebibytes


@pytest.mark.parametrize("octets", [0, 1])
def test_many_small_fragments_take_no_more_than_what_is_in_them(make_gateway, octets):
    running = make_gateway(main="threads 1;", routes="route /echo { handler echo; max_message 64k; }").start()
    peers = [RawPeer(running).opened() for _ in range(20)]
    before = mebibytes(running)
    run = frame(CONTINUATION, b"x" * octets, fin=False) * 1000
    for peer in peers:
        peer.send(frame(OCTETS, b"", fin=False))
        for _ in range(60):
            peer.send(run)
    # An answer to a ping says that all before it has been read.
    for peer in peers:
        peer.send(frame(PING, b"read"))
        assert peer.read_frame()[2] == b"read"
    assert mebibytes(running) - before < 20 * 0.125 + 8
    for peer in peers:
        peer.send(frame(CONTINUATION, b"end"))
        assert peer.read_message() == (OCTETS, b"x" * octets * 60_000 + b"end")
        peer.close()


def test_fragments_beyond_max_message_end_with_1009_at_the_first_octet_too_many(make_gateway):
    running = make_gateway(routes="route /echo { handler echo; max_message 64k; }").start()
    with RawPeer(running).opened() as exact, RawPeer(running).opened() as more:
        for peer in (exact, more):
            peer.send(frame(OCTETS, b"", fin=False) + frame(CONTINUATION, b"x" * 64, fin=False) * 1023)
        exact.send(frame(CONTINUATION, b"x" * 64))
        assert exact.read_message() == (OCTETS, b"x" * 65536)
        more.send(frame(CONTINUATION, b"x" * 65))
        assert more.read_close() == 1009


def test_a_flood_of_pings_that_is_not_read_is_not_answered_for_ever(make_gateway):
    running = make_gateway(main="threads 1; defaults { send_buffer 64k; ping_interval off; }").start()
    with RawPeer(running, receive_buffer=4096).opened() as deaf, RawPeer(running).opened() as other:
        before = mebibytes(running)
        deaf.socket.settimeout(1)
        sent, run = 0, frame(PING, b"x" * 125) * 100
        with pytest.raises((TimeoutError, ConnectionError)):
            # In the end the gateway stops reading, or drops it.
            while sent < 400 << 20:
                deaf.socket.sendall(run)
                sent += len(run)
        assert answers(other)
        assert mebibytes(running) - before < 8


def test_a_peer_that_goes_on_talking_does_not_hold_up_the_end(make_gateway):
    running = make_gateway(main="defaults { close_timeout 500ms; }").start()
    peer = RawPeer(running).opened()
    over = threading.Event()

    def talk():
        try:
            while not over.is_set():
                peer.send(frame(OCTETS, b"x" * 10_000))
        except OSError:
            pass

    def listen():
        try:
            while peer.socket.recv(1 << 20):
                pass
        except OSError:
            pass
    talking, listening = threading.Thread(target=talk), threading.Thread(target=listen)
    talking.start()
    listening.start()
    running.signal()
    assert running.exit_status() == 0
    over.set()
    talking.join(DEADLINE)
    listening.join(DEADLINE)
    peer.close()


def test_whoever_reads_the_log_may_go(make_gateway):
    running = make_gateway()
    running.file.write_text(running.file.read_text().replace("access_log off;", "access_log stderr text;"))
    reading, writing = os.pipe()
    running.process = subprocess.Popen([BINARY, "-c", running.file], cwd=running.folder, stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=writing)
    os.close(writing)
    try:
        eventually("it answers", lambda: ask(running, "status").returncode == 0)
        running.lines.append(f"listening on {status(running)['listeners'][0]}")
        os.close(reading)
        for _ in range(100):
            with RawPeer(running).opened() as peer:
                assert answers(peer)
        assert ask(running, "reload").returncode == 0
        running.signal()
        assert running.process.wait(DEADLINE) == 0
    finally:
        if running.process.poll() is None:
            running.process.kill()
            running.process.wait(DEADLINE)


@pytest.mark.parametrize("line", [
    b"GET /\x1b[31mred HTTP/1.1", b"GET /%1b[31m%0aerror:%20forged HTTP/1.1", b"GET /\xc2\x9b31m HTTP/1.1",
    b"GET /a\rerror: forged HTTP/1.1", b"GET /\xff\xfe HTTP/1.1", b"G\x1bT / HTTP/1.1"])
def test_what_peers_say_cannot_forge_the_log(make_gateway, line):
    running = make_gateway()
    running.file.write_text(running.file.read_text().replace("access_log off;", "access_log stderr text;")
                            .replace("error_log stderr info;", "error_log stderr debug;"))
    running.start()
    with running.connect() as peer:
        peer.sendall(line + b"\r\nHost: a\r\nUser-Agent: \x1b[31m\r\nConnection: close\r\n\r\n")
        answer = b""
        while more := peer.recv(65536):
            answer += more
        assert answer.startswith(b"HTTP/1.1 4")
    running.stop()
    assert not any(mark in running.log() for mark in ("\x1b", "\x9b", "\r", "\ufffd"))
    assert not any(row.startswith("error: forged") for row in running.lines)


def test_nothing_of_a_peer_becomes_anybody_elses(make_gateway):
    """Whatever one peer does, the bytes of another one stay its own."""
    running = make_gateway(main="threads 1;").start()
    with RawPeer(running).opened() as steady:
        for number, data in enumerate([
                b"\x82\xff" + b"\xff" * 8, b"\x82\xff\x80" + bytes(7), frame(OCTETS, b"x" * 300)[:100], b"\xff" * 100,
                frame(CLOSE, b"\x03"), frame(TEXT, b"\xff"), b"\x81\x7e\x00\x01", b"\x89\xfe\x00\x7e" + bytes(130)]):
            with RawPeer(running).opened() as wild:
                wild.send(data)
                wild.socket.shutdown(socket.SHUT_WR)
                try:
                    while wild.socket.recv(65536):
                        pass
                except ConnectionError:
                    pass
            assert answers(steady, b"%d" % number)

"""What handlers can make the gateway keep is bounded by what lives, and by what its limits say."""
import contextlib
import socket
import threading

import c_handler
from gateway_process import eventually
from raw_peer import BINARY, TEXT, RawPeer, frame


def serving(make_gateway, name, main=""):
    running = make_gateway(main=f"threads 1; {main}", routes=f"route /{name} {{ handler {name}; }}")
    c_handler.build(running, name)
    return running.start()


def mebibytes(running):
    return int((running.proc / "statm").read_text().split()[1]) / 256


def test_a_cancelled_timer_is_forgotten(make_gateway):
    running = serving(make_gateway, "timers")
    with RawPeer(running, "/timers").opened() as peer:
        peer.ask("1000")
        before = mebibytes(running)
        for _ in range(400):
            peer.ask("5000")
        assert mebibytes(running) - before < 8


def test_timers_of_connections_that_have_ended_are_forgotten(make_gateway):
    running = serving(make_gateway, "timers")
    with RawPeer(running, "/timers").opened() as peer:
        peer.ask("+1024")
    before = mebibytes(running)
    for _ in range(1000):
        with RawPeer(running, "/timers").opened() as peer:
            peer.ask("+1024")
    eventually("their memory back", lambda: mebibytes(running) - before < 8)


def test_publications_behind_an_open_stream_count(make_gateway):
    running = serving(make_gateway, "held")
    with RawPeer(running, "/held").opened() as streaming, RawPeer(running, "/held").opened() as peer:
        streaming.send(frame(TEXT, b"stream"))
        assert streaming.read_frame() == (TEXT, False, b"part")
        before = mebibytes(running)
        reached = 0
        for _ in range(300):
            peer.send(frame(BINARY, b"x" * 200_000))
            reached += int(peer.read_message()[1])
        assert mebibytes(running) - before < 8
        # Five of them are a send_buffer; the sixth is the one that finds that out.
        assert reached in (5, 6)
        assert streaming.read_close() == 1013
        running.wait_for(": closed 1013")


def test_small_publications_behind_an_open_stream_count(make_gateway):
    running = serving(make_gateway, "held", main="defaults { send_buffer 64k; }")
    with RawPeer(running, "/held").opened() as streaming, RawPeer(running, "/held").opened() as peer:
        streaming.send(frame(TEXT, b"stream"))
        assert streaming.read_frame() == (TEXT, False, b"part")
        for _ in range(200):
            peer.send(b"".join(frame(BINARY, b"x" * 500) for _ in range(20)))
            for _ in range(20):
                peer.read_message()
        running.wait_for(": closed 1013")


def test_a_member_that_is_left_out_of_most_does_not_keep_it(make_gateway):
    running = serving(make_gateway, "except", main="defaults { send_buffer 4m; }")
    with RawPeer(running, "/except", receive_buffer=2048).opened() as watched, \
            RawPeer(running, "/except").opened() as reader, RawPeer(running, "/except").opened() as peer:
        watched.ask("watch")
        reader.ask("join")
        reader.socket.settimeout(None)

        def drain():
            with contextlib.suppress(OSError):
                while reader.socket.recv(1 << 20):
                    pass
        draining = threading.Thread(target=drain)
        draining.start()
        while int(peer.ask("fill")) < 50_000:
            pass
        before, charged = mebibytes(running), int(peer.ask("queued"))
        for _ in range(1000):
            now = int(peer.ask("round"))
        assert now - charged < 64 * 1024
        assert mebibytes(running) - before < 12
        reader.socket.shutdown(socket.SHUT_RDWR)
        draining.join()

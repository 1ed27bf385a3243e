"""dispatch pool: handlers that block, as their clients see them."""
import os
import signal
from pathlib import Path

import pytest

from raw_peer import CLOSE, PING, PONG, TEXT, RawPeer, close_payload, frame
from test_control import ask
from test_handlers import compile_handler, said

SLEEPER = Path(__file__).parent / "sleeper.c"
ROUTES = "route /slow { handler sleeper; dispatch pool; }\nroute /echo { handler echo; }"


@pytest.fixture
def running(make_gateway):
    made = make_gateway(main="threads 1;", routes=ROUTES)
    compile_handler(made, "sleeper", SLEEPER)
    return made.start()


def blocked(running):
    """A peer whose handler waits, and the end of the FIFO that it waits for."""
    path = running.folder / f"fifo{len(list(running.folder.iterdir()))}"
    os.mkfifo(path)
    peer = RawPeer(running, "/slow").opened()
    peer.send(frame(TEXT, str(path).encode()))
    # Opening returns when the handler has opened the other end.
    return peer, open(path, "wb", buffering=0), str(path).encode()


def heard(peer):
    """The next frame as (opcode, payload)."""
    opcode, _, payload = peer.read_frame()
    return opcode, payload


def test_nobody_waits_for_a_handler_that_blocks(running):
    held = [blocked(running) for _ in range(8)]
    assert said(running, "/slow", b"quick") == b"quick"
    assert said(running, "/echo", b"quick") == b"quick"
    for peer, _, _ in held:
        peer.send(frame(PING, b"there?") + frame(TEXT, b"next"))
        assert heard(peer) == (PONG, b"there?")
    for peer, pipe, path in held:
        pipe.write(b"x")
        assert heard(peer) == (TEXT, path)
        assert heard(peer) == (TEXT, b"next")
        peer.close()


def test_more_may_block_than_there_are_threads(running):
    held = [blocked(running) for _ in range(64)]
    late = RawPeer(running, "/slow")
    assert late.status == 101
    late.send(frame(TEXT, b"late") + frame(PING, b"p"))
    assert heard(late) == (PONG, b"p")
    assert said(running, "/echo", b"quick") == b"quick"
    held[0][1].write(b"x")
    assert heard(late) == (TEXT, b"late")
    for _, pipe, _ in held[1:]:
        pipe.write(b"x")


def test_the_end_waits_for_what_blocks(running):
    peer, pipe, _ = blocked(running)
    running.signal(signal.SIGTERM)
    assert heard(peer)[0] == CLOSE
    peer.send(frame(CLOSE, close_payload(1001)))
    pipe.write(b"x")
    assert running.exit_status() == 0


def test_a_crash_on_the_pool_is_told(running):
    peer = RawPeer(running, "/slow").opened()
    peer.send(frame(TEXT, b"crash"))
    running.exit_status()
    line = next(line for line in running.lines if "sleeper" in line and "message" in line)
    assert "/slow" in line


def test_the_directive_is_shown(running):
    shown = ask(running, "explain", "/slow").stdout
    assert any(line.split()[:2] == ["dispatch", "pool"] for line in shown.splitlines())

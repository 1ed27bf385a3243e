"""A message larger than what the gateway may hold goes through it both ways: fragment() and send_fragment()."""
import hashlib
import socket

import pytest

from gateway_process import Gateway
from raw_peer import BINARY, CONTINUATION, PING, PONG, TEXT, RawPeer, frame
from streams import MIB, Peak, Sending, digest, fragmented, frames

PREFIX = b"Server Response to: "
SIZE = 64 * MIB
ROOM = 4 * MIB  # it takes between 1 and 2
MIXED = ("Grüße, 世界, مرحبا, 🎈👩‍👩‍👧 and plain letters. " * (SIZE // 74)).encode()
EVERY = bytes(range(256)) * (SIZE // 256)


@pytest.fixture(params=["", "threads 1;"], ids=["all workers", "one worker"])
def running(request, tmp_path):
    with Gateway(tmp_path, main=request.param, routes="route /prefix { handler echo-prefix; max_message 1g; }") as made:
        yield made


def answer(incoming, opcode):
    """Reads a message; its digest, its length, and how many frames it had. Text must be text in each frame."""
    seen, length, count = hashlib.sha256(), 0, 0
    for kind, is_final, payload in incoming:
        assert kind == (opcode if count == 0 else CONTINUATION)
        if opcode == TEXT:
            payload.decode()  # RFC 6455 does not ask for it, the gateway promises it: cut between characters
        seen.update(payload)
        length += len(payload)
        count += 1
        if is_final:
            return seen.digest(), length, count
    raise AssertionError("the stream ended within the message")


@pytest.mark.parametrize("opcode, message", [(TEXT, MIXED), (BINARY, EVERY)], ids=["text", "binary"])
@pytest.mark.parametrize("size", [SIZE * 2, 65_521], ids=["one frame", "frames cut anywhere"])
def test_64_mib_both_ways_in_little_memory(running, opcode, message, size):
    with RawPeer(running, "/prefix", timeout=60).opened() as peer:
        incoming = frames(peer)
        peak = Peak(running)
        sending = Sending(peer, fragmented(opcode, message, size))
        seen, length, count = answer(incoming, opcode)
        sending.join()
        assert (length, seen) == (len(PREFIX + message), digest(PREFIX + message))
        assert count > 100, "it was not held back until it was whole"
        assert peak.growth() < ROOM
        # And the next message on the same connection.
        peer.send(frame(opcode, b"small"))
        assert b"".join(payload for _, payload in until_final(incoming)) == PREFIX + b"small"


def until_final(incoming):
    for _, is_final, payload in incoming:
        yield is_final, payload
        if is_final:
            return


def test_one_that_does_not_read_is_not_read_from(running):
    """The client's own send blocks after what fits into sockets and `send_buffer`; nothing is lost by it."""
    with RawPeer(running, "/prefix", timeout=60).opened() as peer:
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MIB)
        peak = Peak(running)
        data = memoryview(b"".join(fragmented(BINARY, EVERY, MIB)))
        sent = until_blocked(peer, data)
        assert sent < len(data) // 2, "the gateway took it all"
        assert peak.growth() < ROOM
        incoming = frames(peer)
        sending = Sending(peer, [data[sent:]])
        seen, length, _ = answer(incoming, BINARY)
        sending.join()
        assert (length, seen) == (len(PREFIX + EVERY), digest(PREFIX + EVERY))
        assert peak.growth() < ROOM


def until_blocked(peer, data):
    """Sends until the other side has not taken a byte for a second; how many it took."""
    sent = 0
    peer.socket.settimeout(1)
    try:
        while sent < len(data):
            sent += peer.socket.send(data[sent:sent + MIB])
    except TimeoutError:
        pass
    peer.socket.settimeout(60)
    return sent


def test_a_ping_in_the_middle_of_a_stream_is_answered(running):
    with RawPeer(running, "/prefix").opened() as peer:
        peer.send(frame(TEXT, "Grü".encode()[:3], fin=False))  # ends within the ü
        assert peer.read_frame() == (TEXT, False, PREFIX + b"Gr")
        peer.send(frame(PING, b"now"))
        assert peer.read_frame() == (PONG, True, b"now")
        peer.send(frame(CONTINUATION, "ü".encode()[1:] + "ße".encode()))
        assert peer.read_frame() == (CONTINUATION, True, "üße".encode())


def test_text_that_is_none_ends_the_connection_in_mid_stream(running):
    with RawPeer(running, "/prefix").opened() as peer:
        peer.send(frame(TEXT, b"fine ", fin=False))
        assert peer.read_frame() == (TEXT, False, PREFIX + b"fine ")
        peer.send(frame(CONTINUATION, b"\xff", fin=False))
        assert peer.read_close() == 1007


def test_a_message_beyond_the_limit_ends_the_connection(make_gateway):
    running = make_gateway(routes="route /prefix { handler echo-prefix; max_message 1m; }").start()
    with RawPeer(running, "/prefix").opened() as peer:
        Sending(peer, fragmented(BINARY, EVERY[:2 * MIB], 1000))
        assert peer.read_close() == 1009

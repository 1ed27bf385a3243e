"""What a peer can make the gateway keep by being odd, under the defaults, beyond the messages that it is allowed."""
import resource
import ssl

import pytest

from gateway_process import eventually
from raw_peer import CONTINUATION, PING, TEXT, RawPeer, frame
from test_control import status
from test_memory import mebibytes
from test_tls import certificate, listen

CLIENT = ssl.create_default_context()
PEERS = 1000
# KiB; of a peer with nothing to its name it is less than one.
MOST = 64
# All else is the defaults: on a machine that is busy some would have been sent away before the last ones come.
MAIN = "threads 2; defaults { handshake_timeout 2m; ping_interval 2m; }"


@pytest.fixture(autouse=True)
def many_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def push(peer, data):
    """Sends as much as goes without waiting."""
    peer.setblocking(False)
    sent = 0
    try:
        while sent < len(data):
            sent += peer.send(data[sent:sent + 65536])
    except BlockingIOError:
        pass
    return sent


def opened(running):
    return RawPeer(running, receive_buffer=4096).opened().socket


def half_head(running):
    peer = running.connect()
    peer.sendall(b"GET /echo HTTP/1.1\r\nHost: localhost\r\nX-Filler: " + b"x" * 15_000)
    return peer


def half_frame(running):
    """The header of a message as large as may be, and very little of it."""
    peer = opened(running)
    peer.sendall(frame(TEXT, b"x" * (1 << 20))[:100])
    return peer


def empty_fragments(running):
    peer = opened(running)
    peer.sendall(frame(TEXT, b"x", fin=False) + frame(CONTINUATION, b"", fin=False) * 5000)
    return peer


def small_fragments(running):
    """A message of 2,000 bytes in as many frames."""
    peer = opened(running)
    peer.sendall(frame(TEXT, b"x", fin=False) + frame(CONTINUATION, b"x", fin=False) * 2000)
    return peer


def unread_pongs(running):
    peer = opened(running)
    # Several times what a socket takes at both ends, unless it is a very patient one.
    push(peer, frame(PING, b"x" * 125) * 4000)
    return peer


def half_hello(running):
    peer = running.connect()
    hello = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        CLIENT.wrap_bio(*hello, server_hostname="localhost").do_handshake()
    peer.sendall(hello[1].read()[:200])
    return peer


def answered_hello(running):
    """A whole ClientHello, and no word after it."""
    peer = running.connect()
    hello = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        CLIENT.wrap_bio(*hello, server_hostname="localhost").do_handshake()
    peer.sendall(hello[1].read())
    return peer


def half_record(running):
    """After its handshake the header of a record as long as they come, and some of it."""
    peer = answered_hello(running)
    peer.sendall(b"\x14\x03\x03\x00\x01\x01\x17\x03\x03\x40\x00" + b"x" * 16_000)
    return peer


@pytest.mark.parametrize("trick", [half_head, half_frame, empty_fragments, small_fragments, unread_pongs])
def test_a_thousand_odd_peers_are_cheap(make_gateway, trick):
    measure(make_gateway(main=MAIN).start(), trick)


@pytest.mark.parametrize("trick", [half_hello, answered_hello, half_record])
def test_a_thousand_odd_peers_of_tls_are_cheap(make_gateway, tmp_path, trick):
    certificate(tmp_path, "first", "localhost")
    running = make_gateway(listen=(), main=listen("first") + MAIN)
    running.listen = ["tls"]
    measure(running.start(), trick)


def measure(running, trick):
    # What the first ones need that the others share.
    warm = [trick(running) for _ in range(20)]
    before = mebibytes(running)
    peers = [trick(running) for _ in range(PEERS)]
    # They are here: what is measured is what they cost. One whose record is none may have been sent away.
    everybody = len(warm) + len(peers) if trick is not half_record else 0
    eventually("everybody", lambda: status(running)["process"]["connections"] >= everybody)
    each = (mebibytes(running) - before) * 1024 / PEERS
    print(f"{trick.__name__}: {each:.1f} KiB a peer")
    assert each < MOST
    assert status(running)["process"]["connections"] >= everybody
    if trick is not half_record:
        assert all(is_there(peer) for peer in peers[-10:])
    for peer in warm + peers:
        peer.close()
    eventually("their descriptors back", lambda: running.descriptor_count() < 100)


def is_there(peer):
    """The gateway has not ended the connection."""
    peer.setblocking(False)
    try:
        while more := peer.recv(65536):
            assert more
    except BlockingIOError:
        return True
    return False

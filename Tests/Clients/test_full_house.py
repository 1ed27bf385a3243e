"""More clients than descriptors: those there is room for are served, the rest hear 503, and the operator is heard."""
import re
import socket

import pytest

from gateway_process import DEADLINE
from raw_peer import TEXT, RawPeer, frame
from test_control import ask, status
from test_handlers import SHOUT, compile_handler

CLIENTS = 400


class Waiting(RawPeer):
    """A client that has connected, and asks when it is told to."""

    def __init__(self, running):
        self.socket = socket.create_connection(running.endpoint, DEADLINE)
        self.running, self.pending, self.key = running, b"", "dGhlIHNhbXBsZSBub25jZQ=="

    def ask(self):
        self.socket.sendall((f"GET /shout HTTP/1.1\r\nHost: a:{self.running.port}\r\nUpgrade: websocket\r\n"
                             f"Connection: Upgrade\r\nSec-WebSocket-Key: {self.key}\r\n"
                             "Sec-WebSocket-Version: 13\r\n\r\n").encode())

    def hear(self):
        self._read_head()
        return self


def one_after_another(running):
    return [RawPeer(running, "/shout") for _ in range(CLIENTS)]


def all_at_once(running):
    peers = [Waiting(running) for _ in range(CLIENTS)]
    for peer in peers:
        peer.ask()
    return [peer.hear() for peer in peers]


@pytest.mark.parametrize("arrive", [one_after_another, all_at_once])
def test_as_many_are_admitted_as_were_computed(make_gateway, arrive):
    running = make_gateway(routes="route /shout { handler shout; }", descriptors=300)
    compile_handler(running, "shout")
    running.start()
    room = int(running.wait_for(r"the limit of descriptors \(300\) allows (\d+);")[1])
    peers = arrive(running)
    served = [peer for peer in peers if peer.status == 101]
    refused = [peer for peer in peers if peer.status != 101]
    assert len(served) == room == status(running)["process"]["max_connections"]
    assert all((peer.status, b"too-many-connections" in peer.body) == (503, True) for peer in refused)

    source = running.folder / "shout.c"
    source.write_text(SHOUT.read_text().replace("c - 'a' + 'A'", "'?'"))
    compile_handler(running, "shout", source)
    said = ask(running, "reload", "shout")
    assert said.returncode == 0, said.stdout
    for peer in served:
        peer.send(frame(TEXT, b"ab"))
        assert peer.read_frame() == (TEXT, True, b"AB")
    assert not re.search(r"is gone|cannot accept", running.log())

    served.pop().close()
    with socket.create_connection(running.endpoint, DEADLINE):
        assert status(running)["process"]["connections"] <= room
    for peer in peers:
        peer.close()

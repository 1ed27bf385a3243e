"""Who has come to the program before an upgrade over TLS or HTTP/2, and asks there for something only when another one serves."""
import pytest

from h2_peer import H2Peer
from isolation_rig import LONG, Isolated
from test_tls import certificate, trust
from upgrade_rig import asking

TLS = "127.0.0.1:0 tls { certificate ../first.pem ../first.key; http2 on; }"


@pytest.fixture
def made(make_gateway, tmp_path):
    certificate(tmp_path, "first", "localhost")
    return Isolated(make_gateway, routes="route /echo { handler echo; }\nroute /in { handler counter; }", listen=(TLS,))


def upgrade(made):
    """Answers while connections are still with the program before."""
    told = asking(made.running, "upgrade").communicate(timeout=LONG)[0]
    assert " stay with process " in told, (told, made.running.log()[-2000:])


@pytest.mark.parametrize("path", ["/in", "/x"], ids=["in the gateway", "isolated"])
@pytest.mark.parametrize("stays", [False, True], ids=["the process ends", "the process stays"])
def test_a_stream_that_is_opened_behind_the_switch(made, tmp_path, path, stays):
    with H2Peer(made.running, timeout=LONG, context=trust(tmp_path, "first")) as peer:
        first = peer.open("/x" if stays else "/echo").opened()
        upgrade(made)
        late = peer.open(path).opened()
        assert late.ask("who" if path == "/x" else "x")
        first.ask("who" if stays else "x")


@pytest.mark.parametrize("path", ["/in", "/x"], ids=["in the gateway", "isolated"])
def test_a_request_over_tls_behind_the_switch(made, tmp_path, path):
    with made.running.connect(LONG) as plain, trust(tmp_path, "first").wrap_socket(plain, server_hostname="localhost") as peer:
        with H2Peer(made.running, timeout=LONG, context=trust(tmp_path, "first")) as other:
            other.open("/echo").opened()
            upgrade(made)
            peer.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
            assert peer.recv(65536).startswith(b"HTTP/1.1 101 ")

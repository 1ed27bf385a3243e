"""Behind a proxy: PROXY headers, headers of requests, who is believed, and what the real address is good for."""
import ipaddress
import signal
import socket
import struct
import time

import pytest

from c_handler import build
from gateway_process import DEADLINE, eventually
from raw_peer import PING, PONG, TEXT, RawPeer, frame
from test_admission import refusal
from test_control import ask
from test_tls import certificate, tls, trust

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
TCP4, TCP6 = 0x11, 0x21
REQUEST = b"GET /who HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def text(source="203.0.113.7", port=4711):
    """Version 1."""
    return f"PROXY TCP{ipaddress.ip_address(source).version == 4 and 4 or 6} {source} {source} {port} 80\r\n".encode()


def binary(source="203.0.113.7", port=4711, command=0x21, more=b""):
    """Version 2."""
    address = ipaddress.ip_address(source)
    rest = address.packed * 2 + struct.pack("!HH", port, 80) + more
    return SIGNATURE + struct.pack("!BBH", command, TCP4 if address.version == 4 else TCP6, len(rest)) + rest


@pytest.fixture
def make(make_gateway):
    def make(*, trusted="127.0.0.1", block="{ proxy_protocol on; }", route="", main="", more=""):
        running = make_gateway(
            listen=[f"127.0.0.1:0 {block}".strip()], routes=f"route /who {{ handler whoami; {route} }}\n" + more,
            main=f"{main}\n" + (f"trusted_proxies {trusted}" + ("" if trusted.endswith("}") else ";") if trusted else ""))
        running.file.write_text(running.file.read_text().replace("access_log off", "access_log stderr text"))
        build(running, "whoami")
        return running

    return make


def answer(running, preface=b"", *, cut=None):
    """What a plain request is told, or b"" when it was closed instead."""
    with running.connect() as peer:
        try:
            for byte in [preface[index:index + 1] for index in range(len(preface))] if cut else [preface]:
                peer.sendall(byte)
            peer.sendall(REQUEST)
            heard = b""
            while more := peer.recv(65536):
                heard += more
        except ConnectionError:
            return b""
    return heard.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("preface, told", [
    (text(), b"203.0.113.7 4711 plain"), (text("2001:db8::7", 65535), b"2001:db8::7 65535 plain"),
    (binary(), b"203.0.113.7 4711 plain"), (binary("2001:db8::7", 1), b"2001:db8::7 1 plain"),
    (binary("::ffff:203.0.113.7"), b"203.0.113.7 4711 plain"), (binary(more=b"\x04\0\x08" + bytes(8)), b"203.0.113.7 4711 plain"),
    (binary(more=bytes(4000)), b"203.0.113.7 4711 plain"),
], ids=["v1", "v1 IPv6", "v2", "v2 IPv6", "v2 mapped", "v2 with more", "v2 with much more"])
@pytest.mark.parametrize("cut", [None, True], ids=["whole", "byte by byte"])
def test_the_real_address(make, preface, told, cut):
    assert answer(make().start(), preface, cut=cut) == told


@pytest.mark.parametrize("preface", [b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN whatever this is\r\n",
                                     binary(command=0x20), SIGNATURE + b"\x20\0\0\0", SIGNATURE + b"\x21\0\0\0"])
def test_a_proxy_that_speaks_for_itself(make, preface):
    assert answer(make().start(), preface).startswith(b"127.0.0.1 ")


def test_websockets_and_what_the_log_says(make):
    running = make().start()
    with RawPeer(running, "/who", preface=binary()).opened() as peer:
        assert peer.read_frame() == (TEXT, True, b"203.0.113.7 4711 plain")
    running.wait_for(r'peer=203\.0\.113\.7:4711 .* path="/who" .* status=101')


def test_several_requests_of_one_connection(make):
    running = make().start()
    with running.connect() as peer:
        request = REQUEST.replace(b"Connection: close\r\n", b"")
        peer.sendall(text() + request)
        for _ in range(3):
            heard = b""
            while not heard.endswith(b"203.0.113.7 4711 plain"):
                more = peer.recv(65536)
                assert more
                heard += more
            peer.sendall(request)


@pytest.mark.parametrize("preface, why", [
    (b"", "there is no PROXY header in front"), (b"PROXY TCP4 nobody nobody 1 1\r\n", "an address that is none"),
    (SIGNATURE + b"\x31\x11\0\0", "version 3"), (SIGNATURE + b"\x21\x11\xff\xff", "too long"),
    (b"PROXY " + b"x" * 102, "too long"), (b"\x16\x03\x01", "there is no PROXY header in front"),
])
def test_who_has_no_header_is_closed_and_it_is_said(make, preface, why):
    running = make().start()
    assert answer(running, preface) == b""
    running.wait_for(rf"no-proxy-header: 127\.0\.0\.1:\d+ is closed: .*{why}")
    assert answer(running, text()) == b"203.0.113.7 4711 plain", "others are served"


def test_who_is_not_trusted_is_closed_and_it_is_said(make):
    running = make(trusted="10.0.0.0/8").start()
    assert answer(running, text()) == b""
    running.wait_for(r"proxy-not-trusted: 127\.0\.0\.1:\d+ is none of trusted_proxies")


def test_strangers_do_not_fill_the_log(make):
    running = make(trusted="10.0.0.0/8").start()
    began = time.monotonic()
    for _ in range(200):
        assert answer(running, text()) == b""
    lines = running.log().count("proxy-not-trusted")
    assert lines <= 10 * (1 + (time.monotonic() - began) / 10)


@pytest.mark.parametrize("first", [b"P", SIGNATURE, binary()[:-1]])
def test_who_leaves_in_the_header(make, first):
    running = make().start()
    with running.connect() as peer:
        peer.sendall(first)
    running.wait_for(r"no-proxy-header: .* is closed: the peer left in the PROXY header")


@pytest.mark.parametrize("first", [b"", b"PROXY TCP4", SIGNATURE, binary()[:-1]])
def test_a_header_has_the_time_of_a_handshake(make, first):
    running = make(main="defaults { handshake_timeout 300ms; }").start()
    with running.connect() as peer:
        peer.sendall(first)
        assert peer.recv(100) == b""
    running.wait_for("no-proxy-header: .*the PROXY header was not finished")


def test_a_health_check_that_connects_and_leaves_is_no_news(make):
    running = make().start()
    for _ in range(3):
        running.connect().close()
    assert answer(running, text()) == b"203.0.113.7 4711 plain"
    assert "no-proxy-header" not in running.log()


@pytest.mark.parametrize("preface", [b"", binary(command=0x20), SIGNATURE + b"\x20\0\0\0"])
def test_neither_is_one_of_tls_that_ends_with_a_reset(make, tmp_path, preface):
    certificate(tmp_path, "first", "localhost")
    running = make(block="tls { certificate ../first.pem ../first.key; proxy_protocol on; }", main="threads 1;").start()
    for _ in range(3):
        with running.connect() as peer:
            peer.sendall(preface)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with trust(tmp_path, "first").wrap_socket(hello(running, text()), server_hostname="localhost") as peer:
        peer.sendall(REQUEST)
        assert peer.recv(65536)
    assert "no-proxy-header" not in running.log() and "TLS:" not in running.log()


def test_in_front_of_tls(make, tmp_path):
    certificate(tmp_path, "first", "localhost")
    running = make(block="tls { certificate ../first.pem ../first.key; proxy_protocol on; }").start()
    for preface in (text(), binary("2001:db8::7")):
        with running.connect() as raw:
            raw.sendall(preface)
            with trust(tmp_path, "first").wrap_socket(raw, server_hostname="localhost") as peer:
                peer.sendall(REQUEST)
                heard = b""
                while more := peer.recv(65536):
                    heard += more
        assert heard.endswith((b"203.0.113.7 4711 tls", b"2001:db8::7 4711 tls"))
    with pytest.raises(OSError):
        tls(running, trust(tmp_path, "first"))
    running.wait_for("no-proxy-header")


def hello(running, preface=b"", first=b""):
    raw = running.connect()
    raw.sendall(preface + first)
    return raw


def test_tls_behind_it_has_names_of_both_sides(make, tmp_path):
    certificate(tmp_path, "authority")
    certificate(tmp_path, "client", by="authority")
    certificate(tmp_path, "first", "localhost")
    certificate(tmp_path, "other", "other.example")
    running = make(block="tls { certificate ../first.pem ../first.key; certificate ../other.pem ../other.key;"
                   " client_ca ../authority.pem required; proxy_protocol on; }").start()
    known = trust(tmp_path, "first", "other")
    known.load_cert_chain(tmp_path / "client.pem", tmp_path / "client.key")
    for host in ("localhost", "other.example"):
        with known.wrap_socket(hello(running, binary()), server_hostname=host) as peer:
            assert ("DNS", host) in peer.getpeercert()["subjectAltName"]
            peer.sendall(REQUEST)
            heard = b""
            while more := peer.recv(65536):
                heard += more
        assert heard.endswith(b"203.0.113.7 4711 tls")
    with pytest.raises((OSError, EOFError)):
        with trust(tmp_path, "first").wrap_socket(hello(running, binary()), server_hostname="localhost") as peer:
            peer.sendall(REQUEST)
            if not peer.recv(100):
                raise EOFError
    running.wait_for(r"203\.0\.113\.7:4711: TLS for localhost: .*certificate")


def test_handshakes_behind_it_take_their_turn(make, tmp_path):
    certificate(tmp_path, "first", "localhost")
    running = make(block="tls { certificate ../first.pem ../first.key; handshake_limit 1; proxy_protocol on; }",
                   main="threads 1;").start()
    half = b"\x16\x03\x01\x02\x00\x01"
    # Headers are no handshakes: these keep nobody from his.
    with hello(running, binary()), hello(running, binary()[:20]), hello(running):
        first, second = hello(running, binary(), half), hello(running, text())
        waiting = trust(tmp_path, "first").wrap_socket(second, server_hostname="localhost", do_handshake_on_connect=False)
        waiting.settimeout(0.5)
        with pytest.raises(TimeoutError):
            waiting.do_handshake()
        first.close()
        waiting.settimeout(DEADLINE)
        waiting.do_handshake()
        waiting.sendall(REQUEST)
        heard = b""
        while more := waiting.recv(65536):
            heard += more
        assert heard.endswith(b"203.0.113.7 4711 tls")
        waiting.close()


def test_limits_and_lists_are_about_the_real_address(make):
    running = make(main="defaults { max_connections_per_ip 1; handshake_rate 1/h burst 2; deny 198.51.100.0/24; }",
                   more="route /often { handler whoami; }").start()
    with RawPeer(running, "/who", preface=text("203.0.113.7")).opened(), \
            RawPeer(running, "/who", preface=text("203.0.113.8")).opened(), \
            RawPeer(running, "/who", preface=binary("2001:db8::1")).opened():
        for same in ("203.0.113.7", "2001:db8::2"):
            with RawPeer(running, "/who", preface=binary(same)) as peer:
                assert refusal(peer) == (429, "too-many-connections-per-ip")
            with RawPeer(running, "/who", preface=binary(same)) as peer:
                assert refusal(peer) == (429, "too-many-handshakes")
        with RawPeer(running, "/who", preface=binary("2001:db8:0:1::1")) as peer:
            peer.opened()
        with RawPeer(running, "/who", preface=binary("198.51.100.1")) as peer:
            assert refusal(peer) == (403, "address-not-allowed")


# ---- headers of requests

@pytest.mark.parametrize("trusted, headers, told", [
    ("127.0.0.1", {"X-Forwarded-For": "203.0.113.7"}, "203.0.113.7 0 plain"),
    ("127.0.0.1", {"X-Forwarded-For": "6.6.6.6, 203.0.113.7"}, "203.0.113.7 0 plain"),
    ("127.0.0.1 10.0.0.0/8", {"X-Forwarded-For": "6.6.6.6, 203.0.113.7, 10.1.1.1"}, "203.0.113.7 0 plain"),
    ("127.0.0.1", {"X-Forwarded-For": "[2001:db8::7]:99", "X-Forwarded-Proto": "https"}, "2001:db8::7 99 tls"),
    ("127.0.0.1", {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "http"}, "203.0.113.7 0 plain"),
    ("127.0.0.1 { header forwarded; }", {"Forwarded": "for=203.0.113.7;proto=https", "X-Forwarded-For": "6.6.6.6"},
     "203.0.113.7 0 tls"),
    ("127.0.0.1", {"X-Forwarded-For": "203.0.113.7, unknown"}, None),
    ("127.0.0.1 { header off; }", {"X-Forwarded-For": "203.0.113.7"}, None),
    ("10.0.0.0/8", {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}, None),
    ("", {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https", "Forwarded": "for=203.0.113.7"}, None),
])
def test_what_proxies_say_in_requests(make, trusted, headers, told):
    running = make(trusted=trusted, block="").start()
    plain = get_body(running, headers)
    with RawPeer(running, "/who", headers=headers).opened() as peer:
        heard = peer.read_frame()[2].decode()
    if told:
        assert heard == plain == told
        address = told.split()[0]
        running.wait_for(rf'peer=\[?{address}\]?:\d+ .* path="/who" .* status=101')
    else:
        assert all(each.startswith("127.0.0.1 ") and each.endswith(" plain") for each in (heard, plain))


def get_body(running, headers):
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with running.connect() as peer:
        peer.sendall(REQUEST[:-2] + lines.encode() + b"\r\n")
        heard = b""
        while more := peer.recv(65536):
            heard += more
    return heard.partition(b"\r\n\r\n")[2].decode()


def test_a_request_says_nothing_of_the_next_one(make):
    running = make(block="").start()
    request = REQUEST.replace(b"Connection: close\r\n", b"")
    with running.connect() as peer:
        for lines, told in [(b"X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\n", b"203.0.113.7 0 tls"),
                            (b"X-Forwarded-For: 203.0.113.8\r\n", b"203.0.113.8 0 plain"), (b"", b" plain")]:
            peer.sendall(request[:-2] + lines + b"\r\n")
            heard = b""
            while not heard.endswith(told):
                more = peer.recv(65536)
                assert more, heard
                heard += more


def test_both_kinds_of_headers(make):
    running = make(trusted="127.0.0.1 192.0.2.0/24").start()
    forwarded = REQUEST[:-2] + b"X-Forwarded-For: 203.0.113.7\r\n\r\n"
    for preface, told in [(text("192.0.2.1"), b"203.0.113.7 0 plain"), (text("198.51.100.9"), b"198.51.100.9 4711 plain")]:
        with running.connect() as peer:
            peer.sendall(preface + forwarded)
            heard = b""
            while more := peer.recv(65536):
                heard += more
        assert heard.endswith(told)


def test_a_peer_of_a_unix_socket(make_gateway):
    running = make_gateway(listen=["unix:gateway.sock"], main="trusted_proxies unix:;",
                           routes="route /who { handler whoami; deny 198.51.100.0/24; }")
    build(running, "whoami")
    running.start()
    for address, told in [("203.0.113.7", b"203.0.113.7 0 plain"), ("198.51.100.7", b"address-not-allowed: ")]:
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(DEADLINE)
            peer.connect(str(running.folder / "gateway.sock"))
            peer.sendall(REQUEST[:-2] + f"X-Forwarded-For: {address}\r\n\r\n".encode())
            heard = b""
            while more := peer.recv(65536):
                heard += more
        assert told in heard


def test_a_reload_changes_who_is_trusted(make):
    running = make(trusted="10.0.0.1").start()
    assert answer(running, text()) == b""
    lines = running.file.read_text()
    running.file.write_text(lines.replace("trusted_proxies 10.0.0.1", "trusted_proxies 127.0.0.1"))
    assert "trusted_proxies: 10.0.0.1" in ask(running, "reload").stdout
    eventually("the workers to hear of it", lambda: answer(running, text()) == b"203.0.113.7 4711 plain")


def test_a_reload_changes_who_sends_headers(make):
    running = make().start()
    lines = running.file.read_text()
    with RawPeer(running, "/who", preface=text()).opened() as peer:
        assert peer.read_frame()[2] == b"203.0.113.7 4711 plain"
        running.file.write_text(lines.replace("proxy_protocol on", "proxy_protocol off"))
        assert "no PROXY header from now on" in ask(running, "reload").stdout
        assert answer(running).startswith(b"127.0.0.1 ")
        running.file.write_text(lines)
        assert "PROXY headers from now on" in ask(running, "reload").stdout
        assert answer(running) == b""
        assert answer(running, text()) == b"203.0.113.7 4711 plain"
        peer.send(frame(PING, b"?"))
        assert peer.read_frame() == (PONG, True, b"?")
        assert "nothing changed" in ask(running, "reload").stdout


def test_a_gateway_that_ends_does_not_wait_for_headers(make):
    running = make().start()
    with running.connect() as peer:
        peer.sendall(b"PROXY ")
        eventually("the peer to be there", lambda: running.descriptor_count() > 0)
        running.signal(signal.SIGTERM)
        try:
            assert peer.recv(100) == b""
        except ConnectionResetError:
            # It had not read what was sent.
            pass
    assert running.exit_status() == 0

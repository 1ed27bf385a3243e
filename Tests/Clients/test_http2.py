"""HTTP/2 (RFC 9113) and WebSockets on its streams (RFC 8441), as clients of good faith meet them."""
import http.client
import re
import shutil
import signal
import socket
import ssl
import subprocess

import pytest

import c_handler
from gateway_process import BINARY as PROGRAM
from gateway_process import DEADLINE, Gateway, eventually
from h2_peer import (CANCEL, DATA, ENABLE_CONNECT_PROTOCOL, END_HEADERS, GOAWAY, HEADERS, INITIAL_WINDOW_SIZE,
                     MAX_CONCURRENT_STREAMS, MAX_HEADER_LIST_SIZE, NO_ERROR, PREFACE, PROTOCOL_ERROR, REFUSED_STREAM, RST_STREAM, SETTINGS,
                     H2Peer, StreamReset, Wire, plain_head, websocket_head)
from raw_peer import BINARY, CLOSE, PING, PONG, TEXT, RawPeer, close_payload, frame
from test_control import status
from test_tls import certificate, s_client, trust

LISTEN = "127.0.0.1:0 { http2 on; }"
ROUTES = """
route /echo { handler echo; subprotocols one two; }
route /witness { handler witness; }
"""
GW_REQ_TLS, GW_REQ_WEBSOCKET = 1, 2


@pytest.fixture
def serve(make_gateway):
    """A gateway that speaks HTTP/2 without TLS, with the witness among its handlers."""
    def serve(routes=ROUTES, main="", listen=(LISTEN,), **how):
        running = make_gateway(listen=listen, main="threads 1; " + main, routes=routes, **how)
        c_handler.build(running, "witness")
        return running.start()
    return serve


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    """One for all that changes nothing."""
    made = Gateway(tmp_path_factory.mktemp("http2"), listen=(LISTEN,), main="threads 1; console /console;", routes=ROUTES)
    c_handler.build(made, "witness")
    with made as running:
        yield running


def answers(stream, text=b"hello"):
    stream.send(frame(TEXT, text))
    return stream.read_message() == (TEXT, text)


def on_routes(running):
    """How many WebSockets there are, on connections of their own and on streams."""
    return sum(route["connections"] for route in status(running)["routes"])


def said_closed(running):
    """Codes and originators of all closes that the witness has heard."""
    return [(int(code), int(by)) for code, by in re.findall(r"WITNESS closed (\d+) by (\d)", running.log())]


def facts(text):
    """What the witness says of a request: its first line as a dictionary, and the headers in their order."""
    first, *lines = text.decode().split("\n")
    return dict(word.split("=", 1) for word in first.split(" ")), [tuple(line.split(": ", 1)) for line in lines if ": " in line]


def told(stream):
    """What a WebSocket hears first from the witness."""
    return facts(stream.read_message()[1])


# ---- RFC 9113 3, starting

def test_prior_knowledge_and_http_1_on_one_port(gateway):
    with H2Peer(gateway) as peer, peer.open().opened() as stream, RawPeer(gateway).opened() as other:
        assert answers(stream)
        other.send(frame(TEXT, b"hello"))
        assert other.read_message() == (TEXT, b"hello")


def test_the_preface_may_come_in_pieces(gateway):
    with Wire(gateway) as wire:
        for at in range(len(PREFACE)):
            wire.send(PREFACE[at:at + 1])
        wire.write(SETTINGS)
        assert wire.read().kind == SETTINGS


def test_a_request_that_begins_like_the_preface_is_http_1(gateway):
    with gateway.connect() as peer:
        peer.sendall(b"PR")
        peer.sendall(b"OPFIND / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert peer.recv(12).startswith(b"HTTP/1.1 ")


def test_without_the_directive_the_preface_is_no_request(make_gateway):
    running = make_gateway().start()
    with running.connect() as peer:
        peer.sendall(PREFACE)
        heard = b""
        try:
            while more := peer.recv(65536):
                heard += more
        except ConnectionResetError:
            pass
        assert heard == b"" or heard.startswith((b"HTTP/1.1 505 ", b"HTTP/1.1 400 "))


def test_both_ask_for_nothing_before_settings(gateway):
    """RFC 9113 3.4: a client may send at once; what it asked for is answered behind the SETTINGS of the gateway."""
    with Wire(gateway) as wire:
        head = wire.encoder.encode(plain_head("/nothing", wire.authority))
        wire.send(PREFACE + b"\0\0\0\4\0\0\0\0\0" + len(head).to_bytes(3) + bytes([HEADERS, END_HEADERS | 1, 0, 0, 0, 1]) + head)
        assert wire.read().kind == SETTINGS
        assert dict(wire.decoder.decode(wire.read_until(HEADERS).payload))[":status"] == "404"


# ---- RFC 9113 3.2, ALPN

@pytest.fixture
def secure(make_gateway, tmp_path):
    def secure(more="", routes=ROUTES):
        certificate(tmp_path, "first", "localhost")
        running = make_gateway(listen=(f"127.0.0.1:0 tls {{ certificate ../first.pem ../first.key; {more} }}",), routes=routes)
        c_handler.build(running, "witness")
        return running.start()
    return secure


@pytest.mark.parametrize("more, offered, agreed", [
    ("", "h2,http/1.1", "h2"), ("", "http/1.1,h2", "h2"), ("", "h2", "h2"), ("", "http/1.1", "http/1.1"),
    ("http2 on;", "h2,http/1.1", "h2"), ("http2 off;", "h2,http/1.1", "http/1.1"), ("http2 off;", "http/1.1", "http/1.1"),
])
def test_alpn(secure, more, offered, agreed):
    running = secure(more)
    assert f"ALPN protocol: {agreed}" in s_client(running, "-alpn", offered)


def test_without_alpn_it_is_http_1(secure, tmp_path):
    running = secure()
    with trust(tmp_path, "first").wrap_socket(running.connect(), server_hostname="localhost") as peer:
        assert peer.selected_alpn_protocol() is None
        peer.sendall(b"GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert peer.recv(12) == b"HTTP/1.1 404"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_streams_over_tls(secure, tmp_path, version):
    running = secure()
    context = trust(tmp_path, "first", least=version, most=version)
    with H2Peer(running, context=context) as peer:
        with peer.open("/witness").opened() as stream:
            said, _ = told(stream)
            assert said["tls"] == f"{peer.socket.version()}/{peer.socket.cipher()[0]}/localhost"
            assert int(said["flags"]) & GW_REQ_TLS and int(said["flags"]) & GW_REQ_WEBSOCKET
            assert said["host"] == f"localhost:{running.port}"
            for size in (0, 1, 125, 126, 16_384, 65_536, 300_000):
                payload = b"x" * size
                stream.send(frame(BINARY, payload))
                assert stream.read_message() == (BINARY, payload)
            stream.send(frame(CLOSE, close_payload(1000)))
            assert stream.read_close() == 1000 and stream.at_end()


def test_the_end_of_tls_is_said(secure, tmp_path):
    running = secure()
    with H2Peer(running, context=trust(tmp_path, "first")) as peer:
        peer.wire.write(GOAWAY, 0, 0, bytes(8))
        # Without close_notify Python says that the stream was cut off.
        assert peer.at_end()


# ---- RFC 9113 6.5 and RFC 8441 3, SETTINGS

@pytest.mark.parametrize("more, streams", [("", 256), ("max_streams 7;", 7), ("max_streams 1000;", 1000)])
def test_what_the_gateway_announces(make_gateway, more, streams):
    running = make_gateway(listen=(f"127.0.0.1:0 {{ http2 on; {more} }}",), main="defaults { max_head 20k; }").start()
    with H2Peer(running) as peer:
        assert peer.settings[ENABLE_CONNECT_PROTOCOL] == 1
        assert peer.settings[MAX_CONCURRENT_STREAMS] == streams
        assert peer.settings[MAX_HEADER_LIST_SIZE] == 20 << 10


def test_settings_are_acknowledged(gateway):
    with Wire(gateway) as wire:
        wire.shake()
        assert wire.read_until(SETTINGS).flags == 1
        wire.write(SETTINGS, 0, 0, b"\0\x04\0\0\x10\0")
        assert wire.read_until(SETTINGS).flags == 1


def test_streams_beyond_max_streams_end_the_connection(serve):
    """RFC 9113 5.1.2 calls it an error of the stream; nghttp2 makes it one of the connection of who has acknowledged the
    limit."""
    running = serve(listen=("127.0.0.1:0 { http2 on; max_streams 3; }",))
    with Wire(running) as wire:
        wire.shake()
        for number in (1, 3, 5):
            wire.open(number)
        assert {wire.read_until(HEADERS).stream for _ in range(3)} == {1, 3, 5}
        # When one has ended the next finds its place.
        wire.write(RST_STREAM, 0, 3, CANCEL.to_bytes(4))
        wire.open(7)
        assert wire.read_until(HEADERS).stream == 7
        wire.open(9)
        assert wire.read_until(GOAWAY).number == PROTOCOL_ERROR
    eventually("all are gone", lambda: on_routes(running) == 0)


# ---- RFC 8441 4 and 5, extended CONNECT

def test_the_handler_sees_a_get(gateway):
    with H2Peer(gateway) as peer:
        with peer.open("/witness?a=b%20c", {"origin": f"http://{peer.wire.authority}", "x-thing": "value"}).opened() as stream:
            said, headers = told(stream)
            assert (said["http"], said["method"], said["path"], said["query"]) == ("20", "GET", "/witness", "a=b%20c")
            assert said["host"] == peer.wire.authority
            assert said["peer"] == "127.0.0.1:%d" % peer.socket.getsockname()[1]
            assert (said["tls"], int(said["flags"]) & GW_REQ_TLS) == ("//", 0)
            assert int(said["flags"]) & GW_REQ_WEBSOCKET
            names = [name for name, _ in headers]
            assert all(not name.startswith(":") and name == name.lower() for name in names)
            assert dict(headers)["host"] == peer.wire.authority and names.count("host") == 1
            assert dict(headers)["x-thing"] == "value" and dict(headers)["sec-websocket-version"] == "13"


def test_what_an_acceptance_says(gateway):
    with H2Peer(gateway) as peer:
        stream = peer.open(headers={"sec-websocket-protocol": "three, two, one"}).opened()
        assert stream.headers["sec-websocket-protocol"] == "two"
        plain = peer.open().opened()
        assert not {"sec-websocket-protocol", "sec-websocket-extensions", "content-length"} & set(plain.headers)


def test_many_streams_on_one_connection(gateway):
    with H2Peer(gateway) as peer:
        streams = [peer.ask_for() for _ in range(200)]
        for number, stream in enumerate(streams):
            stream.opened().send(frame(TEXT, b"number %d" % number))
        for number, stream in enumerate(streams):
            assert stream.read_message() == (TEXT, b"number %d" % number)
        for stream in reversed(streams):
            stream.send(frame(CLOSE, close_payload(1000)))
        for stream in streams:
            assert stream.read_close() == 1000 and stream.at_end()


@pytest.mark.parametrize("size", [0, 1, 125, 126, 16_383, 16_384, 16_385, 65_535, 65_536, 200_000, 1 << 20])
def test_messages_of_all_sizes_come_back(gateway, size):
    payload = bytes(range(256)) * (size // 256 + 1)
    with H2Peer(gateway) as peer, peer.open().opened() as stream:
        stream.send(frame(BINARY, payload[:size]))
        assert stream.read_message() == (BINARY, payload[:size])


def test_frames_of_both_protocols_are_cut_anywhere(gateway):
    with H2Peer(gateway) as peer, peer.open().opened() as stream:
        data = frame(TEXT, b"first") + frame(PING, b"p") + frame(TEXT, b"x" * 300) + frame(TEXT, b"")
        for at in range(len(data)):
            stream.send(data[at:at + 1])
        assert stream.read_frame() == (TEXT, True, b"first")
        assert stream.read_frame() == (PONG, True, b"p")
        assert stream.read_frame() == (TEXT, True, b"x" * 300)
        assert stream.read_frame() == (TEXT, True, b"")


def test_padding_is_no_data(gateway):
    with Wire(gateway) as wire:
        wire.shake()
        head = wire.encoder.encode(websocket_head("/echo", wire.authority))
        wire.write(HEADERS, END_HEADERS | 8, 1, bytes([5]) + head + bytes(5))
        assert wire.read_until(HEADERS).stream == 1
        data = frame(TEXT, b"hello")
        wire.write(DATA, 8, 1, bytes([200]) + data[:4] + bytes(200))
        wire.write(DATA, 8, 1, bytes([0]) + data[4:])
        assert wire.read_until(DATA).payload == frame(TEXT, b"hello", masked=False)


# ---- addresses that others vouch for

def test_the_proxy_protocol_comes_before_the_preface(serve):
    running = serve(listen=("127.0.0.1:0 { proxy_protocol on; http2 on; }",), main="trusted_proxies 127.0.0.1;")
    with Wire(running) as wire:
        wire.send(b"PROXY TCP4 192.0.2.7 192.0.2.1 4321 80\r\n")
        wire.shake()
        wire.open(1, "/witness")
        assert b" peer=192.0.2.7:4321 " in wire.read_until(DATA).payload


def test_who_is_forwarded_counts_by_stream(serve):
    running = serve(ROUTES.replace("handler witness;", "handler witness; max_connections_per_ip 1;"),
                    main="trusted_proxies 127.0.0.1 { header x-forwarded-for; }")
    with H2Peer(running) as peer:
        for address in ("192.0.2.7", "192.0.2.8", "2001:db8::1"):
            stream = peer.open("/witness", {"x-forwarded-for": address}).opened()
            assert told(stream)[0]["peer"].startswith(address)
            assert peer.open("/witness", {"x-forwarded-for": address}).status == 429


# ---- refusals, the same as over HTTP/1.1

REFUSALS = """
route /echo { handler echo; }
route /witness { handler witness; }
route /missing { handler nowhere; }
route /listed { handler echo; origin https://a.example; }
route /denied { handler echo; deny all; }
route /few { handler echo; max_connections 1; }
route /one { handler echo; max_connections_per_ip 1; }
route /rare { handler echo; handshake_rate 1/h burst 1; }
"""


@pytest.mark.parametrize("path, headers, due, word", [
    ("/nothing", {}, 404, "no-route"),
    ("/witness?refuse", {}, 403, "handler-refused"),
    ("/missing", {}, 503, "handler-unavailable"),
    ("/listed", {"origin": "https://b.example"}, 403, "origin-not-allowed"),
    ("/echo", {"origin": "https://b.example"}, 403, "origin-not-allowed"),
    ("/denied", {}, 403, "address-not-allowed"),
    ("/echo", {"sec-websocket-version": "8"}, 426, None),
])
def test_refusals_are_those_of_http_1(serve, path, headers, due, word):
    running = serve(REFUSALS)
    with H2Peer(running) as peer, RawPeer(running, path, headers={name.title(): value for name, value in headers.items()}) as other:
        head = [(name, value) for name, value in websocket_head(path, peer.wire.authority) if name not in headers]
        stream = peer.begin(head + list(headers.items())).answered()
        assert (stream.status, stream.body) == (other.status, other.body)
        assert stream.status == due and (word is None or stream.body.startswith(word.encode()))
        assert stream.headers["content-type"] == other.headers["content-type"]
        for name in ("sec-websocket-version", "retry-after"):
            assert stream.headers.get(name) == other.headers.get(name)
        # The connection goes on.
        with peer.open().opened() as another:
            assert answers(another)


def test_a_handler_refuses_in_its_own_words(gateway):
    with H2Peer(gateway) as peer:
        stream = peer.open("/witness?teapot")
        assert (stream.status, stream.body, stream.headers["x-pot"]) == (418, b"short and stout", "tea")


def test_no_version_is_a_wrong_version(gateway):
    with H2Peer(gateway) as peer:
        head = [each for each in websocket_head("/echo", peer.wire.authority) if each[0] != "sec-websocket-version"]
        stream = peer.begin(head).answered()
        assert (stream.status, stream.headers["sec-websocket-version"]) == (426, "13")
        assert stream.body


def test_limits_count_streams(serve):
    running = serve(REFUSALS)
    with H2Peer(running) as peer, H2Peer(running) as other:
        for path, due, word in (("/few", 503, b"too-many-connections"), ("/one", 429, b"too-many-connections-per-ip"),
                                ("/rare", 429, b"too-many-handshakes")):
            with peer.open(path).opened() as first:
                assert answers(first)
                for each in (peer, other):
                    refused = each.open(path)
                    assert (refused.status, refused.body.split(b":")[0]) == (due, word)
                    assert due != 429 or int(refused.headers["retry-after"]) > 0
            if path != "/rare":
                eventually("a place", lambda: peer.open(path).status == 200)


def test_max_connections_of_the_gateway_counts_streams(serve):
    """And the connection under them, which is one as well."""
    running = serve(main="defaults { max_connections 4; }")
    with H2Peer(running) as peer:
        streams = [peer.open().opened() for _ in range(3)]
        refused = peer.open()
        assert (refused.status, refused.body.split(b":")[0]) == (503, b"too-many-connections")
        assert all(answers(stream) for stream in streams)


def test_another_protocol(gateway):
    with H2Peer(gateway) as peer:
        head = [(name, "connect-udp" if name == ":protocol" else value) for name, value in websocket_head("/echo", "a")]
        stream = peer.begin(head).answered()
        assert stream.status == 501 and stream.body.startswith(b"unknown-protocol")


def test_a_plain_connect(gateway):
    with gateway.connect() as other:
        other.sendall(b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n")
        due = int(other.recv(65536).split()[1])
    with Wire(gateway) as wire:
        wire.shake()
        wire.write_head(1, [(":method", "CONNECT"), (":authority", "a:80")])
        answer = wire.read_until(HEADERS)
        assert int(dict(wire.decoder.decode(answer.payload))[":status"]) == due
        wire.open(3)
        assert wire.read_until(HEADERS, stream=3)


@pytest.mark.parametrize("origin, comes_in", [("http://AUTHORITY", True), ("http://127.0.0.1", False), ("null", False)])
def test_same_host_is_compared_with_authority(gateway, origin, comes_in):
    with H2Peer(gateway) as peer:
        stream = peer.open(headers={"origin": origin.replace("AUTHORITY", peer.wire.authority)})
        assert stream.status == (200 if comes_in else 403)


def test_hosts_are_chosen_by_authority(serve):
    running = serve("host a.example { route /chat { handler echo; } }\nroute /chat { handler witness; }")
    with H2Peer(running) as peer:
        stream = peer.begin(websocket_head("/chat", "a.example")).opened()
        assert answers(stream)
        other = peer.begin(websocket_head("/chat", "b.example")).opened()
        assert told(other)[0]["host"] == "b.example"


# ---- RFC 9113 8, plain requests

def test_a_handler_answers_plain_requests(gateway):
    with H2Peer(gateway) as peer:
        said, headers = facts(peer.request("/witness?q", headers={"x-a": "b"}).body)
        assert (said["http"], said["method"], said["query"], said["host"]) == ("20", "GET", "q", peer.wire.authority)
        assert int(said["flags"]) & GW_REQ_WEBSOCKET == 0
        assert ("x-a", "b") in headers
        posted = peer.request("/witness", "POST", body=b"x" * 40_000)
        assert (posted.status, posted.body.endswith(b"body=40000")) == (200, True)
        asked = peer.request("/witness", "HEAD")
        assert (asked.status, asked.body) == (200, b"") and int(asked.headers["content-length"]) > 0


def test_the_console_and_its_files(gateway):
    client = http.client.HTTPConnection(*gateway.endpoint, timeout=DEADLINE)
    with H2Peer(gateway) as peer:
        for path in ("/console", "/console/-/main.js", "/console/-/state", "/console/-/nothing.js"):
            client.request("GET", path)
            due = client.getresponse()
            body, stream = due.read(), peer.request(path)
            assert stream.status == due.status
            assert path.endswith("state") or stream.body == body
            own = {"connection", "keep-alive", "date"}
            expected = {name.lower(): value for name, value in due.headers.items() if name.lower() not in own}
            found = {name: value for name, value in stream.headers.items() if name != "date"}
            if path.endswith("state"):
                expected.pop("content-length"), found.pop("content-length", None)
            assert found == expected
    client.close()


@pytest.mark.parametrize("path, status_due, word", [("/nothing", 404, b"no-route"), ("/echo", 400, b"not-a-websocket-request")])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_plain_refusals(gateway, path, status_due, word, method):
    with H2Peer(gateway) as peer:
        stream = peer.request(path, method)
        assert stream.status == status_due
        assert stream.body.startswith(word) if method == "GET" else stream.body == b""


@pytest.mark.parametrize("size, due", [(1023, 200), (1024, 200), (1025, 413)])
def test_max_body(serve, size, due):
    running = serve("route /witness { handler witness; max_body 1k; }")
    with H2Peer(running) as peer:
        assert peer.request("/witness", "POST", body=b"x" * size).status == due
        assert peer.request("/witness").status == 200


def test_a_body_of_unknown_length(gateway):
    with Wire(gateway) as wire:
        wire.shake()
        wire.write_head(1, plain_head("/witness", wire.authority, method="POST"))
        wire.write(DATA, 1, 1, b"some")
        assert dict(wire.decoder.decode(wire.read_until(HEADERS).payload))[":status"] == "411"
        wire.open(3)
        assert dict(wire.decoder.decode(wire.read_until(HEADERS, stream=3).payload))[":status"] == "200"


@pytest.mark.parametrize("length, body", [("5", b"four"), ("3", b"four")])
def test_a_body_of_another_length_is_malformed(gateway, length, body):
    # RFC 9113 8.1.1: "a request ... is malformed if the value of a Content-Length header field does not equal the sum".
    with Wire(gateway) as wire:
        wire.shake()
        wire.write_head(1, plain_head("/witness", wire.authority, method="POST", headers=[("content-length", length)]))
        wire.write(DATA, 1, 1, body)
        frames = wire.ping()
        resets = [each for each in frames if each.kind == RST_STREAM]
        heads = [each for each in frames if each.kind == HEADERS]
        assert resets or dict(wire.decoder.decode(heads[0].payload))[":status"] == "400"


def test_cookies_in_pieces_are_one(gateway):
    # RFC 9113 8.2.3: they "MUST be concatenated ... before being passed into a non-HTTP/2 context".
    with H2Peer(gateway) as peer:
        head = plain_head("/witness", peer.wire.authority, headers=[("cookie", "a=1"), ("cookie", "b=2")])
        _, headers = facts(peer.begin(head, end=True).answered().body)
        assert [value for name, value in headers if name == "cookie"] == ["a=1; b=2"]


# ---- RFC 6455 7 and RFC 8441 5, the end of a stream

def test_a_closing_handshake_ends_the_stream(serve):
    running = serve()
    with H2Peer(running) as peer:
        stream = peer.open("/witness").opened()
        stream.read_message()
        stream.send(frame(CLOSE, close_payload(4001, b"bye")))
        assert stream.read_close() == 4001
        assert stream.at_end()
        eventually("its close", lambda: said_closed(running) == [(4001, 1)])


def test_the_handler_closes(serve):
    running = serve()
    with H2Peer(running) as peer:
        stream = peer.open("/witness").opened()
        stream.read_message()
        stream.send(frame(TEXT, b"end"))
        assert stream.read_frame() == (CLOSE, True, close_payload(4007, b"as asked"))
        peer.ping()
        assert not stream.has_ended, "END_STREAM stands behind both Close frames"
        stream.send(frame(CLOSE, close_payload(4007)))
        assert stream.at_end()
        eventually("its close", lambda: said_closed(running) == [(4007, 2)])


def end_without_close(stream):
    stream.end()


def break_off(stream):
    stream.reset()


def break_connection(stream):
    stream.peer.reset()


def end_connection(stream):
    stream.peer.close()


@pytest.mark.parametrize("way", [end_without_close, break_off, break_connection, end_connection])
@pytest.mark.parametrize("left", [b"", frame(BINARY, b"x" * 100)[:50]], ids=["between messages", "in a message"])
def test_an_end_without_close_is_1006(serve, way, left):
    running = serve()
    with H2Peer(running) as peer, H2Peer(running) as other, other.open().opened() as bystander:
        streams = [peer.open("/witness").opened() for _ in range(3)]
        for stream in streams:
            stream.read_message()
            stream.send(left)
        way(streams[1])
        count = 1 if way in (end_without_close, break_off) else 3
        eventually("the closes", lambda: said_closed(running) == [(1006, 4)] * count)
        if way is end_without_close:
            assert streams[1].is_over()
        if count == 1:
            for stream in (streams[0], streams[2]):
                stream.send(frame(BINARY, b"x" * 100)[50:] if left else b"")
            stream = peer.open("/witness").opened()
            stream.read_message()
            assert answers(stream)
            # Those that are left, and the new one.
            peer.reset()
            count = 4
        assert answers(bystander)
        eventually("every close", lambda: said_closed(running) == [(1006, 4)] * count)


def test_abort_resets_the_stream_alone(serve):
    running = serve()
    with H2Peer(running) as peer:
        stream, other = peer.open("/witness").opened(), peer.open().opened()
        stream.read_message()
        stream.send(frame(TEXT, b"abort"))
        with pytest.raises(StreamReset) as reset:
            stream.read_frame()
        assert reset.value.code == CANCEL
        assert answers(other)


def test_a_broken_rule_is_a_close_and_an_end(serve):
    running = serve()
    with H2Peer(running) as peer:
        stream, other = peer.open("/witness").opened(), peer.open().opened()
        stream.read_message()
        stream.send(frame(TEXT, b"\xff\xfe"))
        assert stream.read_close() == 1007
        assert stream.is_over() and stream.reset_code in (None, NO_ERROR, CANCEL)
        unmasked = peer.open("/witness").opened()
        unmasked.read_message()
        unmasked.send(frame(TEXT, b"bare", masked=False))
        assert unmasked.read_close() == 1002
        assert answers(other)


def test_a_client_that_goes_on_behind_its_close(serve):
    """Both have said Close; what it says then is nobody's, and the connection goes on."""
    running = serve()
    with Wire(running) as wire:
        wire.shake()
        wire.open(1, "/witness")
        wire.read_until(DATA)
        wire.write(DATA, 0, 1, frame(CLOSE, close_payload(1000)))
        while not wire.read_until(DATA, stream=1).flags & 1:
            pass
        for _ in range(5):
            wire.write(DATA, 0, 1, frame(TEXT, b"x" * 1000))
        resets = [each for each in wire.ping() if each.kind == RST_STREAM and each.stream == 1]
        assert [each.number for each in resets] in ([], [NO_ERROR])
        wire.open(3)
        assert wire.read_until(HEADERS, stream=3)
    eventually("one close", lambda: len(said_closed(running)) == 1)


def test_a_client_that_never_answers_close_is_given_up(serve):
    running = serve(main="defaults { close_timeout 200ms; }")
    with H2Peer(running) as peer:
        stream = peer.open("/witness").opened()
        stream.read_message()
        stream.send(frame(TEXT, b"end"))
        assert stream.read_close() == 4007
        assert stream.is_over()
        with peer.open().opened() as other:
            assert answers(other)


# ---- limits of a route

@pytest.mark.parametrize("limit, size, code", [("max_message 1k;", 1024, None), ("max_message 1k;", 1025, 1009),
                                               ("max_frame 512;", 512, None), ("max_frame 512;", 513, 1009)])
def test_limits_of_messages(serve, limit, size, code):
    running = serve(f"route /echo {{ handler echo; {limit} }}")
    with H2Peer(running) as peer, peer.open().opened() as other:
        stream = peer.open().opened()
        stream.send(frame(BINARY, b"x" * size))
        if code:
            assert stream.read_close() == code
        else:
            assert stream.read_message() == (BINARY, b"x" * size)
        assert answers(other)


def test_pings_of_the_gateway_are_per_stream(serve):
    running = serve(main="defaults { ping_interval 200ms; pong_timeout 200ms; close_timeout 200ms; }")
    with H2Peer(running) as peer:
        silent, good = peer.open("/witness").opened(), peer.open().opened()
        silent.read_message()
        assert silent.read_frame()[0] == PING
        for _ in range(6):
            opcode, _, payload = good.read_frame()
            assert opcode == PING
            good.send(frame(PONG, payload))
        with pytest.raises((EOFError, StreamReset)):
            while True:
                silent.read_frame()
        eventually("its close", lambda: said_closed(running) == [(1011, 3)])


# ---- RFC 9113 5.1.1 and 6.8, drain and stop

def eventually_goaway(peer, count):
    """Goes round until the gateway has said it; each round takes what comes."""
    eventually(f"{count} GOAWAY", lambda: peer.ping() or len(peer.goaways) >= count)
    assert (peer.goaways[0].last_stream, peer.goaways[0].number) == ((1 << 31) - 1, NO_ERROR)


def late_stream(peer):
    """Who asks nevertheless is told, or refused."""
    late = peer.ask_for()
    try:
        assert late.answered().status == 503 and late.body.startswith(b"draining")
    except StreamReset as reset:
        assert reset.code == REFUSED_STREAM
    return late


def test_a_stop_says_where_it_ends(serve):
    running = serve(main="defaults { close_timeout 5m; }")
    with H2Peer(running) as peer:
        stream, other = peer.open("/witness").opened(), peer.open().opened()
        stream.read_message()
        running.signal(signal.SIGTERM)
        assert stream.read_close() == 1001 and other.read_close() == 1001
        eventually_goaway(peer, 1)
        late = late_stream(peer)
        stream.send(frame(CLOSE, close_payload(1001)))
        assert stream.at_end()
        peer.ping()
        other.send(frame(CLOSE, close_payload(1001)))
        assert other.at_end()
        assert peer.at_end()
        assert len(peer.goaways) >= 2
        assert peer.goaways[-1].number == NO_ERROR and other.number <= peer.goaways[-1].last_stream <= late.number
    assert running.exit_status() == 0
    assert said_closed(running) == [(1001, 6)]


def test_a_drain_asks_clients_to_come_elsewhere(serve):
    """Those who are here stay as long as they like, and hear at once that a new stream has no place here."""
    running = serve(main="defaults { drain_timeout 5m; }")
    with H2Peer(running) as peer, H2Peer(running) as idle:
        stream = peer.open("/witness").opened()
        stream.read_message()
        draining = subprocess.Popen([PROGRAM, "drain", "-c", running.file], stdout=subprocess.DEVNULL)
        eventually_goaway(peer, 1)
        late_stream(peer)
        assert answers(stream)
        assert idle.at_end() and idle.goaways[-1].number == NO_ERROR
        stream.send(frame(CLOSE, close_payload(1000)))
        assert stream.read_close() == 1000 and stream.at_end()
        assert peer.at_end()
        assert draining.wait(DEADLINE) == 0
    assert running.exit_status() == 0


def test_an_idle_connection_does_not_hold_up_the_end(serve):
    running = serve()
    with H2Peer(running) as peer:
        running.signal(signal.SIGTERM)
        assert peer.at_end()
        assert peer.goaways and peer.goaways[-1].number == NO_ERROR
        assert running.exit_status() == 0


# ---- idle connections and PING

def test_the_ping_of_a_peer_is_answered(gateway):
    with Wire(gateway) as wire:
        wire.shake()
        wire.write(6, 0, 0, b"12345678")
        answer = wire.read_until(6)
        assert (answer.flags, answer.payload) == (1, b"12345678")


def test_a_connection_without_streams_ends(serve):
    running = serve(main="defaults { handshake_timeout 200ms; }")
    with H2Peer(running) as peer, H2Peer(running) as busy, busy.open().opened() as stream:
        assert peer.at_end()
        assert peer.goaways[-1].number == NO_ERROR
        assert answers(stream), "one with a stream stays"


def test_a_silent_peer_is_pinged_and_dropped(serve):
    running = serve(main="defaults { ping_interval 200ms; pong_timeout 200ms; handshake_timeout 1m; }")
    with Wire(running) as wire:
        wire.shake()
        ping = wire.read_until(6)
        assert ping.flags == 0
        wire.write(6, 1, 0, ping.payload)
        assert wire.read_until(6).flags == 0
        # This one is not answered.
        wire.rest()


def test_a_peer_that_answers_pings_stays(serve):
    running = serve(main="defaults { ping_interval 100ms; pong_timeout 5s; handshake_timeout 1m; }")
    with Wire(running) as wire:
        wire.shake()
        for _ in range(5):
            ping = wire.read_until(6)
            wire.write(6, 1, 0, ping.payload)


# ---- clients of other makes

def test_nghttp_and_h2load(gateway):
    url = f"http://127.0.0.1:{gateway.port}/witness"
    done = subprocess.run(["nghttp", "-v", url], capture_output=True, text=True, timeout=DEADLINE)
    assert ":status: 200" in done.stdout and "http=20 method=GET path=/witness" in done.stdout, done.stdout + done.stderr
    (gateway.folder / "body").write_bytes(b"x" * 5000)
    posted = subprocess.run(["nghttp", "-v", "-d", gateway.folder / "body", url], capture_output=True, text=True, timeout=DEADLINE)
    assert "method=POST" in posted.stdout and "body=5000" in posted.stdout, posted.stdout
    load = subprocess.run(["h2load", "-n", "2000", "-c", "4", "-m", "50", url], capture_output=True, text=True,
                          timeout=DEADLINE * 3)
    assert re.search(r"status codes: 2000 2xx, 0 3xx, 0 4xx, 0 5xx", load.stdout), load.stdout


def test_curl_over_tls(secure, tmp_path):
    running = secure()
    done = subprocess.run(["curl", "--silent", "--http2", "--noproxy", "*", "--cacert", tmp_path / "first.pem", "--resolve",
                           f"localhost:{running.port}:127.0.0.1", "-w", "%{http_version}",
                           f"https://localhost:{running.port}/witness"], capture_output=True, text=True, timeout=DEADLINE)
    assert done.stdout.startswith("build=1 http=20 method=GET") and done.stdout.endswith("body=02"), done.stdout + done.stderr


NODE = r"""
"use strict";
const http2 = require("node:http2");
const [url, path, count] = [process.argv[2], process.argv[3], Number(process.argv[4])];
const client = http2.connect(url);
client.on("error", error => { console.log("error", error.code); process.exit(1); });
let left = count;
client.on("remoteSettings", settings => {
  if (!settings.enableConnectProtocol) { console.log("no extended CONNECT"); process.exit(1); }
  for (let number = 0; number < count; number++) {
    const stream = client.request({ ":method": "CONNECT", ":protocol": "websocket", ":path": path, "sec-websocket-version": "13" });
    const text = Buffer.from(`node ${number}`), key = Buffer.from([1, 2, 3, 4]);
    let heard = Buffer.alloc(0), isClosing = false;
    const frame = (opcode, payload) => Buffer.concat([
      Buffer.from([0x80 | opcode, 0x80 | payload.length]), key, payload.map((octet, index) => octet ^ key[index % 4])]);
    stream.on("response", headers => {
      if (headers[":status"] !== 200) { console.log("status", headers[":status"]); process.exit(1); }
      stream.write(frame(1, text));
    });
    stream.on("data", more => {
      heard = Buffer.concat([heard, more]);
      if (!isClosing && heard.length >= 2 + text.length) {
        console.log(heard.subarray(2, 2 + text.length).toString());
        isClosing = true;
        stream.write(frame(8, Buffer.from([3, 232])));
      }
    });
    stream.on("end", () => { console.log("end", heard.length); stream.end(); });
    stream.on("close", () => { if (--left === 0) client.close(); });
  }
});
client.on("close", () => process.exit(0));
"""


@pytest.mark.parametrize("is_secret", [False, True], ids=["plain", "TLS"])
def test_node(gateway, secure, tmp_path, is_secret):
    running = secure() if is_secret else gateway
    url = f"https://localhost:{running.port}" if is_secret else f"http://127.0.0.1:{running.port}"
    done = subprocess.run([shutil.which("node"), "-e", NODE, "-", url, "/echo", "20"], capture_output=True, text=True,
                          timeout=DEADLINE, env={"NODE_EXTRA_CA_CERTS": str(tmp_path / "first.pem")})
    lines = done.stdout.split("\n")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {f"node {number}" for number in range(20)} <= set(lines)
    assert sum(line.startswith("end ") for line in lines) == 20


def test_two_listeners_are_set_apart(make_gateway):
    running = make_gateway(listen=(LISTEN, "127.0.0.1:0")).start()
    ports = [int(address.rpartition(":")[2]) for address in running.addresses()]
    with H2Peer(running, port=ports[0]) as peer, peer.open().opened() as stream:
        assert answers(stream)
    with socket.create_connection(("127.0.0.1", ports[1])) as other:
        other.sendall(PREFACE)
        assert not other.recv(100).startswith(b"\0")

"""What plain HTTP clients and broken handshakes are told."""
import http.client
import json

import pytest

from gateway_process import DEADLINE, Gateway
from raw_peer import RawPeer


@pytest.fixture(scope="module")
def with_console(tmp_path_factory):
    with Gateway(tmp_path_factory.mktemp("console"), main="console /;") as running:
        yield running


def ask(gateway, path, method="GET", headers=None, connection=None):
    connection = connection or http.client.HTTPConnection(*gateway.endpoint, timeout=DEADLINE)
    connection.request(method, path, headers=headers or {})
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read()


def test_a_plain_request_is_told_what_this_is(gateway):
    status, headers, body = ask(gateway, "/echo")
    assert status == 400
    assert b"not-a-websocket-request" in body
    assert headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize("path", ["/", "/nothing", "/echo/", "/Echo", "/echo%2f", "//echo"])
def test_a_path_without_route(gateway, path):
    status, _, body = ask(gateway, path)
    assert (status, b"no-route" in body) == (404, True)


@pytest.mark.parametrize("path", ["/echo?a=b", "/x/../echo", "/%65cho", "/./echo"])
def test_the_same_path_written_otherwise(gateway, path):
    with RawPeer(gateway, path) as peer:
        peer.opened()


@pytest.mark.parametrize("path, status, word", [("/echo", 400, "not-a-websocket-request"), ("/none", 404, "no-route")])
def test_head_is_the_answer_without_its_body(gateway, path, status, word):
    seen, headers, body = ask(gateway, path, "HEAD")
    assert (seen, body) == (status, b"")
    _, plain, full = ask(gateway, path)
    assert word.encode() in full
    assert headers["content-length"] == plain["content-length"] == str(len(full))


def test_a_connection_serves_several_requests(with_console):
    connection = http.client.HTTPConnection(*with_console.endpoint, timeout=DEADLINE)
    assert ask(with_console, "/", connection=connection)[0] == 200
    first = connection.sock
    assert first is not None, "the gateway closed after one answer"
    assert ask(with_console, "/", "HEAD", connection=connection)[0] == 200
    assert ask(with_console, "/nothing", connection=connection)[0] == 404
    assert connection.sock is first
    connection.close()


def test_connection_close_is_obeyed(with_console):
    status, headers, _ = ask(with_console, "/", headers={"Connection": "close"})
    assert (status, headers["connection"].lower()) == (200, "close")


def test_the_console_lists_the_routes(with_console):
    status, headers, body = ask(with_console, "/")
    assert status == 200
    assert headers["content-type"].replace(" ", "").lower() == "text/html;charset=utf-8"
    status, headers, body = ask(with_console, "/-/state")
    assert (status, headers["content-type"]) == (200, "application/json")
    routes = {each["pattern"]: each for each in json.loads(body)["routes"]}
    assert routes["/echo"]["generation"] == 1 and routes["/chat"]["unavailable"] is None
    assert ask(with_console, "/-/main.js")[1]["content-type"].startswith("text/javascript")
    assert ask(with_console, "/-/nothing.js")[0] == 404


# ---- the opening handshake, RFC 6455 4.2.1

def test_the_wrong_version_is_told_the_right_one(gateway):
    # RFC 6455 4.4: the server responds with a |Sec-WebSocket-Version| header of the versions it is willing to use.
    with RawPeer(gateway, headers={"Sec-WebSocket-Version": "8"}) as peer:
        assert peer.status == 426
        assert peer.headers["sec-websocket-version"] == "13"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_only_get_upgrades(gateway, method):
    with RawPeer(gateway, method=method) as peer:
        assert peer.status == 405


@pytest.mark.parametrize("change", [
    {"headers": {"Sec-WebSocket-Key": "c2hvcnQ="}},
    {"headers": {"Sec-WebSocket-Key": "not base64!"}},
    {"drop": ["Sec-WebSocket-Key"]},
    {"drop": ["Host"]},
    {"headers": {"Bad Name": "x"}},
])
def test_a_broken_handshake_is_refused(gateway, change):
    with RawPeer(gateway, **change) as peer:
        assert peer.status == 400


def test_no_route_is_said_before_the_upgrade(gateway):
    with RawPeer(gateway, "/nothing") as peer:
        assert (peer.status, b"no-route" in peer.body) == (404, True)


@pytest.mark.parametrize("headers", [
    {"Connection": "keep-alive, Upgrade"},
    {"Connection": "upgrade", "Upgrade": "WebSocket"},
    {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits, x-unknown"},
    {"Sec-WebSocket-Protocol": "nobody.speaks.this"},
])
def test_legal_oddities_are_accepted(gateway, headers):
    with RawPeer(gateway, headers=headers).opened() as peer:
        assert "sec-websocket-extensions" not in peer.headers
        assert "sec-websocket-protocol" not in peer.headers


def test_the_first_offered_subprotocol_of_the_route_is_chosen(make_gateway):
    routes = "route /echo { handler echo; subprotocols one two; }\n"
    with make_gateway(routes=routes) as running:
        with RawPeer(running, headers={"Sec-WebSocket-Protocol": "three, two, one"}).opened() as peer:
            assert peer.headers["sec-websocket-protocol"] == "two"


@pytest.mark.parametrize("data, status", [
    (b"GET /echo HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 20000 + b"\r\n\r\n", 431),
    (b"GET /echo HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 120 + b"\r\n", 431),
    (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    (b"GET /echo HTTP/1.1\r\nHost : a\r\n\r\n", 400),
    (b"GET /echo HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    (b"GET /echo HTTP/1.1\nHost: a\n\n", 400),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    (b"GET /echo HTTP/2.0\r\nHost: a\r\n\r\n", 505),
], ids=["head too large", "too many headers", "long request line", "space before colon", "two hosts", "bare LF",
        "TLS to a plain port", "unknown version"])
def test_a_bad_head_is_answered_and_closed(gateway, data, status):
    with gateway.connect() as sock:
        sock.sendall(data)
        answer = b""
        while more := sock.recv(65536):
            answer += more
        assert answer.startswith(f"HTTP/1.1 {status} ".encode())


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_console_does_not_take_a_body_for_the_next_request(with_console, method):
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    with with_console.connect() as sock:
        sock.sendall(f"{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: {len(smuggled)}\r\n\r\n".encode() + smuggled)
        answers = b""
        while more := sock.recv(65536):
            answers += more
    assert answers.count(b"HTTP/1.1 ") == 1 and answers.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nConnection: close\r\n" in answers

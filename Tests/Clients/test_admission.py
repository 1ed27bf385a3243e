"""Who may come in: origins, addresses, how many and how often from one address, with each limit crossed by one."""
import http.client
import json

import pytest

from gateway_process import DEADLINE, Gateway, eventually
from raw_peer import TEXT, RawPeer, accepted, frame
from test_control import ask


def refusal(peer):
    """Status and code word of an answer."""
    return peer.status, peer.body.split(b":")[0].decode()


def get(running, path="/echo", headers=None):
    """Status and code word of a plain request."""
    client = http.client.HTTPConnection("127.0.0.1", running.port, timeout=DEADLINE)
    client.request("GET", path, headers=headers or {})
    answer = client.getresponse()
    found = answer.status, answer.read().split(b":")[0].decode()
    client.close()
    return found


# ---- origins

LISTED = "origin https://a.example https://*.b.example:8443;"


@pytest.mark.parametrize("policy, origin, comes_in", [
    ("", "http://127.0.0.1:PORT", True), ("", "https://127.0.0.1:PORT", True), ("", None, True),
    ("", "http://127.0.0.1", False), ("", "http://localhost:PORT", False), ("", "null", False), ("", "", False),
    ("", "http://127.0.0.1:PORT/", False), ("", "http://127.0.0.1:PORT.evil.example", False),
    ("origin any;", "https://evil.example", True), ("origin any;", "null", True),
    (LISTED, "https://a.example", True), (LISTED, "https://x.y.b.example:8443", True), (LISTED, None, True),
    (LISTED, "http://a.example", False), (LISTED, "https://b.example:8443", False),
    (LISTED, "https://a.example.evil", False), (LISTED, "http://127.0.0.1:PORT", False),
    ("origin same-host required;", None, False), ("origin same-host required;", "http://127.0.0.1:PORT", True),
])
def test_pages_of_the_own_host_and_of_listed_origins(make_gateway, policy, origin, comes_in):
    running = make_gateway(routes=f"route /echo {{ handler echo; {policy} }}").start()
    headers = {} if origin is None else {"Origin": origin.replace("PORT", str(running.port))}
    with RawPeer(running, headers=headers) as peer:
        if comes_in:
            peer.opened()
        else:
            assert refusal(peer) == (403, "origin-not-allowed")


def test_two_origins_are_refused(gateway):
    own = f"http://127.0.0.1:{gateway.port}"
    with RawPeer(gateway, headers={"Origin": own}) as peer:
        peer.opened()
    with RawPeer(gateway, headers={"Origin": own, "origin": own}) as peer:
        assert refusal(peer) == (403, "origin-not-allowed")


def test_plain_requests_have_no_origin_to_be_checked(make_gateway):
    running = make_gateway(main="console /console;", routes="route /chat { handler chat; }").start()
    for path in ("/chat", "/console"):
        assert get(running, path, {"Origin": "https://evil.example"})[0] == 200


def test_a_reload_changes_who_may_come_in(make_gateway):
    running = make_gateway(routes="route /echo { handler echo; }").start()
    evil = {"Origin": "https://evil.example"}
    with RawPeer(running, headers=evil) as peer:
        assert peer.status == 403
    running.file.write_text(running.file.read_text().replace("handler echo;", "handler echo; origin any;"))
    running.signal(1)
    running.wait_for("route /echo: reconfigured")
    with RawPeer(running, headers=evil).opened() as peer:
        running.file.write_text(running.file.read_text().replace("origin any;", "origin same-host;"))
        running.signal(1)
        running.wait_for("configuration|reconfigured")
        peer.send(frame(TEXT, b"still here"))
        assert peer.read_frame() == (TEXT, True, b"still here")


# ---- addresses

@pytest.mark.parametrize("rules, comes_in", [
    ("", True), ("allow 127.0.0.0/8; deny all;", True), ("deny 127.0.0.1;", False), ("deny 127.0.0.2;", True),
    ("deny 127.0.0.1; allow all;", False), ("allow 10.0.0.0/8; deny all;", False), ("deny ::ffff:127.0.0.1;", False),
    ("deny ::/0;", False), ("deny unix:;", True),
])
@pytest.mark.parametrize("listen", ["127.0.0.1:0", "0"], ids=["IPv4", "both"])
def test_addresses_that_may_come_in(make_gateway, listen, rules, comes_in):
    running = make_gateway(listen=[listen], routes=f"route /chat {{ handler chat; {rules} }}").start()
    with RawPeer(running, "/chat") as peer:
        if comes_in:
            peer.opened()
            assert get(running, "/chat")[0] == 200
        else:
            assert refusal(peer) == get(running, "/chat") == (403, "address-not-allowed")


def test_a_route_has_its_own_addresses(make_gateway):
    running = make_gateway(main="console /console; defaults { deny 127.0.0.1; }", routes=(
        "route /echo { handler echo; }\nroute /open { handler echo; allow all; }")).start()
    with RawPeer(running) as peer, RawPeer(running, "/open") as other:
        assert refusal(peer) == get(running, "/console") == (403, "address-not-allowed")
        other.opened()


# ---- hosts

HOSTS = """
route /chat { handler chat; }
route /plain { handler chat; }
host api.example.com { route /chat { handler echo; } route /own { handler echo; } }
host *.example.com { route /own { handler chat; } }
"""


def serves(running, path, host):
    """What answers a WebSocket: `echo`, `chat`, or the status."""
    with RawPeer(running, path, headers={"Host": host}) as peer:
        if peer.status != 101:
            return peer.status
        # The chat greets, the echo waits.
        peer.send(frame(TEXT, b"anybody?"))
        return "echo" if peer.read_frame() == (TEXT, True, b"anybody?") else "chat"


@pytest.mark.parametrize("host, path, served", [
    ("api.example.com", "/chat", "echo"), ("API.Example.Com:1234", "/chat", "echo"), ("api.example.com.", "/own", "echo"),
    ("api.example.com", "/plain", "chat"), ("www.example.com", "/own", "chat"), ("a.b.example.com", "/own", "chat"),
    ("example.com", "/own", 404), ("www.example.com", "/chat", "chat"), ("127.0.0.1", "/chat", "chat"),
    ("api.example.com.evil.example", "/own", 404), ("evil-example.com", "/own", 404),
])
def test_a_host_has_routes_of_its_own(gateway_of_hosts, host, path, served):
    assert serves(gateway_of_hosts, path, host) == served


@pytest.fixture(scope="module")
def gateway_of_hosts(tmp_path_factory):
    with Gateway(tmp_path_factory.mktemp("hosts"), routes=HOSTS) as running:
        yield running


def test_status_and_explain_show_hosts(gateway_of_hosts):
    table = ask(gateway_of_hosts, "status").stdout
    assert "api.example.com/chat " in table and "*.example.com/own " in table
    routes = json.loads(ask(gateway_of_hosts, "status", "--json").stdout)["routes"]
    assert [(route["host"], route["route"]) for route in routes] == [
        (None, "/chat"), (None, "/plain"), ("api.example.com", "/chat"), ("api.example.com", "/own"),
        ("*.example.com", "/own")]
    shown = ask(gateway_of_hosts, "explain", "/chat", "-H", "Host: api.example.com:80")
    assert shown.returncode == 0 and "api.example.com/chat" in shown.stdout and "echo" in shown.stdout


def test_hosts_come_and_go_with_a_reload(make_gateway):
    running = make_gateway(routes="route /chat { handler chat; }\nhost a.example { route /chat { handler echo; } }").start()
    with RawPeer(running, "/chat", headers={"Host": "a.example"}).opened() as here:
        text = running.file.read_text()
        running.file.write_text(text.replace("host a.example", "host b.example"))
        told = ask(running, "reload")
        assert told.returncode == 0
        assert "b.example/chat: added" in told.stdout and "a.example/chat: removed" in told.stdout
        assert serves(running, "/chat", "b.example") == "echo" and serves(running, "/chat", "a.example") == "chat"
        here.send(frame(TEXT, b"still here"))
        assert here.read_frame() == (TEXT, True, b"still here")
    running.file.write_text(text.split("host")[0])
    assert "b.example/chat: removed" in ask(running, "reload").stdout
    assert serves(running, "/chat", "b.example") == "chat"


def test_topics_of_hosts_are_apart(make_gateway):
    running = make_gateway(routes=(
        "host a.example { route /chat { handler chat; } }\nhost b.example { route /chat { handler chat; } }")).start()
    with RawPeer(running, "/chat", headers={"Host": "a.example"}).opened() as one, \
            RawPeer(running, "/chat", headers={"Host": "b.example"}).opened() as other:
        one.send(frame(TEXT, b"hello"))
        assert one.read_frame() == (TEXT, True, b"[0]: hello")
        other.send(frame(TEXT, b"good day"))
        assert other.read_frame() == (TEXT, True, b"[0]: good day"), "each is the first in a room of its own"


def test_check_names_duplicates(make_gateway):
    still = make_gateway(routes="host a { route /x { handler echo; } route /x { handler chat; } }\nhost A { }")
    said = ask(still, "check")
    assert said.returncode == 78
    assert 'duplicate route "/x"' in said.stderr and 'duplicate host "A"' in said.stderr


# ---- crowds of one address

@pytest.mark.parametrize("main, routes", [
    ("threads 4; defaults { max_connections_per_ip 3; }", "route /echo { handler echo; }"),
    ("threads 4;", "route /echo { handler echo; max_connections_per_ip 3; }"),
], ids=["of the gateway", "of a route"])
def test_max_connections_per_ip(make_gateway, main, routes):
    running = make_gateway(listen=["0"], main=main, routes=routes).start()
    peers = [RawPeer(running).opened() for _ in range(3)]
    for _ in range(4):
        with RawPeer(running) as fourth:
            assert refusal(fourth) == (429, "too-many-connections-per-ip")
            assert int(fourth.headers["retry-after"]) > 0
    with RawPeer(running, source="127.0.0.2") as other:
        other.opened()
    for peer in peers:
        peer.send(frame(TEXT, b"hello"))
        assert peer.read_frame() == (TEXT, True, b"hello")
    peers.pop().close()
    peers.append(eventually("a place for the next", lambda: accepted(running)))
    assert accepted(running) is None


def test_who_is_refused_by_the_handler_is_not_counted(make_gateway):
    running = make_gateway(routes="route /auth { handler auth; set tokens tokens; max_connections_per_ip 1; }")
    (running.folder / "tokens").write_text("open-sesame Ali\n")
    running.start()
    for _ in range(5):
        with RawPeer(running, "/auth") as peer:
            assert peer.status == 401
    token = {"Authorization": "Bearer open-sesame"}
    with RawPeer(running, "/auth", headers=token).opened(), RawPeer(running, "/auth", headers=token) as second:
        assert second.status == 429


@pytest.mark.parametrize("main, routes", [
    ("threads 4; defaults { handshake_rate 1/h burst 5; }", "route /echo { handler echo; }"),
    ("threads 4;", "route /echo { handler echo; handshake_rate 1/h burst 5; }"),
], ids=["of the gateway", "of a route"])
def test_handshake_rate(make_gateway, main, routes):
    running = make_gateway(main=main, routes=routes).start()
    for _ in range(5):
        RawPeer(running).opened().close()
    with RawPeer(running) as sixth:
        assert refusal(sixth) == (429, "too-many-handshakes")
        assert 3500 < int(sixth.headers["retry-after"]) <= 3600
    with RawPeer(running, source="127.0.0.2") as other:
        other.opened()
    assert get(running)[0] == 400, "plain requests are no handshakes"


def test_a_rate_lets_in_again(make_gateway):
    running = make_gateway(routes="route /echo { handler echo; handshake_rate 10/s burst 1; }").start()
    RawPeer(running).opened().close()
    eventually("the next", lambda: accepted(running)).close()


def test_limits_of_addresses_survive_a_reload(make_gateway):
    running = make_gateway(routes="route /echo { handler echo; max_connections_per_ip 2; }").start()
    with RawPeer(running).opened(), RawPeer(running).opened():
        text = running.file.read_text()
        running.file.write_text(text.replace("max_connections_per_ip 2;", "max_connections_per_ip 2; max_message 2k;"))
        assert "route /echo: reconfigured" in ask(running, "reload").stdout
        assert accepted(running) is None
        running.file.write_text(text.replace("max_connections_per_ip 2;", "max_connections_per_ip 3;"))
        assert "route /echo: reconfigured" in ask(running, "reload").stdout
        with accepted(running):
            assert accepted(running) is None

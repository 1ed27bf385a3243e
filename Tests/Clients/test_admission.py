"""Who may come in: origins, addresses, how many and how often from one address, with each limit crossed by one."""
import http.client

import pytest

from gateway_process import DEADLINE
from raw_peer import TEXT, RawPeer, frame


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
    running = make_gateway(main="defaults { deny 127.0.0.1; }", routes=(
        "route /echo { handler echo; }\nroute /open { handler echo; allow all; }")).start()
    with RawPeer(running) as peer, RawPeer(running, "/open") as other:
        assert refusal(peer) == (403, "address-not-allowed")
        other.opened()

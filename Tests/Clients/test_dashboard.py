"""The dashboard as a program sees it: its files, who gets in, what it is told each second, and its buttons."""
import contextlib
import json
import time

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from admin_client import admin_port, get
from gateway_process import DEADLINE, TOP, eventually
from raw_peer import TEXT, RawPeer, frame
from test_admin import ADMIN, command, guarded, token_file
from test_handlers import SHOUT, compile_handler

ECHO = TOP / "Plugins/echo/echo.c"
# The same code, and another file.
OTHER = "-Wl,--build-id=0x02"
TOKEN = {"Authorization": "Bearer s3cret"}


def origin(running):
    return f"http://127.0.0.1:{admin_port(running)}"


@contextlib.contextmanager
def dashboard(running, **headers):
    """An open dashboard, as an iterator over what it is told."""
    url = f"ws://127.0.0.1:{admin_port(running)}/api/live"
    with connect(url, origin=origin(running), additional_headers=headers, compression=None, proxy=None, max_size=None) as told:
        yield told


def until(told, accepts):
    """What is told first that is accepted."""
    end = time.monotonic() + DEADLINE
    while True:
        news = json.loads(told.recv(DEADLINE))
        if accepts(news):
            return news
        assert time.monotonic() < end, f"not told within {DEADLINE:.0f} s, but {news}"


def press(running, name, query="", **headers):
    """The status and the answer of a button."""
    given = {"Origin": origin(running), "X-Gateway-Action": name, **headers}
    status, said, body = get(running, f"/api/{name}{query}", method="POST", **given)
    return status, json.loads(body) if "json" in said["Content-Type"] else body


def value(news, metric, **labels):
    return sum(each["value"] for each in news["metrics"][metric] if labels.items() <= each.items())


def test_its_files_lie_in_the_gateway(make_gateway):
    running = make_gateway(main=ADMIN).start()
    url = running.wait_for(r"the dashboard is at (\S+)$")[1]
    assert url == f"{origin(running)}/"
    status, headers, page = get(running, "/")
    assert status == 200 and headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in headers["Content-Security-Policy"] and '<script type="module" src="/-/main.js">' in page
    assert get(running, "/-/main.js")[1]["Content-Type"] == "text/javascript; charset=utf-8"
    assert get(running, "/-/nothing.js")[0] == 404


def test_it_is_told_everything_at_once_and_counts_from_then_on(make_gateway):
    running = make_gateway(main=ADMIN, routes="route /echo { handler echo; }\nroute /x { handler nowhere; }").start()
    with RawPeer(running).opened() as peer, dashboard(running) as told:
        first = json.loads(told.recv(DEADLINE))
        assert first["status"]["process"]["state"] == "degraded" and "route /x" in first["unready"][0]
        assert value(first, "gateway_connections", route="/echo") == 1
        assert [each["route"] for each in first["status"]["routes"]] == ["/echo", "/x"]
        for _ in range(5):
            peer.send(frame(TEXT, b"hello"))
            peer.read_frame()
        news = until(told, lambda news: value(news, "gateway_messages_received") == 5)
        message = next(each for each in news["metrics"]["gateway_callback_duration_seconds"] if each["callback"] == "message")
        assert message["count"] == sum(message["counts"]) and len(message["counts"]) == len(message["bounds"]) + 1
        assert news["status"]["process"]["uptime_ms"] > first["status"]["process"]["uptime_ms"]


def test_a_reload_that_moves_is_told_at_once(make_gateway):
    running = make_gateway(main=ADMIN)
    compile_handler(running, "echo", ECHO)
    running.start()
    with RawPeer(running).opened() as peer, dashboard(running) as told:
        assert until(told, lambda _: True)["timeline"] == []
        compile_handler(running, "echo", ECHO, OTHER)
        news = until(told, lambda news: news["timeline"])
        [entry] = news["timeline"]
        assert (entry["kind"], entry["handler"], entry["result"]) == ("reload", "echo", "switched")
        assert (entry["before"], entry["after"]) == (1, 2)
        reload = entry["reload"]
        assert (reload["moved"], reload["closed"], reload["draining"]) == (1, 0, 0)
        assert reload["cause"] == "the file changed" and reload["moving_ms"] > 0
        peer.send(frame(TEXT, b"still here"))
        assert peer.read_frame()[2] == b"still here"
        # Who comes later is told of it, too.
        with dashboard(running) as other:
            assert json.loads(other.recv(DEADLINE))["timeline"] == news["timeline"]


def test_counts_of_a_reload_go_on(make_gateway):
    running = make_gateway(main=ADMIN, routes="route /shout { handler shout; drain_timeout 60s; reload drain; }")
    compile_handler(running, "shout")
    running.start()
    with dashboard(running) as told:
        with RawPeer(running, "/shout").opened():
            compile_handler(running, "shout", SHOUT, OTHER)
            assert until(told, lambda news: news["timeline"])["timeline"][0]["reload"]["draining"] == 1
        left = until(told, lambda news: news["timeline"] and news["timeline"][-1]["reload"]["draining"] == 0)
        assert left["timeline"][0]["number"] == 1


def test_a_refused_configuration_is_in_the_timeline(make_gateway):
    running = make_gateway(main=ADMIN).start()
    running.file.write_text(running.file.read_text() + "\nnonsense;\n")
    assert press(running, "reload")[0] == 409
    with dashboard(running) as told:
        [entry] = until(told, lambda news: news["timeline"])["timeline"]
    assert (entry["kind"], entry["result"], entry["handler"]) == ("configuration", "refused", None)
    assert "the file is wrong" in entry["reload"]["outcome"] and entry["reload"]["cause"] == "the dashboard"


def test_only_the_last_hundred_are_remembered(make_gateway):
    running = make_gateway(main=ADMIN).start()
    for _ in range(103):
        assert press(running, "reload", "?handler=echo")[0] == 200
    with dashboard(running) as told:
        numbers = [entry["number"] for entry in json.loads(told.recv(DEADLINE))["timeline"]]
    assert numbers == list(range(4, 104))


def test_buttons_say_what_the_commands_say(make_gateway):
    running = make_gateway(main=ADMIN)
    compile_handler(running, "echo", ECHO)
    running.start()
    status, said = press(running, "reload", "?handler=echo")
    assert status == 200 and said["accepted"] and "the file is identical to generation 1" in said["outcome"]
    status, said = press(running, "rollback", "?handler=echo")
    assert status == 409 and not said["accepted"] and said["exit"] == 75
    assert said["outcome"] == command(running, "rollback", "echo").stdout
    status, said = press(running, "reload", "?handler=ecko")
    assert status == 404 and 'did you mean "echo"?' in said["outcome"]
    compile_handler(running, "echo", ECHO, OTHER)
    eventually("generation 2", lambda: "generation 2 is serving" in running.log())
    status, said = press(running, "rollback", "?handler=echo")
    assert status == 200 and "rolled back to the build of generation 1" in said["outcome"]


def test_drain_is_answered_at_once_and_seen_to_the_end(make_gateway):
    running = make_gateway(main=ADMIN).start()
    with RawPeer(running).opened() as peer, dashboard(running) as told:
        status, said = press(running, "drain")
        assert status == 200 and said["accepted"] and said["outcome"].startswith("draining")
        assert press(running, "drain")[0] == 409
        assert until(told, lambda news: news["status"]["process"]["state"] == "draining")["unready"]
        peer.close()
        with pytest.raises(ConnectionClosed) as ended:
            until(told, lambda _: False)
        assert ended.value.rcvd.code == 1001
    assert running.exit_status() == 0


@pytest.mark.parametrize("headers, word", [
    ({"Origin": "http://evil.example"}, "origin-not-allowed"), ({"X-Gateway-Action": ""}, "header-required"),
    ({"X-Gateway-Action": "reload"}, "header-required"), ({"Host": "evil.example"}, "host-not-allowed")])
def test_a_foreign_page_presses_nothing(make_gateway, headers, word):
    running = make_gateway(main=ADMIN).start()
    status, said = press(running, "drain", **headers)
    assert status == 403 and said.startswith(f"{word}: ")
    assert get(running, "/api/drain", method="POST", X_Gateway_Action="drain")[0] == 403
    assert get(running, "/readyz")[0] == 200


def test_a_foreign_page_hears_nothing(make_gateway):
    running = make_gateway(main=ADMIN).start()
    url = f"ws://127.0.0.1:{admin_port(running)}/api/live"
    for said in ("http://evil.example", f"http://localhost:{admin_port(running)}", None):
        with pytest.raises(InvalidStatus) as refused:
            connect(url, origin=said, compression=None, proxy=None)
        assert refused.value.response.status_code == 403


def test_the_token_is_shown_once_and_its_cookie_stands_for_it(make_gateway):
    running = guarded(make_gateway).start()
    assert get(running, "/")[0] == 200 and get(running, "/api/session")[0] == 401
    with pytest.raises(InvalidStatus) as refused:
        dashboard(running).__enter__()
    assert refused.value.response.status_code == 401
    given = {"Origin": origin(running), "X-Gateway-Action": "session"}
    assert get(running, "/api/session", method="POST", **given, Authorization="Bearer wrong")[0] == 401
    status, headers, _ = get(running, "/api/session", method="POST", **given, **TOKEN)
    cookie, *attributes = headers["Set-Cookie"].split("; ")
    assert status == 204 and {"HttpOnly", "SameSite=Strict"} <= set(attributes) and "s3cret" not in cookie
    assert json.loads(get(running, "/api/session", Cookie=cookie)[2]) == {"token": True}
    assert press(running, "reload")[0] == 401 and press(running, "reload", Cookie=cookie)[0] == 200
    with dashboard(running, Cookie=cookie) as told:
        told.recv(DEADLINE)
        # Another token signs everybody out.
        token_file(running, "other1")
        assert "another token" in command(running, "reload").stdout
        with pytest.raises(ConnectionClosed) as ended:
            until(told, lambda _: False)
        assert ended.value.rcvd.code == 1008
    assert get(running, "/api/session", Cookie=cookie)[0] == 401
    assert cookie.split("=", 1)[1] not in running.log()

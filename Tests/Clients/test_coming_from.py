"""What users of GenHTTP, Fleck and ASP.NET Core look for: each row of the page names a test that shows it."""
import re
from pathlib import Path

import pytest

from gateway_process import TOP, Gateway
from raw_peer import BINARY, CLOSE, PING, PONG, TEXT, RawPeer, close_payload, frame
from samples import heard, plain, said
from swift_module import build_module, needs_kit

PAGE = (TOP / "Sources/GatewayHandler/GatewayHandler.docc/ComingFrom.md").read_text()
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    running = Gateway(tmp_path_factory.mktemp("tour"), routes=(
        "route /tour/* { handler tour; subprotocols v2 v1; origin any; }\nroute /manual { handler manual; }"))
    running.file.write_text(running.file.read_text().replace("access_log off", "access_log stderr text"))
    build_module(running, "tour", (HERE / "Tour.swift").read_text())
    build_module(running, "manual", (HERE / "ManualPong.swift").read_text())
    with running.start():
        yield running


# ---- the page itself

def rows():
    """The rows of the tables: what they have, what is here, what shows it."""
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and not re.fullmatch(r"[\s|:-]+", line) and cells[-1] != "Shown by":
            yield cells


def test_every_row_names_its_tests():
    count = 0
    for theirs, _, shown in rows():
        assert re.fullmatch(r"not yet|(?:`\w+\.(?:py|swift): [^`]+`(?:, )?)+", shown), f"{theirs}: {shown}"
        count += 1
    assert count > 60


def test_every_test_that_is_named_exists():
    for _, _, shown in rows():
        for file, name in re.findall(r"`(\w+\.\w+): ([^`]+)`", shown):
            found = [path for path in (TOP / "Tests").rglob(file) if "Fixtures" not in path.parts]
            text = "\n".join(path.read_text() for path in found)
            forms = f"def {name}(", f"func {name}(", f"func `{name}`(", f'@Test("{name}"'
            assert any(form in text for form in forms), (file, name)


# ---- what no other test shows

@needs_kit
def test_who_is_at_the_other_end(gateway):
    headers = {"X-Tour": "guided", "Cookie": "a=b; taste=sweet%20and%20sour", "Origin": "https://example.org",
               "Sec-WebSocket-Protocol": "v3, v1"}
    with RawPeer(gateway, "/tour/of%20all?a=1%202&b", headers=headers).opened() as peer:
        answers = {word: said(peer, word.encode()).decode() for word in
                   ("path", "query", "header", "cookie", "origin", "host", "client", "id", "subprotocol")}
        host, port = peer.socket.getsockname()
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", answers.pop("id"))
    assert answers == {"path": "/tour/of all", "query": "1 2", "header": "guided", "cookie": "sweet and sour",
                       "origin": "https://example.org", "host": "127.0.0.1", "client": f"{host}:{port}",
                       "subprotocol": "v1"}


@needs_kit
def test_two_connections_have_two_ids(gateway):
    with RawPeer(gateway, "/tour/a").opened() as one, RawPeer(gateway, "/tour/a").opened() as other:
        assert said(one, b"id") == said(one, b"id") != said(other, b"id")


@needs_kit
def test_pings_both_ways(gateway):
    with RawPeer(gateway, "/tour/a").opened() as peer:
        peer.send(frame(TEXT, b"ping"))
        assert peer.read_frame() == (PING, True, b"there?")
        peer.send(frame(PONG, b"there?"))
        assert heard(peer) == b"pong there?"
        peer.send(frame(PING, b"and you?"))
        assert peer.read_frame() == (PONG, True, b"and you?")
        assert heard(peer) == b"ping and you?"


@needs_kit
def test_a_handler_may_answer_pings_itself(gateway):
    with RawPeer(gateway, "/manual").opened() as peer:
        peer.send(frame(PING, b"there?"))
        assert peer.read_frame() == (PONG, True, b"by hand")


@needs_kit
def test_text_and_binary_are_told_apart(gateway):
    with RawPeer(gateway, "/tour/a").opened() as peer:
        peer.send(frame(TEXT, b"binary"))
        assert peer.read_frame() == (BINARY, True, b"\x00\xff")


@needs_kit
def test_a_task_may_send(gateway):
    with RawPeer(gateway, "/tour/a").opened() as peer:
        assert said(peer, b"task") == b"from a task"


@needs_kit
def test_the_server_closes_with_a_code_of_its_own(gateway):
    with RawPeer(gateway, "/tour/a").opened() as peer:
        peer.send(frame(TEXT, b"close"))
        assert peer.read_frame() == (CLOSE, True, close_payload(4000, b"seen enough"))
        peer.send(frame(CLOSE, close_payload(4000, b"seen enough")))
        assert peer.at_end()
    # What is sent to a connection that is gone is answered, not thrown.
    gateway.wait_for("onClose 4000 seen enough closed false")


@needs_kit
def test_the_server_drops_a_connection(gateway):
    with RawPeer(gateway, "/tour/a").opened() as peer:
        peer.send(frame(TEXT, b"abort"))
        assert peer.at_end()


@needs_kit
def test_an_exception_is_an_error_and_1011(gateway):
    with RawPeer(gateway, "/tour/a").opened() as peer:
        peer.send(frame(TEXT, b"no such word"))
        assert peer.read_close() == 1011
    gateway.wait_for("onError UnknownWord.*no such word")


@pytest.mark.parametrize("how, news", [("reset", "OnError"), ("close", "OnClose")])
def test_a_client_that_vanishes_is_1006(make_gateway, how, news):
    """Cut off in the middle it is an error, too; without a Close frame it is just the end."""
    running = make_gateway(routes="route /fleck { handler echo-fleck; }").start()
    with RawPeer(running, "/fleck").opened() as peer:
        running.wait_for("OnOpen")
        getattr(peer, how)()
    running.wait_for(news)
    running.wait_for("OnClose 1006")


@needs_kit
def test_connections_are_in_the_access_log(gateway):
    with RawPeer(gateway, "/tour/logged?by=name").opened() as peer:
        assert said(peer, b"path") == b"/tour/logged"
        peer.send(frame(CLOSE, close_payload(1000)))
        assert peer.read_close() == 1000
    number = gateway.wait_for(r'access: open id=(\w+) .* path="/tour/logged\?by=name" .* status=101 ')[1]
    gateway.wait_for(rf"access: close id={number} .* code=1000 by=peer messages_in=1 messages_out=1 ")


@pytest.mark.parametrize("mode, status", [("development", 200), ("production", 404)])
def test_the_console_is_for_development(make_gateway, mode, status):
    assert plain(make_gateway(main=f"mode {mode};").start(), "/")[0] == status

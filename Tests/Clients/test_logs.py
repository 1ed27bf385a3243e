"""What the logs say, where they go, and that nothing is lost when their files are moved away."""
import json
import os
import re
import signal
import socket

import pytest

from gateway_process import eventually
from raw_peer import CLOSE, TEXT, RawPeer, close_payload, frame
from test_control import ask

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def logged(make_gateway, access, routes="route /echo { handler echo; }", error="stderr info", main="", **options):
    """A gateway that logs to these places."""
    made = make_gateway(routes=routes, main=main, **options)
    text = made.file.read_text().replace("access_log off;", f"access_log {access};")
    made.file.write_text(text.replace("error_log stderr info;", f"error_log {error};"))
    return made


def listening(running):
    """Waits until it listens, which is not said on standard error."""
    def addresses():
        log = running.folder / "errors.log"
        return re.findall(r'listening on ([^\s"]+)', log.read_text()) if log.exists() else []

    running.lines += [f"listening on {address}" for address in eventually("it listens", addresses)]
    eventually("it serves", lambda: ask(running, "status").returncode == 0)


def records(path):
    """The lines of an access log in JSON."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def answer(running, request):
    """The status of the answer to bytes."""
    with socket.create_connection(running.endpoint, 20) as peer:
        peer.sendall(request)
        return int(peer.recv(65536).split()[1])


def conversation(running, path="/echo"):
    with RawPeer(running, path).opened() as peer:
        peer.send(frame(TEXT, b"hello"))
        assert peer.read_frame()[2] == b"hello"
        peer.send(frame(CLOSE, close_payload(4001, b"that is \"all\"")))
        assert peer.read_close() == 4001


def test_lines_for_people(make_gateway):
    running = logged(make_gateway, "stderr text").start()
    conversation(running, "/echo?a=%22b%22")
    number = running.wait_for(
        rf'^{TIME} access: open id=(\w+) peer=127\.0\.0\.1:\d+ host="127\.0\.0\.1" method=GET path="/echo\?a=%22b%22"'
        r" route=/echo handler=echo generation=1 status=101 http=1\.1$")[1]
    running.wait_for(
        rf"^{TIME} access: close id={number} peer=127\.0\.0\.1:\d+ route=/echo handler=echo generation=1 code=4001"
        r' by=peer detail="that is \\"all\\"" messages_in=1 messages_out=1 bytes_in=\d+ bytes_out=\d+ duration_ms=\d+$')
    running.wait_for(rf"^{TIME} info: serving with ")


def test_objects_for_programs(make_gateway):
    running = logged(make_gateway, "access.log json", error="errors.log debug json").launch()
    listening(running)
    log = running.folder / "access.log"
    conversation(running)
    eventually("both lines", lambda: len(records(log)) == 2)
    opened, closed = records(log)
    assert (opened["event"], opened["status"], opened["route"], opened["handler"]) == ("open", 101, "/echo", "echo")
    assert closed["event"] == "close" and closed["id"] == opened["id"] and closed["peer"] == opened["peer"]
    assert (closed["code"], closed["by"], closed["detail"]) == (4001, "peer", 'that is "all"')
    assert (closed["messages_in"], closed["messages_out"]) == (1, 1)
    assert re.fullmatch(TIME, opened["time"])
    errors = [json.loads(line) for line in (running.folder / "errors.log").read_text().splitlines()]
    assert any(error["level"] == "info" and error["message"].startswith("listening on") for error in errors)


@pytest.mark.parametrize("request_text, status, reason", [
    ("GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n", 404, "no-route"),
    ("GET /echo HTTP/1.1\r\nHost: a\r\n\r\n", 400, "not-a-websocket-request"),
    ("GET /missing HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", 503, "handler-unavailable"),
    ("GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nOrigin: http://b\r\n"
     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", 403, "origin-not-allowed"),
    ("GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 7\r\n\r\n", 426, None),
    ("GET /echo\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 400, None),
    ("GET /echo HTTP/1.1\r\nHost : a\r\n\r\n", 400, None),
])
def test_each_refusal_has_a_line(make_gateway, request_text, status, reason):
    routes = "route /echo { handler echo; }\nroute /missing { handler missing; }"
    running = logged(make_gateway, "access.log json", routes=routes).start()
    assert answer(running, request_text.encode()) == status
    log = running.folder / "access.log"
    record = eventually("its line", lambda: records(log))[0]
    assert (record["event"], record["status"]) == ("refuse", status)
    assert record["reason"] == reason if reason else record["reason"]
    assert record["peer"].startswith("127.0.0.1:")


def test_a_plain_request_has_a_line(make_gateway):
    running = logged(make_gateway, "stderr text", main="mode development; console /;").start()
    assert answer(running, b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n") == 200
    running.wait_for(r'access: request id=\w+ peer=\S+ host="localhost" method=GET path="/" status=200 http=1\.1$')


def test_a_stranger_cannot_forge_a_line(make_gateway):
    running = logged(make_gateway, "stderr text").start()
    path = '/x"%0a'.encode() + b"\xc2\x85"
    assert answer(running, b"GET " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n") in (400, 404)
    line = running.wait_for(r"access: refuse .*")[0]
    assert "\x85" not in line and '"/x"' not in line


def test_files_that_are_moved_away_are_opened_again(make_gateway):
    running = logged(make_gateway, "access.log json", error="errors.log info").launch()
    listening(running)
    log = running.folder / "access.log"
    total = 300
    for index in range(total):
        with RawPeer(running, "/echo").opened():
            pass
        if index % 100 == 50:
            log.rename(running.folder / f"access.log.{index}")
            running.signal(signal.SIGUSR1)
    moved = sorted(running.folder.glob("access.log.*"))
    everything = lambda: [record for path in [*moved, log] for record in records(path)]
    eventually("all lines", lambda: len(everything()) == 2 * total)
    assert len({record["id"] for record in everything()}) == total
    assert records(log), "the last of them are in the new file"
    assert "files of logs are opened again" in (running.folder / "errors.log").read_text()


def test_a_log_that_cannot_be_opened_again_goes_on_where_it_was(make_gateway):
    made = logged(make_gateway, "logs/access.log json")
    (made.folder / "logs").mkdir()
    running = made.start()
    (running.folder / "logs").rename(running.folder / "moved")
    running.signal(signal.SIGUSR1)
    running.wait_for(r"error: the log \S+/logs/access\.log cannot be opened: ")
    conversation(running)
    eventually("both lines", lambda: len(records(running.folder / "moved" / "access.log")) == 2)


def test_a_reload_changes_where_and_how_is_logged(make_gateway):
    running = logged(make_gateway, "stderr text").start()
    text = running.file.read_text()
    running.file.write_text(text.replace("access_log stderr text", "access_log access.log json")
                            .replace("error_log stderr info", "error_log errors.log debug json"))
    answered = ask(running, "reload")
    assert answered.returncode == 0, answered
    assert "access_log: stderr text -> " in answered.stdout and "error_log: stderr info text -> " in answered.stdout
    conversation(running)
    eventually("both lines", lambda: len(records(running.folder / "access.log")) == 2)
    running.file.write_text(text)
    assert ask(running, "reload").returncode == 0
    eventually("the files are closed", lambda: not any(
        path.endswith(".log") for path in held_files(running)))
    conversation(running)
    running.wait_for("access: close ")
    assert len(records(running.folder / "access.log")) == 2


def held_files(running):
    for name in os.listdir(running.proc / "fd"):
        try:
            yield os.readlink(running.proc / "fd" / name)
        except FileNotFoundError:
            continue


def test_a_log_that_cannot_be_opened_is_said(make_gateway):
    made = logged(make_gateway, "nowhere/access.log").launch()
    made.wait_for(r"access_log: \S+/nowhere/access\.log cannot be opened: ")
    assert made.exit_status() == 78
    running = logged(make_gateway, "stderr text").start()
    running.file.write_text(running.file.read_text().replace("access_log stderr text", "access_log nowhere/a.log"))
    refused = ask(running, "reload")
    assert refused.returncode == 75 and "cannot be opened" in refused.stdout + refused.stderr
    conversation(running)
    running.wait_for("access: close ")

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
from test_handlers import compile_handler
from test_tls import certificate, listen, trust

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
        r" route=/echo handler=echo generation=1 status=101 duration_ms=\d+ http=1\.1$")[1]
    running.wait_for(
        rf'^{TIME} access: close id={number} peer=127\.0\.0\.1:\d+ host="127\.0\.0\.1" method=GET path="/echo\?a=%22b%22"'
        r' route=/echo handler=echo generation=1 code=4001 by=peer detail="that is \\"all\\"" messages_in=1 messages_out=1'
        r" bytes_in=\d+ bytes_out=\d+ duration_ms=\d+ http=1\.1$")
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
    running.wait_for(r'access: request id=\w+ peer=\S+ host="localhost" method=GET path="/" status=200 duration_ms=\d+ http=1\.1$')


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


# ---- the facts of each event

REQUEST = {"time", "event", "id", "peer", "host", "method", "path", "http"}
ROUTED = {"route", "handler", "generation"}
TRAFFIC = {"messages_in", "messages_out", "bytes_in", "bytes_out"}
FACTS = {
    "open": REQUEST | ROUTED | {"status", "duration_ms", "tls", "subprotocol"},
    "close": REQUEST | ROUTED | TRAFFIC | {"code", "by", "detail", "duration_ms", "tls", "subprotocol"},
    "refuse": REQUEST | ROUTED | {"status", "reason", "duration_ms", "tls"},
    "request": REQUEST | ROUTED | {"status", "duration_ms", "tls"},
}

DECIDER = r"""
#include "gw_handler.h"
static const gw_host *host;
static gw_status start(const gw_host *h, const gw_config *config, void **self) {
    (void)h, (void)config, (void)self;
    return GW_OK;
}
static void message(void *self, gw_conn conn, void *state, const gw_message *m) {
    (void)self, (void)conn, (void)state, (void)m;
}
static gw_status upgrade(void *self, const gw_request *request) {
    (void)self;
    return request->query.len > 3 ? GW_REJECT : GW_OK;
}
static gw_status http(void *self, const gw_request *request) {
    (void)self;
    gw_reply answer = {GW_REPLY_INIT, .status = 204};
    return host->reply(host, request->ticket, &answer);
}
static const gw_handler table = {
    .struct_size = sizeof table, .abi_version = GW_ABI_VERSION, .min_host_abi = 0x10000,
    .name = "decider", .version = "1.0", .start = start, .message = message, .upgrade = upgrade, .http = http,
};
const gw_handler *gw_handler_entry_v1(const gw_host *h) { host = h; return &table; }
"""


def every_event(running, context):
    """Has each event happen once, over TLS."""
    def secure():
        return context.wrap_socket(running.connect(), server_hostname="localhost")

    def ask_for(path, peer, headers=""):
        peer.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode())
        return peer.recv(65536)

    upgrade = ("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: a.v1\r\n")
    with secure() as peer:
        assert b"101" in ask_for("/d?q=1", peer, upgrade)
        peer.sendall(frame(CLOSE, close_payload(1000, b"bye")))
        while peer.recv(4096):
            pass
    with secure() as peer:
        assert b"403" in ask_for("/d?refuse", peer, upgrade)
    with secure() as peer:
        assert b"204" in ask_for("/d", peer)


@pytest.mark.parametrize("form", ["json", "text"])
def test_each_event_has_the_facts_that_it_can_have(make_gateway, tmp_path, form):
    certificate(tmp_path, "first", "localhost")
    made = logged(make_gateway, f"access.log {form}", routes="route /d { handler decider; subprotocols a.v1; }",
                  listen=(), main=listen("first"))
    made.listen = ("tls",)
    (made.folder / "decider.c").write_text(DECIDER)
    compile_handler(made, "decider", made.folder / "decider.c")
    running = made.start()
    every_event(running, trust(tmp_path, "first"))
    log = running.folder / "access.log"
    eventually("four lines", lambda: log.exists() and len(log.read_text().splitlines()) == 4)
    found = {}
    for line in log.read_text().splitlines():
        if form == "json":
            record = json.loads(line)
            found[record["event"]] = set(record)
        else:
            event = re.match(rf"{TIME} access: (\w+) ", line)[1]
            found[event] = set(re.findall(r" (\w+)=", re.sub(r'"(?:[^"\\]|\\.)*"', '""', line))) | {"time", "event"}
    assert {event: FACTS[event] ^ facts for event, facts in found.items()} == dict.fromkeys(FACTS, set())


# ---- log_level

LOGGING = r"""
#include "gw_handler.h"
#include <pthread.h>
#include <string.h>
static const gw_host *host;
static void say(gw_conn conn, int level, const char *text) { host->log(host, conn, level, text, strlen(text)); }
static void *elsewhere(void *text) {
    say(0, GW_LOG_INFO, "a thread says info");
    say(0, GW_LOG_ERROR, "a thread says error");
    return text;
}
static gw_status start(const gw_host *h, const gw_config *config, void **self) {
    (void)h, (void)self;
    if (config->flags & GW_CFG_PROBE) return GW_OK;
    say(0, GW_LOG_DEBUG, "start says debug");
    say(0, GW_LOG_WARN, "start says warning");
    return GW_OK;
}
static void message(void *self, gw_conn conn, void *state, const gw_message *m) {
    (void)self, (void)state;
    say(conn, GW_LOG_DEBUG, "message says debug");
    say(0, GW_LOG_INFO, "message says info");
    say(conn, GW_LOG_WARN, "message says\nwarning");
    pthread_t thread;
    if (pthread_create(&thread, 0, elsewhere, 0) == 0) pthread_join(thread, 0);
    host->send(host, conn, m->kind, 0, m->data.ptr, m->data.len);
}
static const gw_handler table = {
    .struct_size = sizeof table, .abi_version = GW_ABI_VERSION, .min_host_abi = 0x10000,
    .name = "logging", .version = "1.0", .start = start, .message = message,
};
const gw_handler *gw_handler_entry_v1(const gw_host *h) { host = h; return &table; }
"""


def says(running, path):
    """What a message on a route has put into the log."""
    log = running.folder / "errors.log"
    before = len(log.read_text())
    with RawPeer(running, path).opened() as peer:
        peer.send(frame(TEXT, b"x"))
        peer.read_frame()
    eventually("its lines", lambda: "thread says error" in log.read_text()[before:])
    return {" ".join(words) for words in re.findall(r"(message|thread) says\s+(\w+)", log.read_text()[before:])}


def logging(make_gateway, routes, error="errors.log info", main=""):
    made = logged(make_gateway, "off", routes=routes, error=error, main=main)
    (made.folder / "logging.c").write_text(LOGGING)
    compile_handler(made, "logging", made.folder / "logging.c", "-pthread")
    running = made.launch()
    listening(running)
    return running


def test_what_a_handler_logs_on_a_route_has_a_level_of_its_own(make_gateway):
    running = logging(make_gateway, main="defaults { log_level warning; }",
                      routes="route /quiet { handler logging; }\nroute /loud { handler logging; log_level debug; }")
    # A thread of its own is on no route: what is written on any of them is.
    threads = {"thread info", "thread error"}
    assert says(running, "/quiet") == {"message warning"} | threads
    assert says(running, "/loud") == {"message debug", "message info", "message warning"} | threads
    text = (running.folder / "errors.log").read_text()
    assert text.count("start says debug") == 1 and text.count("start says warning") == 2
    # The gateway's own lines are as before.
    assert " info: serving with " in text
    # A message of several lines is one, indented.
    assert re.search(r"^" + TIME + r' warning: handler "logging" \[\w+\]: message says\n   warning$', text, re.M)


def test_a_reload_takes_the_level_over(make_gateway):
    running = logging(make_gateway, "route /a { handler logging; log_level error; }", error="errors.log info json")
    assert says(running, "/a") == {"thread error"}
    before = running.file.read_text()
    running.file.write_text(before.replace("log_level error", "log_level info"))
    assert ask(running, "reload").returncode == 0
    log = running.folder / "errors.log"
    with RawPeer(running, "/a").opened() as peer:
        peer.send(frame(TEXT, b"x"))
        peer.read_frame()
    found = eventually("its lines", lambda: [
        record for record in map(json.loads, log.read_text().splitlines()) if "message says" in record["message"]])
    assert [record["level"] for record in found] == ["info", "warning"]
    assert found[1]["message"].endswith(": message says\nwarning")
    assert all((record["route"], record["handler"], record["generation"]) == ("/a", "logging", 1) for record in found)
    assert "id" in found[1] and "id" not in found[0]


def test_a_log_that_is_off_stays_off(make_gateway):
    made = make_gateway(routes="route /a { handler logging; log_level debug; }")
    made.file.write_text(made.file.read_text().replace("error_log stderr info;", "error_log off;"))
    (made.folder / "logging.c").write_text(LOGGING)
    compile_handler(made, "logging", made.folder / "logging.c", "-pthread")
    running = made.launch()
    eventually("it serves", lambda: ask(running, "status").returncode == 0)
    assert running.log() == ""

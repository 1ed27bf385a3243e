"""The commands that speak to a running gateway, and those that only look at files."""
import json
import os
import pty
import re
import socket
import stat
import subprocess
import threading

import pytest

from gateway_process import BINARY, DEADLINE, eventually
from raw_peer import TEXT, RawPeer, frame
from test_handlers import SHOUT, compile_handler

COMMANDS = ["run", "check", "status", "reload", "rollback", "stop", "drain", "explain", "inspect"]


def ask(running, *words, **how):
    """Runs a command against the configuration of a gateway, which need not be up."""
    file = [] if running is None else ["-c", running.file]
    environment = {k: v for k, v in os.environ.items() if k not in ("GATEWAY_CONF", "NO_COLOR")}
    return subprocess.run([BINARY, *words, *file], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=DEADLINE, env=environment, **how)


def status(running):
    return json.loads(ask(running, "status", "--json").stdout)


def socket_of(running):
    return running.folder / ".gateway.sock"


def control(running, data=b""):
    """A client of the control socket that keeps to no rules."""
    peer = socket.socket(socket.AF_UNIX)
    peer.settimeout(DEADLINE)
    peer.connect(str(socket_of(running)))
    peer.sendall(data)
    return peer


def rest(peer):
    data = b""
    while more := peer.recv(65536):
        data += more
    return data.decode()


# ---- status

def test_status_is_for_people(gateway):
    said = ask(gateway, "status")
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.startswith("● gateway ")
    assert "serving" in said.stdout.splitlines()[0]
    assert re.search(r"^/echo +echo +serving +\d+ +auto$", said.stdout, re.M)
    assert re.search(r"^HANDLER chat  .*chat\.so$", said.stdout, re.M)
    assert re.search(r"^ +1  live ", said.stdout, re.M)
    assert "\x1b" not in said.stdout, "colour without a terminal"


def test_status_as_json_counts_connections(make_gateway):
    running = make_gateway().start()
    before = status(running)
    assert before["process"]["pid"] == running.process.pid
    assert before["process"]["connections"] == 0
    assert before["listeners"] == running.addresses()
    assert [route["route"] for route in before["routes"]] == ["/echo", "/chat"]
    with RawPeer(running).opened(), RawPeer(running).opened():
        now = status(running)
        assert now["process"]["connections"] == 2
        assert now["routes"][0]["connections"] == 2
        echo, = (handler for handler in now["handlers"] if handler["handler"] == "echo")
        live, = echo["generations"]
        assert (live["generation"], live["state"], live["connections"]) == (1, "live", 2)
        assert re.fullmatch(r"[0-9a-f]{16}", live["digest"])
    eventually("nobody is left", lambda: status(running)["process"]["connections"] == 0)


COUNTING = r"""
#include "gw_handler.h"
static const gw_host *host;
static const gw_ext_metrics *metrics;
static uint32_t counter, sizes;
static gw_status start(const gw_host *h, const gw_config *config, void **self) {
    (void)self;
    metrics = h->get_extension(h, GW_EXT_METRICS);
    counter = metrics->define(h, config->instance, 0, "messages_total", "Messages that came.");
    sizes = metrics->define(h, config->instance, 2, "size", "Their sizes.");
    return GW_OK;
}
static void message(void *self, gw_conn conn, void *state, const gw_message *m) {
    (void)self, (void)state;
    metrics->record(host, counter, 1);
    metrics->record(host, sizes, (double)m->data.len);
    host->send(host, conn, m->kind, 0, m->data.ptr, m->data.len);
}
static const gw_handler table = {
    .struct_size = sizeof table, .abi_version = GW_ABI_VERSION, .min_host_abi = 0x10000,
    .name = "counting", .version = "1.0", .start = start, .message = message,
};
const gw_handler *gw_handler_entry_v1(const gw_host *h) { host = h; return &table; }
"""


def test_metrics_of_handlers_are_in_the_json(make_gateway):
    running = make_gateway(routes="route /count { handler counting; }")
    (running.folder / "counting.c").write_text(COUNTING)
    compile_handler(running, "counting", running.folder / "counting.c")
    running.start()
    with RawPeer(running, "/count").opened() as peer:
        for text in (b"a", b"bcd"):
            peer.send(frame(TEXT, text))
            peer.read_frame()
    counter, sizes = status(running)["metrics"]
    assert counter == {"metric": "handler_counting_messages_total", "kind": "counter", "help": "Messages that came.",
                       "route": "/count", "value": 2}
    assert (sizes["kind"], sizes["sum"], sizes["count"]) == ("histogram", 4, 2)
    assert [bucket["count"] for bucket in sizes["buckets"] if 0.5 < bucket["le"] < 20] == [1, 2, 2]


def on_a_terminal(running, environment):
    ours, theirs = pty.openpty()
    base = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
    process = subprocess.Popen([BINARY, "status", "-c", running.file], stdin=subprocess.DEVNULL, stdout=theirs,
                               env=base | {"TERM": "xterm"} | environment)
    os.close(theirs)
    shown = b""
    try:
        while more := os.read(ours, 65536):
            shown += more
    except OSError:
        pass  # The terminal has lost its last user.
    os.close(ours)
    assert process.wait(DEADLINE) == 0
    return shown.decode()


def test_colour_only_on_a_terminal_and_never_with_no_color(gateway):
    assert "\x1b[" in on_a_terminal(gateway, {})
    assert "\x1b[" not in on_a_terminal(gateway, {"NO_COLOR": "1"})
    assert "\x1b[" not in on_a_terminal(gateway, {"TERM": "dumb"})


def test_a_handler_that_is_missing_shows(make_gateway):
    running = make_gateway(main="route /gone { handler gone; }").start()
    said = ask(running, "status").stdout
    assert "degraded, 1 of 3 routes unavailable" in said
    assert re.search(r"^/gone +gone +unavailable ", said, re.M)
    assert "there is no module of this name" in said


# ---- reload and rollback

def test_nothing_changed_is_fine(gateway):
    said = ask(gateway, "reload")
    assert said.returncode == 0, said
    assert said.stdout == "configuration: nothing changed\n2 handlers unchanged, their files are identical: echo, chat\n"
    only = ask(gateway, "reload", "chat")
    assert (only.returncode, only.stdout.count("\n")) == (0, 1)


def test_a_file_that_became_wrong_is_refused_and_says_where(make_gateway):
    running = make_gateway().start()
    good = running.file.read_text()
    running.file.write_text(good + "max_mesage 1m;\n")
    said = ask(running, "reload")
    assert said.returncode == 75
    assert re.search(r"gateway\.conf:\d+:1: error: unknown directive \"max_mesage\"", said.stdout)
    # The control socket is found although the file is wrong, and the status tells of the refusal.
    reload = status(running)["process"]["configuration_reload"]
    assert reload["accepted"] is False
    with RawPeer(running).opened() as peer:
        peer.send(frame(TEXT, b"still here"))
        assert peer.read_frame() == (TEXT, True, b"still here")
    running.file.write_text(good + "route /more { handler echo; }\n")
    assert ask(running, "reload").returncode == 0
    assert [route["route"] for route in status(running)["routes"]] == ["/echo", "/chat", "/more"]


def test_a_handler_that_no_route_names(gateway):
    for command in ("reload", "rollback"):
        said = ask(gateway, command, "ehco")
        assert (said.returncode, said.stdout) == (1, "")
        assert 'no route names a handler "ehco" (did you mean "echo"?)' in said.stderr


def test_there_is_nothing_to_go_back_to(gateway):
    said = ask(gateway, "rollback", "echo")
    assert said.returncode == 75
    assert "there is no generation to go back to" in said.stdout


@pytest.mark.parametrize("name", ["../echo", "Plugins/echo.so", "", ".x", "a" * 129])
def test_what_is_no_name_is_not_sent(gateway, name):
    assert ask(gateway, "reload", name).returncode == 2


def generations(running, handler):
    report, = (each for each in status(running)["handlers"] if each["handler"] == handler)
    return report, [(each["state"], each["connections"]) for each in report["generations"]]


def test_reload_and_rollback_of_a_handler_that_changed(make_gateway):
    running = make_gateway(routes="route /shout { handler shout; }")
    running.file.write_text(running.file.read_text().replace("./Plugins;", "./Plugins { watch off; }"))
    module = compile_handler(running, "shout")
    running.start()
    with RawPeer(running, "/shout").opened() as peer:
        module.unlink()
        compile_handler(running, "shout", SHOUT, "-O2", "-DOTHER")
        done = ask(running, "reload", "shout")
        assert done.returncode == 0, done
        assert re.match(r'handler "shout": generation 2 is serving', done.stdout)
        report, rows = generations(running, "shout")
        # It has no save_conn, so whoever is there stays with the generation that is.
        assert rows == [("live", 0), ("retiring", 1)]
        assert report["last_reload"]["accepted"] and report["last_reload"]["cause"] == "gateway reload shout"
        assert report["last_reload"]["draining"] == 1

        module.unlink()
        module.write_bytes(b"not a library")
        refused = ask(running, "reload", "shout")
        assert refused.returncode == 75
        assert "it is not an ELF file" in refused.stdout and "Still serving: generation 2." in refused.stdout
        assert generations(running, "shout")[0]["last_reload"]["accepted"] is False

        back = ask(running, "rollback", "shout")
        assert back.returncode == 0, back
        assert re.match(r'handler "shout": generation \d+ is serving', back.stdout)
        peer.send(frame(TEXT, b"still here"))
        assert peer.read_frame() == (TEXT, True, b"STILL HERE")
    ends = eventually("the old ones have ended", lambda: (lambda rows: all(
        state in ("live", "ended", "pinned") for state, _ in rows) and rows)(generations(running, "shout")[1]))
    assert [state for state, _ in ends].count("live") == 1 and len(ends) == 3
    pinned = [each for each in generations(running, "shout")[0]["generations"] if each["state"] == "pinned"]
    assert pinned and all(each["why"] for each in pinned)


# ---- stop and drain

def test_stop_tells_everybody_and_waits_for_the_end(make_gateway):
    running = make_gateway().start()
    with RawPeer(running).opened() as peer:
        command = subprocess.Popen([BINARY, "stop", "-c", running.file], stdout=subprocess.PIPE, text=True)
        assert peer.read_close() == 1001
        peer.send(frame(8, b"\x03\xe9"))
        assert command.communicate(timeout=DEADLINE)[0] == "stopped\n"
        assert command.returncode == 0
    assert not socket_of(running).exists(), "the next gateway could not listen there"
    assert running.exit_status() == 0


def test_drain_lets_stay_who_is_there_and_ends_with_the_last(make_gateway):
    running = make_gateway().start()
    with RawPeer(running).opened() as peer:
        command = subprocess.Popen([BINARY, "drain", "-c", running.file], stdout=subprocess.PIPE, text=True)
        eventually("it is draining", lambda: status(running)["process"]["state"] == "draining")
        listeners = running.addresses()
        for headers in ({}, {"Upgrade": "none"}):
            with RawPeer(running, headers=headers) as newcomer:
                assert (newcomer.status, newcomer.body.startswith(b"draining: ")) == (503, True)
        assert status(running)["listeners"] == listeners
        assert "cannot accept" not in running.log()
        refused = ask(running, "reload")
        assert (refused.returncode, refused.stdout) == (75, "the gateway is draining\n")
        peer.send(frame(TEXT, b"still here"))
        assert peer.read_frame() == (TEXT, True, b"still here")
    assert command.communicate(timeout=DEADLINE)[0] == "stopped\n"
    assert running.exit_status() == 0


def test_newcomers_do_not_hold_up_the_end_of_draining(make_gateway):
    running = make_gateway(main="defaults { drain_timeout 5m; }").start()
    with RawPeer(running).opened():
        command = subprocess.Popen([BINARY, "drain", "-c", running.file], stdout=subprocess.DEVNULL)
        eventually("it is draining", lambda: status(running)["process"]["state"] == "draining")
        silent = [running.connect() for _ in range(40)]
    assert command.wait(DEADLINE) == 0
    assert running.exit_status() == 0
    for each in silent:
        each.close()


def test_drain_ends_when_its_time_is_up(make_gateway):
    running = make_gateway(main="defaults { drain_timeout 100ms; }").start()
    with RawPeer(running).opened() as peer:
        command = subprocess.Popen([BINARY, "drain", "-c", running.file], stdout=subprocess.DEVNULL)
        assert peer.read_close() == 1001
        peer.send(frame(8, b"\x03\xe9"))
        assert command.wait(DEADLINE) == 0
    assert running.exit_status() == 0


# ---- nobody there

def test_no_gateway_is_69_and_names_the_path(make_gateway):
    said = ask(make_gateway(), "status")
    assert (said.returncode, said.stdout) == (69, "")
    assert re.search(r"no gateway answers at /\S+/\.gateway\.sock: No such file", said.stderr)
    off = ask(make_gateway(main="control off;"), "stop")
    assert off.returncode == 69 and "has it off" in off.stderr
    missing = subprocess.run([BINARY, "status", "-c", "/nonexistent"], capture_output=True, timeout=DEADLINE)
    assert missing.returncode == 78


def test_the_socket_of_a_gateway_that_was_killed_is_replaced(make_gateway):
    running = make_gateway().start()
    running.process.kill()
    running.exit_status()
    assert socket_of(running).exists()
    assert ask(running, "status").returncode == 69
    running.lines.clear()
    running.start()
    assert ask(running, "status").returncode == 0


def test_the_socket_may_be_elsewhere(make_gateway):
    running = make_gateway(main="control unix:./elsewhere.sock;").start()
    assert ask(running, "status").returncode == 0
    assert stat.S_IMODE((running.folder / "elsewhere.sock").stat().st_mode) == 0o600


def test_a_socket_that_cannot_be_made(make_gateway):
    named = make_gateway(main="control unix:./missing/g.sock;").launch()
    assert named.exit_status() == 1
    named.wait_for(r"gateway\.conf:\d+: no control socket at .*No such file or directory")
    unnamed = make_gateway()
    socket_of(unnamed).write_text("not a socket")
    unnamed.start().wait_for(r"warning: no control socket at ")
    assert socket_of(unnamed).read_text() == "not a socket"


# ---- whoever keeps to no rules

def test_the_socket_is_for_its_owner_alone(gateway):
    mode = socket_of(gateway).stat().st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o600


@pytest.mark.parametrize("data, said", [
    (b"\n", "known are"), (b"GET / HTTP/1.1\r\n\r\n", "too many words"), (b"\xff\xfe\n", "not UTF-8"),
    (b"x" * 100_000, "too long"), (b"status\0\n", "known are"), (b"rollback\n", "needs the name"),
])
def test_what_is_no_command_is_refused(gateway, data, said):
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(DEADLINE)
        peer.connect(str(socket_of(gateway)))
        # The gateway may close before it has read all of it.
        sender = threading.Thread(target=lambda: swallow(peer, data))
        sender.start()
        answer = b""
        try:
            while more := peer.recv(65536):
                answer += more
        except ConnectionResetError:
            pass
        sender.join(DEADLINE)
    assert said in answer.decode() and answer.endswith(b"\nexit 2\n")


def swallow(peer, data):
    try:
        peer.sendall(data)
    except OSError:
        pass


def test_the_protocol_is_fit_for_hands(gateway):
    with control(gateway, b"status json\n") as peer:
        answer = rest(peer)
    assert json.loads(answer.splitlines()[0])["format"] == 1
    assert answer.endswith("}\nexit 0\n")


def test_silent_clients_hold_nobody_up(gateway):
    silent = [control(gateway, b"stat") for _ in range(15)]
    try:
        assert ask(gateway, "status").returncode == 0
        silent.append(control(gateway))
        full = eventually("it is full", lambda: (lambda said: said.returncode == 75 and said)(ask(gateway, "status")))
        assert "too many others" in full.stdout
    finally:
        for peer in silent:
            peer.close()
    eventually("there is room again", lambda: ask(gateway, "status").returncode == 0)
    with RawPeer(gateway).opened() as peer:
        peer.send(frame(TEXT, b"unharmed"))
        assert peer.read_frame() == (TEXT, True, b"unharmed")


# ---- without a gateway

@pytest.mark.parametrize("command", COMMANDS)
def test_help_begins_with_examples(command):
    for words in ([command, "--help"], ["help", command]):
        said = ask(None, *words)
        assert (said.returncode, said.stderr) == (0, "")
        assert said.stdout.startswith("examples:\n  ") and f"usage: gateway" in said.stdout
        assert said.stdout.endswith(".\n") and max(map(len, said.stdout.splitlines())) <= 120


def test_usage_errors_are_2_and_suggest():
    said = ask(None, "statsu")
    assert (said.returncode, said.stdout) == (2, "")
    assert 'unknown command "statsu" (did you mean "status"?)' in said.stderr
    assert ask(None, "status", "--jsn").returncode == 2
    assert ask(None, "rollback").returncode == 2


def test_inspect_reads_a_module_without_running_it(gateway, tmp_path):
    module = status(gateway)["handlers"][0]["file"]
    said = ask(None, "inspect", module)
    assert said.returncode == 0, said
    live = status(gateway)["handlers"][0]["generations"][0]
    assert re.search(rf"^digest +{live['digest']} ", said.stdout, re.M), "status and inspect disagree"
    assert re.search(r"^interface +gw_handler_entry_v1: ABI major 1", said.stdout, re.M)
    text = tmp_path / "text.so"
    text.write_text("not a module")
    refused = ask(None, "inspect", text)
    assert refused.returncode == 1 and "it is not an ELF file" in refused.stderr and "To do:" in refused.stderr
    assert ask(None, "inspect", tmp_path / "missing.so").returncode == 1


def test_explain_names_the_route_and_who_set_its_limits(make_gateway):
    still = make_gateway(main="defaults { max_body 1k; }\nroute /rooms/:room { handler chat; max_message 2k; }")
    said = ask(still, "explain", "/rooms/caf%C3%A9?x=1")
    assert said.returncode == 0
    assert re.search(r"^route +/rooms/:room ", said.stdout, re.M)
    assert re.search(r"^:room +café$", said.stdout, re.M)
    assert re.search(r"^max_message +2k +\S*gateway\.conf:\d+$", said.stdout, re.M)
    assert re.search(r"^idle_timeout +off +default$", said.stdout, re.M)
    assert ask(still, "explain", "/nowhere").returncode == 1

"""gateway top: a live view behind a terminal, a line for each look elsewhere."""
import json
import re
import signal
import subprocess

import pytest

from gateway_process import BINARY, eventually
from raw_peer import TEXT, RawPeer, frame
from terminal import Terminal


def status(gateway):
    return json.loads(subprocess.run([BINARY, "status", "--json", "-c", gateway.file], capture_output=True).stdout)


def test_status_counts_what_goes_over_each_route(make_gateway):
    with make_gateway().start() as gateway:
        peer = RawPeer(gateway)
        for number in range(5):
            peer.send(frame(TEXT, b"abc"))
            assert peer.read_message() == (TEXT, b"abc")
        def traffic(path):
            return next(route["traffic"] for route in status(gateway)["routes"] if route["route"] == path)
        # Workers count at the end of a tick.
        eventually("all messages", lambda: traffic("/echo")["messages_out"] == 5)
        echo = traffic("/echo")
        assert (echo["opened"], echo["closed"], echo["messages_in"]) == (1, 0, 5)
        assert (echo["bytes_in"], echo["bytes_out"]) == (5 * 9, 5 * 5)
        assert len(echo["callbacks"]["counts"]) == len(echo["callbacks"]["bounds_seconds"]) + 1
        assert traffic("/chat")["opened"] == 0
        peer.close()
        eventually("the end", lambda: traffic("/echo")["closed"] == 1)
        process = status(gateway)["process"]
        assert process["usage"]["resident_bytes"] > 1 << 20 and process["usage"]["cpu_ms"] >= 0
        assert sum(process["loop_lag"]["counts"]) >= 0


def test_a_live_view_shows_connections_and_what_changes(make_gateway):
    with make_gateway().start() as gateway, Terminal("top", "-c", gateway.file, "--interval", "100ms") as terminal:
        terminal.wait_for(r"\x1b\[\?1049h.*gateway \S+  serving  up \ds  pid \d+  .*connections 0 of .*ROUTE.*/echo +echo +1 +0 ")
        peers = [RawPeer(gateway) for _ in range(3)]
        assert all(peer.status == 101 for peer in peers)
        terminal.wait_for(r"connections 3 of .*/echo +echo +1 +3 ")
        subprocess.run([BINARY, "reload", "echo", "-c", gateway.file], check=True, capture_output=True)
        terminal.wait_for(r"LAST RELOADS.*\d\d:\d\d:\d\dZ  echo: ")
        terminal.press("s")
        terminal.wait_for("order: connections")
        place = len(terminal.text)
        terminal.resize(50, 12)
        # What is drawn then has that size: lines end at the 50th column, the last of twelve is the foot.
        screen = terminal.wait_for(r"\x1b\[H((?:[^\x1b\n]{0,50}\x1b\[K\r\n){11}[^\x1b\n]{0,50}\x1b\[K)\x1b\[J", place)
        assert screen[1].split("\r\n")[11].startswith("q quit")
        terminal.press("q")
        assert terminal.exit_status() == 0
        terminal.wait_for(r"\x1b\[\?25h\x1b\[\?1049l$")
        assert terminal.is_restored()


@pytest.mark.parametrize("end", ["\x03", signal.SIGTERM, signal.SIGHUP])
def test_the_terminal_is_restored_however_it_ends(make_gateway, end):
    with make_gateway().start() as gateway, Terminal("top", "-c", gateway.file) as terminal:
        terminal.wait_for("q quit")
        if end == "\x03":
            terminal.press(end)
        else:
            terminal.process.send_signal(end)
        assert terminal.exit_status() == 0
        terminal.wait_for(r"\x1b\[\?25h\x1b\[\?1049l$")
        assert terminal.is_restored()


def test_it_waits_for_a_gateway_that_went_away(make_gateway):
    with make_gateway().start() as gateway, Terminal("top", "-c", gateway.file, "--interval", "100ms") as terminal:
        terminal.wait_for("serving")
        gateway.stop()
        terminal.wait_for("no gateway answers at")
        place = len(terminal.text)
        gateway.start()
        terminal.wait_for(r"serving  up \ds", place)


def test_a_pipe_gets_a_line_for_each_look(make_gateway):
    with make_gateway().start() as gateway:
        answer = subprocess.run([BINARY, "top", "-c", gateway.file, "--interval", "100ms", "--count", "3"],
                                capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
        lines = answer.stdout.splitlines()
        assert answer.returncode == 0 and len(lines) == 4
        assert lines[0].split() == ["conns", "open/s", "close/s", "msg-in/s", "msg-out/s", "in/s", "out/s", "p50", "p99",
                                    "lag99", "cpu%", "memory"]
        assert all(re.fullmatch(r" +0 +0 +0 .*[MK]", line) for line in lines[1:])
        assert {len(line) for line in lines} == {len(lines[0])}


def test_nobody_there_and_wrong_usage(tmp_path):
    file = tmp_path / "gateway.conf"
    file.write_text("listen 127.0.0.1:0; console /;")
    for words, exit_status in ((["-c", file], 69), (["-c", file, "--interval", "1"], 2), (["--count", "0"], 2),
                               (["-c", tmp_path / "none"], 78)):
        answer = subprocess.run([BINARY, "top", *words], capture_output=True, timeout=60)
        assert answer.returncode == exit_status and answer.stderr, words

"""Nobody waits for whoever reads the log: a reader that stalls costs lines, which are counted, and nothing else."""
import fcntl
import os
import re
import subprocess
import threading

import pytest

from gateway_process import BINARY, DEADLINE, eventually
from raw_peer import TEXT, RawPeer, frame
from test_control import ask, status


class Unread:
    """A gateway whose standard error is a small pipe that nobody reads before `read` is called."""

    def __init__(self, running):
        running.file.write_text(running.file.read_text().replace("access_log off;", "access_log stderr text;"))
        self.running = running
        self.pipe, theirs = os.pipe()
        fcntl.fcntl(theirs, fcntl.F_SETPIPE_SZ, 4096)
        running.process = subprocess.Popen([BINARY, "-c", running.file], cwd=running.folder,
                                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs)
        os.close(theirs)
        eventually("it answers", lambda: ask(running, "status").returncode == 0)
        # Where it listens is in the log, which is not read.
        running.lines.append(f"listening on {status(running)['listeners'][0]}")
        self.text = ""
        self._reader = threading.Thread(target=self._read, daemon=True)

    def _read(self):
        while more := os.read(self.pipe, 65536):
            self.text += more.decode()

    def read(self):
        self._reader.start()

    def rest(self):
        """All that was written, once the gateway has ended."""
        self._reader.join(DEADLINE)
        assert not self._reader.is_alive()
        return self.text

    def flood(self, connections, data):
        """Connections that each leave two lines, one of them long."""
        for _ in range(connections):
            with RawPeer(self.running, "/echo?" + "x" * data).opened() as peer:
                peer.send(frame(TEXT, b"served"))
                assert peer.read_frame() == (TEXT, True, b"served")


@pytest.fixture
def unread(make_gateway):
    made = Unread(make_gateway(routes="route /echo { handler echo; }"))
    yield made
    if made.running.process.poll() is None:
        made.running.process.kill()
    made.running.process.wait(DEADLINE)
    os.close(made.pipe)


def test_a_log_that_nobody_reads_stops_nobody(unread):
    unread.flood(1000, 3000)
    assert status(unread.running)["process"]["state"] == "serving"
    assert ask(unread.running, "reload").returncode == 0
    unread.running.signal()
    assert unread.running.process.wait(DEADLINE) == 0


def test_lines_that_were_dropped_are_counted_and_said(unread):
    unread.flood(600, 3000)
    unread.read()
    eventually("the gap is told of", lambda: "dropped, the log was not read" in unread.text)
    with RawPeer(unread.running, "/echo?behind").opened():
        pass
    eventually("lines come again", lambda: "/echo?behind" in unread.text)
    unread.running.signal()
    assert unread.running.process.wait(DEADLINE) == 0
    lines = unread.rest().splitlines()
    said = [re.fullmatch(r"\S+ warning: (\d+) lines? (?:was|were) dropped, the log was not read", line) for line in lines]
    dropped = sum(int(found[1]) for found in said if found)
    written = sum(" access: " in line for line in lines)
    assert dropped > 0 and written + dropped == 2 * 601, "no line is lost without being counted"
    assert lines[-1].endswith(" info: stopped")


def test_two_signals_end_it_at_once_though_nobody_reads(unread):
    unread.running.file.write_text(unread.running.file.read_text() + "defaults { close_timeout 5m; }\n")
    assert ask(unread.running, "reload").returncode == 0
    unread.flood(100, 3000)
    with RawPeer(unread.running).opened() as stuck:
        unread.running.signal()
        assert stuck.read_close() == 1001
        unread.running.signal()
        assert unread.running.process.wait(DEADLINE) == 143


def test_a_crash_is_recorded_though_nobody_reads(unread):
    unread.flood(100, 3000)
    unread.running.signal(6)
    assert unread.running.process.wait(DEADLINE) == -6
    assert "SIGABRT" in (unread.running.folder / ".gateway.crash").read_text()


def test_what_was_said_before_a_crash_stands_before_it(unread):
    unread.read()
    unread.flood(200, 3000)
    unread.running.signal(6)
    assert unread.running.process.wait(DEADLINE) == -6
    lines = unread.rest().splitlines()
    assert sum(" access: " in line for line in lines) >= 399, "the last one may have ended after the crash"
    assert " crash: " in lines[-1]

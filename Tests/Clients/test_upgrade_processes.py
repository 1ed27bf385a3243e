"""The processes of a gateway whose program is replaced again and again: whoever started it knows one number, for ever."""
import os
import signal
from pathlib import Path

import pytest

from gateway_process import eventually
from raw_peer import TEXT, RawPeer, frame
from test_control import ask, status
from test_process_one import CONTAINER, is_allowed


def children(process):
    return [int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def name(process):
    return Path(f"/proc/{process}/comm").read_text().strip()


class Line:
    """A gateway, and the programs that take each other's place in it."""

    def __init__(self, running, is_contained):
        self.running = running
        self.is_contained = is_contained
        # What whoever started it knows it by.
        self.first = children(running.process.pid)[0] if is_contained else running.process.pid
        self.upgrades = 0

    def upgrade(self):
        """Returns once nothing is left of the program before."""
        told = ask(self.running, "upgrade")
        assert told.returncode == 0, told.stderr
        self.upgrades += 1
        eventually("the end of the program before",
                   lambda: self.running.log().count("has nothing left, and ends") == self.upgrades)
        eventually("one program", lambda: len(children(self.first)) == 1 and name(self.first).startswith("gateway "))
        return children(self.first)[0]


@pytest.fixture(params=["alone", "contained"])
def line(request, make_gateway):
    is_contained = request.param == "contained"
    if is_contained and not is_allowed():
        pytest.skip("no process may have a namespace of its own here (unshare)")
    running = make_gateway(routes="route /counter { handler counter; }")
    running.starter = CONTAINER if is_contained else []
    running.start()
    made = Line(running, is_contained)
    running.signal = lambda number=signal.SIGTERM: os.kill(made.first, number)
    return made


def test_a_client_stays_over_many_programs_and_the_number_of_the_process_does(line):
    seen = set()
    with RawPeer(line.running, "/counter").opened() as peer:
        for count in range(1, 5):
            peer.send(frame(TEXT, b"more"))
            assert peer.read_frame() == (TEXT, True, b"%d of %d" % (count, count))
            seen.add(line.upgrade())
            if not line.is_contained:
                assert status(line.running)["process"]["pid"] in seen
        assert len(seen) == 4
        line.running.signal(signal.SIGHUP)
        line.running.wait_for("configuration: nothing changed")
        line.running.signal(signal.SIGTERM)
        assert peer.read_close() == 1001
    assert line.running.exit_status() == 0


def test_a_signal_upgrades_as_well(line):
    for count in (1, 2):
        line.running.signal(signal.SIGUSR2)
        eventually("the end of the program before",
                   lambda: line.running.log().count("has nothing left, and ends") == count)
    assert line.running.log().count("upgrade (SIGUSR2)") >= 2


def test_it_ends_as_the_program_ends_that_serves(line):
    os.kill([line.upgrade(), line.upgrade()][1], signal.SIGKILL)
    assert line.running.exit_status() == (128 + signal.SIGKILL if line.is_contained else -signal.SIGKILL)


def test_a_new_program_that_cannot_serve_changes_nothing(line, tmp_path):
    """One that rehearses well and then ends: here a script in the place of it."""
    script = tmp_path / "program"
    script.write_text('#!/bin/sh\ntest "$1" = --rehearse && echo rehearsed by gateway 9 && exit 0\nexit 66\n')
    script.chmod(0o755)
    with RawPeer(line.running, "/counter").opened() as peer:
        for count in range(1, 4):
            told = ask(line.running, "upgrade", str(script))
            assert told.returncode == 75, told
            # Which of the two is noticed first is chance.
            assert "exited with status 66" in told.stderr or "the new program has ended" in told.stderr, told.stderr
            peer.send(frame(TEXT, b"more"))
            assert peer.read_frame() == (TEXT, True, b"%d of %d" % (count, count))
            if count == 2:
                line.upgrade()

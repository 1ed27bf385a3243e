"""Upgrades that cannot be: nothing has changed then, and whoever asked is told why."""
import os
import re
import shutil
import signal
from pathlib import Path

import pytest

import c_handler
from gateway_process import BINARY, eventually
from raw_peer import TEXT, RawPeer, frame
from test_control import ask, status
from upgrade_rig import LONG, Upgraded, another_build, asking, children, descriptors, is_there

UNCHANGED = "error: upgrade refused, nothing was changed: "
ROUTES = "route /echo { handler echo; }\nroute /relay { handler relay; }\nroute /counter { handler counter; }"


@pytest.fixture
def upgraded(make_gateway):
    def make(*defines, main="threads 2;", routes=ROUTES, start_timeout="60s", mark=True):
        running = make_gateway(main=f"{main} defaults {{ ping_interval off; start_timeout {start_timeout}; }}", routes=routes)
        running.mark = running.folder / "mark"
        c_handler.build(running, "relay", *defines, *([f'MARK="{running.mark}"'] if mark else []))
        return Upgraded(running)
    return make


@pytest.fixture(params=["the first", "a later one"])
def is_later(request):
    """Whether the program that is to be replaced has replaced one before."""
    return request.param == "a later one"


class Before:
    """What is there before an upgrade, to be there after it."""

    def __init__(self, line, extra=0):
        self.line, self.running = line, line.running
        self.process = line.serving
        self.relay = RawPeer(self.running, "/relay", timeout=LONG).opened()
        self.counter = RawPeer(self.running, "/counter", timeout=LONG).opened()
        self.half = RawPeer(self.running, "/echo", timeout=LONG).opened()
        self.whole = frame(TEXT, b"in two parts")
        self.half.send(self.whole[:7])
        self.number = self.relay.ask("I")
        self.count = 0
        self.counts()
        eventually("all are counted", lambda: status(self.running)["process"]["pid"] == self.process)
        self.open = len(descriptors(self.process))

    def counts(self):
        self.count += 1
        assert self.counter.ask("x") == f"{self.count} of {self.count}"

    def is_unchanged(self):
        running = self.running
        assert running.process.poll() is None and is_there(self.process)
        eventually("the new program has gone", lambda: self.line.serving == self.process and not children(self.process))
        self.counts()
        assert self.relay.ask("I") == self.number
        self.half.send(self.whole[7:])
        assert self.half.read_frame() == (TEXT, True, b"in two parts")
        self.half.send(self.whole[:7])
        with RawPeer(running, timeout=LONG).opened() as peer:
            assert peer.ask("new") == "new"
        report = status(running)
        assert report["process"]["pid"] == self.process
        assert "upgrade" not in report["process"] or not report["process"]["upgrade"]
        eventually("no descriptor is left", lambda: len(descriptors(self.process)) <= self.open)

    def end(self):
        for each in (self.relay, self.counter, self.half):
            each.close()


def refused(running, *words):
    told = ask(running, "upgrade", *words)
    assert told.returncode == 75, (told, running.log()[-2000:])
    assert UNCHANGED in told.stderr, told.stderr
    return told.stderr


def upgraded_after(before):
    """An upgrade that is right succeeds then."""
    before.half.send(before.whole[7:])
    assert before.half.read_frame() == (TEXT, True, b"in two parts")
    assert " serves, " in before.line.upgrade()
    before.counts()
    assert before.relay.ask("I") == before.number
    before.end()


def test_a_configuration_that_is_wrong_by_now(upgraded, is_later):
    line = upgraded()
    if is_later:
        line.upgrade()
    before = Before(line)
    text = line.running.file.read_text()
    for wrong, reason in [("nonsense;\n", 'unknown directive "nonsense"'), ("route /x { handler nobody; }\n", "nobody")]:
        line.running.file.write_text(text + wrong)
        assert reason in refused(line.running)
        before.is_unchanged()
    # Without the file nobody knows where to ask; the gateway itself is asked by the signal.
    line.running.file.unlink()
    told = ask(line.running, "upgrade")
    assert told.returncode == 78 and str(line.running.file) in told.stderr
    line.running.signal(signal.SIGUSR2)
    line.running.wait_for(r"upgrade \(SIGUSR2\) refused, nothing was changed: .*status 78")
    line.running.file.write_text(text)
    before.is_unchanged()
    upgraded_after(before)


def test_another_number_of_workers(upgraded):
    line = upgraded()
    before = Before(line)
    text = line.running.file.read_text()
    line.running.file.write_text(text.replace("threads 2;", "threads 3;"))
    assert '"threads" takes effect with a new start' in refused(line.running)
    line.running.file.write_text(text)
    before.is_unchanged()
    upgraded_after(before)


@pytest.mark.parametrize("what, reason", [("CRASHES", "signal"), ("REFUSES", "the port is taken")])
def test_a_handler_that_does_not_start_beside_itself(upgraded, is_later, what, reason):
    line = upgraded(what)
    if is_later:
        line.upgrade()
    before = Before(line)
    line.running.mark.touch()
    for _ in range(2):
        # What killed one new program is not loaded by the next one.
        said = refused(line.running)
        assert reason in said or "killed the gateway" in said
        before.is_unchanged()
    line.running.mark.unlink()
    # A build that killed a process is not loaded by the next one until its file is another.
    if what != "CRASHES":
        upgraded_after(before)


def test_a_handler_that_hangs_in_start(upgraded):
    line = upgraded("HANGS", start_timeout="2s")
    before = Before(line)
    line.running.mark.touch()
    assert "start" in refused(line.running)
    before.is_unchanged()
    line.running.mark.unlink()
    upgraded_after(before)


def beginning(line):
    """An upgrade whose new program is starting its handlers, which do not come to an end; and its process."""
    serving = line.serving
    line.running.mark.touch()
    begun = asking(line.running, "upgrade")
    assert begun.stdout.readline().endswith(" rehearses\n")
    assert " starts its handlers" in begun.stdout.readline()
    [process] = [each for each in children(line.first) if each != serving]
    # Before that it is no gateway yet, and the runtime of Swift survives signals.
    eventually("its handler hangs", lambda: Path(f"{line.running.mark}-{process}").exists())
    return begun, process


def ended(begun):
    _, said = begun.communicate(timeout=LONG)
    assert begun.returncode == 75 and UNCHANGED in said, said
    return said


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_the_new_program_is_killed_while_it_starts(upgraded, is_later, number):
    line = upgraded("HANGS", start_timeout="30s")
    if is_later:
        line.upgrade()
    before = Before(line)
    begun, process = beginning(line)
    with RawPeer(line.running, timeout=LONG).opened() as peer:
        assert peer.ask("meanwhile") == "meanwhile"
    os.kill(process, number)
    said = ended(begun)
    if number in (signal.SIGKILL, signal.SIGSEGV):
        assert "killed by signal" in said or "ended" in said, said
    before.is_unchanged()
    line.running.mark.unlink()
    upgraded_after(before)


def test_a_second_one_a_reload_and_a_rollback_while_one_is_under_way(upgraded, is_later):
    line = upgraded("HANGS")
    if is_later:
        line.upgrade()
    before = Before(line)
    begun, process = beginning(line)
    assert f"(process {process}) comes up" in ask(line.running, "status").stdout
    for words in ([], [str(BINARY)], ["/nowhere/gateway"]):
        assert "another one is not over" in refused(line.running, *words)
    line.running.signal(signal.SIGUSR2)
    line.running.wait_for(r"upgrade \(SIGUSR2\) refused, nothing was changed: another one is not over")
    # What is changed now would not be known to the new program.
    text = line.running.file.read_text()
    line.running.file.write_text(text + "route /more { handler echo; }\n")
    for words in (["reload"], ["reload", "echo"], ["rollback", "echo"]):
        told = ask(line.running, *words)
        assert told.returncode == 75 and "upgrade" in told.stdout + told.stderr, (words, told)
    line.running.file.write_text(text)
    assert ask(line.running, "connections").returncode == 0
    os.kill(process, signal.SIGKILL)
    ended(begun)
    before.is_unchanged()
    line.running.mark.unlink()
    upgraded_after(before)


def test_while_a_reload_is_under_way(upgraded):
    line = upgraded("HANGS")
    before = Before(line)
    line.running.mark.touch()
    another_build(line.running, "relay")
    reloading = asking(line.running, "reload", "relay")
    eventually("the reload hangs", lambda: any(
        each["handler"] == "relay" and each["state"] in ("starting", "probing") for each in status(line.running)["handlers"]))
    assert "a reload is under way" in refused(line.running)
    reloading.kill()
    reloading.communicate()
    before.end()


def test_no_file_and_no_gateway(upgraded, tmp_path):
    line = upgraded()
    before = Before(line)
    assert "/nowhere/gateway cannot be opened" in refused(line.running, "/nowhere/gateway")
    text = tmp_path / "text"
    text.write_text("no program")
    text.chmod(0o755)
    refused(line.running, str(text))
    cut = tmp_path / "cut"
    cut.write_bytes(Path(BINARY).read_bytes()[:100_000])
    cut.chmod(0o755)
    refused(line.running, str(cut))
    assert "is no gateway that can take over" in refused(line.running, shutil.which("true"))
    refused(line.running, shutil.which("false"))
    before.is_unchanged()
    upgraded_after(before)


def test_the_end_of_the_gateway_while_one_is_under_way(upgraded, is_later):
    """SIGTERM before the new program serves ends both."""
    line = upgraded("HANGS")
    if is_later:
        line.upgrade()
    begun, process = beginning(line)
    with RawPeer(line.running, timeout=LONG).opened() as peer:
        line.running.signal(signal.SIGTERM)
        assert peer.read_close() == 1001
    _, said = begun.communicate(timeout=LONG)
    assert begun.returncode != 0, said
    assert line.running.exit_status() == 0
    eventually("the new program has gone", lambda: not is_there(process))


def test_the_old_program_is_killed_while_the_new_one_starts(upgraded, is_later):
    """Nobody is left who could hand anything over: the new one ends as well, and whoever started the gateway learns how."""
    line = upgraded("HANGS")
    if is_later:
        line.upgrade()
    serving = line.serving
    begun, process = beginning(line)
    os.kill(serving, signal.SIGKILL)
    begun.communicate(timeout=LONG)
    assert begun.returncode != 0
    assert line.running.exit_status() == -signal.SIGKILL
    eventually("the new program has gone", lambda: not is_there(process))


# ---- after it has taken over

def test_the_new_program_is_killed_while_some_stay(upgraded, is_later):
    """Those who stay are served on, whoever comes is served by the old program again, and it is said what is lost."""
    line = upgraded("KEEPS", mark=False)
    running = line.running
    if is_later:
        line.upgrade()
    old = line.serving
    with RawPeer(running, "/relay", timeout=LONG).opened() as stays, RawPeer(running, timeout=LONG).opened() as moves:
        number = stays.ask("I")
        assert moves.ask("x") == "x"
        said = line.ask()
        assert "1 connection moved" in said and f"1 stay with process {old} (1 whose handler does not hand them over)" in said, said
        assert moves.ask("y") == "y" and stays.ask("I") == number
        [new] = [each for each in children(line.first) if each != old]
        assert status(running)["process"]["pid"] == new
        refusal = refused(running)
        assert f"the program before this one (process {old}) has not ended" in refusal
        os.kill(new, signal.SIGKILL)
        running.wait_for(r"error: upgrade \(gateway upgrade\) failed: .*signal 9.*this program serves again, and the 1 connections"
                         " that had moved are lost")
        assert moves.at_end()
        assert stays.ask("I") == number
        eventually("it serves again", lambda: ask(running, "status").returncode == 0)
        assert status(running)["process"]["pid"] == old
        with RawPeer(running, timeout=LONG).opened() as peer, RawPeer(running, "/relay", timeout=LONG).opened() as other:
            assert peer.ask("new") == "new"
            other.send(frame(TEXT, b"T %d between us" % int(number[2:])))
            assert stays.read_frame() == (TEXT, True, b"between us")
            assert other.ask("S all") == "S 0" and stays.ask("S all") == "S 0"
            stays.send(frame(TEXT, b"P all to all"))
            assert other.read_frame() == (TEXT, True, b"to all")
        assert ask(running, "reload").returncode == 0
        running.signal(signal.SIGHUP)
        running.wait_for("configuration: nothing changed")
    # It is as able to be replaced as before.
    line.ended = running.log().count("has nothing left, and ends")
    with RawPeer(running, "/counter", timeout=LONG).opened() as peer:
        assert peer.ask("x").startswith("1 of ")
        line.upgrade()
        assert peer.ask("x").startswith("2 of ")
    running.signal(signal.SIGTERM)
    assert running.exit_status() == 0


def test_the_old_program_is_killed_while_some_stay(upgraded, is_later):
    """The new one goes on; only who stayed is lost. Where the old one is what whoever started it knows, all ends, as told."""
    line = upgraded("KEEPS", mark=False)
    running = line.running
    if is_later:
        line.upgrade()
    old = line.serving
    with RawPeer(running, "/relay", timeout=LONG).opened() as stays, RawPeer(running, timeout=LONG).opened() as moves:
        assert stays.ask("C").startswith("C 1 ") and moves.ask("x") == "x"
        said = line.ask()
        os.kill(old, signal.SIGKILL)
        if is_later:
            running.wait_for("the program before .*connections that it had are lost")
            assert stays.at_end()
            assert moves.ask("y") == "y"
            with RawPeer(running, timeout=LONG).opened() as peer:
                assert peer.ask("new") == "new"
            running.signal(signal.SIGTERM)
            assert running.exit_status() == 0
        else:
            new = int(re.search(r"process (\d+) serves", said)[1])
            assert moves.read_close() == 1001
            moves.close()
            assert running.exit_status() == -signal.SIGKILL
            eventually("the new program has gone", lambda: not is_there(new))


@pytest.mark.parametrize("moment", ["listening sockets go", r"serving with \d+ workers", " serves, "])
def test_the_new_program_is_killed_at_the_switch(make_gateway, moment):
    """Whatever it had got by then: the old one serves again, or it was over already and the gateway ends as its program did."""
    for count in range(8):
        running = make_gateway(main="threads 2; defaults { ping_interval off; }",
                               routes="route /echo { handler echo; }\nroute /relay { handler relay; }")
        c_handler.build(running, "relay", "KEEPS")
        line = Upgraded(running)
        if count % 2:
            line.upgrade()
        old = line.serving
        with RawPeer(running, "/relay", timeout=LONG).opened() as stays:
            peers = [RawPeer(running, timeout=LONG).opened() for _ in range(20)]
            number, seen = stays.ask("I"), len(running.lines)
            begun = asking(running, "upgrade")
            found = eventually(moment, lambda: [each for each in running.lines[seen:] if re.search(moment, each)])
            assert found
            [new] = [each for each in children(line.first) if each != old]
            os.kill(new, signal.SIGKILL)
            _, said = begun.communicate(timeout=LONG)
            assert begun.returncode in (0, 1, 75), said
            eventually("it serves again", lambda: ask(running, "status").returncode == 0)
            assert status(running)["process"]["pid"] == old
            assert stays.ask("I") == number
            with RawPeer(running, timeout=LONG).opened() as peer:
                assert peer.ask("new") == "new"
            # Those who had not gone are served, and nobody is left hanging.
            for peer in peers:
                try:
                    assert peer.ask("x") == "x"
                except (EOFError, ConnectionError):
                    pass
                peer.close()
        running.signal(signal.SIGTERM)
        assert running.exit_status() == 0

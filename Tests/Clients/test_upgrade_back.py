"""An upgrade that was a mistake is undone: the very program that ran before takes over again, whatever lies at its path by now."""
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

import c_handler
from gateway_process import BINARY, eventually
from h2_peer import H2Peer
from isolation_rig import Isolated
from raw_peer import CLOSE, TEXT, RawPeer, frame
from test_control import ask, control, rest, status
from test_tls import certificate, trust
from test_upgrade_stay import Knocking, Secure, tls_line
from upgrade_rig import LONG, Echoed, Upgraded, asking, children, descriptors, is_there, name

UNCHANGED = "error: upgrade refused, nothing was changed: "
ROUTES = "route /echo { handler echo; }\nroute /counter { handler counter; }\nroute /relay { handler relay; }"


class Installed(Upgraded):
    """A gateway whose program lies in a folder of its own, where others are put in its place."""

    def __init__(self, running):
        self.place = Path(running.folder) / "bin" / "gateway"
        self.place.parent.mkdir(mode=0o755)
        # Handlers of the build are looked for beside the program.
        for each in BINARY.parent.glob("lib*.so"):
            (self.place.parent / each.name).symlink_to(each)
        self.builds = 0
        self.install()
        # The command line names the program of the build; what is started is the one that was installed.
        running.starter = ["/bin/sh", "-c", f'shift; exec {self.place} "$@"', "sh"]
        super().__init__(running)

    def install(self, place=None):
        """Puts another build there, as a package does; the file that it is."""
        place = place or self.place
        fresh = place.with_suffix(".new")
        fresh.write_bytes(BINARY.read_bytes() + b"\0" * self.builds)
        fresh.chmod(0o755)
        fresh.rename(place)
        self.builds += 1
        return place.stat().st_ino

    @property
    def file(self):
        """That of the program that serves."""
        return file(self.serving)

    def back(self):
        """Goes back, and returns once nothing is left of the program before; what was said."""
        said = self.ask("--back")
        self.settle()
        return said

    def refused(self, *words):
        told = ask(self.running, "upgrade", *words)
        assert told.returncode == 75 and UNCHANGED in told.stderr, (told, self.running.log()[-2000:])
        return told.stderr


def file(process):
    return Path(f"/proc/{process}/exe").stat().st_ino


@pytest.fixture
def installed(make_gateway, tmp_path):
    certificate(tmp_path, "first", "localhost")

    def make(*defines, drain="10m", listen=("127.0.0.1:0", tls_line("http2 on;")), start_timeout="60s"):
        running = make_gateway(
            main=f"threads 2; defaults {{ ping_interval off; drain_timeout {drain}; start_timeout {start_timeout}; }}",
            listen=listen, routes=ROUTES)
        running.mark = running.folder / "mark"
        c_handler.build(running, "relay", *defines, f'MARK="{running.mark}"')
        return Installed(running)
    return make


class Counting:
    """A client that nobody may miscount, or send away."""

    def __init__(self, running):
        self.peer, self.count = RawPeer(running, "/counter", timeout=LONG).opened(), 0
        self.go_on()

    def go_on(self):
        self.count += 1
        assert self.peer.ask("x") == f"{self.count} of {self.count}"


class Later(Secure):
    """Over TLS, by way of the second listener."""

    def __init__(self, running, folder, path="/echo"):
        super().__init__(Second(running), folder, path)


class Second:
    def __init__(self, running):
        # Each program says the same.
        self.port = int(running.addresses()[1].rpartition(":")[2])
        self.endpoint = ("127.0.0.1", self.port)


def comes(running):
    with RawPeer(running, timeout=LONG).opened() as peer:
        peer.send(frame(TEXT, b"hello"))
        assert peer.read_frame() == (TEXT, True, b"hello")
        peer.send(frame(CLOSE, b"\x03\xe8"))
        assert peer.read_close() == 1000


# ---- which file

def test_the_file_that_ran_though_another_one_lies_there(installed):
    line = installed()
    old = line.file
    assert old == line.place.stat().st_ino
    client, knocking = Counting(line.running), Knocking(lambda: comes(line.running))
    bad = line.install()
    line.upgrade()
    assert line.file == bad
    client.go_on()
    never = line.install()
    said = line.back()
    assert line.file == old and old not in (bad, never)
    assert os.readlink(f"/proc/{line.serving}/exe") == f"{line.place} (deleted)"
    first, second, *_, last = said.splitlines()
    assert first == f"{line.place}, as it was before, rehearses"
    assert second == f"process {line.serving} of {line.place}, as it was before, starts its handlers"
    assert re.fullmatch(rf"process {line.serving} serves, \d+ connections? moved in \d+ ms", last), last
    assert f"upgrade (gateway upgrade --back): {first}" in line.running.log()
    client.go_on()
    assert status(line.running)["process"]["pid"] == line.serving
    # It is called what it always was, and has its own file no more often open than the program before has.
    assert name(line.serving) == "gateway"
    assert Path(f"/proc/{line.serving}/cmdline").read_text().split("\0")[0] == str(line.place)
    assert [each for each in descriptors(line.serving).values() if each.startswith(str(line.place))] == [f"{line.place} (deleted)"]
    # An upgrade is one by what lies there now, from the next time on.
    line.upgrade()
    assert line.file == never
    client.go_on()
    assert line.back() and line.file == old
    client.go_on()
    knocking.end()


def test_the_file_that_still_lies_there(installed):
    """One that was upgraded to by its name: the old one is where it was, and is started by its own."""
    line = installed()
    old, client = line.file, Counting(line.running)
    other = line.place.with_name("other")
    bad = line.install(other)
    line.ask(str(other))
    line.settle()
    assert line.file == bad
    said = line.back()
    assert said.startswith(f"{line.place} rehearses\n")
    assert line.file == old and os.readlink(f"/proc/{line.serving}/exe") == str(line.place)
    client.go_on()
    # It has come from there again.
    line.upgrade()
    assert line.file == old


def test_the_file_that_was_taken_away(installed):
    line = installed()
    old, client = line.file, Counting(line.running)
    line.install()
    line.upgrade()
    line.place.unlink()
    line.back()
    assert line.file == old
    client.go_on()
    assert "No such file" in line.refused()
    client.go_on()


def test_twice_goes_forth_and_back(installed):
    line = installed()
    old, client = line.file, Counting(line.running)
    echoed = [Echoed(line.running, seed) for seed in range(3)]
    new = line.install()
    line.upgrade()
    for expected in (old, new, old, new):
        heard = sum(each.heard for each in echoed)
        line.back()
        assert line.file == expected
        client.go_on()
        eventually("somebody is heard", lambda: sum(each.heard for each in echoed) > heard or [e.check() for e in echoed] == 0)
    for each in echoed:
        each.end()
    assert name(line.serving) == "gateway" and children(line.first) == [line.serving]


def test_the_program_before_is_known_long_after_it_has_ended(installed):
    line = installed()
    old, client = line.file, Counting(line.running)
    bad = line.install()
    line.upgrade()
    assert ask(line.running, "reload").returncode == 0
    line.refused("/nowhere")
    line.install()
    os.kill(line.first, signal.SIGHUP)
    line.running.wait_for("configuration: nothing changed")
    # Its handlers are looked at behind that.
    eventually("the reload is over", lambda: ask(line.running, "reload").returncode == 0)
    client.go_on()
    line.back()
    assert line.file == old != bad
    client.go_on()


# ---- who is still with the program before

@pytest.fixture(params=["the first", "a later one"])
def left(request, installed):
    """A gateway that was upgraded; the program before is the one that was started first, or is not."""
    def make(*words, **how):
        line = installed(*words, **how)
        if request.param == "a later one":
            line.install()
            line.upgrade()
        line.old = line.file
        return line
    return make


def test_tls_is_told_at_once(left, tmp_path):
    line = left()
    running = line.running
    with Later(running, tmp_path).opened() as stays, Later(running, tmp_path).opened() as other:
        assert stays.ask("x") == "x" and other.ask("x") == "x"
        client, before = Counting(running), line.serving
        bad = line.install()
        assert "2 stay with process" in line.ask()
        # As long as they are there every other upgrade has to wait.
        assert f"(process {before}) has not ended" in line.refused()
        assert stays.ask("y") == "y"
        line.install()
        knocking = Knocking(lambda: comes(running))
        going = asking(running, "upgrade", "--back")
        for each in (stays, other):
            opcode, _, payload = each.read_frame()
            assert (opcode, payload) == (CLOSE, b"\x03\xf4the gateway goes back to the program before")
            each.send(frame(CLOSE, b"\x03\xf4"))
            assert each.at_end()
        said, complaint = going.communicate(timeout=LONG)
        assert going.returncode == 0, (said, complaint, running.log()[-3000:])
        assert f"process {before}, the program before, is told to let go of its connections\n" in said
        line.ended += 1
        line.settle()
        knocking.end()
        client.go_on()
    assert line.file == line.old != bad
    assert "process %d lets go of the connections that are left with it (1012)" % before in running.log()
    # Whoever comes over TLS is welcome.
    with Later(running, tmp_path).opened() as peer:
        assert peer.ask("x") == "x"


def test_a_program_before_that_does_not_start(left, tmp_path):
    """Who was with it is lost by then, and nobody says otherwise."""
    line = left("HANGS")
    running = line.running
    with Later(running, tmp_path).opened() as stays:
        assert stays.ask("x") == "x"
        client = Counting(running)
        line.install()
        assert "1 stay with process" in line.ask()
        serving = status(running)["process"]["pid"]
        running.mark.touch()
        going = asking(running, "upgrade", "--back")
        assert stays.read_close() == 1012
        stays.send(frame(CLOSE, b"\x03\xf4"))
        assert stays.at_end()
        hangs = eventually("its handler hangs", lambda: list(running.folder.glob("mark-*")), LONG)
        os.kill(int(hangs[0].name.partition("-")[2]), signal.SIGKILL)
        _, complaint = going.communicate(timeout=LONG)
        assert going.returncode == 75
        assert "refused, this program goes on, without the connections that were still with the program before: " in complaint
        assert status(running)["process"]["pid"] == serving
        client.go_on()
    running.mark.unlink()
    line.settle()
    line.back()
    client.go_on()


def test_who_does_not_answer_is_cut_off(left, tmp_path):
    line = left()
    with Later(line.running, tmp_path).opened() as silent:
        assert silent.ask("x") == "x"
        client = Counting(line.running)
        line.install()
        line.ask()
        line.ask("--back")
        line.ended += 1
        line.settle()
        assert line.file == line.old
        client.go_on()
        assert silent.read_close() == 1012


def test_what_is_waited_for_is_said(left, tmp_path):
    line = left()
    before = line.serving
    with Later(line.running, tmp_path).opened() as stays:
        assert stays.ask("x") == "x"
        client = Counting(line.running)
        line.install()
        line.ask()
        # It lets nobody go as long as it does nothing.
        os.kill(before, signal.SIGSTOP)
        try:
            going = asking(line.running, "upgrade", "--back")
            said = [going.stdout.readline() for _ in range(2)]
            assert said[1] == f"process {before}, the program before, is told to let go of its connections\n", said
            assert f"has rehearsed; the program before (process {before}) lets go of its connections" in ask(line.running, "status").stdout
            assert "another one is not over" in line.refused("--back")
            client.go_on()
        finally:
            os.kill(before, signal.SIGCONT)
        assert stays.read_close() == 1012
        stays.send(frame(CLOSE, b"\x03\xf4"))
        assert going.communicate(timeout=LONG) and going.returncode == 0
        line.ended += 1
        line.settle()
        assert line.file == line.old
        client.go_on()


def test_http2_hears_goaway(left, tmp_path):
    line = left()
    with H2Peer(Second(line.running), timeout=LONG, context=trust(tmp_path, "first")) as peer:
        stream = peer.open("/echo").opened()
        assert stream.ask("x") == "x"
        client = Counting(line.running)
        line.install()
        line.ask()
        assert stream.ask("y") == "y"
        going = asking(line.running, "upgrade", "--back")
        assert stream.read_close() == 1012
        stream.send(frame(CLOSE, b"\x03\xf4"), end=True)
        assert peer.at_end() and len(peer.goaways) >= 1
        said, complaint = going.communicate(timeout=LONG)
        assert going.returncode == 0, (said, complaint)
        line.ended += 1
        line.settle()
        assert line.file == line.old
        client.go_on()


def test_what_the_process_of_a_handler_has_is_let_go(make_gateway, tmp_path):
    certificate(tmp_path, "first", "localhost")
    made = Isolated(make_gateway, listen=("127.0.0.1:0", tls_line()), defaults="drain_timeout 10m;", start=False)
    line = Installed(made.running)
    old, running = line.file, line.running
    with Later(running, tmp_path, "/x").opened() as stays, RawPeer(running, "/x", timeout=LONG).opened() as moves:
        assert stays.ask("who") and moves.ask("who")
        line.install()
        programs = [line.serving]
        assert " stay with process " in line.ask()
        programs += children(line.first)[-1:]
        processes = [each for child in children(line.first) for each in children(child)]
        assert stays.ask("who")
        going = asking(running, "upgrade", "--back")
        assert stays.read_close() == 1012
        stays.send(frame(CLOSE, b"\x03\xf4"))
        said, complaint = going.communicate(timeout=LONG)
        assert going.returncode == 0, (said, complaint, running.log()[-3000:])
        for each in programs:
            running.wait_for(rf"the program before \(process {each}\) has nothing left, and ends", LONG)
        assert eventually("one process", lambda: len(children(line.first)) == 1, LONG) and line.file == old
        eventually("none of their processes is left", lambda: not any(is_there(each) for each in processes), LONG)
        assert moves.ask("who")


def test_the_program_before_dies_while_it_lets_go(installed, tmp_path):
    """Its connections are lost with it; nobody waits for it any more."""
    line = installed()
    line.install()
    line.upgrade()
    old, before = line.file, line.serving
    with Later(line.running, tmp_path).opened() as silent:
        assert silent.ask("x") == "x"
        client = Counting(line.running)
        line.install()
        line.ask()
        going = asking(line.running, "upgrade", "--back")
        line.running.wait_for(f"process {before} lets go of the connections")
        os.kill(before, signal.SIGKILL)
        said, complaint = going.communicate(timeout=LONG)
        assert going.returncode == 0, (said, complaint, line.running.log()[-3000:])
        eventually("one process", lambda: len(children(line.first)) == 1, LONG)
        assert line.file == old
        client.go_on()


def test_the_gateway_ends_while_the_program_before_lets_go(left, tmp_path):
    line = left()
    with Later(line.running, tmp_path).opened() as silent:
        assert silent.ask("x") == "x"
        before = line.serving
        line.install()
        line.ask()
        going = asking(line.running, "upgrade", "--back")
        line.running.wait_for(f"process {before} lets go of the connections")
        line.running.signal(signal.SIGTERM)
        said, complaint = going.communicate(timeout=LONG)
        assert going.returncode == 75 and "the gateway is stopping" in complaint or going.returncode == 1, (said, complaint)
        assert silent.read_close() in (1001, 1012)
        silent.send(frame(CLOSE, b"\x03\xf4"))
    assert line.running.exit_status(LONG) == 0


# ---- refused

def test_there_is_none_before_the_first(installed):
    line = installed()
    client = Counting(line.running)
    line.install()
    said = line.refused("--back")
    assert "this program is the first since the start" in said and "`gateway upgrade FILE` takes another one" in said
    client.go_on()
    line.upgrade()
    client.go_on()
    line.running.stop()
    line.running.lines.clear()
    line.running.start()
    assert "this program is the first since the start" in line.refused("--back")


def test_a_file_that_was_written_into_is_another_one(installed):
    line = installed()
    old, client = line.file, Counting(line.running)
    other = line.place.with_name("other")
    line.install(other)
    line.ask(str(other))
    line.settle()
    # Nobody runs it any more, so the kernel lets everybody write.
    with line.place.open("ab") as place:
        place.write(b"\0")
    said = line.refused("--back")
    assert f"the program before, {line.place}, has been written into since" in said
    client.go_on()
    assert line.file != old == line.place.stat().st_ino


def test_a_file_that_others_may_write_to_is_not_started(installed):
    line = installed()
    client, held = Counting(line.running), line.place.with_name("held")
    os.link(line.place, held)
    line.install()
    line.upgrade()
    held.chmod(0o757)
    assert "can be written by every user" in line.refused("--back")
    held.chmod(0o755)
    line.back()
    client.go_on()


def test_a_rehearsal_that_refuses_changes_nothing(left, tmp_path):
    line = left()
    text = line.running.file.read_text()
    with Later(line.running, tmp_path).opened() as stays:
        assert stays.ask("x") == "x"
        client = Counting(line.running)
        bad = line.install()
        new = int(re.search(r"process (\d+) serves", line.ask())[1])
        for wrong, reason in [("nonsense;\n", 'unknown directive "nonsense"'), ("route /x { handler nobody; }\n", "nobody")]:
            line.running.file.write_text(text + wrong)
            said = line.refused("--back")
            assert "the rehearsal of " in said and reason in said
            client.go_on()
            # Nobody was told to go for that.
            assert stays.ask("y") == "y"
            assert file(new) == bad and status(line.running)["process"]["pid"] == new
        line.running.file.write_text(text)
        line.ask("--back")
        line.ended += 1
        line.settle()
        assert line.file == line.old
        client.go_on()


def test_while_another_upgrade_is_under_way(installed):
    line = installed("HANGS")
    line.install()
    line.upgrade()
    before, client = line.serving, Counting(line.running)
    for words in (["--back"], []):
        line.running.mark.touch()
        begun = asking(line.running, "upgrade", *words)
        assert begun.stdout.readline().endswith(" rehearses\n")
        assert "another one is not over" in line.refused("--back")
        assert " starts its handlers" in begun.stdout.readline()
        assert "another one is not over" in line.refused("--back")
        [process] = [each for each in children(line.first) if each != before]
        eventually("its handler hangs", lambda: Path(f"{line.running.mark}-{process}").exists())
        assert f"(process {process}) comes up" in ask(line.running, "status").stdout
        os.kill(process, signal.SIGKILL)
        assert begun.communicate(timeout=LONG) and begun.returncode == 75
        line.running.mark.unlink()
        client.go_on()
        assert line.serving == before
    line.back()
    client.go_on()


def test_how_it_is_asked(installed):
    line = installed()
    for words in (["--back", str(line.place)], [str(line.place), "--back"], ["--back", "back"]):
        told = ask(line.running, "upgrade", *words)
        assert told.returncode == 2 and "--back takes no FILE" in told.stderr and not told.stdout
    told = ask(line.running, "upgrade", "--bac")
    assert told.returncode == 2 and 'did you mean "--back"?' in told.stderr
    assert "--back" in ask(None, "upgrade", "--help").stdout
    assert all("--back" in ask(None, "completion", shell).stdout for shell in ("bash", "zsh", "fish"))
    page = subprocess.run([BINARY, "man"], capture_output=True, text=True, timeout=LONG).stdout
    assert "back" in page.partition("upgrade")[2]
    for words in ("upgrade back file=/a", "upgrade back back", "upgrade --back"):
        with control(line.running, words.encode() + b"\n") as peer:
            assert rest(peer).endswith("exit 2\n")
    with control(line.running, b"upgrade back\n") as peer:
        assert rest(peer).endswith("exit 75\n")

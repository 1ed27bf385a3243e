"""What a gateway becomes whose place another program has taken: signals go on, and its end is that of the other one."""
import ast
import os
import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from gateway_process import BINARY, DEADLINE, eventually
from succession_wire import CHILD_ENDED, NOT_STARTED, PROGRAM_FILE, STARTED, field

HERE = Path(__file__).resolve().parent
PROGRAM = str(HERE / "watched_program.py")

# Becomes the watching process, as a gateway does: first a child, then this program in the place of itself.
LAUNCHER = """
import os, signal, socket, sys
gateway, program, news, moment = sys.argv[1:]
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
ours, theirs = socket.socketpair()
child = os.fork()
if child == 0:
    if moment == "own group":
        os.setpgid(0, 0)
    # Signals stay blocked: one may come before the program listens for it.
    if moment == "ends at once":
        os._exit(5)
    os.dup2(theirs.fileno(), 3)
    os.environ["GATEWAY_SUPERVISOR"] = "3:%d" % os.getppid()
    os.execv(sys.executable, [sys.executable, program, news, "first"])
if moment == "ends at once":
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
if moment == "signal before":
    os.kill(os.getpid(), signal.SIGUSR2)
os.set_inheritable(ours.fileno(), True)
os.dup2(0, 200)
os.execv(gateway, ["gateway", "--watch-over", str(child), str(ours.fileno())])
"""


class Program:
    """A program that is watched over, as the test speaks with it."""

    def __init__(self, peer):
        peer.settimeout(DEADLINE)
        self.peer = peer
        self.lines = peer.makefile()
        _, self.pid, self.arguments = self.hear()

    def hear(self):
        line = self.lines.readline()
        return ast.literal_eval(line) if line else None

    def tell(self, *order):
        self.peer.sendall((repr(order) + "\n").encode())

    def ask(self, *order):
        self.tell(*order)
        return self.hear()[1:]

    def call(self, *order):
        [answer] = self.ask("call", *order)
        return answer


class Watched:
    """The watching process, and those it watches over."""

    def __init__(self, folder):
        self.socket = socket.socket(socket.AF_UNIX)
        self.path = str(folder / "news.sock")
        self.socket.bind(self.path)
        self.socket.listen()
        self.socket.settimeout(DEADLINE)
        self.process = None

    def launch(self, moment="own group"):
        self.process = subprocess.Popen(
            [sys.executable, "-c", LAUNCHER, BINARY, PROGRAM, self.path, moment], stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, start_new_session=True)
        return self

    def program(self):
        return Program(self.socket.accept()[0])

    def start_another(self, asker, *arguments, descriptor=0):
        """Has the watching process start another program, and answers with it."""
        asker.call("start", sys.executable, [PROGRAM, self.path, *arguments], descriptor)
        kind, fields = asker.call("receive")
        assert kind == STARTED, fields
        other = self.program()
        assert int.from_bytes(fields[1], "little") == other.pid
        return other

    def watches(self):
        """Once it is the gateway, and not its launcher any more."""
        eventually("the watching process", lambda: self.name().startswith("gateway"))
        return self

    def name(self):
        return Path(f"/proc/{self.process.pid}/comm").read_text().strip()

    def status(self):
        status = self.process.wait(DEADLINE)
        self.complaints = self.process.stderr.read()
        return status


@pytest.fixture
def watched(tmp_path):
    made = Watched(tmp_path)
    yield made
    if made.process and made.process.poll() is None:
        made.process.kill()
        made.process.wait()
    made.socket.close()


@pytest.mark.parametrize("status", [0, 1, 75, 255])
def test_it_exits_as_the_program_exits(watched, status):
    watched.launch().program().tell("exit", status)
    assert watched.status() == status
    assert watched.complaints == ""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM, signal.SIGABRT])
def test_it_dies_of_what_the_program_dies_of(watched, number):
    watched.launch().program().tell("die", int(number))
    assert watched.status() == -number


def test_a_program_that_ended_before_is_no_other_case(watched):
    assert watched.launch("ends at once").status() == 5


def test_signals_go_to_the_program_once_each(watched):
    program = watched.launch().program()
    watched.watches()
    for name in ["SIGHUP", "SIGUSR1", "SIGUSR2", "SIGINT", "SIGQUIT", "SIGALRM", "SIGTERM", "SIGRTMIN", "SIGTERM"]:
        watched.process.send_signal(signal.Signals[name])
        assert program.hear() == ("signal", name)
    # What is the process's own is not handed on.
    for name in ["SIGCHLD", "SIGWINCH", "SIGCONT", "SIGPIPE"]:
        watched.process.send_signal(signal.Signals[name])
    # A process group is not what the program is in.
    os.killpg(watched.process.pid, signal.SIGHUP)
    assert program.hear() == ("signal", "SIGHUP")
    program.tell("exit", 0)
    assert watched.status() == 0


def test_a_signal_between_the_decision_and_the_change_is_not_lost(watched):
    program = watched.launch("signal before").program()
    assert program.hear() == ("signal", "SIGUSR2")
    program.tell("exit", 0)
    assert watched.status() == 0


def test_it_keeps_nothing_open_that_it_does_not_need(watched):
    program = watched.launch().program()
    watched.watches()

    def kinds():
        folder = f"/proc/{watched.process.pid}/fd"
        return sorted(os.readlink(f"{folder}/{name}").split(":")[0] for name in os.listdir(folder) if int(name) > 2)
    # For signals, two to wait with, one to know its end by, and the way to it.
    eventually("a few descriptors", lambda: len(kinds()) == 5 and kinds().count("socket") == 1)
    assert len(os.listdir(f"/proc/{watched.process.pid}/task")) == 1
    program.tell("exit", 0)
    assert watched.status() == 0


def test_the_next_program_is_its_child_as_well_and_its_end_counts(watched):
    first = watched.launch().program()
    reading, writing = os.pipe()
    os.write(writing, b"hello")
    first.call("start", sys.executable, [PROGRAM, watched.path, "second", "a b"], 0, ["GATEWAY_SUPERVISOR=nobody", "MORE=1"])
    kind, fields = first.call("receive")
    second = watched.program()
    assert kind == STARTED and int.from_bytes(fields[1], "little") == second.pid
    assert second.arguments == ["second", "a b"]
    parent = Path(f"/proc/{second.pid}/stat").read_text().rpartition(")")[2].split()[1]
    assert int(parent) == watched.process.pid
    assert second.ask("environment", "MORE") == ("1",)
    for name, number in [("GATEWAY_SUPERVISOR", 3), ("GATEWAY_PREDECESSOR", 4)]:
        assert second.ask("environment", name) == (f"{number}:{watched.process.pid}",)
    # Signals go to the first until it says otherwise.
    watched.process.send_signal(signal.SIGHUP)
    assert first.hear() == ("signal", "SIGHUP")
    first.call("serves", second.pid)
    first.tell("exit", 3)
    eventually("the end of the first", lambda: not Path(f"/proc/{first.pid}").exists())
    watched.process.send_signal(signal.SIGUSR2)
    assert second.hear() == ("signal", "SIGUSR2")
    # And so on.
    third = watched.start_another(second, "third")
    second.call("serves", third.pid)
    second.tell("exit", 0)
    third.tell("exit", 42)
    assert watched.status() == 42
    assert watched.complaints == ""


def test_what_it_hands_down_is_what_it_was_given(watched, tmp_path):
    (tmp_path / "file").write_text("content")
    first = watched.launch().program()
    first.call("start", "/bin/sh", ["-c", f'exec "{sys.executable}" "$@"', "sh", PROGRAM, watched.path], 0)
    assert first.call("receive")[0] == STARTED
    second = watched.program()
    # Standard ones, the two ways, its own socket, and the folder that is being listed.
    [numbers] = second.ask("descriptors")
    assert numbers[:5] == [0, 1, 2, 3, 4] and len(numbers) == 7, numbers
    second.tell("exit", 0)
    first.tell("exit", 0)
    assert watched.status() == 0


def test_a_file_that_was_handed_on_is_started_whatever_has_its_name(watched, tmp_path):
    first = watched.launch().program()
    place = tmp_path / "python"
    place.write_bytes(Path(sys.executable).resolve().read_bytes())
    place.chmod(0o755)
    [number] = first.ask("open", str(place))
    file = place.stat().st_ino
    place.unlink()
    place.write_text("no program")
    first.call("send", PROGRAM_FILE, field(1, str(place)), [number])
    # Where nothing is known of such files, it is the way there.
    first.call("start", "/nowhere", ["-c", f"import sys; sys.argv[0] = {PROGRAM!r}; exec(open({PROGRAM!r}).read())", watched.path], 0,
               [f"PYTHONHOME={sys.base_prefix}", f"PYTHONPATH={HERE}"])
    assert first.call("receive")[0] == STARTED
    second = watched.program()
    assert Path(f"/proc/{second.pid}/exe").stat().st_ino == file
    assert Path(f"/proc/{second.pid}/cmdline").read_bytes().split(b"\0")[0].decode() == str(place)
    assert second.ask("environment", "GATEWAY_PROGRAM") == (f"5:{watched.process.pid}",)
    # It is for one start: the next one is by name.
    first.call("start", "/nowhere", [], 0)
    assert first.call("receive")[0] == NOT_STARTED
    second.tell("exit", 0)
    assert first.call("receive")[0] == CHILD_ENDED
    first.tell("exit", 0)
    assert watched.status() == 0
    assert watched.complaints == ""


def test_a_program_that_was_not_ready_ends_alone(watched):
    first = watched.launch().program()
    for end, fields in [("exit", (0, 9)), ("die", (signal.SIGKILL, 0))]:
        second = watched.start_another(first)
        second.tell(end, int(max(fields)))
        kind, told = first.call("receive")
        assert kind == CHILD_ENDED
        assert [int.from_bytes(told[tag], "little") for tag in (1, 2, 3)] == [second.pid, *fields]
    watched.process.send_signal(signal.SIGHUP)
    assert first.hear() == ("signal", "SIGHUP")
    first.tell("exit", 0)
    assert watched.status() == 0


def test_what_cannot_be_started_is_said(watched, tmp_path):
    first = watched.launch().program()
    (tmp_path / "text").write_text("no program")
    (tmp_path / "text").chmod(0o755)
    for path, reason in [("/nowhere", "No such file"), (str(tmp_path), "Permission denied"),
                         (str(tmp_path / "text"), "Exec format error")]:
        first.call("start", path, [], 0)
        kind, fields = first.call("receive")
        assert kind == NOT_STARTED and path in fields[1].decode() and reason in fields[1].decode()
    first.tell("exit", 0)
    assert watched.status() == 0


def test_when_the_one_that_serves_ends_the_others_do(watched):
    first = watched.launch().program()
    second = watched.start_another(first)
    first.call("serves", second.pid)
    second.tell("exit", 6)
    assert first.hear() == ("signal", "SIGTERM")
    # It may take its time, and signals reach it.
    watched.process.send_signal(signal.SIGUSR1)
    assert first.hear() == ("signal", "SIGUSR1")
    assert watched.process.poll() is None
    first.tell("exit", 0)
    assert watched.status() == 6


def test_only_the_program_that_serves_is_heard(watched):
    first = watched.launch().program()
    second = watched.start_another(first)
    second.call("start", sys.executable, [PROGRAM, watched.path], 0)
    assert second.call("receive")[0] == NOT_STARTED
    first.call("serves", 1)
    watched.process.send_signal(signal.SIGHUP)
    assert first.hear() == ("signal", "SIGHUP")
    second.tell("exit", 1)
    assert first.call("receive")[0] == CHILD_ENDED
    first.tell("exit", 0)
    assert watched.status() == 0
    assert watched.complaints.count("may not say that process") == 1


def test_who_stands_by_goes_on_when_the_one_that_serves_ends(watched):
    first = watched.launch().program()
    second = watched.start_another(first)
    # It only says so of itself: as long as the first one lives, that one is meant.
    second.call("serves", second.pid)
    watched.process.send_signal(signal.SIGHUP)
    assert first.hear() == ("signal", "SIGHUP")
    first.tell("exit", 3)
    eventually("the end of the first", lambda: not Path(f"/proc/{first.pid}").exists())
    watched.process.send_signal(signal.SIGUSR1)
    assert second.hear() == ("signal", "SIGUSR1")
    second.tell("exit", 5)
    assert watched.status() == 5


@pytest.mark.parametrize("nonsense", [b"\xff" * 8, b"\0\0\0\0\x01\0\0\0", b"\x05\0\0\0\x00\x01\0\0hello", b"x" * 100000],
                         ids=["length", "other message", "no descriptor", "text"])
def test_nonsense_ends_the_talk_and_nothing_else(watched, nonsense):
    program = watched.launch().program()
    program.ask("raw", nonsense)
    watched.process.send_signal(signal.SIGHUP)
    assert program.hear() == ("signal", "SIGHUP")
    program.tell("exit", 11)
    assert watched.status() == 11
    assert f"process {program.pid}:" in watched.complaints


def test_orphans_of_the_program_are_nobody_elses_trouble(watched):
    program = watched.launch().program()
    assert program.ask("orphan") == ()
    program.tell("exit", 0)
    assert watched.status() == 0


@pytest.mark.parametrize("words", [["nobody", "3"], ["1", "0"], ["0", "3"], ["1", "three"], ["1", "999"]])
def test_what_makes_no_sense_is_wrong_usage(words):
    told = subprocess.run([BINARY, "--watch-over", *words], capture_output=True, text=True, timeout=DEADLINE)
    assert told.returncode == 2 and told.stderr.startswith("error: ")


def test_somebody_elses_child_is_none():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        told = subprocess.run([BINARY, "--watch-over", str(os.getpid()), str(ours.fileno())], capture_output=True,
                              text=True, timeout=DEADLINE, pass_fds=[ours.fileno()])
    assert told.returncode == 2 and "is no child of this one" in told.stderr


def test_it_takes_little_memory(watched):
    program = watched.launch().program()
    watched.watches()
    pages = int(Path(f"/proc/{watched.process.pid}/statm").read_text().split()[1]) \
        - int(Path(f"/proc/{watched.process.pid}/statm").read_text().split()[2])
    assert pages * resource.getpagesize() < 4 << 20
    program.tell("exit", 0)
    assert watched.status() == 0

"""The gateway as process 1 of a container, which nobody's exit status is lost on and everybody's orphans are left to."""
import os
import signal
import subprocess
from pathlib import Path

import pytest

import c_handler
from gateway_process import DEADLINE, eventually
from raw_peer import RawPeer
from test_control import ask, status

CONTAINER = ["unshare", "--pid", "--fork", "--mount-proc"]


def is_allowed():
    try:
        return subprocess.run([*CONTAINER, "true"], capture_output=True, timeout=DEADLINE).returncode == 0
    except FileNotFoundError:
        return False


pytestmark = pytest.mark.skipif(not is_allowed(), reason="no process may have a namespace of its own here (unshare)")


def children(process):
    return [int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def state(process):
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.fixture
def contained(make_gateway):
    """A gateway that is process 1, and the number that this has out here."""
    running = make_gateway(routes="route /process { handler process; }")
    c_handler.build(running, "process")
    running.starter = CONTAINER
    running.start()
    [first] = children(running.process.pid)
    running.signal = lambda number=signal.SIGTERM: os.kill(first, number)
    return running, first


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
def test_it_ends_gracefully(contained, number):
    running, _ = contained
    with RawPeer(running, "/process").opened() as peer:
        running.signal(number)
        assert peer.read_close() == 1001
    assert running.exit_status() == 0


def test_signals_reach_it(contained):
    running, _ = contained
    running.signal(signal.SIGHUP)
    running.wait_for("configuration: nothing changed")
    running.signal(signal.SIGUSR1)
    running.wait_for("SIGUSR1: files of logs are opened again")


def test_orphans_are_reaped_and_no_exit_status_is_lost(contained):
    running, first = contained
    with RawPeer(running, "/process").opened() as peer:
        for _ in range(20):
            assert peer.ask("orphan") == "0"
            assert peer.ask("child") == "7"
    # The last orphan may just have become a child of process 1.
    eventually("only the gateway is left", lambda: [state(each) != "Z" for each in children(first)] == [True])
    # Probes are children too: a reload needs to know how they ended.
    c_handler.build(running, "process", "AGAIN=1")
    told = ask(running, "reload", "process")
    assert told.returncode == 0 and status(running)["handlers"][0]["generations"][0]["state"] == "live", told.stdout


def test_how_it_ends_is_told(contained):
    running, first = contained
    [gateway] = children(first)
    os.kill(gateway, signal.SIGKILL)
    assert running.exit_status() == 128 + signal.SIGKILL


def test_a_wrong_configuration_is_78(make_gateway):
    running = make_gateway(main="nonsense;")
    running.starter = CONTAINER
    assert running.launch().exit_status() == 78

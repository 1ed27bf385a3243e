"""What a service manager such as systemd is told, and what it hands over."""
import os
import re
import signal
import socket
import subprocess

import pytest

import c_handler
from gateway_process import BINARY, DEADLINE, eventually
from raw_peer import TEXT, RawPeer, frame
from test_control import ask, status


class Manager:
    """The far end of NOTIFY_SOCKET."""

    def __init__(self, folder):
        self.path = str(folder / "notify.sock")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(DEADLINE)

    def hear(self, beginning):
        """The next message that begins so; those before it are about something else."""
        while True:
            message = self.socket.recv(4096).decode()
            if message.startswith(beginning):
                return message


@pytest.fixture
def managed(make_gateway, tmp_path):
    manager = Manager(tmp_path)
    running = make_gateway(routes="route /echo { handler echo; }")
    running.environment["NOTIFY_SOCKET"] = manager.path
    yield running, manager
    running.stop()
    manager.socket.close()


def test_ready_reloading_and_stopping(managed):
    running, manager = managed
    running.start()
    assert manager.hear("READY=1") == "READY=1\nSTATUS=serving 1 route"
    for again in (lambda: running.signal(signal.SIGHUP), lambda: ask(running, "reload")):
        again()
        assert re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", manager.hear("RELOADING=1"))
        assert manager.hear("READY=1") == "READY=1\nSTATUS=serving 1 route"
    running.stop()
    assert manager.hear("STOPPING=1").startswith("STOPPING=1\nSTATUS=stopping")


def test_a_reload_that_is_refused_ends_as_well(managed):
    running, manager = managed
    running.start()
    text = running.file.read_text()
    running.file.write_text(text + "nonsense;\n")
    running.signal(signal.SIGHUP)
    manager.hear("RELOADING=1")
    manager.hear("READY=1")
    assert status(running)["process"]["configuration_reload"]["accepted"] is False


def test_draining_extends_the_time_for_ending(managed):
    running, manager = managed
    running.start()
    with RawPeer(running).opened():
        draining = subprocess.Popen([BINARY, "drain", "-c", running.file], stdout=subprocess.DEVNULL)
        manager.hear("STATUS=draining")
        assert manager.hear("EXTEND_TIMEOUT_USEC=") == "EXTEND_TIMEOUT_USEC=15000000"
        # Nothing is reloaded, and whoever waits for that hears so.
        running.signal(signal.SIGHUP)
        manager.hear("RELOADING=1")
        manager.hear("READY=1")
    assert draining.wait(DEADLINE) == 0


def test_a_manager_that_does_not_listen_stops_nobody(make_gateway, tmp_path):
    running = make_gateway()
    running.environment["NOTIFY_SOCKET"] = str(tmp_path / "nobody.sock")
    running.start().wait_for("warning: the service manager hears nothing: NOTIFY_SOCKET: No such file")
    assert ask(running, "reload").returncode == 0


def test_the_watchdog_is_fed(managed):
    running, manager = managed
    running.environment["WATCHDOG_USEC"] = "200000"
    running.start()
    for _ in range(5):
        manager.hear("WATCHDOG=1")


def test_handlers_hear_nothing_of_it(make_gateway):
    running = make_gateway(routes="route /process { handler process; }")
    running.environment = {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "5000000", "LISTEN_FDS": "0", "STAYS": "here"}
    c_handler.build(running, "process")
    with RawPeer(running.start(), "/process").opened() as peer:
        assert [peer.ask(f"env {name}") for name in running.environment] == ["-", "-", "-", "here"]

"""What a service manager such as systemd is told, and what it hands over."""
import fcntl
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


# ---- sockets that are handed over

def hand_over(running, *sockets, names=""):
    """Has the gateway inherit sockets as 3, 4 ..., with a word that they are meant for it: its number knows only itself."""
    moves = " ".join(f"{3 + index}<&{each.fileno()}" for index, each in enumerate(sockets))
    closing = " ".join(f"{each.fileno()}<&-" for each in sockets if each.fileno() >= 3 + len(sockets))
    running.starter = ["bash", "-c", f'LISTEN_PID=$$ exec "$@" {moves} {closing}', "bash"]
    running.environment |= {"LISTEN_FDS": str(len(sockets)), "LISTEN_FDNAMES": names}
    running.inherited = tuple(each.fileno() for each in sockets)


def listening(address, family=socket.AF_INET):
    made = socket.socket(family)
    # Above the numbers that the gateway is handed.
    high = fcntl.fcntl(made.fileno(), fcntl.F_DUPFD, 100)
    made.close()
    made = socket.socket(fileno=high)
    made.bind(address)
    made.listen()
    return made


def echoes(running):
    with RawPeer(running).opened() as peer:
        peer.send(frame(TEXT, b"hello"))
        return peer.read_frame() == (TEXT, True, b"hello")


def test_a_listen_line_takes_the_socket_of_its_address(make_gateway):
    with listening(("127.0.0.1", 0)) as handed:
        address = "127.0.0.1:%d" % handed.getsockname()[1]
        running = make_gateway(listen=[address])
        hand_over(running, handed, names="http")
        running.start()
        assert running.wait_for(r"listening on (\S+) \(handed over as \"http\"\)")[1] == address
        assert echoes(running)
        report = status(running)
        assert report["listeners"] == report["inherited_listeners"] == [address]
        # A reload keeps it, and finds it again where a line had gone.
        text = running.file.read_text()
        assert ask(running, "reload").returncode == 0 and echoes(running)
        running.file.write_text(text.replace(f"listen {address};", "listen [::1]:0;"))
        assert f"no longer listening on {address}" in ask(running, "reload").stdout
        running.file.write_text(text)
        assert f'listening on {address} (handed over as "http")' in ask(running, "reload").stdout
        assert echoes(running)
        running.stop()
        # It was never the gateway's to close: whoever connects now waits for the next one.
        socket.create_connection(handed.getsockname(), DEADLINE).close()


def test_the_file_of_a_unix_socket_stays(make_gateway, tmp_path):
    path = tmp_path / "handed.sock"
    with listening(str(path), socket.AF_UNIX) as handed:
        running = make_gateway(listen=["127.0.0.1:0", f"unix:{path}"])
        hand_over(running, handed)
        running.start()
        running.wait_for(r"listening on unix:\S+ \(handed over as \"unknown\"\)")
        running.stop()
        assert path.exists()


def test_a_socket_that_no_line_takes_is_closed_and_named(make_gateway):
    with listening(("127.0.0.1", 0)) as wanted, listening(("127.0.0.1", 0)) as unwanted:
        running = make_gateway(listen=["fd:3"])
        hand_over(running, wanted, unwanted, names="first:second")
        running.start()
        port = unwanted.getsockname()[1]
        running.wait_for(rf'warning: descriptor 4 of the service manager \("second"\) was closed: no "listen" line is for '
                         rf"the socket 127\.0\.0\.1:{port}")
        assert echoes(running)

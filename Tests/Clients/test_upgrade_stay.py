"""What stays with the program before an upgrade, until when, and what a gateway is like that has been replaced: every command,
signal, listener and log goes on as if nothing had been."""
import os
import re
import signal
import socket
import stat
import threading
import time

import pytest
from websockets.sync.client import unix_connect

import c_handler
from admin_client import admin_port, get, samples
from gateway_process import eventually
from h2_peer import GOAWAY, H2Peer
from raw_peer import CLOSE, PING, PONG, TEXT, RawPeer, accepted, frame
from test_control import ask, control, socket_of, status
from test_logs import listening as listening_to_files
from test_logs import logged, records
from test_service import Manager, hand_over, listening
from test_tls import certificate, trust
from upgrade_rig import LONG, Upgraded, Worker, another_build, asking, children, descriptors, is_there

ROUTES = "route /echo { handler echo; }\nroute /relay { handler relay; }\nroute /counter { handler counter; }"
QUIET = "defaults { ping_interval off; %s }"


@pytest.fixture
def upgraded(make_gateway, tmp_path):
    """`drain` is the drain_timeout."""
    certificate(tmp_path, "first", "localhost")

    def make(*defines, drain="60s", main="threads 2;", routes=ROUTES, listen=("127.0.0.1:0 { http2 on; }",), make=make_gateway, **how):
        running = make(main=f"{main} {QUIET % f'drain_timeout {drain};'}", routes=routes, listen=listen, **how)
        c_handler.build(running, "relay", *defines)
        return Upgraded(running)
    return make


def tls_line(more=""):
    return f"127.0.0.1:0 tls {{ certificate ../first.pem ../first.key; {more} }}"


class Secure(RawPeer):
    """A WebSocket over TLS by hand."""

    def __init__(self, running, folder, path="/echo"):
        self.folder, self.running = folder, running
        super().__init__(running, path, timeout=LONG)

    @property
    def socket(self):
        return self.wrapped

    @socket.setter
    def socket(self, made):
        self.wrapped = Connecting(made, self.folder)

    def at_end(self):
        return not self.pending and self.socket.recv(1) == b""


class Connecting:
    """A socket that begins TLS once it is connected."""

    def __init__(self, made, folder):
        self.made, self.folder = made, folder

    def connect(self, endpoint):
        self.made.connect(endpoint)
        self.made = trust(self.folder, "first").wrap_socket(self.made, server_hostname="localhost")

    def __getattr__(self, word):
        return getattr(self.made, word)


# ---- who stays

def test_tls_stays_goes_on_and_is_closed_at_the_end_of_its_time(upgraded, tmp_path):
    line = upgraded(drain="6s", listen=(tls_line(),))
    running = line.running
    with Secure(running, tmp_path).opened() as peer, Secure(running, tmp_path, "/counter").opened() as counter:
        assert peer.ask("before") == "before" and counter.ask("x") == "1 of 1"
        old, began = line.serving, time.monotonic()
        said = line.ask()
        found = re.search(rf"process (\d+) serves, 0 connections moved in \d+ ms; 2 stay with process {old}"
                          r" \(2 over TLS or HTTP/2, or in the middle of a request\), for (\d)s at most", said)
        assert found and int(found[2]) in (5, 6), said
        new = int(found[1])
        note = eventually("what the status says of it", lambda: status(running)["process"].get("upgrade"))
        assert re.fullmatch(rf"2 connections still with the program before \(process {old}\), for \ds at most: 2 over TLS or HTTP/2, or in"
                            " the middle of a request", note)
        assert re.search(rf"upgrade +{re.escape(note[:40])}", ask(running, "status").stdout)
        for number in range(2, 30):
            assert peer.ask(f"during {number}") == f"during {number}"
            assert counter.ask("x") == f"{number} of {number}"
        # Whoever comes now is the new one's, over TLS as well.
        with Secure(running, tmp_path).opened() as other:
            assert other.ask("new") == "new"
            assert status(running)["process"]["pid"] == new
            assert peer.read_close() == 1012
            assert counter.read_close() == 1012
            assert 4.5 < time.monotonic() - began < 20
            for each in (peer, counter):
                each.send(frame(CLOSE, b"\x03\xf4"))
                each.close()
            line.settle()
            assert other.ask("still") == "still"
    assert not status(running)["process"].get("upgrade")
    assert children(line.first) == [new]


def test_what_stays_ends_the_program_before_as_soon_as_it_leaves(upgraded, tmp_path):
    line = upgraded(listen=(tls_line(),))
    with Secure(line.running, tmp_path).opened() as one, Secure(line.running, tmp_path).opened() as other:
        said = line.ask()
        assert "2 stay" in said
        one.send(frame(CLOSE, b"\x03\xe8"))
        assert one.read_close() == 1000
        one.close()
        eventually("it is said that one is left", lambda: (status(line.running)["process"].get("upgrade") or "").startswith("1 connection "))
        assert other.ask("x") == "x"
        other.reset()
    line.settle()


@pytest.mark.parametrize("secure", [False, True], ids=["clear", "TLS"])
def test_http2_stays_goes_on_and_hears_goaway(upgraded, tmp_path, secure):
    line = upgraded(drain="6s", listen=(tls_line("http2 on;") if secure else "127.0.0.1:0 { http2 on; }",))
    running = line.running
    how = {"context": trust(tmp_path, "first")} if secure else {}
    with H2Peer(running, timeout=LONG, **how) as peer:
        streams = [peer.open(path).opened() for path in ("/echo", "/counter", "/relay")]
        echo, counter, relay = streams
        assert counter.ask("x") == "1 of 1"
        began = time.monotonic()
        said = line.ask()
        assert "0 connections moved" in said and " stay with process " in said, said
        assert counter.ask("x") == "2 of 2" and echo.ask("x") == "x" and relay.ask("C") == "C 1 1"
        goaways = len(peer.goaways)
        assert echo.read_close() == 1012 and counter.read_close() == 1012 and relay.read_close() == 1012
        for each in streams:
            each.send(frame(CLOSE, b"\x03\xf4"), end=True)
        assert peer.at_end()
        assert len(peer.goaways) >= 1 and goaways <= 1
        assert 4.5 < time.monotonic() - began < 25
    line.settle()
    with H2Peer(running, timeout=LONG, **how) as peer:
        assert peer.open("/echo").opened().ask("x") == "x"


def test_an_http2_connection_without_streams_is_let_go_at_once(upgraded):
    """RFC 9113 6.8: GOAWAY, so that the client opens what it needs elsewhere."""
    line = upgraded()
    with H2Peer(line.running, timeout=LONG) as peer:
        peer.ping()
        line.ask()
        assert peer.at_end() and [each.number for each in peer.goaways][-1:] == [0]
    line.settle()


def test_a_handler_that_does_not_hand_over_keeps_its_clients(upgraded):
    line = upgraded("KEEPS", drain="5s")
    running = line.running
    peers = [RawPeer(running, "/relay", timeout=LONG).opened() for _ in range(3)]
    numbers = [int(peer.ask("I")[2:]) for peer in peers]
    with RawPeer(running, timeout=LONG).opened() as moves:
        assert moves.ask("x") == "x"
        began = time.monotonic()
        said = line.ask()
        assert "1 connection moved" in said and "(3 whose handler does not hand them over)" in said, said
        # Those who came later and those who stay have each other's numbers and topics.
        late = RawPeer(running, "/relay", timeout=LONG).opened()
        number = int(late.ask("I")[2:])
        assert number not in numbers
        for index, peer in enumerate(peers):
            assert peer.ask("S all") == "S 0"
            peer.send(frame(TEXT, b"T %d from %d" % (number, index)))
            assert late.read_frame() == (TEXT, True, b"from %d" % index)
            late.send(frame(TEXT, b"T %d back %d" % (numbers[index], index)))
            assert peer.read_frame() == (TEXT, True, b"back %d" % index)
        assert late.ask("S all") == "S 0"
        late.send(frame(TEXT, b"P all late"))
        peers[0].send(frame(TEXT, b"P all early"))
        assert late.read_frame() == (TEXT, True, b"early")
        assert [sorted(peer.read_frame()[2] for _ in range(1 if peer is peers[0] else 2)) for peer in peers] == [
            [b"late"], [b"early", b"late"], [b"early", b"late"]]
        for peer in peers:
            assert peer.read_close() == 1012
            peer.send(frame(CLOSE, b"\x03\xf4"))
            assert peer.at_end()
            peer.close()
        assert 3.5 < time.monotonic() - began < 20
        assert late.ask("C").startswith("C ")
        line.settle()
        assert late.ask("I") == f"I {number}" and moves.ask("y") == "y"
        late.close()


def test_one_in_the_middle_of_a_request_is_answered(upgraded):
    line = upgraded()
    with line.running.connect() as peer:
        peer.settimeout(LONG)
        peer.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345")
        line.ask()
        peer.sendall(b"67890")
        assert peer.recv(65536).startswith(b"HTTP/1.1 ")
    line.settle()


# ---- commands after upgrades

@pytest.fixture(params=[1, 2], ids=["once", "twice"])
def later(request, upgraded):
    """A gateway that has been replaced."""
    line = upgraded(main="threads 2; admin 127.0.0.1:0;")
    for _ in range(request.param):
        line.upgrade()
    return line


def test_commands_do_what_they_did(later):
    running = later.running
    with RawPeer(running, "/counter", timeout=LONG).opened() as peer, RawPeer(running, timeout=LONG).opened() as echo:
        assert peer.ask("x") == "1 of 1"
        told = ask(running, "status")
        assert told.returncode == 0 and told.stdout.startswith("● gateway ") and "serving" in told.stdout.splitlines()[0]
        report = status(running)
        assert report["process"]["pid"] == later.serving
        assert {each["route"]: each["connections"] for each in report["routes"]} == {"/echo": 1, "/relay": 0, "/counter": 1}
        told = ask(running, "connections")
        assert told.returncode == 0 and "/counter" in told.stdout and "/echo" in told.stdout
        told = ask(running, "reload")
        assert (told.returncode, told.stderr) == (0, ""), told
        another_build(running, "relay")
        told = ask(running, "reload", "relay")
        assert told.returncode == 0, told
        told = ask(running, "rollback", "relay")
        assert told.returncode == 0, told
        text = running.file.read_text()
        running.file.write_text(text + "nonsense;\n")
        assert ask(running, "reload").returncode == 75
        running.file.write_text(text + "route /more { handler echo; }\n")
        assert ask(running, "reload").returncode == 0
        with RawPeer(running, "/more", timeout=LONG).opened() as more:
            assert more.ask("x") == "x"
            later.upgrade()
            assert more.ask("y") == "y"
        running.file.write_text(text)
        assert ask(running, "reload").returncode == 0
        running.signal(signal.SIGHUP)
        running.wait_for("configuration: nothing changed")
        assert peer.ask("x") == "2 of 2" and echo.ask("x") == "x"


def test_metrics_and_health(later):
    running = later.running
    port = admin_port(running)
    with RawPeer(running, timeout=LONG).opened() as peer:
        assert peer.ask("x") == "x"
        for path in ("/healthz", "/readyz"):
            assert get(running, path, port=port)[0] == 200, path
        later.upgrade()
        assert get(running, "/readyz", port=port)[0] == 200
        found = {key: value for key, value in samples(running).items() if key[0] == "gateway_connections"}
        assert sum(found.values()) == 1, found


@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 0), (signal.SIGINT, 0)])
def test_it_ends_as_always(later, number, code):
    running = later.running
    with RawPeer(running, timeout=LONG).opened() as peer:
        running.signal(number)
        assert peer.read_close() == 1001
        peer.send(frame(CLOSE, b"\x03\xe9"))
        peer.close()
    assert running.exit_status() == code
    assert not socket_of(running).exists()


def test_stop_and_drain(later):
    running = later.running
    with RawPeer(running, timeout=LONG).opened() as peer:
        draining = asking(running, "drain")
        eventually("it is draining", lambda: ask(running, "status").returncode == 1)
        told = ask(running, "upgrade")
        assert told.returncode == 75 and "the gateway is draining" in told.stderr
        assert peer.ask("x") == "x"
        peer.send(frame(CLOSE, b"\x03\xe8"))
        peer.read_close()
    draining.communicate(timeout=LONG)
    assert draining.returncode == 0
    assert running.exit_status() == 0


def test_stop(later):
    assert ask(later.running, "stop").returncode == 0
    assert later.running.exit_status() == 0
    assert ask(later.running, "status").returncode == 69 and ask(later.running, "upgrade").returncode == 69


def test_two_signals_end_it_at_once(later):
    running = later.running
    with RawPeer(running, timeout=LONG).opened():
        running.signal(signal.SIGTERM)
        running.wait_for("stopping: 1 connections are told")
        running.signal(signal.SIGTERM)
        assert running.exit_status() == 128 + signal.SIGTERM


def what(process):
    """What its descriptors are open on, whatever the numbers are that stand there."""
    return sorted(re.sub(r"\[\d+\]|gateway-\d+-\w+", "", each) for each in descriptors(process).values())


def test_nothing_is_left_of_it(later):
    """Descriptors of the process that watches; of the one that serves, none that belong to upgrades of the past."""
    watching, serving = later.first, later.serving
    before = what(serving)
    later.upgrade()
    assert what(later.serving) == before
    assert len(descriptors(watching)) <= 9, descriptors(watching)
    assert len(os.listdir(f"/proc/{watching}/task")) == 1


def test_folders_of_programs_that_have_ended_are_taken_away(upgraded, make_gateway, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)

    def make(**how):
        running = make_gateway(**how)
        running.environment["XDG_RUNTIME_DIR"] = str(folder)
        return running

    line = upgraded(make=make)
    before = len(list(folder.iterdir()))
    assert before > 0
    for _ in range(3):
        line.upgrade()
        assert len(list(folder.iterdir())) == before, list(folder.iterdir())
    line.running.stop()
    assert not list(folder.iterdir())


# ---- signals at moments of an upgrade

MOMENTS = [r"rehearses", r"has rehearsed", r"starts its handlers", r"listening sockets go", r" serves, ", r"no connection is left here",
           r"watches over the one", r"has nothing left, and ends"]


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("earlier", [0, 1])
def test_the_end_at_any_moment_of_an_upgrade(upgraded, moment, number, earlier):
    """It ends gracefully, whatever there was to do, and whoever started it learns that it did."""
    if earlier and "watches over" in moment:
        pytest.skip("it watches already")
    line = upgraded()
    running = line.running
    for _ in range(earlier):
        line.upgrade()
    with RawPeer(running, timeout=LONG).opened() as peer:
        assert peer.ask("x") == "x"
        seen = len(running.lines)
        begun = asking(running, "upgrade")
        eventually(moment, lambda: any(re.search(moment, each) for each in running.lines[seen:]))
        running.signal(number)
        assert peer.read_close() == 1001
        peer.send(frame(CLOSE, b"\x03\xe9"))
        assert peer.at_end()
    begun.communicate(timeout=LONG)
    assert running.exit_status() == 0, running.log()[-3000:]
    assert "stopped at once" not in running.log()


@pytest.mark.parametrize("moment", ["starts its handlers", "listening sockets go", " serves, "])
def test_the_end_again_and_again_around_the_switch(make_gateway, moment):
    """The same at moments that lie close together, where everything changes hands at once."""
    for count in range(12):
        running = make_gateway(main="threads 2;", routes="route /echo { handler echo; }")
        line = Upgraded(running)
        if count % 2:
            line.upgrade()
        peers = [RawPeer(running, timeout=LONG).opened() for _ in range(10)]
        seen, pause = len(running.lines), threading.Event()
        begun = asking(running, "upgrade")
        eventually(moment, lambda: any(re.search(moment, each) for each in running.lines[seen:]))
        # Not to wait for something, but to meet another moment each time.
        pause.wait(count * 0.0005)
        running.signal(signal.SIGTERM)
        for peer in peers:
            assert peer.read_close() == 1001, count
            peer.send(frame(CLOSE, b"\x03\xe9"))
            peer.close()
        begun.communicate(timeout=LONG)
        assert running.exit_status() == 0, running.log()[-3000:]


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2])
def test_signals_all_the_time(upgraded, number):
    """None ends anything or anybody, whichever process hears it."""
    line = upgraded()
    running = line.running
    over = threading.Event()

    def send():
        while not over.is_set():
            running.signal(number)
            over.wait(0.003)

    with RawPeer(running, "/counter", timeout=LONG).opened() as peer:
        worker = Worker(send)
        count = 0
        for _ in range(4):
            # Where the signal asks for an upgrade, too, either may be the second one.
            told = ask(running, "upgrade")
            assert told.returncode in (0, 75), told
            assert number != signal.SIGUSR1 or told.returncode == 0, told
            for _ in range(20):
                count += 1
                assert peer.ask("x") == f"{count} of {count}"
        over.set()
        worker.end()
        eventually("one program serves", line.is_settled if running.log().count(" serves, ") else lambda: True, LONG)
        count += 1
        assert peer.ask("x") == f"{count} of {count}"
    running.signal(signal.SIGTERM)
    assert running.exit_status() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2])
@pytest.mark.parametrize("earlier", [0, 1])
def test_signals_while_some_stay(upgraded, number, earlier):
    """They are the business of the one that serves; both end where it ends."""
    line = upgraded("KEEPS")
    running = line.running
    for _ in range(earlier):
        line.upgrade()
    old = line.serving
    with RawPeer(running, "/relay", timeout=LONG).opened() as stays, RawPeer(running, timeout=LONG).opened() as moves:
        stays.ask("I"), moves.ask("x")
        line.ask()
        running.signal(number)
        if number == signal.SIGTERM:
            assert moves.read_close() == 1001 and stays.read_close() in (1001, 1012)
            for each in (moves, stays):
                each.send(frame(CLOSE, b"\x03\xe9"))
                each.close()
            assert running.exit_status() == 0
            assert not is_there(old)
            return
        running.wait_for({signal.SIGHUP: "configuration: nothing changed", signal.SIGUSR1: "files of logs are opened again",
                          signal.SIGUSR2: r"refused, nothing was changed: the program before this one"}[number])
        assert stays.ask("C").startswith("C 2 ") and moves.ask("y") == "y"
        stays.send(frame(CLOSE, b"\x03\xe8"))
        assert stays.read_close() == 1000
    line.settle()


def test_stop_while_some_stay(upgraded):
    line = upgraded("KEEPS")
    with RawPeer(line.running, "/relay", timeout=LONG).opened() as stays:
        stays.ask("I")
        line.ask()
        stopping = asking(line.running, "stop")
        assert stays.read_close() in (1001, 1012)
        stays.send(frame(CLOSE, b"\x03\xe9"))
    stopping.communicate(timeout=LONG)
    assert stopping.returncode == 0 and line.running.exit_status() == 0


# ---- listeners

class Knocking:
    """Connects to something again and again; each connection has to be taken."""

    def __init__(self, connect):
        self.connect, self.count, self.over = connect, 0, threading.Event()
        self.worker = Worker(self._run)

    def _run(self):
        while not self.over.is_set():
            self.connect()
            self.count += 1

    def end(self):
        count = self.count
        eventually("somebody more", lambda: self.count > count or self.worker.fault)
        self.over.set()
        self.worker.end()


def test_a_unix_listener_stays(upgraded):
    line = upgraded(listen=("127.0.0.1:0", "unix:gateway.sock"))
    path = line.running.folder / "gateway.sock"
    before = path.stat()

    def connect():
        with unix_connect(str(path), "ws://localhost/echo", compression=None, open_timeout=LONG) as peer:
            peer.send("x")
            assert peer.recv(LONG) == "x"

    with unix_connect(str(path), "ws://localhost/counter", compression=None) as peer:
        knocking = Knocking(connect)
        for count in range(1, 4):
            peer.send("x")
            assert peer.recv(LONG) == f"{count} of {count}"
            line.upgrade()
            after = path.stat()
            assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode) and stat.S_ISSOCK(after.st_mode)
        knocking.end()
    line.running.stop()
    assert not path.exists(), "the last one takes the file away"


def test_the_control_socket_answers_all_the_time(upgraded):
    line = upgraded()

    def connect():
        told = ask(line.running, "status")
        assert told.returncode == 0, (told.returncode, told.stdout, told.stderr)

    knocking = Knocking(connect)
    for _ in range(3):
        line.upgrade()
    knocking.end()


def test_who_came_in_before_the_switch_is_answered_behind_it(upgraded):
    """Nobody is connected, so nothing else keeps the program that accepted them."""
    line = upgraded(main="threads 2; admin 127.0.0.1:0;")
    port = admin_port(line.running)
    for command, answer in [(b"status\n", b"exit 0\n"), (b"stop\n", b"try again\nexit 75\n")]:
        asking = control(line.running)
        scraping = socket.create_connection(("127.0.0.1", port), timeout=LONG)
        # Those who come after them have been let in.
        assert ask(line.running, "status").returncode == 0 and get(line.running, "/healthz", port=port)[0] == 200
        assert ask(line.running, "upgrade").returncode == 0
        scraping.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert raw(scraping).startswith(b"HTTP/1.1 200 ")
        asking.sendall(command)
        assert raw(asking).endswith(answer)
        line.settle()
    assert ask(line.running, "status").returncode == 0


def raw(peer):
    """All that comes until the other end closes."""
    with peer:
        return b"".join(iter(lambda: peer.recv(65536), b""))


def test_the_admin_listener_answers_all_the_time(upgraded):
    line = upgraded(main="threads 2; admin 127.0.0.1:0;")
    port = admin_port(line.running)

    def connect():
        for path in ("/healthz", "/readyz", "/metrics"):
            assert get(line.running, path, port=port)[0] == 200, path

    knocking = Knocking(connect)
    for _ in range(3):
        line.upgrade()
    knocking.end()


def test_sockets_of_a_service_manager_stay(upgraded, make_gateway, tmp_path):
    path = tmp_path / "service.sock"
    manager = Manager(tmp_path)
    with listening(("127.0.0.1", 0)) as handed, listening(str(path), socket.AF_UNIX) as local:
        address = "127.0.0.1:%d" % handed.getsockname()[1]

        def make(**how):
            running = make_gateway(**how)
            hand_over(running, handed, local, names="http:local")
            running.environment["NOTIFY_SOCKET"] = manager.path
            return running

        line = upgraded(listen=(address, f"unix:{path}"), make=make)
        running = line.running
        manager.hear("READY=1")
        for _ in range(3):
            line.upgrade()
            assert manager.hear("READY=1") == "READY=1\nSTATUS=serving 3 routes"
            report = status(running)
            assert sorted(report["inherited_listeners"]) == sorted(report["listeners"]) == sorted([address, f"unix:{path}"])
            with RawPeer(running, timeout=LONG).opened() as peer:
                assert peer.ask("x") == "x"
            with unix_connect(str(path), "ws://localhost/echo", compression=None) as peer:
                peer.send("x")
                assert peer.recv(LONG) == "x"
        # A line that goes leaves the socket, and one that comes finds it.
        text = running.file.read_text()
        running.file.write_text(text.replace(f"listen {address};", "listen [::1]:0;"))
        assert f"no longer listening on {address}" in ask(running, "reload").stdout
        line.upgrade()
        running.file.write_text(text)
        assert f'listening on {address} (handed over as "http")' in ask(running, "reload").stdout
        with RawPeer(running, timeout=LONG).opened() as peer:
            assert peer.ask("x") == "x"
        running.stop()
        assert path.exists()
        manager.hear("STOPPING=1")
    manager.socket.close()


def test_listeners_that_come_and_go_with_the_upgrade(upgraded):
    """The configuration is that of the file by now: what is new there is opened, what is not there any more is closed."""
    line = upgraded(listen=("127.0.0.1:0", "unix:old.sock"))
    running = line.running
    text = running.file.read_text()
    running.file.write_text(text.replace("unix:old.sock", "unix:new.sock"))
    assert "nothing listens on unix:" in (line.upgrade() + running.log())
    with unix_connect(str(running.folder / "new.sock"), "ws://localhost/echo", compression=None) as peer:
        peer.send("x")
        assert peer.recv(LONG) == "x"
    assert not (running.folder / "old.sock").exists(), "the file of a listener that has gone"
    assert sorted(each.rpartition("/")[2].rpartition(":")[0] for each in status(running)["listeners"]) == ["", "127.0.0.1"]


# ---- logs

def test_files_of_logs_go_on(upgraded, make_gateway):
    def make(**how):
        running = logged(make_gateway, "access.log json", error="errors.log info", **how)
        c_handler.build(running, "relay")
        running.launch()
        listening_to_files(running)
        running.start = lambda: running
        return running

    line = upgraded(make=make, listen=("127.0.0.1:0",))
    running = line.running
    log, errors = running.folder / "access.log", running.folder / "errors.log"
    stays = RawPeer(running, timeout=LONG).opened()
    total = 0
    for count in range(1, 5):
        for _ in range(10):
            with RawPeer(running, timeout=LONG).opened() as peer:
                assert peer.ask("x") == "x"
                peer.send(frame(CLOSE, b"\x03\xe8"))
                assert peer.read_close() == 1000
            total += 1
        assert stays.ask("x") == "x"
        assert ask(running, "upgrade").returncode == 0
        eventually("the end of the program before", lambda: errors.read_text().count("has nothing left, and ends") == count)
        if count == 2:
            log.rename(running.folder / "access.log.1")
            running.signal(signal.SIGUSR1)
            eventually("they are opened again", lambda: "files of logs are opened again" in errors.read_text() and log.exists())
    stays.send(frame(CLOSE, b"\x03\xe8"))
    assert stays.read_close() == 1000
    stays.close()
    everything = lambda: records(running.folder / "access.log.1") + records(log)
    # One that moves is opened once and closed once, under one number, with all of its traffic.
    eventually("all lines", lambda: len(everything()) >= 2 * total + 2)
    lines = everything()
    assert len(lines) == 2 * total + 2
    opened, closed = ([each["id"] for each in lines if each["event"] == event] for event in ("open", "close"))
    assert len(set(opened)) == total + 1 and sorted(opened) == sorted(closed)
    last = lines[-1]
    assert (last["event"], last["code"], last["messages_in"], last["messages_out"]) == ("close", 1000, 4, 4), last
    running.signal(signal.SIGTERM)
    assert running.exit_status() == 0
    assert errors.read_text().rstrip().endswith("stopped")


# ---- limits, which go on where they were

def closed_after(peer, began):
    code = peer.read_close()
    return code, time.monotonic() - began


def test_idle_connections_are_closed_when_they_would_have_been(upgraded):
    line = upgraded(routes="route /echo { handler echo; idle_timeout 4s; }")
    with RawPeer(line.running, timeout=LONG).opened() as peer:
        assert peer.ask("x") == "x"
        began = time.monotonic()
        line.upgrade()
        line.upgrade()
        line.upgrade()
        code, after = closed_after(peer, began)
        assert 3.5 < after < 7, (code, after)


def test_pings_go_on(make_gateway):
    """One whose pong comes after the upgrade has answered; one that says nothing has not."""
    running = make_gateway(main="threads 1; defaults { ping_interval 2s; pong_timeout 5s; }", routes="route /echo { handler echo; }")
    line = Upgraded(running)
    with RawPeer(running, timeout=LONG).opened() as good, RawPeer(running, timeout=LONG).opened() as silent:
        _, _, word = good.read_frame()
        assert silent.read_frame()[0] == PING
        began = time.monotonic()
        line.upgrade()
        good.send(frame(PONG, word))
        assert silent.read_close() == 1011
        assert 4 < time.monotonic() - began < 9
        # The next one.
        opcode, _, word = good.read_frame()
        assert opcode == PING
        good.send(frame(PONG, word))
        assert good.ask("still") == "still"


def test_heads_that_do_not_come_time_out(make_gateway):
    running = make_gateway(main="threads 1; defaults { handshake_timeout 4s; }", routes="route /echo { handler echo; }")
    line = Upgraded(running)
    with running.connect() as peer:
        peer.settimeout(LONG)
        peer.sendall(b"GET /echo HTTP/1.1\r\nHost")
        began = time.monotonic()
        line.upgrade()
        line.upgrade()
        answer = peer.recv(65536)
        assert (answer == b"" or b" 408 " in answer) and 3 < time.monotonic() - began < 8, answer


def test_connections_of_an_address_are_counted_on(make_gateway):
    running = make_gateway(main="threads 2; defaults { ping_interval off; max_connections_per_ip 3; }", routes="route /echo { handler echo; }")
    line = Upgraded(running)
    peers = [RawPeer(running, timeout=LONG).opened() for _ in range(3)]
    for _ in range(3):
        with RawPeer(running, timeout=LONG) as more:
            assert more.status == 429
        line.upgrade()
    with RawPeer(running, timeout=LONG) as more:
        assert more.status == 429
    left = peers.pop()
    left.send(frame(CLOSE, b"\x03\xe8"))
    assert left.read_close() == 1000 and left.at_end()
    left.close()
    peers.append(eventually("there is room for one", lambda: accepted(running)))
    with RawPeer(running, timeout=LONG) as more:
        assert more.status == 429
    for each in peers:
        each.close()

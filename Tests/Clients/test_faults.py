"""System calls that fail, as they do when descriptors, memory or the disk run out: what is connected goes on being served,
the operator is heard, and all is well again by itself when the cause is gone."""
import errno
import os
import resource
import socket
import ssl
import subprocess
import time

import pytest

from faults import Faults
from gateway_process import BINARY, DEADLINE, eventually
from raw_peer import BINARY as OCTETS
from raw_peer import TEXT, RawPeer, accepted, frame
from test_control import ask, control, rest, status
from test_handlers import SHOUT, compile_handler
from test_limits import answers
from test_tls import make, trust, wss  # noqa: F401, since a fixture is among them

SHOUTING = "route /shout { handler shout; }\nroute /echo { handler echo; }"


@pytest.fixture
def faulty(make_gateway):
    """A gateway that has begun well, and what fails in it from then on."""

    def begin(routes=SHOUTING, **how):
        running = make_gateway(routes=routes, **how)
        running.faults = Faults(running)
        compile_handler(running, "shout")
        return running.start()

    return begin


def processor_seconds(running):
    words = (running.proc / "stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def shout(peer, text=b"ab"):
    peer.send(frame(TEXT, text))
    return peer.read_frame()[2]


def shouted(running):
    """What somebody new is answered."""
    with RawPeer(running, "/shout").opened() as peer:
        return shout(peer)


def new_shout(running, mark):
    """Puts another build of the handler there, which shouts `mark` for every letter."""
    source = running.folder / "shout.c"
    source.write_text(SHOUT.read_text().replace("c - 'a' + 'A'", f"'{mark}'"))
    compile_handler(running, "shout", source)


# ---- accept

@pytest.mark.parametrize("error", [errno.ECONNABORTED, errno.EINTR, errno.EPROTO, errno.ENETDOWN, errno.EPERM])
def test_what_befell_one_newcomer_says_nothing_of_the_next(faulty, error):
    running = faulty()
    running.faults.fail("accept4", error, every=2)
    for _ in range(20):
        with RawPeer(running).opened() as peer:
            assert answers(peer)
    assert running.faults.failures("accept4") >= 10
    running.faults.stop()
    with RawPeer(running).opened() as peer:
        assert answers(peer)


@pytest.mark.parametrize("error", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
def test_newcomers_wait_while_nothing_can_be_accepted(faulty, error):
    running = faulty(main="threads 2;")
    with RawPeer(running).opened() as served, RawPeer(running, "/shout").opened() as shouting:
        running.faults.fail("accept4", error)
        waiting = running.connect()
        running.wait_for(f"cannot accept: {os.strerror(error)}")
        begin, used, calls = time.monotonic(), processor_seconds(running), running.faults.calls("accept4")
        eventually("it tries again", lambda: running.faults.failures("accept4") >= calls + 5)
        took = time.monotonic() - begin
        # Each of the two workers looks again every 100 ms, and is not kept busy by who waits.
        assert running.faults.failures("accept4") - calls <= 2 * (took / 0.1 + 2)
        assert processor_seconds(running) - used < 0.2 + took / 10
        assert answers(served)
        assert status(running)["process"]["state"] == "serving"
        new_shout(running, "?")
        assert ask(running, "reload", "shout").returncode == 0
        running.wait_for('handler "shout": generation 2 is serving')
        assert shout(shouting) == b"AB"
        assert running.log().count("cannot accept") <= 2, "each worker says it once, not every time"
        running.faults.stop()
        waiting.sendall(b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n")
        assert waiting.recv(65536).startswith(b"HTTP/1.1 404 ")
        waiting.close()
        assert answers(served)


def test_the_operator_waits_without_spinning_while_nothing_can_be_accepted(faulty):
    running = faulty()
    running.faults.fail("accept4", errno.EMFILE, what="unix")
    with control(running, b"status\n") as operator, RawPeer(running).opened() as served:
        used, begin = processor_seconds(running), time.monotonic()
        eventually("it tries again", lambda: running.faults.failures("accept4") >= 3)
        took = time.monotonic() - begin
        assert processor_seconds(running) - used < 0.2 + took / 10
        assert answers(served)
        running.faults.stop()
        assert operator.recv(65536)


def test_not_one_descriptor_is_left(faulty):
    """Somebody in the process, a handler perhaps, has taken all there were."""
    running = faulty()
    limits = resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE)
    with RawPeer(running).opened() as served, RawPeer(running, "/shout").opened() as shouting:
        resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE, (running.descriptor_count(), limits[1]))
        flood = [running.connect() for _ in range(40)]
        running.wait_for("cannot accept: Too many open files")
        used, begin = processor_seconds(running), time.monotonic()
        new_shout(running, "!")
        while time.monotonic() - begin < 1:
            assert answers(served)
            assert shout(shouting) == b"AB"
        assert processor_seconds(running) - used < 1.2
        resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE, limits)
        with eventually("a new connection", lambda: accepted(running)) as again:
            assert answers(again)
        said = ask(running, "reload", "shout")
        assert said.returncode == 0, said.stdout + said.stderr
        assert shouted(running) == b"!!"
        for peer in flood:
            peer.close()


# ---- reading and writing

STORM = ["accept4", "recv", "send", "sendmsg", "readv", "read", "pread", "write", "epoll_wait", "poll"]


def test_calls_that_are_interrupted_all_the_time(faulty):
    running = faulty(SHOUTING + "\nroute /packed { handler echo; compression on { threshold 1; } }",
                     main="defaults { max_message 8m; max_frame 8m; send_buffer 16m; }")
    for call in STORM:
        running.faults.fail(call, errno.EINTR, every=-2)
    large = os.urandom(3 << 20)
    with RawPeer(running, receive_buffer=4096).opened() as peer:
        peer.send(frame(OCTETS, large))
        for number in range(100):
            peer.send(frame(TEXT, b"%d" % number))
        assert peer.read_message() == (OCTETS, large)
        assert [peer.read_message()[1] for _ in range(100)] == [b"%d" % number for number in range(100)]
        for mark in "?!":
            new_shout(running, mark)
            said = ask(running, "reload", "shout")
            assert said.returncode == 0, said.stdout + said.stderr
            assert shouted(running) == mark.encode() * 2
        assert status(running)["process"]["state"] == "serving"
    counts = {call: running.faults.failures(call) for call in STORM if call != "readv" and call != "poll"}
    assert min(counts.values()) > 0, counts
    running.stop()


@pytest.mark.parametrize("call", ["recv", "send"])
@pytest.mark.parametrize("error", [errno.ECONNRESET, errno.ETIMEDOUT, errno.ENOBUFS, errno.ENOMEM, errno.EHOSTUNREACH])
def test_a_connection_that_breaks_is_the_only_one_that_ends(faulty, call, error):
    running = faulty()
    with RawPeer(running).opened() as steady:
        assert answers(steady)
        descriptors = running.descriptor_count()
        peers = [RawPeer(running).opened() for _ in range(20)]
        running.faults.fail(call, error, every=2)
        for peer in peers:
            peer.send(frame(TEXT, b"x"))
        ended = 0
        for peer in peers:
            try:
                assert peer.read_frame() == (TEXT, True, b"x")
            except (EOFError, ConnectionError):
                ended += 1
        running.faults.stop()
        assert ended == running.faults.failures(call) == 10
        assert answers(steady)
        for peer in peers:
            peer.close()
        eventually("all of them gone", lambda: running.descriptor_count() == descriptors)
        assert status(running)["process"]["connections"] == 1


@pytest.mark.parametrize("error", [errno.ENOMEM, errno.ENOSPC])
def test_the_kernel_will_not_watch_a_newcomer(faulty, error):
    running = faulty()
    with RawPeer(running).opened() as steady:
        descriptors = running.descriptor_count()
        running.faults.fail("epoll_ctl", error)
        with running.connect() as lost:
            assert lost.recv(1) == b""
        assert running.faults.failures("epoll_ctl") > 0
        running.faults.stop()
        assert answers(steady)
        with eventually("a new connection", lambda: accepted(running)) as again:
            assert answers(again)
        eventually("nothing left over", lambda: running.descriptor_count() == descriptors)


# ---- memory

@pytest.mark.parametrize("library", ["libcrypto", "libssl"])
def test_tls_gets_no_memory(make, tmp_path, library):  # noqa: F811
    running = make()
    running.faults = Faults(running)
    running.start()
    context = trust(tmp_path, "first")
    with wss(running, context) as steady:
        running.faults.fail("malloc", errno.ENOMEM, what=library)
        for _ in range(5):
            with pytest.raises((ssl.SSLError, OSError, EOFError)):
                with wss(running, context, open_timeout=3) as peer:
                    peer.recv(1)
        failures = running.faults.failures("malloc")
        running.faults.stop()
        if library == "libcrypto":
            assert failures > 0
        steady.send("still here")
        assert steady.recv(DEADLINE) == "still here"
        with wss(running, context) as again:
            again.send("back")
            assert again.recv(DEADLINE) == "back"
    running.stop()


def test_compression_gets_no_memory(faulty):
    running = faulty("route /packed { handler echo; compression on { level 6; threshold 1; } }\nroute /echo { handler echo; }")
    offer = {"Sec-WebSocket-Extensions": "permessage-deflate"}
    with RawPeer(running).opened() as steady:
        running.faults.fail("malloc", errno.ENOMEM, what="libz")
        for _ in range(5):
            with RawPeer(running, "/packed", headers=offer).opened() as peer:
                peer.send(frame(OCTETS, bytes.fromhex("cb 48 cd c9 c9 07 00"), rsv=4))
                with pytest.raises((EOFError, ConnectionError)):
                    peer.read_frame()
        assert running.faults.failures("malloc") > 0
        assert answers(steady)
        running.faults.stop()
        with RawPeer(running, "/packed", headers=offer).opened() as peer:
            peer.send(frame(OCTETS, bytes.fromhex("cb 48 cd c9 c9 07 00"), rsv=4))
            assert peer.read_frame()[0] == OCTETS


def test_no_thread_can_be_started(faulty):
    running = faulty(SHOUTING + "\nroute /pooled { handler shout; dispatch pool; }")
    with RawPeer(running).opened() as served:
        running.faults.fail("pthread_create", errno.EAGAIN)
        waiting = running.connect()
        waiting.sendall(b"GET /pooled HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
        eventually("a thread is asked for", lambda: running.faults.failures("pthread_create") > 0)
        new_shout(running, "?")
        said = ask(running, "reload", "shout")
        assert said.returncode == 75 and "still serving" in said.stdout.lower(), said.stdout + said.stderr
        assert answers(served)
        running.faults.stop()
        # Whoever comes next starts the thread that does what has waited.
        with RawPeer(running, "/pooled").opened() as following:
            assert shout(following)
        assert waiting.recv(65536).startswith(b"HTTP/1.1 101 ")
        waiting.close()
        said = ask(running, "reload", "shout")
        assert said.returncode == 0, said.stdout + said.stderr
        assert shouted(running) == b"??"
    running.stop()


# ---- the disk

@pytest.mark.parametrize("call, error", [("write", errno.ENOSPC), ("write", errno.EIO), ("open", errno.ENOSPC),
                                         ("link", errno.EDQUOT), ("open", errno.EROFS)])
def test_a_handler_that_cannot_be_staged_is_not_taken(faulty, call, error):
    running = faulty()
    with RawPeer(running, "/shout").opened() as peer:
        new_shout(running, "?")
        running.faults.fail(call, error, what="/gateway-")
        said = ask(running, "reload", "shout")
        assert said.returncode == 75
        assert os.strerror(error) in said.stdout + said.stderr
        assert "still serving" in (said.stdout + said.stderr).lower()
        assert running.faults.failures(call) > 0
        assert shout(peer) == b"AB"
        running.faults.stop()
        said = ask(running, "reload", "shout")
        assert said.returncode == 0, said.stdout + said.stderr
        assert shouted(running) == b"??"


def test_a_start_on_a_full_disk_says_so(make_gateway):
    running = make_gateway()
    Faults(running).fail("write", errno.ENOSPC, what="/gateway-")
    running.launch()
    assert running.exit_status() == 78
    assert "No space left on device" in running.log()


@pytest.mark.parametrize("call, error", [("open", errno.EROFS), ("mkdir", errno.EROFS), ("write", errno.ENOSPC),
                                         ("fsync", errno.EIO), ("rename", errno.ENOSPC)])
def test_a_copy_for_later_that_cannot_be_kept_costs_nothing_now(faulty, call, error):
    running = faulty(main="defaults { probation 100ms; }")
    running.faults.fail(call, error, what=".last-good")
    new_shout(running, "?")
    assert ask(running, "reload", "shout").returncode == 0
    running.wait_for(rf"warning: .*\.last-good.*{os.strerror(error)}")
    assert shouted(running) == b"??"


def test_a_folder_that_cannot_be_written_into(make_gateway):
    """Neither the control socket nor copies of modules can be made there."""
    running = make_gateway()
    Faults(running).fail("bind", errno.EROFS, what=".gateway.sock")
    running.start()
    running.wait_for(r"warning: no control socket at .*Read-only file system")
    with RawPeer(running).opened() as peer:
        assert answers(peer)


class Logging:
    """A gateway whose standard error is a file."""

    def __init__(self, running):
        self.file = running.folder / "log"
        with self.file.open("wb") as out:
            running.process = subprocess.Popen([BINARY, "-c", running.file], cwd=running.folder, stdin=subprocess.DEVNULL,
                                               stdout=subprocess.DEVNULL, stderr=out, env={**os.environ, **running.environment})
        eventually("it serves", lambda: "serving with" in self.text())
        running.lines.append(f"listening on {status(running)['listeners'][0]}")

    def text(self):
        return self.file.read_text()


def test_a_full_disk_costs_lines_and_nothing_else(make_gateway):
    running = make_gateway()
    running.file.write_text(running.file.read_text().replace("access_log off;", "access_log stderr text;"))
    faults = Faults(running)
    logging = Logging(running)
    try:
        faults.fail("write", errno.ENOSPC, what="/log")
        for _ in range(50):
            with RawPeer(running).opened() as peer:
                assert answers(peer)
        eventually("lines are lost", lambda: faults.failures("write") > 0)
        eventually("all of them", lambda: status(running)["process"]["connections"] == 0)
        faults.stop()
        with RawPeer(running, "/echo?behind").opened():
            eventually("lines come again", lambda: "/echo?behind" in logging.text())
        assert "No space left on device" in logging.text()
        running.signal()
        assert running.process.wait(DEADLINE) == 0
        text = logging.text()
        lost = sum(int(line.split()[2]) for line in text.splitlines() if "could not be written" in line)
        # An open and a close each.
        assert lost > 0 and lost + text.count("access: ") == 2 * 51, "no line is lost without being counted"
    finally:
        if running.process.poll() is None:
            running.process.kill()
            running.process.wait(DEADLINE)


# ---- time

@pytest.mark.parametrize("seconds", [-86400 * 365, -3600, 3600, 86400 * 365 * 5])
def test_the_wall_clock_steps(faulty, seconds):
    main = "defaults { ping_interval 200ms; pong_timeout 5s; handshake_timeout 5s; idle_timeout 30s; }"
    running = faulty(main=main)
    with RawPeer(running).opened() as peer, running.connect() as waiting:
        running.faults.step_wall_clock(seconds)
        assert peer.read_frame()[0] == 9
        peer.send(frame(10, b""))
        peer.send(frame(TEXT, b"x"))
        while (got := peer.read_frame())[0] == 9:
            pass
        assert got == (TEXT, True, b"x")
        # The handshake that has begun before has as long as it had.
        waiting.sendall(b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n")
        assert waiting.recv(65536).startswith(b"HTTP/1.1 404 ")
        assert status(running)["process"]["state"] == "serving"
        new_shout(running, "?")
        assert ask(running, "reload", "shout").returncode == 0
        running.faults.step_wall_clock(0)
        assert ask(running, "reload").returncode == 0
    running.stop()


# ---- who does not read, and who goes on half way

def test_control_clients_that_stop_reading(faulty):
    routes = "\n".join(f"route /{'r' * 200}{number} {{ handler echo; }}" for number in range(600))
    running = faulty(routes + "\n" + SHOUTING)
    before, whole = running.descriptor_count(), len(ask(running, "status", "--json").stdout)
    deaf = []
    for _ in range(14):
        peer = socket.socket(socket.AF_UNIX)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        peer.settimeout(DEADLINE)
        peer.connect(str(running.folder / ".gateway.sock"))
        peer.sendall(b"status --json\n")
        deaf.append(peer)
    with RawPeer(running).opened() as served:
        used = processor_seconds(running)
        for _ in range(3):
            assert status(running)["process"]["state"] == "serving"
            assert answers(served)
        new_shout(running, "?")
        assert ask(running, "reload", "shout").returncode == 0
        # They are thrown out in the end, and have kept nobody busy.
        eventually("they are gone", lambda: running.descriptor_count() <= before + 1, 3 * DEADLINE)
        assert processor_seconds(running) - used < 10
        assert answers(served)
    for peer in deaf:
        assert len(rest(peer)) < whole, "nobody waits for who has taken all"
        peer.close()


def half_open(running, stage):
    """A peer that goes so far and then says nothing any more, as one whose cable was pulled."""
    peer = RawPeer.__new__(RawPeer)
    if stage < 2:
        peer.socket = running.connect()
        peer.pending = b""
        peer.send([b"", b"GET /echo HTTP/1.1\r\nHost: a\r\nUpgr"][stage])
        return peer
    peer = RawPeer(running).opened()
    peer.send([b"", b"\x82", frame(OCTETS, b"x" * 3000)[:2000], frame(OCTETS, b"x", fin=False), frame(9, b"x")[:3]][stage - 2])
    return peer


def test_peers_whose_cable_was_pulled_are_gone_in_the_end(faulty):
    running = faulty(main="defaults { handshake_timeout 500ms; ping_interval 200ms; pong_timeout 300ms; close_timeout 200ms; }")
    with RawPeer(running).opened() as steady:
        descriptors = running.descriptor_count()
        peers = [half_open(running, stage % 7) for stage in range(70)]

        def alone():
            # It has to answer its pings.
            steady.send(frame(10, b"") + frame(TEXT, b"?"))
            while (got := steady.read_frame())[0] != TEXT:
                steady.send(frame(10, got[2]))
            return running.descriptor_count() == descriptors
        eventually("only the steady one is left", alone)
        for peer in peers:
            peer.close()

"""Root is given up once the gateway listens; unix sockets belong to whom the configuration says."""
import grp
import os
import pwd
import re
import shutil
import signal
import socket
import stat
import tempfile
from pathlib import Path

import pytest

from gateway_process import DEADLINE, Gateway
from raw_peer import TEXT, RawPeer, frame
from swarm import counter_in_c, put
from test_control import ask
from test_tls import certificate

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
USER = "nobody"
FIRST_FREE = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())


def free_port_below(limit):
    """A port that nobody listens on and that only root may listen on."""
    for port in range(limit - 1, 0, -1):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise AssertionError("no port is free")


@pytest.fixture
def folder():
    """One that everybody may look into, unlike those of pytest."""
    path = Path(tempfile.mkdtemp(prefix="gateway-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def make(folder):
    made = []

    def make(**how):
        made.append(Gateway(folder, **how))
        return made[-1]

    yield make
    for each in made:
        each.stop()


def identity(running):
    """Real, effective, saved and file system user, the same of the group, and other groups, of every thread."""
    found = set()
    for task in (running.proc / "task").iterdir():
        status = (task / "status").read_text()
        found.add(tuple(re.search(rf"^{name}:\s*(.*?)\s*$", status, re.M)[1] for name in ("Uid", "Gid", "Groups", "CapEff")))
    assert len(found) == 1, found
    return [field.split() for field in found.pop()]


@needs_root
def test_root_is_given_up_for_good(make):
    running = make(listen=[f"127.0.0.1:{free_port_below(FIRST_FREE)}"] if FIRST_FREE > 1 else ["127.0.0.1:0"],
                   main=f"user {USER};").start()
    entry = pwd.getpwnam(USER)
    users, groups, others, capabilities = identity(running)
    assert users == [str(entry.pw_uid)] * 4 and groups == [str(entry.pw_gid)] * 4
    assert set(others) == {str(number) for number in os.getgrouplist(USER, entry.pw_gid)}
    assert capabilities == ["0" * 16]
    running.wait_for(f'running as user "{USER}"')
    with RawPeer(running).opened() as peer:
        peer.send(frame(TEXT, b"hello"))
        assert peer.read_frame() == (TEXT, True, b"hello")
    assert ask(running, "status").returncode == 0
    control = running.folder / ".gateway.sock"
    assert (control.stat().st_uid, stat.S_IMODE(control.stat().st_mode)) == (entry.pw_uid, 0o600)


@needs_root
def test_reloads_go_on(make, folder):
    running = make(routes="route /counter { handler counter; }", main=f"user {USER};")
    versions = [counter_in_c(folder, version) for version in (1, 2)]
    put(versions[0], running.plugins / "counter.so", in_place=False)
    running.start()
    with RawPeer(running, "/counter").opened() as peer:
        peer.send(frame(TEXT, b"a"))
        assert peer.read_frame()[2] == b"1 1 a"
        put(versions[1], running.plugins / "counter.so", in_place=False)
        running.signal(signal.SIGHUP)
        running.wait_for("generation 2 is serving, 1 connection moved")
        peer.send(frame(TEXT, b"b"))
        assert peer.read_frame()[2] == b"2 2 b"
    running.file.write_text(running.file.read_text().replace("listen 127.0.0.1:0;", "listen 127.0.0.1:0; listen [::1]:0;"))
    told = ask(running, "reload")
    assert told.returncode == 0 and "listening on [::1]:0" in told.stdout


@needs_root
@pytest.mark.skipif(FIRST_FREE <= 1, reason="anybody may listen on any port here")
def test_a_port_that_takes_root_cannot_be_had_any_more(make):
    running = make(main=f"user {USER};").start()
    text = running.file.read_text()
    running.file.write_text(text.replace("listen 127", f"listen 127.0.0.1:{free_port_below(FIRST_FREE)}; listen 127"))
    told = ask(running, "reload")
    assert told.returncode == 75
    assert "Permission denied" in told.stdout and f'The gateway became user "{USER}" when it started' in told.stdout
    with RawPeer(running) as peer:
        peer.opened()


@needs_root
def test_a_key_that_only_root_may_read(make, folder):
    certificate(folder, "first", "localhost")
    (folder / "first.key").chmod(0o600)
    running = make(listen=["127.0.0.1:0 tls { certificate first.pem first.key; }"], main=f"user {USER};").start()
    running.wait_for(f'user "{USER}" cannot read .*/first.key: reloads will be refused until he can')
    told = ask(running, "reload")
    assert told.returncode == 75 and "start it again" in told.stdout
    (folder / "first.key").chmod(0o644)
    assert ask(running, "reload").returncode == 0


@needs_root
def test_another_user_takes_a_restart(make):
    running = make(main=f"user {USER};").start()
    running.file.write_text(running.file.read_text().replace(f"user {USER}", "user daemon"))
    told = ask(running, "reload")
    assert told.returncode == 0
    assert f"user: stays {USER}; daemon takes effect when the gateway is started again" in told.stdout


def test_a_user_that_is_not_there(make):
    running = make(main="user nobody-of-that-name;").launch()
    assert running.exit_status() == 78
    assert 'there is no user "nobody-of-that-name"' in running.log()
    assert 'there is no user "nobody-of-that-name"' in ask(running, "check").stderr


def test_who_one_is_already_one_may_become(make):
    make(main=f"user {pwd.getpwuid(os.geteuid()).pw_name};").start()


# ---- unix sockets

@pytest.mark.parametrize("block, mode", [("{ mode 0666; }", 0o666), ("{ mode 600; }", 0o600), ("{ mode 0770; }", 0o770)])
def test_the_mode_of_a_socket(make, block, mode):
    before = os.umask(0o077)
    try:
        running = make(listen=[f"unix:gateway.sock {block}"]).start()
    finally:
        os.umask(before)
    path = running.folder / "gateway.sock"
    assert stat.S_IMODE(path.stat().st_mode) == mode
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(DEADLINE)
        peer.connect(str(path))
        peer.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert peer.recv(100).startswith(b"HTTP/1.1 404 ")
    running.stop()
    assert not path.exists()


@needs_root
@pytest.mark.parametrize("more, mode", [("", 0o660), ("mode 0620;", 0o620)])
def test_the_group_of_a_socket(make, more, mode):
    running = make(listen=[f"unix:gateway.sock {{ group daemon; {more} }}"]).start()
    status = (running.folder / "gateway.sock").stat()
    assert (status.st_gid, stat.S_IMODE(status.st_mode)) == (grp.getgrnam("daemon").gr_gid, mode)


def test_a_group_that_is_not_there(make):
    running = make(listen=["unix:gateway.sock { group nobody-of-that-name; }"]).launch()
    assert running.exit_status() == 78
    assert 'there is no group "nobody-of-that-name"' in running.log()
    assert 'there is no group "nobody-of-that-name"' in ask(running, "check").stderr
    assert not (running.folder / "gateway.sock").exists()


def test_a_socket_that_stays_keeps_its_mode(make):
    running = make(listen=["unix:gateway.sock { mode 0600; }"]).start()
    running.file.write_text(running.file.read_text().replace("mode 0600", "mode 0666"))
    told = ask(running, "reload")
    assert told.returncode == 75 and '"mode" cannot change while a listener listens' in told.stdout
    assert stat.S_IMODE((running.folder / "gateway.sock").stat().st_mode) == 0o600

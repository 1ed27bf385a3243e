"""state_dir: a gateway that may write nowhere else, as in a container with a read-only root."""
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

import c_handler
from gateway_process import DEADLINE, Gateway, eventually
from raw_peer import RawPeer
from test_control import ask

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start it as somebody else")
ROUTES = "route /process { handler process; }"


@pytest.fixture
def folder():
    """One that everybody may look into, unlike those of pytest, and only root may write to."""
    path = Path(tempfile.mkdtemp(prefix="gateway-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def confined(folder, main, state=None):
    """A gateway as nobody, without a home, whose folders are root's; but for the one of its own."""
    running = Gateway(folder, main=main, routes=ROUTES)
    c_handler.build(running, "process")
    if state:
        state.mkdir(mode=0o700)
        os.chown(state, pwd.getpwnam("nobody").pw_uid, -1)
    running.starter = ["setpriv", "--reuid=nobody", "--clear-groups", "env", "-u", "HOME", "-u", "XDG_RUNTIME_DIR"]
    running.environment["TMPDIR"] = str(folder)
    return running


@needs_root
def test_everything_goes_there(folder):
    state = folder / "state"
    with confined(folder, f"control unix:{state}/control.sock; state_dir ./state; defaults {{ probation 1ms 10; }}",
                  state).start() as running:
        assert {path.name.rpartition("-")[0] for path in state.glob("gateway-*")} == {f"gateway-{running.process.pid}"}
        with RawPeer(running, "/process").opened() as peer:
            assert peer.ask("env HOME") == "-"
        before = sorted(path.name for path in folder.iterdir())
        running.signal(signal.SIGHUP)
        running.wait_for("configuration: nothing changed")
    assert (state / ".last-good" / "process.so").exists() and (state / ".gateway.crash").exists()
    assert sorted(path.name for path in folder.iterdir()) == before, "nothing is written anywhere else"
    assert list(state.glob("gateway-*")) == [], "copies go when the gateway ends"


@needs_root
def test_a_crash_is_remembered_there(folder):
    state = folder / "state"
    running = confined(folder, "control off; state_dir ./state;", state).start()
    running.signal(signal.SIGABRT)
    assert running.exit_status() == -signal.SIGABRT
    assert "SIGABRT" in (state / ".gateway.crash").read_text()


@needs_root
def test_the_folders_of_a_service_manager_do_as_well(folder):
    state = folder / "state"
    running = confined(folder, "control off; defaults { probation 1ms 10; }", state)
    running.environment["STATE_DIRECTORY"] = f"{state}:/other"
    with running.start():
        assert list(state.glob("gateway-*"))
        eventually("its handler has proved good", (state / ".last-good" / "process.so").exists)
    assert (state / ".last-good" / "process.so").exists() and (state / ".gateway.crash").exists()


@needs_root
def test_one_that_cannot_be_made_or_written_to_says_what_to_do(folder):
    refused = confined(folder, "control off; state_dir ./missing;").launch()
    assert refused.exit_status() == 1
    refused.wait_for(r'gateway\.conf:\d+: "state_dir": \S+/missing is not there and cannot be made: Permission denied')
    refused.wait_for("To do: make it, for the gateway's user")
    (folder / "mine").mkdir(mode=0o755)
    refused = confined(folder, "control off; state_dir ./mine;").launch()
    assert refused.exit_status() == 1
    refused.wait_for('"state_dir": handlers cannot be loaded from it')
    refused.wait_for("To do: .* have to belong to the gateway's user or to root")


@needs_root
def test_user_owns_what_root_has_made_for_him(folder):
    running = Gateway(folder, main="user nobody; state_dir ./state; control off;", routes=ROUTES)
    c_handler.build(running, "process")
    with running.start():
        state = (folder / "state").stat()
        assert state.st_uid == pwd.getpwnam("nobody").pw_uid and state.st_mode & 0o777 == 0o700


def test_a_file_in_its_place_is_found_by_check(make_gateway):
    running = make_gateway(main="state_dir ./state;", routes="route /echo { handler echo; }")
    (running.folder / "state").write_text("")
    told = ask(running, "check")
    assert told.returncode == 78 and re.search(r'error: "state_dir": \S+/state is no folder', told.stderr)


def read_only_root():
    """Whether a mount namespace may be had, in which everything is read-only."""
    script = "mount -o remount,bind,ro / && ! touch /read-only-root"
    return subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, timeout=DEADLINE).returncode == 0


@pytest.mark.skipif(not shutil.which("unshare") or not read_only_root(), reason="no mount may be changed here (unshare)")
def test_a_read_only_root(make_gateway, tmp_path):
    running = make_gateway(main="control unix:./state/control.sock; state_dir ./state;", routes=ROUTES)
    c_handler.build(running, "process")
    state = running.folder / "state"
    state.mkdir(mode=0o700)
    script = f"mount --bind {state} {state} && mount -o remount,bind,ro / && exec env -u HOME TMPDIR=/nowhere \"$@\""
    running.starter = ["unshare", "-m", "sh", "-c", script, "sh"]
    with running.start():
        with RawPeer(running, "/process").opened() as peer:
            assert peer.ask("child") == "7"
        assert ask(running, "reload").returncode == 0

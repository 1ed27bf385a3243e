"""Nobody waits for a reload; what a build or an operator did to a handler holds over a restart."""
import re
import signal
import subprocess
import time

import pytest

from gateway_process import BINARY, DEADLINE, eventually
from raw_peer import TEXT, RawPeer, frame
from test_control import ask, status
from test_handlers import SHOUT, compile_handler

# What a handler does in its start and in a message, beside what shout.c does.
HANGS = "for (;;) pause();"
CRASHES = "__builtin_trap();"


def module(running, *, version="1.0", start="", message="", probe=False):
    """Compiles a variant of the sample handler over the one that lies there."""
    text = SHOUT.read_text()
    text = text.replace("#include", "#include <unistd.h>\n#include", 1).replace('"1.0"', f'"{version}"')
    if start:
        only = "" if probe else "if ((config->flags & GW_CFG_PROBE) == 0) "
        text = re.sub(r"(\bstart\([^)]*\) \{)", lambda found: f"{found[1]} (void)config; {only}{{ {start} }}", text, 1)
    if message:
        text = re.sub(r"(\bmessage\([^)]*\) \{)", lambda found: f"{found[1]} {message}", text, 1)
    source = running.folder / "variant.c"
    source.write_text(text)
    (running.plugins / "shout.so").unlink(missing_ok=True)
    # A build of its own, whatever else is the same.
    return compile_handler(running, "shout", source, "-Wno-unused-parameter", f'-DBUILD="{version}"')


@pytest.fixture
def running(make_gateway):
    gateway = make_gateway(main="defaults { close_timeout 200ms; start_timeout 60s; }",
                           routes="route /shout { handler shout; }\nroute /echo { handler echo; }")
    gateway.file.write_text(gateway.file.read_text().replace("./Plugins;", "./Plugins { watch off; }"))
    module(gateway)
    return gateway.start()


def asking(running, *words):
    return subprocess.Popen([BINARY, *words, "-c", running.file], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True)


def state(running, handler="shout"):
    report, = (each for each in status(running)["handlers"] if each["handler"] == handler)
    return report["state"]


@pytest.mark.parametrize("probe, where", [(True, "probing"), (False, "starting")])
def test_everything_is_answered_while_a_candidate_hangs(running, probe, where):
    module(running, version="2.0", start=HANGS, probe=probe)
    hanging = asking(running, "reload", "shout")
    eventually("the candidate hangs", lambda: state(running) == where)
    def look():
        began = time.monotonic()
        assert status(running)["process"]["pid"] == running.process.pid
        return time.monotonic() - began
    # That includes starting a process that asks.
    assert min(look() for _ in range(10)) < 0.5
    assert ask(running, "reload", "echo").returncode == 0
    running.signal(signal.SIGHUP)
    running.wait_for("configuration: nothing changed")
    assert hanging.poll() is None
    running.signal(signal.SIGTERM)
    assert running.exit_status() == 0
    assert "abandoned" in hanging.communicate(timeout=DEADLINE)[0]
    assert hanging.returncode == 75


def test_a_signal_ends_a_start_that_hangs(make_gateway):
    gateway = make_gateway(main="defaults { start_timeout 60s; }", routes="route /shout { handler shout; }")
    module(gateway, start=HANGS)
    gateway.launch()
    eventually("it is asked", lambda: (gateway.folder / ".gateway.sock").exists()
               and ask(gateway, "status").stdout.startswith("● gateway") and status(gateway)["process"]["state"])
    assert status(gateway)["process"]["state"] == "starting"
    eventually("start hangs", lambda: state(gateway) == "starting")
    gateway.signal(signal.SIGTERM)
    assert gateway.exit_status() == 0


@pytest.mark.parametrize("how", ["command", "signal"])
def test_who_asks_twice_does_not_wait(running, how):
    """A peer that never answers the Close would keep it for `close_timeout`; a stop() that hangs for longer."""
    module(running, version="2.0", message="for (;;) pause();")
    assert ask(running, "reload", "shout").returncode == 0
    with RawPeer(running, "/shout").opened() as peer:
        peer.send(frame(TEXT, b"a worker hangs"))
        peer.send(frame(TEXT, b"for ever"))
        first = asking(running, "stop")
        eventually("it is stopping", lambda: status(running)["process"]["state"] == "stopping")
        if how == "command":
            second = ask(running, "stop")
            assert (second.returncode, second.stdout) == (0, "stopped at once: asked twice\n")
        else:
            running.signal(signal.SIGTERM)
        assert running.exit_status() == 128 + signal.SIGTERM
        assert first.communicate(timeout=DEADLINE)[0] == "stopped at once: asked twice\n"


def restart(running):
    running.lines.clear()
    running.start()


def said(running):
    with RawPeer(running, "/shout").opened() as peer:
        peer.send(frame(TEXT, b"a"))
        return peer.read_frame()[2]


def test_a_build_that_crashes_is_not_loaded_again(make_gateway):
    running = make_gateway(routes="route /shout { handler shout; probation 50ms; }")
    running.file.write_text(running.file.read_text().replace("./Plugins;", "./Plugins { watch off; }"))
    module(running)
    running.start()
    kept = running.plugins / ".last-good/shout.so"
    eventually("it proves good", kept.exists)
    good = kept.read_bytes()
    # The next one does not get the time to prove anything.
    text = running.file.read_text()
    running.file.write_text(text.replace("probation 50ms", "probation 1h"))
    module(running, version="2.0", message=CRASHES)
    assert ask(running, "reload").returncode == 0
    with RawPeer(running, "/shout").opened() as peer:
        peer.send(frame(TEXT, b"die"))
        assert running.exit_status() < 0
    assert kept.read_bytes() == good
    restart(running)
    assert said(running) == b"A"
    shown = ask(running, "status")
    assert shown.returncode == 1 and "degraded" in shown.stdout and shown.stderr == ""
    assert "is the build that killed the gateway" in shown.stdout
    assert status(running)["process"]["state"] == "degraded"
    running.wait_for("is the build that killed the gateway")
    module(running, version="3.0")
    assert ask(running, "reload").returncode == 0
    assert ask(running, "status").returncode == 0


def test_a_rollback_holds_over_hangup_and_restart(running):
    old = status(running)["handlers"][0]["generations"][0]["digest"]
    module(running, version="2.0")
    assert ask(running, "reload", "shout").returncode == 0
    back = ask(running, "rollback", "shout")
    assert "rolled back to the build of generation 1" in back.stdout
    running.signal(signal.SIGHUP)
    running.wait_for("configuration: nothing changed")

    def live():
        return next(each["digest"] for each in status(running)["handlers"][0]["generations"] if each["state"] == "live")
    running.wait_for("loads it all the same")
    assert live() == old
    running.stop()
    restart(running)
    assert live() == old
    assert "rolled back" in ask(running, "status").stdout
    module(running, version="3.0")
    assert ask(running, "reload").returncode == 0
    assert live() != old


def test_the_outcome_says_why_connections_stay(running):
    with RawPeer(running, "/shout").opened():
        module(running, version="2.0")
        done = ask(running, "reload", "shout")
        assert "1 still with older generations (no GW_HF_STATELESS, and no save_conn and restore_conn)" in done.stdout

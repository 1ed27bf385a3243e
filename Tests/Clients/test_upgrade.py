"""What comes before the gateway's own program is replaced: which file, and whether its rehearsal does."""
import os
import signal
import subprocess
from pathlib import Path

import pytest

import c_handler
from gateway_process import BINARY, DEADLINE, TOP, eventually
from raw_peer import TEXT, RawPeer, frame
from succession_wire import HEAD, field
from test_control import ask, control, rest

WELCOME, READY, CONNECTION, CONNECTIONS_DONE = 2, 6, 7, 8
RECORDS = TOP / "Tests/Fuzz/corpus/succession"
UNCHANGED = "upgrade refused, nothing was changed: "


def message(kind, body=b"", descriptors=0):
    return HEAD.pack(len(body), kind, descriptors) + body


def greeting(version=1, least=1):
    return message(WELCOME, field(1, version) + field(2, least) + field(3, "0.9"))


def rehearse(running, records, *words):
    return subprocess.run([BINARY, "--rehearse", *words, "-c", running.file], input=records, capture_output=True,
                          timeout=60)


def script(folder, text, name="program", mode=0o755):
    file = folder / name
    file.write_text("#!/bin/sh\n" + text)
    file.chmod(mode)
    return str(file)


def echoes(running):
    with RawPeer(running).opened() as peer:
        peer.send(frame(TEXT, b"hello"))
        return peer.read_frame() == (TEXT, True, b"hello")


# ---- the rehearsal by itself

def test_what_is_understood_is_fine(make_gateway):
    running = make_gateway(routes="route /echo { handler echo; }")
    for words in ([], ["run"]):
        records = [message(CONNECTION, field(3, each.read_bytes()), 1) for each in sorted(RECORDS.iterdir())]
        told = rehearse(running, greeting() + 2_000 * b"".join(records) + message(READY), *words)
        assert told.returncode == 0, told.stderr
        assert told.stdout.startswith(b"rehearsed by gateway ") and told.stderr == b""


@pytest.mark.parametrize("records, reason", [
    (b"", "there is no greeting"),
    (message(READY), "does not begin with a greeting"),
    (greeting(9, 9), "wants version 9 of the upgrade at least"),
    (greeting(0, 0), "speaks version 0 of the upgrade"),
    (greeting() + message(READY)[:5], "ended within a message"),
    (greeting() + b"\xff" * 30, "the kind 65535 is unknown"),
    (greeting() + message(CONNECTIONS_DONE, b"\1\0\xff\0\0\0"), "field 1 is said to have 255 bytes"),
    (greeting() + message(CONNECTION, field(3, b"\1\0\1\0\1\0\xff\0\0\0"), 1), "(message 2): byte 4, field 1: it goes on behind the end"),
    (greeting() + 11 * message(CONNECTION, field(3, b"\1\0\xff\0"), 1), "is for programs that know version 255 of records"),
], ids=["nothing", "no greeting", "newer", "older", "cut", "nonsense", "damaged", "record", "newer record"])
def test_what_is_not_is_refused(make_gateway, records, reason):
    told = rehearse(make_gateway(routes="route /echo { handler echo; }"), records)
    assert told.returncode == 75 and told.stdout == b""
    assert reason in told.stderr.decode()


def test_configuration_and_handlers_are_tried(make_gateway):
    running = make_gateway(routes="route /echo { handler echo; }\nroute /nobody { handler nobody; }")
    told = rehearse(running, greeting())
    assert told.returncode == 78 and b"nobody" in told.stderr and told.stdout == b""
    running.file.write_text("nonsense;\n")
    told = rehearse(running, greeting())
    assert told.returncode == 78 and b'unknown directive "nonsense"' in told.stderr


def test_only_the_gateway_that_serves_is_rehearsed(make_gateway):
    running = make_gateway()
    for words in (["status"], ["--nonsense"], ["run", "x"]):
        told = rehearse(running, greeting(), *words)
        assert told.returncode == 2 and told.stdout == b"", words


# ---- asked of a gateway that serves

def test_what_is_no_program_is_refused_at_once(gateway, tmp_path):
    plain = tmp_path / "plain"
    plain.write_text("no program")
    plain.chmod(0o644)
    cases = [("/nowhere/gateway", "cannot be opened (open: No such file or directory)"), (str(tmp_path), "is not a regular file"),
             (str(plain), "cannot be executed"), (script(tmp_path, "", "open", 0o757), "can be written by every user"),
             (str(plain) + " \n%", "No such file")]
    for file, reason in cases:
        told = ask(gateway, "upgrade", file)
        assert told.returncode == 75 and told.stdout == "", told
        assert UNCHANGED + file in told.stderr and reason in told.stderr, told.stderr
    assert echoes(gateway)


@pytest.mark.parametrize("text, reason", [
    ("exit 0", "is no gateway that can take over"), ("echo never heard of that; exit 2", "exited with status 2:\n   never heard of that"),
    ("kill -KILL $$", "was killed by signal 9"), ("echo out; echo rehearsed by gateway 3 >&2; exit 1", "exited with status 1"),
    ("yes | head -100000; exit 3", "exited with status 3:\n   y\n")], ids=["true", "2", "killed", "liar", "much"])
def test_programs_that_do_not_rehearse_are_refused(gateway, tmp_path, text, reason):
    told = ask(gateway, "upgrade", script(tmp_path, text))
    assert told.returncode == 75 and reason in told.stderr
    assert UNCHANGED in told.stderr
    assert told.stdout.endswith("/program rehearses\n")
    assert echoes(gateway)


def test_a_file_is_named_from_where_one_is(gateway, tmp_path):
    script(tmp_path, "exit 4")
    told = ask(gateway, "upgrade", "./program", cwd=tmp_path)
    assert f"the rehearsal of {tmp_path}/./program exited with status 4" in told.stderr


def test_what_it_is_started_with(gateway, tmp_path):
    program = script(tmp_path, f'printf "%s\\n" "$@" >{tmp_path}/words; cat >{tmp_path}/records; ls /proc/self/fd >{tmp_path}/open')
    ask(gateway, "upgrade", program)
    assert (tmp_path / "words").read_text().splitlines() == ["--rehearse", "-c", str(gateway.file)]
    assert HEAD.unpack_from((tmp_path / "records").read_bytes())[1] == WELCOME
    assert (tmp_path / "open").read_text().split() == ["0", "1", "2", "3"]


def test_a_configuration_or_a_handler_that_is_wrong_refuses_it(make_gateway):
    running = make_gateway(routes="route /echo { handler echo; }").start()
    text = running.file.read_text()
    running.file.write_text(text + "nonsense;\n")
    told = ask(running, "upgrade")
    assert told.returncode == 75 and 'unknown directive "nonsense"' in told.stderr
    running.file.write_text(text + "route /other { handler nobody; }\n")
    told = ask(running, "upgrade")
    assert told.returncode == 75 and "nobody" in told.stderr
    assert echoes(running)


def test_a_signal_asks_for_the_file_that_lies_there(make_gateway):
    running = make_gateway(routes="route /echo { handler echo; }").start()
    running.signal(signal.SIGUSR2)
    running.wait_for(rf"upgrade \(SIGUSR2\): {BINARY} rehearses")
    running.wait_for(rf"upgrade: gateway \S+ in {BINARY} has rehearsed")


def test_a_second_one_at_once_is_refused(gateway, tmp_path):
    os.mkfifo(tmp_path / "gate")
    program = script(tmp_path, f"cat {tmp_path}/gate; exit 9")
    first = subprocess.Popen([BINARY, "upgrade", program, "-c", gateway.file], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
    assert first.stdout.readline() == f"{program} rehearses\n"
    for file in ([], [program]):
        told = ask(gateway, "upgrade", *file)
        assert told.returncode == 75 and "another one is not over" in told.stderr
    # It is no trouble for anything else.
    assert echoes(gateway) and ask(gateway, "reload").returncode == 0
    (tmp_path / "gate").write_text("heard\n")
    _, said = first.communicate(timeout=DEADLINE)
    assert first.returncode == 75 and "exited with status 9:\n   heard" in said


def test_a_file_that_is_replaced_meanwhile_is_another_one(gateway, tmp_path):
    os.mkfifo(tmp_path / "gate")
    program = script(tmp_path, f": >{tmp_path}/begun; cat {tmp_path}/gate; echo rehearsed by gateway 5")
    asking = subprocess.Popen([BINARY, "upgrade", program, "-c", gateway.file], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
    # From then on the shell has the file, whatever lies there.
    eventually("the rehearsal", (tmp_path / "begun").exists)
    os.replace(script(tmp_path, "exit 0", "newer"), program)
    (tmp_path / "gate").write_text("")
    assert "was replaced while it was rehearsed" in asking.communicate(timeout=DEADLINE)[1]


def test_the_end_of_the_gateway_ends_a_rehearsal(make_gateway, tmp_path):
    running = make_gateway(routes="route /echo { handler echo; }").start()
    program = script(tmp_path, f"echo $$ >{tmp_path}/number; mkfifo {tmp_path}/gate; cat {tmp_path}/gate")
    asking = subprocess.Popen([BINARY, "upgrade", program, "-c", running.file], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
    number = eventually("the rehearsal", lambda: (tmp_path / "gate").exists() and (tmp_path / "number").read_text().strip())
    running.stop()
    assert "the gateway is stopping" in asking.communicate(timeout=DEADLINE)[1]
    eventually("the end of the rehearsal", lambda: not Path(f"/proc/{number}").exists())


def test_a_client_that_leaves_changes_nothing(gateway, tmp_path):
    os.mkfifo(tmp_path / "gate")
    program = script(tmp_path, f"cat {tmp_path}/gate; exit 9")
    peer = control(gateway, f"upgrade file={program}\n".encode())
    assert peer.recv(1000).endswith(b" rehearses\n")
    peer.close()
    (tmp_path / "gate").write_text("")
    gateway.wait_for(f"the rehearsal of {program} exited with status 9")


def test_lines_that_are_no_command(gateway):
    for line in ("upgrade file=relative", "upgrade x", "upgrade file=/a file=/b", "upgrade file=/a%00"):
        with control(gateway, line.encode() + b"\n") as peer:
            assert rest(peer).endswith("exit 2\n")


# ---- what a process that watches over the gateway changes

@pytest.fixture
def watched(make_gateway):
    """A gateway that a process watches over, as after an upgrade; with the number of the gateway itself."""
    running = make_gateway(routes="route /echo { handler echo; }")
    launcher = """
import os, signal, socket, sys
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
ours, theirs = socket.socketpair()
child = os.fork()
if child == 0:
    os.setpgid(0, 0)
    os.dup2(theirs.fileno(), 3)
    os.environ["GATEWAY_SUPERVISOR"] = "3:%d" % os.getppid()
    os.execv(sys.argv[1], sys.argv[1:])
os.set_inheritable(ours.fileno(), True)
os.execv(sys.argv[1], ["gateway", "--watch-over", str(child), str(ours.fileno())])
"""
    running.starter = [str(Path(os.sys.executable)), "-c", launcher]
    running.start()
    [number] = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children").read_text().split()
    yield running, int(number)
    if running.process.poll() is None:
        running.stop()


def test_it_serves_and_ends_as_always(watched):
    running, _ = watched
    assert echoes(running)
    running.signal(signal.SIGHUP)
    running.wait_for("configuration: nothing changed")
    with RawPeer(running).opened() as peer:
        running.signal(signal.SIGTERM)
        assert peer.read_close() == 1001
    assert running.exit_status() == 0


def test_a_signal_to_all_of_a_service_is_one_request(watched):
    running, number = watched
    with RawPeer(running).opened() as peer:
        # As `KillMode=control-group` does.
        for process in (number, running.process.pid):
            os.kill(process, signal.SIGTERM)
        assert peer.read_close() == 1001
        peer.close()
    assert running.exit_status() == 0
    assert "stopped at once" not in running.log()


def test_two_requests_are_two(watched):
    running, _ = watched
    with RawPeer(running).opened():
        running.signal(signal.SIGTERM)
        running.wait_for("stopping: 1 connections are told")
        running.signal(signal.SIGTERM)
        assert running.exit_status() == 128 + signal.SIGTERM


def test_it_ends_when_nobody_watches_any_more(watched):
    running, number = watched
    with RawPeer(running).opened() as peer:
        running.process.kill()
        assert peer.read_close() == 1001
        peer.close()
    running.wait_for("the process that watches over this one has gone")
    eventually("the end of the gateway", lambda: not Path(f"/proc/{number}").exists())
    assert running.exit_status() == -signal.SIGKILL


def test_what_it_was_told_is_handed_to_nobody(make_gateway):
    running = make_gateway(routes="route /process { handler process; }")
    running.environment = {"GATEWAY_SUPERVISOR": "3:1", "GATEWAY_PREDECESSOR": "x"}
    c_handler.build(running, "process")
    with RawPeer(running.start(), "/process").opened() as peer:
        assert [peer.ask(f"env {name}") for name in running.environment] == ["-", "-"]
    running.wait_for("warning: GATEWAY_SUPERVISOR was said by process 1, and process")
    running.wait_for("warning: GATEWAY_PREDECESSOR is \"x\", which is not FD:PID")

"""Handlers that do not start in a process of their own, and those that die so often that nobody tries again."""
import os
import re
import signal
import threading

import pytest

from gateway_process import eventually
from isolation_rig import LONG, TEXT, ends_with, frame, is_there, number, say, who
from raw_peer import RawPeer
from test_control import ask, status
from upgrade_rig import children


def kills(made, count):
    """Has it die so many times of one client each."""
    for _ in range(count):
        with made.peer() as peer:
            say(peer, "die null")
            ends_with(peer)


# ---- at the start of the gateway

@pytest.mark.parametrize("setting, why", [
    ("set start refuse;", "not today"), ("set start null;", "SIGSEGV|signal 11"), ("set start exit;", "status 3"),
    ("set start exit0;", "status 0"), ("set start loop;", "still busy with its start"), ("set probe null;", "SIGSEGV|signal 11"),
    ("set probe refuse;", "not today"),
], ids=["refuses", "crashes", "exits", "exits well", "hangs", "probe crashes", "probe refuses"])
def test_others_serve_while_one_does_not_start(isolated, setting, why):
    made = isolated(f"start_timeout 1s; {setting}", start=False, routes="route /in { handler inside; }")
    made.build(under="inside")
    made.running.start()
    with made.peer("/in") as inside:
        number(inside, 0)
    with RawPeer(made.running, "/x") as peer:
        assert (peer.status, peer.body.split(b":")[0]) == (503, b"handler-unavailable")
    shown = ask(made.running, "status")
    assert shown.returncode == 1 and re.search(why, shown.stdout), shown.stdout
    assert re.search(why, made.running.log())
    eventually("no process is left", lambda: not made.processes())
    # A build that starts is taken.
    made.running.file.write_text(made.running.file.read_text().replace(setting, ""))
    made.build(2)
    told = ask(made.running, "reload")
    assert told.returncode == 0, told
    with made.peer() as peer:
        number(peer, 0)
    assert ask(made.running, "status").returncode == 0


def test_alone_it_ends_the_gateway(isolated):
    """Nothing else can be served."""
    made = isolated("set start refuse;", start=False)
    made.running.launch()
    assert made.running.exit_status() == 78
    assert "not today" in made.running.log()


def test_check_tries_it(isolated):
    made = isolated("set probe refuse;", start=False)
    told = ask(made.running, "check")
    assert told.returncode == 78 and "not today" in told.stdout + told.stderr
    made.running.file.write_text(made.running.file.read_text().replace("set probe refuse;", ""))
    assert ask(made.running, "check").returncode == 0
    assert not children(os.getpid()) or not made.running.process


def test_a_signal_ends_a_start_that_hangs(isolated):
    made = isolated("start_timeout 60s; set start loop;", start=False)
    made.running.launch()
    eventually("the process of the handler", lambda: made.processes())
    process = made.process()
    made.running.signal(signal.SIGTERM)
    assert made.running.exit_status() == 0
    eventually("the end of the handler's process", lambda: not is_there(process))


def test_everything_is_answered_while_it_starts_again(isolated):
    made = isolated("start_timeout 60s; set start_file {};", start=False, routes="route /in { handler inside; }")
    file, gate = made.folder / "start", made.folder / "gate"
    made.running.file.write_text(made.running.file.read_text().replace("{}", str(file)))
    made.build(under="inside")
    made.running.start()
    os.mkfifo(gate)
    with made.peer() as peer, made.peer("/in") as inside:
        number(peer, 0)
        file.write_text(f"gate {gate}\n")
        os.kill(made.settle(), signal.SIGKILL)
        with open(gate, "w"):
            # It hangs in its start now; whoever comes waits.
            file.unlink()
            number(inside, 0)
            assert status(made.running)["process"]["connections"] == 2
            assert ask(made.running, "connections").returncode == 0
            say(peer, "n 1 meanwhile")
            came = []
            coming = [threading.Thread(target=lambda: came.append(made.peer())) for _ in range(4)]
            for each in coming:
                each.start()
            eventually("they are there", lambda: status(made.running)["process"]["connections"] == 6)
            assert not came
        assert peer.read_message()[1].split(b" ", 2)[::2] == [b"2", b"n 1 meanwhile"]
        for each in coming:
            each.join(LONG)
        assert len(came) == 4
        for each in came:
            number(each, 0)
            each.close()
    made.is_empty()


# ---- too many deaths

def test_five_deaths_give_it_up(isolated):
    """1011 for all, and 503 for whoever comes, until there is another build."""
    made = isolated(routes="route /in { handler inside; }", start=False)
    made.build(under="inside")
    made.running.start()
    peers = [made.peer() for _ in range(5)]
    for peer in peers:
        number(peer, 0)
    kills(made, 4)
    for peer in peers:
        number(peer, 1)
        assert who(peer)["recovered"] == 4
    with made.peer() as peer:
        say(peer, "die null")
        assert ends_with(peer) == 1011
    assert [ends_with(peer) for peer in peers] == [1011] * 5
    with RawPeer(made.running, "/x") as peer:
        assert (peer.status, peer.body.split(b":")[0]) == (503, b"handler-crashed")
    with made.peer("/in") as inside:
        number(inside, 0)
    shown = ask(made.running, "status")
    assert shown.returncode == 1 and "five times" in shown.stdout, shown.stdout
    made.is_empty()
    assert not made.processes()
    assert "prepared" not in made.reload(2)
    with made.peer() as peer:
        number(peer, 0)
        assert who(peer)["version"] == "2"
    assert ask(made.running, "status").returncode == 0


def test_a_build_that_was_given_up_is_tried_again(isolated):
    """When somebody asks for it: perhaps it was not its fault."""
    made = isolated()
    kills(made, 4)
    with made.peer() as peer:
        say(peer, "die null")
        assert ends_with(peer) == 1011
    eventually("it is given up", lambda: ask(made.running, "status").returncode == 1)
    told = ask(made.running, "reload", "isolated")
    assert told.returncode == 0 and "is serving" in told.stdout, told
    with made.peer() as peer:
        number(peer, 0)
    assert ask(made.running, "status").returncode == 0


def test_five_deaths_bring_the_generation_before_back(isolated):
    """Clients go on with the build that did not die, with the state that they had."""
    made = isolated()
    with made.peer() as peer:
        number(peer, 0)
    peers = [made.peer() for _ in range(5)]
    for peer in peers:
        number(peer, 0)
    made.reload(2)
    for peer in peers:
        number(peer, 1)
    kills(made, 5)
    eventually("the build before serves", lambda: made.live()["version"] == "1", LONG)
    for peer in peers:
        number(peer, 2)
        assert who(peer)["version"] == "1"
    with made.peer() as peer:
        number(peer, 0)
    shown = ask(made.running, "status")
    assert re.search(r"crashed|five times", shown.stdout + made.running.log())
    eventually("one process", lambda: len(made.processes()) == 1)
    for peer in peers:
        peer.close()
    made.is_empty()


def test_pauses_between_processes_grow(isolated):
    """At once, then after 0.1, 0.2 and 0.4 s."""
    made = isolated()
    with made.peer() as peer:
        number(peer, 0)
        for _ in range(4):
            os.kill(made.settle(), signal.SIGKILL)
            made.another()
            who(peer)
    log = made.running.log()
    moments = [sum(float(part) * unit for part, unit in zip(line[11:23].split(":"), (3600, 60, 1)))
               for line in log.splitlines() if re.search(r"killed by signal 9|serves on", line)]
    pauses = [after - before for before, after in zip(moments[::2], moments[1::2])]
    assert len(pauses) == 4
    for pause, least in zip(pauses, (0, 0.1, 0.2, 0.4)):
        assert pause >= least, pauses


def test_a_state_that_kills_is_not_tried_for_ever(isolated):
    """Three connections whose restore dies: each ends with 1012, one after the other, and the rest goes on."""
    made = isolated()
    poisoned = [made.peer() for _ in range(3)]
    others = [made.peer() for _ in range(3)]
    for peer in poisoned + others:
        number(peer, 0)
    for peer in poisoned:
        assert peer.ask("arm restore null") == "armed"
    os.kill(made.settle(), signal.SIGKILL)
    assert [ends_with(peer) for peer in poisoned] == [1012] * 3
    for peer in others:
        number(peer, 1)
        say(peer, "ignore")
    made.another()
    with made.peer() as peer:
        peer.send(frame(TEXT, b"n 0 new"))
        assert peer.read_message()[1].endswith(b"n 0 new")

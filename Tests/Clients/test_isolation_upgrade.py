"""The gateway's own program is replaced while handlers run in processes of their own: their clients stay as well."""
import os
import re
import signal
import threading

import pytest

from gateway_process import eventually
from isolation_rig import LONG, Isolated, is_there, number, say, seeded, who, words_of
from test_control import ask
from upgrade_rig import Worker, children

CLIENTS = 8


@pytest.fixture
def isolated(make_gateway):
    def begin(*words, **how):
        return Upgraded(make_gateway, *words, **how)
    return begin


def below(process):
    """All that it has started, and what those have."""
    own = children(process)
    return own + [each for child in own for each in below(child)]


class Upgraded(Isolated):
    """The same with programs that take each other's place."""

    def processes(self, handler="isolated"):
        return [each for each in below(self.running.process.pid)
                if words_of(each)[1:3] == ["--handler", handler] and is_there(each)]

    def upgrade(self):
        """Replaces the program, and waits until nothing is left of the one before, nor of its handler's process."""
        before, ended = self.process(), self.running.log().count("has nothing left, and ends")
        told = ask(self.running, "upgrade")
        assert told.returncode == 0, (told.stdout, told.stderr, self.running.log()[-4000:])
        eventually("the end of the program before",
                   lambda: self.running.log().count("has nothing left, and ends") > ended, LONG)
        eventually("the end of its process", lambda: not is_there(before), LONG)
        self.seen.add(self.process())
        return told.stdout


# ---- nobody notices

def test_nobody_notices(isolated):
    made = isolated()
    with made.crowd(CLIENTS, seeded()) as crowd, made.peer() as peer:
        number(peer, 0)
        first = who(peer)
        for round_ in range(1, 4):
            crowd.go_on()
            said = made.upgrade()
            assert f"{CLIENTS + 1} connections moved" in said, said
            now = who(peer)
            assert (now["conn"], now["restored"], now["opened"]) == (first["conn"], round_, first["opened"])
            assert now["pid"] == made.process() != first["pid"]
            number(peer, round_)
            assert made.count() == CLIENTS + 1
        crowd.go_on()
        # What the handler knows of itself has come along.
        assert who(peer)["restored_self"] >= 1
    made.is_empty()
    assert not re.search(r"crash|was killed|exited with|is lost|cannot be", made.running.log())


def test_handlers_of_both_kinds(isolated):
    made = isolated(routes="route /in { handler isolated2; }", start=False)
    made.build(under="isolated2")
    made.running.start()
    made.seen = {made.process()}
    source = seeded()
    with made.crowd(4, source) as crowd, made.crowd(4, source, "/in") as others:
        crowd.go_on(), others.go_on()
        assert "8 connections moved" in made.upgrade()
        crowd.go_on(), others.go_on()
    made.is_empty()


def test_who_comes_meanwhile_is_served(isolated):
    made = isolated()
    over, served = threading.Event(), []

    def come():
        while not over.is_set():
            with made.peer() as peer:
                number(peer, 0)
            served.append(1)

    with made.crowd(4, seeded()) as crowd:
        comers = [Worker(come) for _ in range(3)]
        for _ in range(2):
            crowd.go_on()
            made.upgrade()
        count = len(served)
        eventually("others come", lambda: len(served) > count + 10 or any(each.fault for each in comers), LONG)
        over.set()
        for each in comers:
            each.end()
        crowd.go_on()
    made.is_empty()


def test_a_crash_behind_an_upgrade(isolated):
    """The new program has a copy of each socket, and the ledger of its own process."""
    made = isolated()
    with made.crowd(CLIENTS, seeded()) as crowd, made.peer() as peer:
        number(peer, 0)
        crowd.go_on()
        made.upgrade()
        doomed = made.peer()
        assert doomed.ask("arm message null") == "armed"
        say(doomed, "n 0 ")
        made.another()
        number(peer, 1)
        crowd.go_on()
        made.upgrade()
        number(peer, 2)
        assert made.reload(2)
        number(peer, 3)
        assert who(peer)["version"] == "2"
    made.is_empty()


@pytest.mark.parametrize("way", ["null", "kill"])
def test_a_process_that_dies_of_taking_over(isolated, way):
    """Behind the switch: whoever it was for ends, the others go on."""
    made = isolated()
    peers = [made.peer() for _ in range(6)]
    for peer in peers:
        number(peer, 0)
    assert peers[0].ask(f"arm restore {way}") == "armed"
    told = ask(made.running, "upgrade")
    assert told.returncode == 0, told
    lost = 0
    for peer in peers[1:]:
        try:
            number(peer, 1)
        except EOFError:
            lost += 1
    # Of what a process has died that was killed nobody knows where each worker was at one.
    assert lost <= (1 if way == "kill" else 0)
    eventually("one process", lambda: len(made.processes()) == 1, LONG)


def test_the_handlers_process_dies_before_the_switch(isolated):
    """The program before starts another one; the upgrade is refused, or goes on without it."""
    made = isolated()
    with made.peer() as peer:
        number(peer, 0)
        for index in range(1, 4):
            os.kill(made.settle(), signal.SIGKILL)
            assert ask(made.running, "upgrade").returncode in (0, 1, 75)
            number(peer, index)
        eventually("one process", lambda: len(made.processes()) == 1, LONG)


def test_topics(isolated):
    """Members on both sides of every switch hear each publication once, and in order."""
    made = isolated()
    speaker, hearer = made.peer(), made.peer()
    assert hearer.ask("sub all") == "0"
    heard, said, over = [], [], threading.Event()

    def listen():
        while heard[-1:] != [-1]:
            heard.append(int(hearer.read_message()[1]))

    def speak():
        while not over.is_set():
            said.append(len(said))
            assert speaker.ask(f"pub all {said[-1]}").isdigit()

    listening, speaking = Worker(listen), Worker(speak)
    for round_ in range(4):
        before = len(said)
        eventually("publications", lambda: len(said) > before + 20 or speaking.fault or listening.fault, LONG)
        if round_ < 3:
            made.upgrade()
    over.set()
    speaking.end()
    assert speaker.ask("pub all -1").isdigit()
    listening.end()
    assert heard == [*said, -1]

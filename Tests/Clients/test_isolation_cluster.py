"""Handlers in processes of their own at gateways that share topics: each process speaks with the engine by itself."""
import os
import signal
import threading

import pytest

import c_handler
from cluster_rig import GLOBAL, LONG, command, meet, numbers, once_in_order, upgrade
from gateway_process import eventually
from isolation_rig import words_of
from upgrade_rig import another_build, children, is_there

ROUTES = """
route /crowd { handler crowd; isolation process; send_buffer 64m; }
route /near { handler near; send_buffer 64m; }
"""
COUNT = 2000


def gateways(rig, number=2):
    """Each has the same handler in its first process as well, on /near."""
    rig.engine()
    made = []
    for _ in range(number):
        each = rig.prepared(routes=ROUTES)
        c_handler.build(each, "crowd", under="near")
        made.append(rig.is_up(each.start()))
    return made


def processes(running):
    """Those of the handler, of whichever program."""
    below = children(running.process.pid)
    below += [each for child in below for each in children(child)]
    return [each for each in below if words_of(each)[1:3] == ["--handler", "crowd"] and is_there(each)]


class Numbers:
    """Publishes numbers from a thread until it is told to end; then each member has heard all of them."""

    def __init__(self, client, topic, word, flags=0):
        self.client, self.topic, self.word, self.flags = client, topic, word, flags
        self.count, self.fault, self.over = 0, None, threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            while not self.over.wait(0.002):
                said = self.client.number(self.topic, self.word, self.count, 20, flags=self.flags)
                assert said["ok"] + said["high"] == 20, said
                self.count += 20
        except BaseException as fault:
            self.fault = fault

    def end(self):
        """Some more, and then the end: how many there were."""
        count = self.count
        eventually("more is published", lambda: self.count > count + 100 or self.fault, LONG)
        self.over.set()
        self.thread.join(LONG)
        if self.fault:
            raise self.fault
        return self.count


def heard_all(member, last):
    member.wait(lambda client: last in client.texts(), last.decode())


def test_topics_of_a_route_and_of_the_gateway_meet(rig):
    a, b = gateways(rig)
    publishers = [rig.client(a), rig.client(b)]
    here, there = rig.client(a).subscribe("t"), rig.client(b).subscribe("t")
    meet(publishers, [here, there], "t")
    for index, publisher in enumerate(publishers):
        publisher.number("t", f"p{index}", 0, COUNT)
        publisher.publish("t", f"end {index}")
    for member in (here, there):
        for index in range(2):
            heard_all(member, b"end %d" % index)
            once_in_order(member, f"p{index}", COUNT)
    everywhere = [(gateway, path) for gateway in (a, b) for path in ("/crowd", "/near")]
    publishers = [rig.client(*each) for each in everywhere]
    members = [rig.client(*each).subscribe("all", GLOBAL) for each in everywhere]
    meet(publishers, members, "all", GLOBAL)
    for index, publisher in enumerate(publishers):
        publisher.number("all", f"p{index}", 0, COUNT, flags=GLOBAL)
        publisher.publish("all", f"end {index}", GLOBAL)
    for member in members:
        for index in range(len(publishers)):
            heard_all(member, b"end %d" % index)
            once_in_order(member, f"p{index}", COUNT)


def test_members_go_on_behind_a_death(rig):
    a, b = gateways(rig)
    here, there, publisher = rig.client(a).subscribe("t"), rig.client(b).subscribe("t"), rig.client(b)
    meet([publisher], [here, there], "t")
    stream = Numbers(rig.client(b), "t", "n")
    for _ in range(2):
        [process] = processes(a)
        # After SIGKILL a member that is just being written to may be lost.
        os.kill(process, signal.SIGSEGV)
        eventually("another process", lambda: (found := processes(a)) and found != [process], LONG)
        meet([publisher, here], [here, there], "t", keep=True)
    count = stream.end()
    stream.client.publish("t", "end")
    for member in (here, there):
        member.hears(b"end")
    once_in_order(there, "n", count)
    heard = numbers(here, "n")
    assert heard == sorted(set(heard)), "twice, or out of order"


@pytest.mark.parametrize("what", ["reload", "upgrade"])
def test_members_go_on_behind_a(rig, what):
    a, b = gateways(rig)
    here, there, publisher = rig.client(a).subscribe("t"), rig.client(b).subscribe("t"), rig.client(b)
    local = rig.client(a)
    meet([publisher, local], [here, there], "t")
    streams = [Numbers(rig.client(b), "t", "b"), Numbers(rig.client(a), "t", "a")]
    for _ in range(3):
        if what == "reload":
            another_build(a, "crowd")
            said = command(a, "reload", "crowd")
            assert said.returncode == 0, said
        else:
            upgrade(a)
        eventually("one process serves", lambda: len(processes(a)) == 1, LONG)
        meet([publisher, local], [here, there], "t", keep=True)
    counts = [each.end() for each in streams]
    for each in streams:
        each.client.publish("t", f"end {each.word}")
    for word, count in zip("ba", counts):
        # Who publishes at the first gateway moves as well, between two processes with a way to the engine each.
        for member in (here, there):
            heard_all(member, f"end {word}".encode())
            once_in_order(member, word, count)

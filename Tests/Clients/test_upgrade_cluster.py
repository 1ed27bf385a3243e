"""The program is replaced while topics are shared with other gateways: the one before hears their engine for both."""
import os
import threading

from cluster_rig import GLOBAL, LONG, meet, once_in_order, together, upgrade
from gateway_process import eventually
from upgrade_rig import children, is_there

ROUTES = """
route /crowd { handler crowd; send_buffer 64m; }
route /stays { handler crowd; send_buffer 64m; reload drain; }
"""
COUNT = 20_000


def gateways(rig):
    rig.engine()
    return [rig.gateway(routes=ROUTES, main="threads 2; defaults { drain_timeout 120s; }") for _ in range(2)]


def test_members_hear_each_publication_once_and_in_order(rig):
    a, b = gateways(rig)
    members = [rig.client(a).hear_gaps().subscribe("t") for _ in range(8)]
    publisher = rig.client(b)
    meet([publisher], members, "t")

    def publish():
        for first in range(0, COUNT, 100):
            # Whoever falls behind by more than an engine holds loses something, upgrade or not.
            members[0].wait(lambda client: len(client.heard) > first - 1000, f"{first - 1000} publications")
            assert publisher.number("t", "n", first, 100, 200)["dropped"] == 0
        publisher.publish("t", "end")

    def replace():
        for _ in range(3):
            upgrade(a)

    together(publish, replace)
    for each in members:
        each.hears(b"end")
        once_in_order(each, "n", COUNT)
        assert each.gaps == []


def test_who_publishes_moves(rig):
    a, b = gateways(rig)
    publishers = [rig.client(a) for _ in range(4)]
    member = rig.client(b).hear_gaps().subscribe("t")
    meet(publishers, [member], "t")
    over = threading.Event()

    def publish(publisher, word):
        count = 0
        while not over.is_set():
            member.wait(lambda client: len(client.heard) > 4 * count - 4000, f"some of {count} publications", LONG)
            assert publisher.number("t", word, count, 20, 20)["dropped"] == 0
            count += 20
        publisher.publish("t", f"end {word}")
        return count

    def replace():
        for _ in range(3):
            upgrade(a)
        over.set()

    words = ["p0", "p1", "p2", "p3"]
    *counts, _ = together(*[lambda each=each: publish(*each) for each in zip(publishers, words)], replace)
    for word, count in zip(words, counts):
        member.hears(f"end {word}".encode())
        once_in_order(member, word, count)
    assert member.gaps == []


def test_everybody_hears_while_somebody_stays(rig):
    a, b = gateways(rig)
    stays, publisher = rig.client(a, "/stays").subscribe("old", GLOBAL), rig.client(b)
    moves = rig.client(a).subscribe("old", GLOBAL)
    meet([publisher], [stays, moves], "old", GLOBAL)
    assert "1 stay with process" in upgrade(a)
    before = a.process.pid
    [program] = [each for each in children(before) if is_there(each)]
    # Topics that the program before knows, those that come to be in each of the two, and one that is in both.
    comes = rig.client(a).subscribe("new", GLOBAL)
    stays.subscribe("late", GLOBAL).subscribe("both", GLOBAL)
    comes.subscribe("both", GLOBAL)
    for topic, members in (("old", [stays, moves]), ("new", [comes]), ("late", [stays]), ("both", [comes, stays])):
        meet([publisher], members, topic, GLOBAL)
        publisher.number(topic, topic, 0, 2000, flags=GLOBAL)
        publisher.publish(topic, "end", GLOBAL)
        for each in members:
            each.hears(b"end")
            once_in_order(each, topic, 2000)
            each.clear()
    assert is_there(before) and is_there(program)
    # A topic that nobody has in the program before for a while is heard there for the other one.
    stays.unsubscribe("old", GLOBAL)
    stays.close()
    eventually("the program before watches", lambda: watches(before), LONG)
    for topic, member in (("old", moves), ("new", comes), ("both", comes)):
        member.clear()
        publisher.number(topic, topic, 0, 2000, flags=GLOBAL)
        publisher.publish(topic, "end", GLOBAL)
        member.hears(b"end")
        once_in_order(member, topic, 2000)
        assert member.gaps == []


def watches(process):
    """It has nothing to do any more but to wait for its child."""
    return len(os.listdir(f"/proc/{process}/task")) == 1

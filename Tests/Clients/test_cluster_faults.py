"""Engines that are late, die, stand still, refuse or are cut off: members here miss nothing, members elsewhere hear of it."""
import re
import threading
import time
from types import SimpleNamespace

import pytest

from admin_client import get, value
from cluster_rig import (BACKPRESSURE, DROPPED, LONG, OK, ROUTES, cluster, command, engines, meet, numbers, once_in_order, resident, together)
from gateway_process import eventually
from tcp_proxy import Proxy
from wire import needs_wires


def is_away(running):
    return not engines(running)[0]["up"]


def readiness(running):
    return get(running, "/readyz")[::2]


def up_again(rig, *gateways, seconds=25):
    """The pause between attempts is 10 s at most."""
    for each in gateways:
        rig.is_up(each, seconds)


# ---- late, and gone

def test_an_engine_that_is_later_than_the_gateways(rig):
    rig.engine().kill()
    a, b = rig.gateway(up=False), rig.gateway(up=False)
    here, there = rig.client(a).subscribe("t").hear_gaps(), rig.client(b).subscribe("t").hear_gaps()
    publisher = rig.client(a)
    assert publisher.publish("t", "early") == (OK, 1)
    here.hears(b"early")
    eventually("it is asked for", lambda: readiness(a)[0] == 503 and "not tried" not in readiness(a)[1])
    assert re.search(r"^cluster-down: .*127\.0\.0\.1:\d+.*", readiness(a)[1], re.M)
    assert not re.search("cluster.*password", a.log())
    rig.engines[0].start()
    up_again(rig, a, b)
    # Members were here already, and may have missed something.
    there.hears_gap(b"t", b"")
    here.hears_gap(b"t", b"")
    meet([publisher, rig.client(b)], [here, there], "t")
    assert readiness(a) == (200, "ready\n")


class Chatter:
    """Publishes numbers until it is told to stop."""

    def __init__(self, client, topic="t", word="x", size=0):
        self.client, self.topic, self.word, self.size = client, topic, word, size
        self.count, self.statuses, self.goes = 0, {}, True
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while self.goes:
            for status, count in self.client.number(self.topic, self.word, self.count, 20, self.size).items():
                self.statuses[status] = self.statuses.get(status, 0) + count
            self.count += 20

    def end(self):
        self.goes = False
        self.thread.join(LONG)
        assert not self.thread.is_alive()
        return self.count


def in_order_once(heard):
    assert heard == sorted(set(heard)), "doubled, or out of order"


def test_an_engine_that_is_killed_under_load(rig):
    rig.engine()
    a, b, c = rig.gateway(), rig.gateway(), rig.gateway()
    publisher, here = rig.client(a), rig.client(a).subscribe("t").hear_gaps()
    there = [rig.client(each).subscribe("t").hear_gaps() for each in (b, c)]
    meet([publisher], [here, *there], "t")
    chatter = Chatter(publisher)
    for each in there:
        each.wait(lambda client: len(client.heard) > 2000, "load")
    rig.engines[0].kill()
    for each in (a, b, c):
        eventually("it is noticed", lambda each=each: is_away(each))
    assert readiness(b)[0] == 503 and "cluster-down" in readiness(b)[1]
    text = command(b, "status").stdout
    assert re.search(r"cluster +\S+127\.0\.0\.1:\d+ away for \d+ s: \w+", text), text
    engine = engines(b)[0]
    assert engine["up"] is False and engine["for_ms"] >= 0 and len(engine["text"]) > 5
    # Members here go on.
    count = len(here.heard)
    here.wait(lambda client: len(client.heard) > count + 2000, "flow here")
    rig.engines[0].start()
    back = time.monotonic()
    marks = [len(each.heard) for each in there]
    for each, mark in zip(there, marks):
        each.wait(lambda client, mark=mark: len(client.heard) > mark + 20, "flow elsewhere", 25)
    assert time.monotonic() - back < 25
    up_again(rig, a, b, c)
    total = chatter.end()
    publisher.publish("t", "end")
    here.hears(b"end")
    once_in_order(here, "x", total)
    for each in there:
        each.hears(b"end")
        in_order_once(numbers(each, "x"))
        each.hears_gap(b"t", b"")
        # A hole and no word of it would be a fault of its own; the gap has been heard.
    assert readiness(b)[0] == 200
    assert engines(b)[0]["connects"] == 2
    assert re.search(r"cluster .* away$|after [\d.]+ s away", b.log(), re.M)
    assert b.log().count("Members here are served") <= 4, b.log()


def test_an_outage_is_told_once_in_the_log(rig):
    """And not at each of the attempts."""
    rig.engine()
    a = rig.gateway()
    rig.engines[0].kill()
    eventually("it is noticed", lambda: is_away(a))
    before = engines(a)[0]
    eventually("some attempts", lambda: engines(a)[0]["for_ms"] > 4000)
    assert a.log().count("it is tried again") <= 2, a.log()
    assert engines(a)[0]["connects"] == before["connects"] == 1


def test_what_waited_for_too_long_is_lost_and_told(rig):
    """30 s; members elsewhere hear of it though nothing follows."""
    rig.engine()
    a, b = rig.gateway(), rig.gateway()
    publisher, there = rig.client(a), rig.client(b).subscribe("t").hear_gaps()
    meet([publisher], [there], "t")
    rig.engines[0].kill()
    eventually("it is noticed", lambda: is_away(a) and is_away(b))
    assert publisher.number("t", "x", 0, 100)["ok"] == 100
    eventually("they are given up", lambda: cluster(a)["lost"] >= 100 and engines(a)[0]["queued_bytes"] == 0, 45)
    rig.engines[0].start()
    up_again(rig, a, b)
    there.hears_gap(b"t", b"")
    eventually("both know", lambda: value(a, "gateway_cluster_lost_total") >= 100)
    assert numbers(there, "x") == []


# ---- stands still

def test_an_engine_that_stands_still(rig):
    rig.engine()
    a, b = rig.gateway(rig.line(queue="1m")), rig.gateway()
    publisher, here, there = rig.client(a), rig.client(a).subscribe("t"), rig.client(b).subscribe("t").hear_gaps()
    echoes = rig.client(a)
    meet([publisher], [here, there], "t")
    memory = resident(a)
    engine = rig.engines[0]
    engine.pause()
    begin, worst, statuses, count = time.monotonic(), 0, [], 0
    while time.monotonic() < begin + 12:
        statuses.append(publisher.number("t", "x", count, 50, size=1000))
        count += 50
        worst = max(worst, echoes.round_trip())
    told = {each for answer in statuses for each, number in answer.items() if number}
    assert told >= {"ok", "high", "dropped"} and not sum(answer["other"] for answer in statuses), told
    assert [list(filter(each.get, each)) for each in statuses][0] == ["ok"]
    assert worst < 1.5, f"a round trip of {worst:.3f} s"
    assert resident(a) < memory + 48, (memory, resident(a))
    publisher.publish("t", "end")
    here.hears(b"end")
    once_in_order(here, "x", count)
    assert is_away(a) and cluster(a)["lost"] > 0 and engines(a)[0]["queued_bytes"] <= 2 << 20  # with the batch that could not be sent
    engine.go_on()
    up_again(rig, a, b)
    # Nothing follows.
    there.hears_gap(b"t", b"")
    in_order_once(numbers(there, "x"))
    meet([publisher], [there], "t")


@pytest.fixture
def cut_off(rig):
    """A publisher at a gateway whose engine can be taken from it alone, where little may wait; a member at another one."""
    rig.engine()
    with Proxy(rig.engines[0].port) as proxy:
        url = rig.engines[0].url().replace(str(rig.engines[0].port), str(proxy.port))
        a, b = rig.gateway(rig.line(url, queue="64k")), rig.gateway()
        publisher, there = rig.client(a), rig.client(b).subscribe("t").hear_gaps()
        meet([publisher], [there], "t")
        yield SimpleNamespace(proxy=proxy, a=a, b=b, publisher=publisher, there=there)


def test_members_elsewhere_hear_of_a_full_queue_though_they_were_never_cut_off(rig, cut_off):
    """The publisher alone is cut off: only he knows what was lost."""
    a, b, publisher, there = cut_off.a, cut_off.b, cut_off.publisher, cut_off.there
    cut_off.proxy.cut()
    eventually("it is noticed", lambda: is_away(a))
    answers = publisher.number("t", "x", 0, 200, size=1000)
    assert answers["dropped"] > 100 and answers["high"] > 10 and answers["ok"] > 10, answers
    assert not there.gaps
    cut_off.proxy.heal()
    up_again(rig, a)
    there.hears_gap(b"t")
    assert numbers(there, "x") == list(range(answers["ok"] + answers["high"])) and engines(b)[0]["connects"] == 1
    assert cluster(b)["lost"] == answers["dropped"]
    meet([publisher], [there], "t")
    assert there.gaps == []


def test_the_first_publication_to_a_topic_is_lost_and_the_next_is_not(rig, cut_off):
    """Members that had listened before the first one hear that they missed it."""
    a, publisher, there = cut_off.a, cut_off.publisher, cut_off.there
    for number in range(3):
        topic = f"new {number}"
        there.subscribe(topic)
        meet([publisher], [there], "t")
        cut_off.proxy.cut()
        eventually("it is noticed", lambda: is_away(a))
        # None of them is larger than what follows, so that there is no room for that.
        assert publisher.number("t", "x", 0, 2000)["dropped"] > 100
        assert publisher.publish(topic, "the first") == (DROPPED, 0)
        cut_off.proxy.heal()
        # As soon as there is room, and once.
        while publisher.publish(topic, "the next")[0] == DROPPED:
            pass
        there.wait(lambda client: (1, b"the next") in client.heard, "the next")
        there.hears_gap(topic.encode(), b"", deadline=15)
        rig.is_up(a)


def test_what_was_not_lost_is_not_dropped_for_what_was(rig):
    """The notice of a loss does not cover publications that still come."""
    rig.engine()
    with Proxy(rig.engines[0].port) as proxy:
        url = rig.engines[0].url().replace(str(rig.engines[0].port), str(proxy.port))
        a, b = rig.gateway(rig.line(url, queue="256k")), rig.gateway()
        publisher, there = rig.client(a), rig.client(b).subscribe("t").hear_gaps()
        meet([publisher], [there], "t")
        for _ in range(5):
            there.clear()
            proxy.cut()
            eventually("it is noticed", lambda: is_away(a))
            chatter = Chatter(publisher, size=500)
            eventually("the queue is full", lambda chatter=chatter: chatter.statuses.get("dropped", 0) > 100)
            proxy.heal()
            up_again(rig, a)
            eventually("it flows", lambda: len(there.heard) > 2000)
            chatter.end()
            publisher.publish("t", "end")
            there.hears(b"end")
            taken = chatter.statuses["ok"] + chatter.statuses["high"]
            assert len(numbers(there, "x")) == taken, f"{taken - len(numbers(there, 'x'))} of {taken} were taken and did not come"


@pytest.mark.parametrize("way", [{"up": True, "down": True}, {"up": False, "down": True}, {"up": True, "down": False}], ids=["both", "down", "up"])
def test_a_network_that_is_cut_without_a_word(rig, way):
    """No end of stream, no reset: sockets look well."""
    rig.engine()
    with Proxy(rig.engines[0].port) as proxy:
        url = rig.engines[0].url().replace(str(rig.engines[0].port), str(proxy.port))
        a, b = rig.gateway(), rig.gateway(rig.line(url))
        publisher, back = rig.client(a), rig.client(b)
        here, there = rig.client(a).subscribe("t").hear_gaps(), rig.client(b).subscribe("t").hear_gaps()
        meet([publisher, back], [here, there], "t")
        proxy.cut(**way)
        eventually("it is noticed", lambda: is_away(b), 15)
        assert readiness(b)[0] == 503 and readiness(a)[0] == 200
        assert back.publish("t", "island") == (OK, 1) and publisher.publish("t", "mainland") == (OK, 1)
        there.hears(b"island")
        proxy.heal()
        up_again(rig, b)
        there.hears_gap(b"t", b"")
        # It had waited.
        here.hears(b"island")
        assert here.texts().count(b"island") == 1 and there.texts().count(b"mainland") <= 1
        meet([publisher, back], [here, there], "t")


@needs_wires
def test_a_wire_that_is_unplugged(rig, wire):
    """Packets of the one gateway go nowhere; the engine says nothing of it to the other one, which has a wire of its own."""
    rig.engine(before=wire.inside, address=wire.far)
    a, b = rig.gateway(), rig.gateway()
    publisher, there = rig.client(a), rig.client(b).subscribe("t").hear_gaps()
    meet([publisher], [there], "t")
    wire.unplug()
    eventually("it is noticed", lambda: is_away(a) and is_away(b), 30)
    assert publisher.publish("t", "waits") == (OK, 0)
    wire.plug_in()
    up_again(rig, a)
    up_again(rig, b)
    there.hears_gap(b"t", b"")
    meet([publisher], [there], "t", keep=True)
    assert there.texts().count(b"waits") <= 1


# ---- passwords

def test_a_wrong_password_and_then_the_right_one(rig):
    engine = rig.engine(user="chat", password="right-word")
    a = rig.prepared(rig.line(engine.url(), user="chat", password_file="secret"))
    secret = a.folder / "secret"
    secret.write_text("wrong-word\n")
    secret.chmod(0o600)
    a.start()
    b = rig.gateway(rig.line(engine.url("chat:right-word")))
    here, there, publisher = rig.client(a).subscribe("t"), rig.client(b).subscribe("t"), rig.client(a)
    eventually("it is refused", lambda: is_away(a) and "not tried" not in engines(a)[0]["text"])
    assert re.search("refused|AUTH|uthoriz", engines(a)[0]["text"]), engines(a)
    assert publisher.publish("t", "served") == (OK, 1)
    here.hears(b"served")
    said = command(a, "check")
    assert said.returncode == 78 and re.search("refused|AUTH|uthoriz", said.stderr) and "gateway.conf:" in said.stderr, said
    assert "word" not in a.log().replace("password", "") + said.stderr.replace("password", "")
    secret.write_text("right-word\n")
    assert command(a, "reload").returncode == 0
    up_again(rig, a)
    meet([publisher, rig.client(b)], [here, there], "t")


# ---- a gateway

def test_a_gateway_that_is_killed(rig):
    rig.engine()
    a, b, c = rig.gateway(), rig.gateway(), rig.gateway()
    publishers = rig.clients_of(a, b, c)
    members = [rig.client(each).subscribe("t") for each in (a, b, c)]
    meet(publishers, members, "t")
    chatters = [Chatter(publishers[0], word="a"), Chatter(publishers[1], word="b")]
    members[0].wait(lambda client: len(client.heard) > 2000, "load")
    c.process.kill()
    c.process.wait()
    rig.gateways.remove(c)
    totals = [each.end() for each in chatters]
    for index, each in enumerate(publishers[:2]):
        each.publish("t", f"end {index}")
    for each in members[:2]:
        each.hears(b"end 0")
        each.hears(b"end 1")
        for word, total in zip("ab", totals):
            once_in_order(each, word, total)
    assert cluster(a)["lost"] == cluster(b)["lost"] == 0
    # Another one in its place, with numbers of its own.
    again = rig.gateway()
    third = rig.client(again)
    meet([third, *publishers[:2]], [rig.client(again).subscribe("t"), *members[:2]], "t")


def test_a_gateway_that_ends_says_what_it_had_to_say(rig):
    rig.engine()
    a, b = rig.gateway(), rig.gateway()
    publisher, there = rig.client(a), rig.client(b).subscribe("t")
    meet([publisher], [there], "t")
    publisher.number("t", "x", 0, 5000)
    a.stop()
    there.wait(lambda client: len(client.heard) >= 5000, "all of it")
    once_in_order(there, "x", 5000)


def test_a_gateway_ends_soon_though_its_engine_stands_still(rig):
    rig.engine()
    a = rig.gateway()
    publisher = rig.client(a)
    rig.engines[0].pause()
    publisher.number("t", "x", 0, 1000, size=1000)
    # Who does not answer a close frame is waited for as well.
    publisher.close()
    begin = time.monotonic()
    a.stop()
    # Two for the engine, the rest for a busy machine.
    assert time.monotonic() - begin < 4
    rig.engines[0].go_on()


# ---- floods

FLOODED = ROUTES + "".join(f"\nroute /flood{number} {{ handler crowd; }}" for number in range(3))


def test_a_flood_does_not_keep_new_topics_from_being_asked_for(rig):
    """Whoever publishes faster than the engine takes is told so, and harms nobody."""
    rig.engine()
    with Proxy(rig.engines[0].port) as proxy:
        url = rig.engines[0].url().replace(str(rig.engines[0].port), str(proxy.port))
        a, b = rig.gateway(rig.line(url, queue="4m"), routes=FLOODED), rig.gateway()
        floods, back, new = [rig.client(a, f"/flood{number}") for number in range(3)], rig.client(b), rig.client(a)
        # Far away, so that the next ones wait before the last ones are taken.
        proxy.latency = 0.02
        for each in floods:
            each.flood("flood", "x" * 2000)
        eventually("it is more than the engine takes", lambda: cluster(a)["lost"] > 10_000)
        begin = time.monotonic()
        new.subscribe("new")
        meet([back], [new], "new", deadline=15)
        seconds = time.monotonic() - begin
        assert engines(a)[0]["up"]
        together(*(each.end_flood for each in floods))
        assert seconds < 10, seconds


def test_a_gateway_under_a_flood_ends_and_is_reloaded(rig):
    rig.engine()
    a = rig.gateway(rig.line(queue="4m"), routes=FLOODED)
    for number in range(3):
        rig.client(a, f"/flood{number}").flood("flood", "x" * 2000)
    eventually("it is more than the engine takes", lambda: cluster(a)["lost"] > 1000)
    for size in ("5m", "4m"):
        text = a.file.read_text()
        a.file.write_text(re.sub(r"queue \w+", f"queue {size}", text))
        assert command(a, "reload").returncode == 0
    threads = a.thread_count()
    rig.is_up(a, 20)
    eventually("the former threads have ended", lambda: a.thread_count() <= threads and "cluster" in a.log(), 20)
    begin = time.monotonic()
    a.stop()
    assert time.monotonic() - begin < 6


def test_a_flood_of_two_gateways_is_bounded_in_the_third(rig):
    rig.engine()
    a, b, c = rig.gateway(rig.line(queue="1m")), rig.gateway(rig.line(queue="1m")), rig.gateway()
    member = rig.client(c).subscribe("flood")
    memory = resident(c)
    floods = rig.clients_of(a, b)
    together(*(lambda each=each: each.flood("flood", "y" * 200) for each in floods))
    member.wait(lambda client: client.bytes > 20 << 20, "20 MiB")
    assert member.round_trip() < 20
    together(*(each.end_flood for each in floods))
    assert resident(c) < memory + 160, (memory, resident(c))
    assert BACKPRESSURE == 1


# ---- rights

RIGHTS = {
    "nats": ["publish: {deny: [\"gw.>\"]}", "subscribe: {deny: [\"gw.>\"]}"],
    "redis": ["resetchannels &other* +@all", "&* +@all -publish", "&* +@all -subscribe"],
}


@pytest.mark.parametrize("index", range(3))
def test_an_engine_that_does_not_let_it(rig, index):
    """What is missing is said in words, and members here are served."""
    rights = RIGHTS[rig.Kind.scheme]
    right = rights[index % len(rights)]
    if rig.Kind.scheme == "nats":
        engine = rig.engine(config="authorization: {users: [{user: chat, password: word, permissions: {%s}}]}\n" % right)
    else:
        engine = rig.engine(user="chat", password="word", rights=right)
    a = rig.gateway(rig.line(engine.url("chat:word")), up=False)
    here, publisher = rig.client(a).subscribe("t"), rig.client(a)
    assert publisher.publish("t", "here") == (OK, 1)
    here.hears(b"here")
    eventually("it is told", lambda: re.search("[Pp]ermission|NOPERM|right|refused", engines(a)[0]["text"] + a.log()))
    assert is_away(a) and readiness(a)[0] == 503
    assert a.log().count("it is tried again") <= 4, a.log()


# ---- seeds

@pytest.mark.engine("nats")
def test_one_of_two_servers_of_one_cluster_dies(rig):
    """Several nats:// URLs are seeds of one engine: whoever was with the one that died goes to the other."""
    alone = ["--cluster_name", "test", "--cluster", "nats://127.0.0.1:-1"]
    one = rig.engine(more=alone)
    route = eventually("it listens for others", lambda: re.search(r"route connections on 127\.0\.0\.1:(\d+)", "\n".join(one.lines)))[1]
    two = rig.engine(more=[*alone, "--routes", f"nats://127.0.0.1:{route}"])
    a, b, c = rig.gateway(rig.line(one.url())), rig.gateway(rig.line(two.url())), rig.gateway(rig.line(one.url(), two.url()))
    publisher, members = rig.client(b), [rig.client(each).subscribe("t").hear_gaps() for each in (a, b, c)]
    meet([publisher], members, "t")
    chatter = Chatter(publisher)
    members[2].wait(lambda client: len(client.heard) > 1000, "load")
    one.kill()
    eventually("it is noticed", lambda: is_away(a))
    up_again(rig, c)
    count = len(members[2].heard)
    members[2].wait(lambda client: len(client.heard) > count + 100, "flow from the other")
    total = chatter.end()
    publisher.publish("t", "end")
    for each in members[1:]:
        each.hears(b"end")
        in_order_once(numbers(each, "x"))
    once_in_order(members[1], "x", total)
    assert len(engines(c)) == 1 and readiness(c)[0] == 200 and readiness(a)[0] == 503
    if len(numbers(members[2], "x")) < total:
        members[2].hears_gap(b"t", b"")

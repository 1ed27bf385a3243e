"""Topics over several gateways with one engine: what is published on one is heard on the others, once, in order, and nowhere else."""
import re
import threading
import time

import pytest

import c_handler
from admin_client import value
from cluster_rig import (DROPPED, GLOBAL, LOCAL, LONG, NO_COMPRESS, OK, ROUTES, cluster, command, engines, meet, once_in_order, resident,
                         status, together)
from gateway_process import eventually
from raw_peer import BINARY, TEXT


def three(rig, **how):
    rig.engine()
    return [rig.gateway(**how) for _ in range(3)]


# ---- once, in order

def test_a_publication_reaches_members_on_all_gateways_once(rig):
    gateways = three(rig)
    publishers, members = rig.clients_of(*gateways), rig.clients_of(*gateways)
    for each in members:
        each.subscribe("t")
    meet(publishers, members, "t")
    for index, publisher in enumerate(publishers):
        assert publisher.publish("t", f"text {index}") == (OK, 1)
        assert publisher.publish("t", b"\0\xff octets", kind=BINARY) == (OK, 1)
        assert publisher.publish("t", f"end {index}") == (OK, 1)
    for each in members:
        for index in range(3):
            each.hears(f"end {index}".encode())
        assert sorted(each.heard) == sorted(
            [(TEXT, f"text {index}".encode()) for index in range(3)] + [(TEXT, f"end {index}".encode()) for index in range(3)]
            + [(BINARY, b"\0\xff octets")] * 3)
    assert [cluster(each)["lost"] + cluster(each)["rejected"] for each in gateways] == [0, 0, 0]


def test_a_member_that_publishes_may_leave_himself_out(rig):
    a, b, _ = three(rig)
    me, mate, there = rig.client(a).subscribe("t"), rig.client(a).subscribe("t"), rig.client(b).subscribe("t")
    meet([me], [me, mate, there], "t")
    assert me.publish("t", "not to me", except_me=True) == (OK, 1)
    assert me.publish("t", "end") == (OK, 2)
    assert [each.hears(b"end") for each in (me, mate, there)] == [[], [b"not to me"], [b"not to me"]]


def test_nobody_here_is_no_reason_not_to_publish(rig):
    a, b, _ = three(rig)
    publisher, there = rig.client(a), rig.client(b).subscribe("t")
    meet([publisher], [there], "t")
    assert publisher.publish("t", "over") == (OK, 0)
    there.hears(b"over")
    there.unsubscribe("t")
    there.subscribe("t")
    publisher.publish("t", "in its linger")
    there.hears(b"in its linger")


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 1 << 20, (1 << 20) + 1, 5_000_001, 40 << 20])
def test_sizes(rig, size):
    """NATS takes 1 MiB at most: larger ones go in parts."""
    rig.engine()
    # On a busy machine a probe is late that waits behind 40 MiB, and an engine whose probes are late is left.
    a, b = [rig.gateway(rig.line(probe="5s")) for _ in range(2)]
    publisher, here, there = rig.client(a), rig.client(a).subscribe("t"), rig.client(b).subscribe("t")
    meet([publisher], [here, there], "t")
    for kind, piece in ((BINARY, bytes(range(256))), (TEXT, b"abcdefghijklmnop")):
        payload = (piece * (size // len(piece) + 1))[:size]
        for number in range(2):
            assert publisher.publish("t", payload, kind=kind)[1] == 1
            # No worker is to have 64 MiB of them before it.
            for each in (here, there):
                each.wait(lambda client, number=number: len(client.heard) > number, "one after the other")
        publisher.publish("t", "end")
        for each in (here, there):
            each.wait(lambda client: (TEXT, b"end") in client.heard, "the end")
            assert [opcode for opcode, _ in each.heard] == [kind, kind, TEXT]
            assert all(heard == payload for heard in each.texts()[:2])
        here.clear()
        there.clear()


def test_more_than_a_gateway_puts_together_is_told(rig):
    """Heard, or a gap: never nothing."""
    a, b, _ = three(rig)
    publisher, there = rig.client(a), rig.client(b).subscribe("t").hear_gaps()
    meet([publisher], [there], "t")
    publisher.publish("t", bytes(70 << 20), kind=BINARY)
    there.wait(lambda client: client.gaps or client.heard, "the publication or a gap", 20)


def test_many_small_ones_between_large_ones(rig):
    a, b, c = three(rig)
    publishers = rig.clients_of(a, b)
    there = rig.client(c).subscribe("t")
    meet(publishers, [there], "t")

    def speak(publisher, word):
        for number in range(6):
            publisher.number("t", word, number * 100, 100)
            publisher.publish("t", word.encode() * (2 << 20), kind=BINARY)
        publisher.publish("t", f"end {word}")

    together(*(lambda pair=pair: speak(*pair) for pair in zip(publishers, "ab")))
    for word in "ab":
        there.hears(f"end {word}".encode())
        once_in_order(there, word, 600)
    assert sum(opcode == BINARY for opcode, _ in there.heard) == 12


def test_compression(rig):
    """A route compresses what comes from elsewhere as what comes from here."""
    routes = "route /crowd { handler crowd; compression on { threshold 64; } }"
    a, b, _ = three(rig, routes=routes)
    offer = {"headers": {"Sec-WebSocket-Extensions": "permessage-deflate; server_no_context_takeover; client_no_context_takeover"}}
    here, there = rig.client(a, **offer).subscribe("t"), rig.client(b, **offer).subscribe("t")
    plain, publisher = rig.client(b).subscribe("t"), rig.client(a)
    # Marks are shorter than the threshold.
    meet([publisher], [plain, here, there], "t")
    publisher.publish("t", "z" * 5000, NO_COMPRESS)
    plain.hears(b"z" * 5000)
    for each in (here, there):
        each.wait(lambda client: len(client.heard) == 1, "as it is")
        assert (each.compressed, each.texts()) == (0, [b"z" * 5000])
    publisher.publish("t", "z" * 5000)
    for each in (here, there):
        each.wait(lambda client: len(client.heard) == 2, "compressed")
        assert each.compressed == 1 and len(each.texts()[1]) < 100


# ---- who meets whom

NAMES = ["a b", " ", "a.b", "a.*", "a.>", ">", "*", "gateway", "a\0b", "\0", "\x01", "\r\n", "\tQUIT\r\n", "%2E", "%", "$SYS.>", "_INBOX.a",
         "\u00e9\u4e2d\U0001f600", "\u0080\u07ff\u0800\uffff\U0010ffff", "\"'\\{}", "x" * 255, "\u00e9" * 127, "".join(map(chr, range(128)))]


def test_names_of_all_octets(rig):
    a, b, _ = three(rig)
    publisher, there = rig.client(a), rig.client(b)
    meet([publisher], [there.subscribe("fence")], "fence")
    for name in NAMES:
        there.subscribe(name)
        meet([publisher], [there], name)
    for name in NAMES:
        publisher.publish(name, b"to " + name.encode())
    publisher.publish("fence", "end")
    assert there.hears(b"end") == [b"to " + name.encode() for name in NAMES]
    # Each octet of UTF-8, alone in the middle of a name.
    singles = [f"a{chr(number)}b" for number in [*range(256), 0x7FF, 0xFFFD]]
    others = rig.clients_of(b, b)
    for index, name in enumerate(singles):
        others[index % 2].subscribe(name)
    for name, each in zip(singles[-2:], others):
        meet([publisher], [others[singles.index(name) % 2]], name)
    for name in singles:
        publisher.publish(name, name)
    for index, each in enumerate(others):
        wanted = [name.encode() for name in singles[index::2]]
        each.wait(lambda client, wanted=wanted: len(client.heard) >= len(wanted), "all names")
        assert each.texts() == wanted


def test_no_name_is_a_pattern(rig):
    a, b, _ = three(rig)
    publisher, there = rig.client(a), rig.client(b)
    for name in (">", "*", "a.*", "a.>", "[a]", "?", "fence"):
        there.subscribe(name)
    meet([publisher], [there], "fence")
    for name in ("a", "a.b", "a.b.c", "x", "a.", "A.*"):
        assert publisher.publish(name, name) == (OK, 0)
    publisher.publish("fence", "end")
    assert there.hears(b"end") == []


ROUTED = """
route /one { handler crowd; }
route /two { handler crowd; }
route /kept { handler crowd; topics local; }
host example.com { route /one { handler crowd; } }
host *.example.com { route /one { handler crowd; } }
"""


def test_routes_do_not_meet_but_for_global_topics(rig):
    a, b, _ = three(rig, routes=ROUTED)
    paths = {"/one": {}, "/two": {}, "/kept": {}, "com": {"headers": {"Host": "example.com"}}, "any": {"headers": {"Host": "a.example.com"}}}
    of = {name: name if name.startswith("/") else "/one" for name in paths}
    publishers = {name: rig.client(a, of[name], **how) for name, how in paths.items()}
    members = {name: rig.client(b, of[name], **how).subscribe("t").subscribe("t", GLOBAL) for name, how in paths.items()}
    # A topic of the gateway is that of all routes, also of one whose own topics end here.
    meet(publishers.values(), members.values(), "t", GLOBAL)
    for name in ("/one", "/two", "com", "any"):
        meet([publishers[name]], [members[name]], "t")
    for each in members.values():
        each.clear()
    for name, publisher in publishers.items():
        assert publisher.publish("t", name) == (OK, 0)
        publisher.publish("t", f"end of {name}", GLOBAL)
    for name, member in members.items():
        for other in paths:
            member.hears(f"end of {other}".encode())
        assert [text.decode() for text in member.texts() if not text.startswith(b"end of ")] == ([] if name == "/kept" else [name])
    # Here they meet.
    here = rig.client(a, "/kept").subscribe("t")
    assert publishers["/kept"].publish("t", "at home") == (OK, 1)
    here.hears(b"at home")


def test_one_publication_may_stay_here(rig):
    a, b, _ = three(rig)
    publisher, here, there = rig.client(a), rig.client(a), rig.client(b)
    for flags in (0, GLOBAL):
        for each in (here, there):
            each.clear()
            each.subscribe("t", flags)
        meet([publisher], [here, there], "t", flags)
        assert publisher.publish("t", "here", flags | LOCAL) == (OK, 1)
        assert publisher.publish("t", "all", flags) == (OK, 1)
        assert (here.hears(b"all"), there.hears(b"all")) == ([b"here"], [])
    # For subscribe it has no meaning.
    there.subscribe("u", LOCAL)
    meet([publisher], [there], "u")


def test_another_prefix_is_another_world(rig):
    rig.engine()
    a, b, c = [rig.gateway(rig.line(prefix=prefix)) for prefix in ("one", "two", "one")]
    publisher, there, witness = rig.client(a), rig.client(b).subscribe("t"), rig.client(c).subscribe("t")
    meet([publisher], [witness], "t")
    meet([rig.client(b)], [there], "t")
    publisher.publish("t", "x")
    witness.hears(b"x")
    mate = rig.client(b)
    mate.publish("t", "y")
    there.hears(b"y")
    assert there.texts() == [b"y"] and witness.texts() == [b"x"]
    assert value(b, "gateway_cluster_messages_total", direction="received") == 0


def test_a_prefix_may_begin_another(rig):
    rig.engine()
    a, b = rig.gateway(rig.line(prefix="one")), rig.gateway(rig.line(prefix="on"))
    publisher, here, there = rig.client(a), rig.client(a).subscribe("t"), rig.client(b)
    for name in ("t", "et", "e"):
        there.subscribe(name)
    meet([rig.client(b)], [there], "t")
    publisher.publish("t", "x")
    here.hears(b"x")
    assert there.texts() == [] and cluster(b)["rejected"] == 0


@pytest.mark.engine("redis")
def test_a_database_is_a_world_of_its_own(rig):
    engine = rig.engine()
    a, b = rig.gateway(rig.line(engine.url(path="/3"))), rig.gateway(rig.line(engine.url(path="/4")))
    c = rig.gateway(rig.line(f'"{engine.unix("?db=3")}"'))
    publisher, there, witness = rig.client(a), rig.client(b).subscribe("t"), rig.client(c).subscribe("t")
    meet([publisher], [witness], "t")
    publisher.publish("t", "x")
    witness.hears(b"x")
    mate = rig.client(b)
    mate.publish("t", "y")
    there.hears(b"y")
    assert there.texts() == [b"y"]


def test_names_of_great_length(rig):
    """Prefix, host, route and topic have 1,022 bytes together: whoever publishes to a longer one is told, and so is who
    reads the configuration."""
    rig.engine()
    host = ".".join(["h" * 60] * 3)
    route = "/" + "/".join(["r" * 100] * 5)
    how = {"routes": f"host {host} {{ route {route} {{ handler crowd; }} }}"}
    a, b = [rig.gateway(rig.line(prefix="p" * 255), **how) for _ in range(2)]
    of = {"path": route, "headers": {"Host": host}}
    publisher, here, there = rig.client(a, **of), rig.client(a, **of), rig.client(b, **of)
    room = 1022 - 255 - len(host) - len(route)
    longest, longer = "t" * room, "t" * (room + 1)
    here.subscribe(longer)
    there.subscribe(longer).subscribe(longest)
    meet([publisher], [there], longest)
    assert publisher.publish(longer, "x") == (DROPPED, 1)
    here.hears(b"x")
    assert cluster(a)["lost"] == 1
    publisher.publish(longest, "end")
    assert there.hears(b"end") == []
    said = command(a, "check")
    assert said.returncode == 0 and re.search(rf"warning: topics of this route with names of more than {room} bytes", said.stderr), said


# ---- while handlers are reloaded

def test_a_hundred_thousand_while_the_handler_is_reloaded(rig):
    gateways = three(rig)
    publishers, members = rig.clients_of(*gateways[:2]), [each.subscribe("t") for each in rig.clients_of(*gateways)]
    meet(publishers, members, "t")
    begin, most = time.monotonic(), 50_000

    def speak(publisher, word):
        for first in range(0, most, 250):
            # More than half of the queue may wait, but not more than all of it.
            said = publisher.number("t", word, first, 250)
            assert said["dropped"] == said["other"] == 0, said
        publisher.publish("t", f"end {word}")

    def reload():
        for number in range(3):
            members[0].wait(lambda client, number=number: len(client.heard) > 20_000 * (number + 1), "the next reload")
            for each in gateways:
                c_handler.build(each, "crowd", f'GENERATION="{number + 2}"')
            for each in gateways:
                done = command(each, "reload", "crowd")
                assert done.returncode == 0, done

    together(lambda: speak(publishers[0], "a"), lambda: speak(publishers[1], "b"), reload)
    for each in members:
        for word in "ab":
            last = (TEXT, f"end {word}".encode())
            each.wait(lambda client, last=last: last in client.heard[-3000:] or last in client.heard, last)
            once_in_order(each, word, most)
        assert len(each.heard) == 2 * most + 2
    print(f"\n{rig.Kind.scheme}: {3 * 2 * most} deliveries in {time.monotonic() - begin:.1f} s")
    assert [cluster(each)["lost"] for each in gateways] == [0, 0, 0]
    found = status(gateways[0])["handlers"][0]["generations"]
    assert max(each["generation"] for each in found) == 4, found


# ---- interest

def received(running):
    return value(running, "gateway_cluster_messages_total", direction="received")


def test_a_gateway_without_members_is_not_bothered(rig):
    a, b, c = three(rig)
    publisher, there = rig.client(a), rig.client(b).subscribe("t")
    meet([publisher], [there], "t")
    assert publisher.number("t", "x", 0, 1000)["ok"] == 1000
    publisher.publish("t", "end")
    there.hears(b"end")
    assert received(c) == received(a) == 0 and received(b) >= 1001
    assert value(a, "gateway_cluster_messages_total", direction="sent") >= 1001
    assert [engines(each)[0]["topics"] for each in (a, b, c)] == [0, 1, 0]


def test_interest_lingers_and_ends(rig):
    a, b, _ = three(rig)
    publisher, there, mate = rig.client(a), rig.client(b).subscribe("t"), rig.client(b).subscribe("u")
    meet([publisher], [there], "t")
    meet([publisher], [mate], "u")
    left = time.monotonic()
    there.unsubscribe("t")
    before = received(b)
    publisher.publish("t", "nobody is there")
    publisher.publish("u", "fence")
    mate.hears(b"fence")
    assert received(b) == before + 2 and engines(b)[0]["topics"] == 2
    eventually("it ends", lambda: engines(b)[0]["topics"] == 1)
    assert 4 < time.monotonic() - left < 12
    before = received(b)
    publisher.publish("t", "nobody is there")
    publisher.publish("u", "second fence")
    mate.hears(b"second fence")
    assert received(b) == before + 1
    # The end of the connection is the end of its topics.
    mate.close()
    eventually("it ends", lambda: engines(b)[0]["topics"] == 0)


def test_a_member_that_comes_back_in_time_misses_nothing(rig):
    a, b, _ = three(rig)
    publisher, there, mate = rig.client(a), rig.client(b).subscribe("t").hear_gaps(), rig.client(b).subscribe("u")
    meet([publisher], [there], "t")
    meet([publisher], [mate], "u")
    for number in range(20):
        there.unsubscribe("t")
        publisher.publish("t", f"away {number}")
        publisher.publish("u", f"fence {number}")
        mate.hears(f"fence {number}".encode())
        there.subscribe("t")
        publisher.publish("t", f"back {number}")
        there.hears(f"back {number}".encode())
    assert there.texts() == [f"back {number}".encode() for number in range(20)]
    assert there.gaps == [] and cluster(b)["lost"] == 0


def test_fifty_thousand_topics(rig):
    """A connection has 256 topics at most."""
    a, b, _ = three(rig)
    publisher, many = rig.client(a), 50_000
    members = [rig.client(b) for _ in range((many + 249) // 250)]
    begin, memory = time.monotonic(), resident(b)
    for index, each in enumerate(members):
        with each.changed:
            each.awaited = None
        for number in range(index * 250, min(many, (index + 1) * 250)):
            name = f"room {number}".encode()
            each.send("S", 0, len(name), body=name)
    for each in members:
        each.wait(lambda client: len(client.heard) == 250, "250 topics")
        assert set(each.texts()) == {b"S 0"}
        each.clear()
    eventually("all are asked for", lambda: engines(b)[0]["topics"] == many, LONG)
    meet([publisher], [members[-1]], f"room {many - 1}")
    print(f"\n{rig.Kind.scheme}: {many} topics in {time.monotonic() - begin:.1f} s, {resident(b) - memory:.0f} MiB more")
    assert resident(b) < memory + 160
    for number in range(0, many, 997):
        publisher.publish(f"room {number}", f"to {number}")
    for number in range(0, many, 997):
        members[number // 250].hears(f"to {number}".encode())
    # All of them again, after the engine has been away.
    rig.engines[0].kill()
    eventually("it is noticed", lambda: not engines(b)[0]["up"])
    rig.engines[0].start()
    again = time.monotonic()
    for each in (a, b):
        rig.is_up(each)
    meet([publisher], [members[-1]], f"room {many - 1}")
    print(f"{rig.Kind.scheme}: asked for again in {time.monotonic() - again:.1f} s")
    for each in members:
        each.close()
    eventually("nothing is asked for", lambda: engines(b)[0]["topics"] == 0, LONG)
    assert publisher.publish("room 0", "x") == (OK, 0)


def test_members_come_and_go_while_others_publish(rig):
    """Whoever is subscribed all the time misses nothing for those who are not."""
    a, b, c = three(rig)
    publisher, steady = rig.client(a), rig.client(b).subscribe("t")
    restless = [rig.client(b), rig.client(c), rig.client(a)]
    meet([publisher], [steady], "t")
    goes = threading.Event()

    def fidget(client):
        while not goes.is_set():
            client.subscribe("t")
            client.subscribe(f"own {id(client)}")
            client.unsubscribe("t")
            client.unsubscribe(f"own {id(client)}")

    def speak():
        for first in range(0, 20_000, 100):
            publisher.number("t", "x", first, 100)
        goes.set()

    together(speak, *(lambda each=each: fidget(each) for each in restless))
    publisher.publish("t", "end")
    steady.hears(b"end")
    once_in_order(steady, "x", 20_000)
    for each in restless:
        heard = [int(text.split()[1]) for text in each.texts() if text.startswith(b"x ")]
        assert heard == sorted(set(heard))


def test_explain_says_whether_topics_are_shared(rig):
    rig.engine()
    a = rig.gateway(routes=ROUTES + "\nroute /kept { handler crowd; topics local; }")
    assert "topics local" in command(a, "-T").stdout or "topics local" in command(a, "explain", "/kept").stdout


@pytest.mark.engine("nats")
def test_an_engine_that_takes_little(rig):
    rig.engine(config="max_payload: 1500\n")
    a, b = rig.gateway(), rig.gateway()
    publisher, there = rig.client(a), rig.client(b).subscribe("t")
    meet([publisher], [there], "t")
    payload = bytes(range(256)) * 2000
    for size in (1459, 1460, 1461, 2920, 2921, len(payload)):
        publisher.publish("t", payload[:size], kind=BINARY)
        there.wait(lambda client: client.heard, f"{size} octets")
        assert there.heard == [(BINARY, payload[:size])]
        there.clear()

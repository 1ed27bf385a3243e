"""What gw_backplane.h promises, for every kind of engine while it is well."""
import ctypes
import subprocess
import threading
import time
from pathlib import Path

import pytest

from backplane import BATCH_MAX, E_TOO_LARGE, NAME_MAX, OK, VERSION, Link, Refused, alone, load
from gateway_process import DEADLINE

ORDER = 50_000
MANY = 50_000


def test_one_symbol(module):
    said = subprocess.run(["nm", "-D", "--defined-only", module], capture_output=True, text=True, check=True).stdout
    # Some linkers show where the data lies: _end and the like.
    assert [line.split()[-1] for line in said.splitlines() if line.split()[1] in "TWi"] == ["gw_backplane_entry_v1"]


def test_table(Kind, module):
    entry = load(module)
    table = entry(VERSION).contents
    assert table.struct_size == ctypes.sizeof(table) and table.abi_version >> 16 == 1
    assert table.name and table.version and Kind.scheme in table.schemes.decode().split(" ")
    assert not entry(0) and not entry(2 << 16)
    assert entry(VERSION + 1), "a newer minor version of the gateway"


def test_what_it_found(link, engine):
    assert f"127.0.0.1:{engine.port}" in link.text and link.text.isprintable()
    assert link.max_data == 0 or link.max_data >= 1 << 16


def test_names_of_every_octet(link):
    names = [bytes([octet]) for octet in range(256)]
    names += [b"a" * NAME_MAX, bytes([0]) * NAME_MAX, bytes([255]) * NAME_MAX, b"%" * NAME_MAX, bytes(range(256)) * 4]
    names += [b"a.b", b"a b", b"a*", b">", b"a%2Eb", b"%", b"%41", b"\r\n", b"$SYS.x", b"gw.a", "topic/ü".encode()]
    names = list(dict.fromkeys(names))
    assert link.subscribe(*names) == OK
    link.published(*[(name, b"for " + name) for name in names])
    assert link.hears(len(names)) == [(name, b"for " + name) for name in names]


def test_names_are_compared_exactly(link):
    assert link.subscribe(b"Name") == OK
    link.published(*[(name, b"no") for name in (b"name", b"Name.", b"Nam", b"Name\0", b"*", b">", b"N*", b"%4Eame")])
    link.published((b"Name", b"yes"))
    assert link.hears(1) == [(b"Name", b"yes")]


def test_sizes(link):
    limit = link.max_data or 1 << 20
    assert link.subscribe(b"sized") == OK
    for size in sorted({0, 1, 2, 1023, 1 << 16, min(limit, 1 << 20), limit}):
        data = (b"%d " % size * size)[:size]
        link.published((b"sized", data))
        assert link.hears(1) == [(b"sized", data)], size
        link.heard.clear()
        link.count = 0


def test_too_large(link):
    if not link.max_data:
        pytest.skip("this engine has no limit")
    large = (b"sized", bytes(link.max_data + 1))
    assert link.subscribe(b"sized") == OK
    assert link.publish(large) == (E_TOO_LARGE, 0)
    assert link.publish((b"sized", b"1"), (b"sized", b"2"), large, (b"sized", b"3")) == (E_TOO_LARGE, 2)
    link.published((b"sized", b"4"))
    assert link.hears(3) == [(b"sized", b"1"), (b"sized", b"2"), (b"sized", b"4")]
    assert not link.losses


def test_data_is_any_octets(link):
    assert link.subscribe(b"any") == OK
    data = [bytes([octet]) * 3 for octet in range(256)] + [b"\r\n", b"$3\r\n", b"*1\r\n", b"PING\r\n", b"MSG a 1 1\r\n"]
    link.published(*[(b"any", each) for each in data])
    assert [each for _, each in link.hears(len(data))] == data


def test_batches_come_back_whole_and_in_order(link):
    names = [b"n%d" % at for at in range(7)]
    assert link.subscribe(*names) == OK
    pairs = [(names[at % 7], b"%d" % at) for at in range(BATCH_MAX)]
    link.published(*pairs)
    assert link.hears(BATCH_MAX) == pairs


def test_nobody_hears_what_he_has_not_subscribed_to(link, engine, make_link):
    other = make_link(engine.url()).connected()
    assert other.subscribe(b"b") == OK
    other.probe()
    link.published((b"a", b"1"), (b"b", b"2"), (b"a", b"3"))
    assert other.hears(1) == [(b"b", b"2")] and link.count == 0


def test_order_of_two_links(engine, make_link):
    """100,000 publications: what one link has published is heard in its order, by everybody (R6, R7)."""
    links = [make_link(engine.url()).connected() for _ in range(2)]
    for each in links:
        assert each.subscribe(b"first", b"second") == OK
        each.probe()
    begin = time.monotonic()

    def publish(link, name):
        link.published(*[(name, b"%d" % number) for number in range(ORDER)])

    threads = [threading.Thread(target=publish, args=pair) for pair in zip(links, (b"first", b"second"))]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    for each in links:
        heard = each.hears(2 * ORDER, deadline=120)
        for name in (b"first", b"second"):
            assert [int(data) for where, data in heard if where == name] == list(range(ORDER))
    print(f"{2 * ORDER} publications of two links, heard by both, in {time.monotonic() - begin:.2f} s")


def test_subscriptions_are_in_force_behind_a_probe(engine, make_link, link):
    """R8, with 10,000 names and a publisher that knows nothing of the subscriber."""
    other = make_link(engine.url()).connected()
    names = [b"r8 %d" % at for at in range(10_000)]
    assert other.subscribe(*names) == OK
    other.probe()
    link.published(*[(name, b"here") for name in names])
    assert other.hears(len(names)) == [(name, b"here") for name in names]


def test_own_publications_follow_own_subscriptions(link):
    """Behind subscribe() of the same link a publish() is heard at once, hundreds of times in a row."""
    for number in range(300):
        assert link.subscribe(b"own %d" % number) == OK
        link.published((b"own %d" % number, b"x"))
    assert len(link.hears(300)) == 300


def test_unsubscribe(engine, make_link, link):
    other = make_link(engine.url()).connected()
    names = [b"u%d" % at for at in range(1000)]
    for each in (link, other):
        assert each.subscribe(*names) == OK
        each.probe()
    assert link.unsubscribe(*names[::2]) == OK
    link.probe()
    other.published(*[(name, b"x") for name in names])
    assert other.hears(1000) == [(name, b"x") for name in names]
    assert link.hears(500) == [(name, b"x") for name in names[1::2]]
    # Once more subscribed to, it is heard again.
    assert link.subscribe(*names[::2]) == OK
    link.published((names[0], b"again"))
    assert link.hears(501)[-1] == (names[0], b"again")


def test_the_same_name_twice(engine, make_link):
    links = [make_link(engine.url()).connected() for _ in range(3)]
    for each in links:
        assert each.subscribe(b"same") == OK
        each.probe()
    for number, each in enumerate(links):
        each.published((b"same", b"%d" % number))
    for each in links:
        assert each.hears(3) == [(b"same", b"%d" % number) for number in range(3)]


def test_nothing_to_do(link):
    assert link.table.subscribe(link.me, None, 0) == OK
    assert link.table.unsubscribe(link.me, None, 0) == OK
    taken = ctypes.c_size_t(9)
    assert link.table.publish(link.me, None, 0, taken) == OK and taken.value == 0


def test_connect_again_and_again(engine, make_link):
    link = make_link(engine.url())
    for number in range(20):
        link.connected()
        assert link.subscribe(b"again") == OK
        link.published((b"again", b"%d" % number))
        link.hears(number + 1)
        link.disconnect()
    assert [int(data) for _, data in link.heard] == list(range(20)) and not link.losses


def test_disconnect_under_load(engine, make_link):
    """R4: nothing is called behind disconnect(); Link notes what would be."""
    loud, link = make_link(engine.url(), keep=False).connected(), make_link(engine.url(), keep=False)
    over = threading.Event()

    def shout():
        while not over.is_set():
            loud.published(*[(b"load", bytes(100))] * 100)

    shouting = threading.Thread(target=shout)
    shouting.start()
    try:
        for _ in range(10):
            before = link.count
            link.connected()
            assert link.subscribe(b"load") == OK
            link.wait(lambda each: each.count > before + 1000, "load")
            link.disconnect()
    finally:
        over.set()
        shouting.join()
    assert not link.wrong and not link.losses


MANY_SUBSCRIPTIONS = """
import time
from pathlib import Path
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
names = [b"gateway:0123456789abcdef:topic/%d" % at for at in range(count)]
with Link(module, url) as link:
    link.connected().probe()
    before, begin = resident(), time.monotonic()
    assert link.subscribe(*names) == OK
    link.probe()
    print(time.monotonic() - begin, (resident() - before) / count)
    link.published((names[0], b"first"), (names[-1], b"last"))
    assert link.hears(2) == [(names[0], b"first"), (names[-1], b"last")]
    begin = time.monotonic()
    assert link.unsubscribe(*names) == OK
    link.probe()
    print(time.monotonic() - begin)
"""


def test_many_subscriptions(engine, module):
    """In a process of its own, whose memory is not what earlier tests have left."""
    taken, each, back = map(float, alone(MANY_SUBSCRIPTIONS, module=module, url=engine.url(), count=MANY).split())
    print(f"{MANY} subscriptions in {taken:.2f} s, {each:.0f} octets each; unsubscribed in {back:.2f} s")
    # On a machine with all hands full as well.
    assert taken < 20 and back < 20 and each < 1500


def test_disconnect_waits_for_a_delivery(engine, make_link):
    """R4 where it is hard: somebody is being called just now."""
    link = make_link(engine.url()).connected()
    inside, on = threading.Event(), threading.Event()
    order = []

    def hold():
        inside.set()
        on.wait(DEADLINE)
        order.append("delivered")

    def leave():
        link.disconnect()
        order.append("disconnected")

    assert link.subscribe(b"held") == OK
    link.probe()
    link.hook = hold
    link.published((b"held", b"x"))
    assert inside.wait(DEADLINE)
    leaving = threading.Thread(target=leave)
    leaving.start()
    # It has nothing else to wait for, and would be gone by then.
    leaving.join(0.3)
    on.set()
    leaving.join(DEADLINE)
    assert order == ["delivered", "disconnected"]


LEFT = """
from gateway_process import eventually
def own():
    return [len(list(Path("/proc/self").joinpath(what).iterdir())) for what in ("fd", "task")]
load(module)
before = own()
for _ in range(5):
    with Link(module, url) as link:
        link.connected()
        assert link.subscribe(*[b"left %d" % at for at in range(100)]) == OK
        link.published(*[(b"left 1", bytes(1000))] * 100)
        link.hears(100)
    eventually(f"as many descriptors and threads as before, {before}", lambda: own() == before)
try:
    Link(module, url + "://")
except Refused:
    assert own() == before
print(before)
"""


def test_nothing_is_left(engine, module):
    """Neither descriptors nor threads, from the very first link on."""
    assert alone(LEFT, module=module, url=engine.url())


def test_threads_take_no_signals(link):
    me, blocked = threading.get_native_id(), []
    for task in Path("/proc/self/task").iterdir():
        mask = next(line for line in (task / "status").read_text().splitlines() if line.startswith("SigBlk"))
        if int(task.name) != me:
            blocked.append(int(mask.split()[1], 16) & 0x4000 != 0)
    # Those of Python, if it has any, block none. SIGTERM is 15.
    assert blocked.count(True) >= 1 and blocked.count(False) <= threading.active_count() - 1


BAD = ["", "nonsense", "://", "nats", "{scheme}", "{scheme}:", "{scheme}://", "{scheme}://:", "{scheme}://h:0", "{scheme}://h:65536",
       "{scheme}://h:port", "{scheme}://h:", "{scheme}://[::1", "{scheme}://[::1]x", "{scheme}://h%zz", "{scheme}://h%0d", "{scheme}://u%@h",
       "{scheme}://u:geheim%00@h", "{scheme}://h/x/y", "{scheme}://h?x=y", "http://h", "{scheme}x://h", "{scheme}://" + "h" * 5000]


@pytest.mark.parametrize("url", BAD, ids=[each[:20] for each in BAD])
def test_bad_urls(Kind, module, url):
    with pytest.raises(Refused) as refusal:
        Link(module, url.replace("{scheme}", Kind.scheme), password=b"also geheim")
    text = str(refusal.value)
    assert 10 < len(text) < 300 and text.isprintable() and not text.endswith(".") and "geheim" not in text, text


def test_bad_configurations(Kind, module):
    for how in ({"user": b"a\0b"}, {"password": b"a\0b"}):
        with pytest.raises(Refused, match="zero"):
            Link(module, f"{Kind.scheme}://h", **how)
    with pytest.raises(Refused):
        Link(module, [])
    with pytest.raises(Refused):
        Link(module, [f"{Kind.scheme}://h", "nonsense"])

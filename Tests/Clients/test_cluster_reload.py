"""The `cluster` line changes while clients are there: nobody is touched, and publications meet accordingly."""
import re
import shutil
import socket
import subprocess

import pytest

from cluster_rig import BINARY, GLOBAL, LONG, OK, ROUTES, change, cluster, command, engines, meet, once_in_order, resident, status
from gateway_process import eventually


def connections(running):
    return sum(each["connections"] for each in status(running)["routes"])


def reloaded(running, old, new, code=0):
    said = change(running, old, new)
    assert said.returncode == code, said
    return said.stdout + said.stderr


def apart(publisher, members, witness, topic="t"):
    """A publication reaches the witness, and none of the members."""
    for each in members:
        each.clear()
    publisher.publish(topic, "alone")
    witness.hears(b"alone")


def test_off_on_off(rig):
    rig.engine()
    a, b = rig.gateway(), rig.gateway("cluster off;", up=False)
    publisher, here, there = rig.client(a), rig.client(a).subscribe("t"), rig.client(b).subscribe("t")
    back = rig.client(b)
    assert engines(b) == [] and back.publish("t", "b alone") == (OK, 1)
    there.hears(b"b alone")
    said = reloaded(b, "cluster off;", rig.line())
    assert "cluster" in said
    rig.is_up(b)
    meet([publisher, back], [here, there], "t")
    for index in range(3):
        assert publisher.publish("t", f"on {index}") == (OK, 1)
    there.hears(b"on 2")
    reloaded(b, rig.line(), "cluster off;")
    assert engines(b) == []
    back.publish("t", "off again")
    there.hears(b"off again")
    publisher.publish("t", "for a")
    here.hears(b"for a")
    reloaded(b, "cluster off;", rig.line())
    rig.is_up(b)
    meet([publisher, back], [here, there], "t", keep=True)
    assert b"off again" not in here.texts() and b"for a" not in there.texts()
    assert there.publish("t", "x") == (OK, 1) and here.round_trip() < 20


@pytest.mark.parametrize("inner", [("queue", "32m", "16m"), ("probe", "500ms", "400ms"), ("name", "one", "two")])
def test_a_publisher_whose_line_changed_is_heard_as_before(rig, inner):
    """Its numbers must not look as if they had come already."""
    word, before, after = inner
    rig.engine()
    a, b = rig.gateway(rig.line(**{word: before})), rig.gateway()
    publisher, member = rig.client(a), rig.client(b).subscribe("t")
    meet([publisher], [member], "t")
    publisher.number("t", "x", 0, 500)
    publisher.publish("t", "end")
    member.hears(b"end")
    reloaded(a, f"{word} {before}", f"{word} {after}")
    rig.is_up(a)
    publisher.number("t", "y", 0, 100)
    publisher.publish("t", "end of y")
    member.hears(b"end of y", 20)
    once_in_order(member, "y", 100)


@pytest.mark.parametrize("inner", ["queue 32m;", "probe 4s;", "name two;", "prefix two;", "user two;", "password_file secret;"])
def test_a_reload_says_what_changed(rig, inner):
    rig.engine()
    a = rig.gateway(f"cluster {rig.engines[0].url()} {{  }}")
    (a.folder / "secret").write_text("word")
    (a.folder / "secret").chmod(0o600)
    said = reloaded(a, "{  }", f"{{ {inner} }}")
    assert "cluster" in said and "nothing changed" not in said, said


def test_what_waits_is_sent_to_the_next_engine_or_counted(rig):
    """The queue of an engine that is away is not forgotten with its line."""
    first, second = rig.engine(), rig.engine()
    a, b = rig.gateway(), rig.gateway(rig.line(second.url()))
    publisher, member = rig.client(a), rig.client(b).subscribe("t").hear_gaps()
    first.kill()
    eventually("it is away", lambda: not engines(a)[0]["up"], LONG)
    publisher.number("t", "x", 0, 100)
    eventually("they wait", lambda: engines(a)[0]["queued_bytes"] > 0)
    reloaded(a, first.url(), second.url())
    rig.is_up(a)
    publisher.publish("t", "end")
    member.hears(b"end")
    assert len(member.texts()) == 101 or cluster(a)["lost"] >= 100


def test_another_engine(rig):
    first, second = rig.engine(), rig.engine()
    a, b = rig.gateway(rig.line(first.url())), rig.gateway(rig.line(first.url()))
    publisher, here, there = rig.client(a), rig.client(a).subscribe("t"), rig.client(b).subscribe("t")
    meet([publisher], [here, there], "t")
    count = connections(b)
    reloaded(b, first.url(), second.url())
    rig.is_up(b)
    apart(publisher, [there], here)
    reloaded(a, first.url(), second.url())
    rig.is_up(a)
    meet([publisher], [here, there], "t", keep=True)
    assert b"alone" not in there.texts() and b"alone" in here.texts()
    assert connections(b) == count
    first.kill()
    assert publisher.publish("t", "there") == (OK, 1)
    there.hears(b"there")


def test_another_prefix(rig):
    rig.engine()
    a, b = rig.gateway(rig.line(prefix="one")), rig.gateway(rig.line(prefix="one"))
    publisher, here, there = rig.client(a), rig.client(a).subscribe("t"), rig.client(b).subscribe("t")
    meet([publisher], [here, there], "t")
    reloaded(b, "prefix one", "prefix two")
    rig.is_up(b)
    apart(publisher, [there], here)
    reloaded(a, "prefix one", "prefix two")
    rig.is_up(a)
    meet([publisher], [here, there], "t", keep=True)
    assert b"alone" not in there.texts() and b"alone" in here.texts()
    # Back again: the other side knows numbers of the first time.
    for each in (a, b):
        reloaded(each, "prefix two", "prefix one")
        rig.is_up(each)
    meet([publisher], [here, there], "t")
    publisher.number("t", "x", 0, 100)
    publisher.publish("t", "end")
    there.hears(b"end")
    once_in_order(there, "x", 100)


def test_topics_local_comes_and_goes(rig):
    """At once, in both directions."""
    rig.engine()
    a, b = rig.gateway(), rig.gateway()
    publisher, here, there, back = rig.client(a), rig.client(a).subscribe("t"), rig.client(b).subscribe("t"), rig.client(b)
    for each in (here, there):
        each.subscribe("g", GLOBAL)
    meet([publisher, back], [here, there], "t")
    meet([publisher, back], [here, there], "g", GLOBAL)
    said = reloaded(a, "handler crowd;", "handler crowd; topics local;")
    assert "nothing changed" not in said
    publisher.publish("t", "to a alone")
    publisher.publish("g", "fence of a", GLOBAL)
    back.publish("t", "to b alone")
    back.publish("g", "fence of b", GLOBAL)
    for each in (here, there):
        each.hears(b"fence of a")
        each.hears(b"fence of b")
    assert b"to a alone" in here.texts() and b"to b alone" in there.texts()
    assert b"to a alone" not in there.texts(), "a publication of a route whose topics are local has left"
    assert b"to b alone" not in here.texts(), "a publication of elsewhere has come to a route whose topics are local"
    reloaded(a, " topics local;", "")
    meet([publisher, back], [here, there], "t", keep=True)
    assert there.texts().count(b"to a alone") == here.texts().count(b"to b alone") == 0


# ---- refused

SECRET = "s3cret-Gehe1m"


def refusals(rig):
    """What may stand there, and what is said of it."""
    kind, other = ("nats", "redis") if rig.Kind.scheme == "nats" else ("redis", "nats")
    return {
        "an unknown scheme": (f"cluster kafka://user:{SECRET}@127.0.0.1:1;", r"cluster.*(nats://|redis://)"),
        "mixed schemes": (f"cluster {kind}://user:{SECRET}@127.0.0.1:1 {other}://user:{SECRET}@127.0.0.1:2;", "one kind of engine"),
        "TLS of redis": (f"cluster rediss://user:{SECRET}@127.0.0.1:1;", r"cluster"),
        "no URL": ("cluster;", "needs"),
        "no host": (f"cluster {kind}://;", "cluster"),
        "a port that is none": (f"cluster {kind}://user:{SECRET}@127.0.0.1:99999;", "port"),
        "no such file": (f"cluster {kind}://127.0.0.1:1 {{ password_file gone; }}", "gone.*No such file"),
        "a file that others read": (f"cluster {kind}://127.0.0.1:1 {{ password_file open; }}", "open.*chmod 600"),
        "an unknown word": (f"cluster {kind}://u:{SECRET}@127.0.0.1:1 {{ prefx a; }}", "prefx.*prefix"),
        "a queue of nothing": (f"cluster {kind}://u:{SECRET}@127.0.0.1:1 {{ queue 1; }}", "queue"),
        "twice": (f"cluster {kind}://u:{SECRET}@127.0.0.1:1; cluster {kind}://u:{SECRET}@127.0.0.1:2;", "cluster"),
    }


def test_lines_that_are_refused(rig):
    """By `check` with 78 and by `reload` with 75 or 78; the gateway goes on as it was, and no password is told."""
    rig.engine()
    a = rig.gateway()
    client = rig.client(a).subscribe("t")
    (a.folder / "open").write_text(SECRET)
    (a.folder / "open").chmod(0o644)
    good = a.file.read_text()
    faults = []
    for name, (line, said) in refusals(rig).items():
        a.file.write_text(good.replace(rig.line(), line))
        number = 1 + a.file.read_text()[:a.file.read_text().index("cluster ") if "cluster " in line else 0].count("\n")
        for words in (("check",), ("reload",), ("-T",)):
            done = command(a, *words)
            text = done.stdout + done.stderr
            if SECRET in text:
                faults.append(f"{words} tells the password of {name}: {text}")
            if words == ("-T",):
                continue
            if done.returncode != 78 and (words[0], done.returncode) != ("reload", 75):
                faults.append(f"{words} of {name} ends with {done.returncode}: {text}")
            if not re.search(said, text, re.S):
                faults.append(f"{words} of {name} says: {text}")
            if "gateway.conf:" not in text or ("cluster " in line and f"gateway.conf:{number}" not in text):
                faults.append(f"{words} of {name} does not say where (line {number}): {text}")
    a.file.write_text(good)
    faults += [f"the log tells a password: {line}" for line in a.log().splitlines() if SECRET in line]
    assert faults == [], "\n".join(faults)
    assert engines(a)[0]["up"] and client.publish("t", "x") == (OK, 1)


def test_a_module_that_is_missing(rig, tmp_path):
    """The program elsewhere, without the libraries beside it."""
    rig.engine()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    binary = shutil.copy2(BINARY, elsewhere / "gateway")
    for each in BINARY.parent.glob("probe_child"):
        shutil.copy2(each, elsewhere)
    a = rig.prepared()
    library = rig.Kind.module
    said = command(a, "check", binary=binary)
    assert said.returncode == 78 and library in said.stderr and "gateway.conf:" in said.stderr and "lib" in said.stderr, said
    assert re.search("libnats-dev|libhiredis-dev", said.stderr), said
    done = subprocess.run([binary, "-c", a.file], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LONG)
    assert done.returncode == 78 and library in done.stderr and str(elsewhere) in done.stderr, done
    rig.gateways.remove(a)


def test_a_module_that_is_missing_when_the_line_comes(rig, tmp_path):
    rig.engine()
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(BINARY.parent, elsewhere, ignore=lambda folder, names: [
        name for name in names if name not in ("gateway", "probe_child")])
    a = rig.prepared("cluster off;")
    a.starter = [elsewhere / "gateway"]
    a.launch = lambda: launch(a)
    a.start()
    said = change(a, "cluster off;", rig.line())
    assert said.returncode in (75, 78) and rig.Kind.module in said.stdout + said.stderr, said
    # It is put there: the same reload works.
    shutil.copy2(BINARY.parent / rig.Kind.module, elsewhere)
    said = command(a, "reload")
    assert said.returncode == 0, said
    rig.is_up(a)


def launch(running):
    """As Gateway.launch, with the program that `starter` names."""
    import threading
    running.process = subprocess.Popen([*running.starter, "-c", running.file], cwd=running.folder, stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace")
    running._reader = threading.Thread(target=running._read, daemon=True)
    running._reader.start()
    return running


def test_a_password_is_told_nowhere(rig):
    """In the URL or in a file: not by -T, check, status, explain, the log, metrics, nor where it is wrong."""
    from admin_client import get
    engine = rig.engine(user="chat", password=SECRET)
    a = rig.gateway(rig.line(engine.url(f"chat:{SECRET}")))
    b = rig.prepared(rig.line(engine.url("chat"), password_file="secret"))
    (b.folder / "secret").write_text(SECRET + "\n")
    (b.folder / "secret").chmod(0o600)
    b.start()
    rig.is_up(b)
    for running in (a, b):
        told = [command(running, *words) for words in (("-T",), ("check",), ("status",), ("status", "--json"), ("explain", "/crowd"))]
        assert all(each.returncode == 0 for each in told), told
        text = "".join(each.stdout + each.stderr for each in told)
        text += "".join(get(running, path)[2] for path in ("/metrics", "/readyz", "/"))
        assert SECRET not in text + running.log(), [line for line in (text + running.log()).splitlines() if SECRET in line]
    reloaded(a, SECRET, SECRET + "-wrong")
    eventually("it is refused", lambda: not engines(a)[0]["up"] and "not tried" not in engines(a)[0]["text"], LONG)
    text = "".join(command(a, *words).stdout + command(a, *words).stderr for words in (("status",), ("-T",), ("check",)))
    assert SECRET not in text + a.log() + get(a, "/readyz")[2]


# ---- several redis:// URLs

def held(engine):
    """How many channels an engine is asked for, as its own client hears it."""
    with socket.create_connection(("127.0.0.1", engine.port), 20) as peer:
        peer.sendall(b"PUBSUB CHANNELS\r\nQUIT\r\n")
        return int(peer.makefile("rb").readline()[1:])


TOPICS = [f"topic {number}" for number in range(120)]


@pytest.mark.engine("redis")
def test_topics_are_spread_and_a_third_engine_takes_its_share(rig):
    one, two, three = rig.engine(), rig.engine(), rig.engine()
    line = rig.line(one.url(), two.url())
    a, b = rig.gateway(line), rig.gateway(line)
    publisher, there = rig.client(a), rig.client(b)
    for topic in TOPICS:
        there.subscribe(topic)
    eventually("all are asked for", lambda: sum(each["topics"] for each in engines(b)) == len(TOPICS))
    for topic in TOPICS[:3]:
        meet([publisher], [there], topic)
    before = [each["topics"] for each in engines(b)]
    assert min(before) > len(TOPICS) * 0.25, before
    assert all(held(each) > len(TOPICS) * 0.25 for each in (one, two))
    for topic in TOPICS:
        publisher.publish(topic, topic)
    there.wait(lambda client: set(client.texts()) >= {topic.encode() for topic in TOPICS}, "all topics")
    for running in (a, b):
        reloaded(running, two.url(), f"{two.url()} {three.url()}")
        rig.is_up(running)
    after = [each["topics"] for each in engines(b)]
    assert sum(after) == len(TOPICS)
    assert len(TOPICS) * 0.2 < after[2] < len(TOPICS) * 0.47, after
    assert all(0 <= was - now for was, now in zip(before, after)), (before, after)
    eventually("nobody is asked for what moved", lambda: held(one) + held(two) + held(three) <= len(TOPICS) + 12)
    for topic in TOPICS[:12]:
        meet([publisher], [there], topic)
    there.clear()
    lost = cluster(a)["lost"] + cluster(b)["lost"]
    for topic in TOPICS:
        assert publisher.number(topic, topic, 0, 20)["ok"] == 20
    there.wait(lambda client: len(client.heard) >= 20 * len(TOPICS), "all")
    for topic in TOPICS:
        once_in_order(there, topic, 20)
    assert cluster(a)["lost"] + cluster(b)["lost"] == lost
    two.kill()
    eventually("it is named", lambda: [each["up"] for each in engines(a)] == [True, False, True], LONG)


@pytest.mark.engine("redis")
def test_the_same_engines_with_other_passwords_are_the_same(rig):
    """Who a gateway is to an engine has no say in which engine has a topic."""
    how = {"user": "chat", "password": SECRET, "rights": "~* &* +@all"}
    one, two = rig.engine(**how), rig.engine(**how)
    a = rig.gateway(rig.line(one.url(f"chat:{SECRET}"), two.url(f"chat:{SECRET}")))
    b = rig.prepared(rig.line(one.url(), two.url(), user="chat", password_file="secret"))
    (b.folder / "secret").write_text(SECRET + "\n")
    (b.folder / "secret").chmod(0o600)
    rig.is_up(b.start())
    publisher, there = rig.client(a), rig.client(b)
    for topic in TOPICS[:16]:
        there.subscribe(topic)
    for topic in TOPICS[:16]:
        meet([publisher], [there], topic, deadline=20)


@pytest.mark.engine("redis")
def test_the_order_of_engines_in_the_line_is_no_matter(rig):
    one, two = rig.engine(), rig.engine()
    a, b = rig.gateway(rig.line(one.url(), two.url())), rig.gateway(rig.line(two.url(), one.url()))
    publisher, there = rig.client(a), rig.client(b)
    for topic in TOPICS[:16]:
        there.subscribe(topic)
        meet([publisher], [there], topic)


def test_many_reloads_leave_nothing_behind(rig):
    rig.engine()
    a, b = rig.gateway(rig.line(queue="1m")), rig.gateway()
    publisher, there = rig.client(a), rig.client(b).subscribe("t")
    sizes = "1m", "2m"
    for index in range(3):
        reloaded(a, f"queue {sizes[index % 2]}", f"queue {sizes[1 - index % 2]}")
        rig.is_up(a)
    threads, files, memory = a.thread_count(), a.descriptor_count(), resident(a)
    for index in range(3, 23):
        reloaded(a, f"queue {sizes[index % 2]}", f"queue {sizes[1 - index % 2]}")
    rig.is_up(a)
    eventually("threads have ended", lambda: a.thread_count() <= threads and a.descriptor_count() <= files)
    assert resident(a) < memory + 24
    meet([publisher], [there], "t", deadline=20)

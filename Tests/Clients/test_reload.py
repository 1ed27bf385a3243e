"""A handler's file is replaced while clients are connected; SIGHUP makes the gateway look."""
import shutil
import signal
import subprocess
import threading

import pytest

from gateway_process import BINARY, DEADLINE, eventually
from raw_peer import TEXT, RawPeer, accepted, frame
from swarm import Swarm, counter_in_c, counter_in_swift, put
from test_handlers import SHOUT, compile_handler


def replace(running, old, new):
    """Compiles another version of the handler over the one that serves."""
    source = running.folder / "shout.c"
    source.write_text(SHOUT.read_text().replace(old, new))
    compile_handler(running, "shout", source)
    running.signal(signal.SIGHUP)


def said(peer, text=b"a b"):
    peer.send(frame(TEXT, text))
    return peer.read_frame()[2]


@pytest.fixture
def running(make_gateway):
    gateway = make_gateway(main="defaults { close_timeout 200ms; }",
                           routes="route /shout { handler shout; }\nroute /echo { handler echo; }")
    compile_handler(gateway, "shout")
    return gateway.start()


def test_new_connections_get_the_new_code_and_old_ones_stay(running):
    with RawPeer(running, "/shout").opened() as old:
        assert said(old) == b"A B"
        replace(running, "c - 'a' + 'A'", "'?'")
        running.wait_for("generation 2 is serving")
        with RawPeer(running, "/shout").opened() as new:
            assert (said(new), said(old)) == (b"? ?", b"A B")


def test_a_file_that_did_not_change_changes_nothing(running):
    with RawPeer(running, "/shout").opened() as peer:
        running.signal(signal.SIGHUP)
        running.wait_for("identical to generation 1")
        assert said(peer) == b"A B"


@pytest.mark.parametrize("old, new, why", [
    ("GW_ABI_VERSION", "(2u << 16)", "ABI"),
    # clang would warn of a table that nobody mentions.
    ("return &table;", "return table.start ? 0 : &table;", "shout"),
    ("#ifdef REFUSE_TO_START", "#if 1", "the voice is gone"),
], ids=["newer ABI", "no table", "refuses to start"])
def test_what_is_not_good_changes_nothing(running, old, new, why):
    with RawPeer(running, "/shout").opened() as peer:
        replace(running, old, new)
        running.wait_for("Still serving: generation 1")
        running.wait_for(why)
        assert said(peer) == b"A B"
        with RawPeer(running, "/shout").opened() as another:
            assert said(another) == b"A B"


def test_garbage_changes_nothing(running):
    (running.plugins / "shout.so").write_bytes(b"not a library")
    running.signal(signal.SIGHUP)
    running.wait_for("Still serving: generation 1")
    with RawPeer(running, "/shout").opened() as peer:
        assert said(peer) == b"A B"


def test_a_route_is_added(running):
    text = running.file.read_text()
    running.file.write_text(text + "route /again { handler echo; }\n")
    with RawPeer(running, "/echo").opened() as peer:
        running.signal(signal.SIGHUP)
        with eventually("the new route", lambda: accepted(running, "/again")) as added:
            assert said(added) == b"a b"
        assert said(peer) == b"a b"


# ---- under load

@pytest.fixture(params=["c", "swift"])
def counters(request, tmp_path):
    """Two versions of a handler that counts per connection and takes the counts along."""
    if request.param == "c":
        return [counter_in_c(tmp_path, version) for version in (1, 2)]
    return [counter_in_swift(tmp_path, version) for version in (1, 2)]


def counting(make_gateway, counters, plugins="settle 20ms;"):
    running = make_gateway(routes="route /counter { handler counter; }")
    text = running.file.read_text()
    running.file.write_text(text.replace("plugins ./Plugins;", f"plugins ./Plugins {{ {plugins} }}"))
    shutil.copyfile(counters[0], running.plugins / "counter.so")
    return running.start()


def test_a_hundred_clients_do_not_notice_twenty_reloads(make_gateway, counters, tmp_path):
    running = counting(make_gateway, counters)
    with Swarm(running, "/counter", 100, folder=tmp_path) as swarm:
        for number in range(2, 22):
            put(counters[(number - 1) % 2], running.plugins / "counter.so", in_place=number % 2 == 0)
            running.wait_for(f"generation {number} is serving, 100 connections moved")
        last = swarm.end()
    assert (last["wrong"], last["closed"], last["outstanding"]) == (0, 0, 100)
    assert last["all"] > 2000
    running.stop()
    assert "crash" not in running.log()


def test_a_storm_of_files_ends_with_the_last_one(make_gateway, counters, tmp_path):
    running = counting(make_gateway, counters, "settle 100ms;")
    pause = threading.Event()
    with Swarm(running, "/counter", 50, folder=tmp_path) as swarm:
        for round_ in range(100):
            put(counters[round_ % 2], running.plugins / "counter.so", in_place=round_ % 3 == 0)
            pause.wait(0.02)
        put(counters[1], running.plugins / "counter.so", in_place=True)
        eventually("the last version serves everybody", lambda: asked(running) == b"2")
        last = swarm.end()
    assert (last["wrong"], last["closed"]) == (0, 0)


def asked(running):
    """The version that answers now."""
    with RawPeer(running, "/counter").opened() as peer:
        return said(peer, b"x").split()[0]


@pytest.mark.parametrize("way", ["signal", "command"])
def test_every_way_to_ask_for_a_reload(make_gateway, tmp_path, way):
    versions = [counter_in_c(tmp_path, version) for version in (1, 2)]
    running = counting(make_gateway, versions, "watch off;")
    with RawPeer(running, "/counter").opened() as peer:
        assert said(peer, b"a") == b"1 1 a"
        put(versions[1], running.plugins / "counter.so", in_place=False)
        if way == "signal":
            running.signal(signal.SIGHUP)
        else:
            asking = subprocess.run([BINARY, "reload", "counter", "-c", running.file], capture_output=True, text=True,
                                    stdin=subprocess.DEVNULL, timeout=DEADLINE)
            assert asking.returncode == 0
            assert 'handler "counter": generation 2 is serving, 1 connection moved' in asking.stdout
        running.wait_for("generation 2 is serving, 1 connection moved")
        assert said(peer, b"b") == b"2 2 b"
        (running.plugins / "counter.so").write_bytes(b"nothing")
        asking = subprocess.run([BINARY, "reload", "-c", running.file], capture_output=True, text=True,
                                stdin=subprocess.DEVNULL, timeout=DEADLINE)
        assert asking.returncode == 75
        assert "Still serving: generation 2." in asking.stdout + asking.stderr
        assert said(peer, b"c") == b"2 3 c"

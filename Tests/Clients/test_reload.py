"""A handler's file is replaced while clients are connected; SIGHUP makes the gateway look."""
import signal

import pytest

from gateway_process import eventually
from raw_peer import TEXT, RawPeer, accepted, frame
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
    ("return &table;", "return 0;", "shout"),
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

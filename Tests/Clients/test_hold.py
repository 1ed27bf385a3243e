"""A handler that holds its instance: it is stopped and unloaded after the last release, not after the last connection."""
import os

import pytest

import c_handler
from raw_peer import TEXT, RawPeer


@pytest.fixture
def held(make_gateway):
    """A gateway whose handler is held by a thread, and the FIFO that commands the thread."""
    running = make_gateway(routes="route /holding { handler holding; }")
    os.mkfifo(running.folder / "gate")
    gate = os.open(running.folder / "gate", os.O_RDWR)
    c_handler.build(running, "holding", f'GATE="{running.folder}/gate"', 'VERSION="1"')
    yield running.start(), gate
    os.close(gate)


def replace(running, generation):
    c_handler.build(running, "holding", f'VERSION="{generation}"')
    running.wait_for(f"generation {generation} is serving, 1 connection moved")


def test_holds_are_counted(held):
    running, _ = held
    with RawPeer(running, "/holding").opened() as peer:
        assert [peer.ask(word) for word in ("hold", "release", "release", "release", "hold", "wrong")] == [
            "0", "0", "0", "-3", "0", "-8"]


def test_a_held_generation_works_on_and_is_unloaded_after_its_release(held):
    running, gate = held
    with RawPeer(running, "/holding").opened() as peer:
        replace(running, 2)
        replace(running, 3)
        # Nothing holds this one, so it ends before the one that is older.
        running.wait_for("generation 2 has ended, its image is unloaded")
        assert peer.ask("generation") == "3"
        os.write(gate, b"s")
        assert peer.read_message() == (TEXT, b"from the thread")
        assert "stopped 1" not in running.log()
        os.write(gate, b"r")
        running.wait_for("generation 1 has ended, its image is unloaded")
        assert running.log().index("released 0") < running.log().index("stopped 1")


def test_the_end_of_the_gateway_does_not_wait_for_a_release(held):
    running, _ = held
    running.signal()
    assert running.exit_status(deadline=5) == 0
    assert "stopped 1" in running.log() and "released" not in running.log()

"""Connections that are lost while they are handed over: each generation lets go of its own state, once."""
import os
import subprocess

import pytest

import c_handler
from gateway_process import BINARY, eventually
from raw_peer import RawPeer


@pytest.mark.parametrize("old, new", [
    ([], ["ABORT_IN_RESTORE"]), (["ABORT_IN_DROP"], []), ([], ["SEND_IN_RESTORE"]),
], ids=["abort in restore_conn", "abort in drop_conn", "reset while restore_conn sends"])
@pytest.mark.parametrize("dispatch", ["loop", "pool"])
def test_a_connection_that_dies_on_the_way(make_gateway, dispatch, old, new):
    running = make_gateway(main="threads 1;", routes=f"route /move {{ handler move; dispatch {dispatch}; }}")
    gate = running.folder / "gate"
    os.mkfifo(gate)
    c_handler.build(running, "move", "GENERATION=1", *old)
    running.start()
    peer = RawPeer(running, "/move").opened()
    assert peer.ask("hello") == "hello"
    c_handler.build(running, "move", "GENERATION=2", f'GATE="{gate}"', *new)
    reload = subprocess.Popen([BINARY, "reload", "move", "-c", running.file], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    running.wait_for("LEDGER 2 restore")
    if "SEND_IN_RESTORE" in new:
        peer.reset()
        open(gate, "wb").close()
    reload.wait()
    running.wait_for("LEDGER 2 close")
    peer.close()
    running.stop()
    ledger = [line.partition("LEDGER ")[2].split() for line in running.log().splitlines() if "LEDGER" in line]
    assert all(generation == state for generation, _, state in ledger), ledger
    assert sorted((generation, what) for generation, what, _ in ledger if what != "restore") == [
        ("1", "drop"), ("2", "close")], ledger

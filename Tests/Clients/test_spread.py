"""--spread: connections are told to go one by one, at random moments, and not all at once."""
import subprocess
import threading
import time

import pytest

from gateway_process import BINARY, DEADLINE, eventually
from raw_peer import TEXT, RawPeer, frame
from test_control import ask, status

PEERS = 40


def command(running, *words):
    return subprocess.Popen([BINARY, *words, "-c", running.file], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def moments(peers):
    """When each of them was told 1001, which it answers; in seconds since the call."""
    begin, found = time.monotonic(), []

    def wait(peer):
        assert peer.read_close() == 1001
        found.append(time.monotonic() - begin)
        peer.send(frame(8, b"\x03\xe9"))

    threads = [threading.Thread(target=wait, args=[peer]) for peer in peers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    return sorted(found)


@pytest.fixture
def crowd(make_gateway):
    running = make_gateway(main="defaults { drain_timeout 5m; }", routes="route /echo { handler echo; }").start()
    return running, [RawPeer(running).opened() for _ in range(PEERS)]


@pytest.mark.parametrize("word", ["stop", "drain"])
def test_within_a_time(crowd, word):
    running, peers = crowd
    ending = command(running, word, "--spread", "3s")
    eventually("it is draining", lambda: status(running)["process"]["state"] == "draining")
    # Listeners stay until the end.
    with RawPeer(running) as newcomer:
        assert (newcomer.status, newcomer.body.startswith(b"draining: ")) == (503, True)
    peers[0].send(frame(TEXT, b"still here"))
    found = moments(peers[1:])
    assert len(found) == PEERS - 1
    # The odds that all of 39 fall into the same half of the time are one to 10 to the 11.
    assert found[-1] - found[0] > 1
    assert ending.communicate(timeout=DEADLINE)[0] == "stopped\n" and ending.returncode == 0
    assert running.exit_status() == 0
    assert f"{PEERS} connections are told to go (1001), one after the other within 3s" in running.log()


def test_within_the_drain_timeout_of_the_route(make_gateway):
    running = make_gateway(routes="route /echo { handler echo; drain_timeout 100ms; }\n"
                                  "route /chat { handler chat; drain_timeout 5m; }").start()
    staying = RawPeer(running, "/chat").opened()
    peers = [RawPeer(running).opened() for _ in range(5)]
    ending = command(running, "stop", "--spread")
    assert len(moments(peers)) == 5
    assert status(running)["process"]["state"] == "draining"
    staying.close()
    assert ending.wait(DEADLINE) == 0


def test_drain_first_and_spread_later(crowd):
    running, peers = crowd
    draining = command(running, "drain")
    eventually("it is draining", lambda: status(running)["process"]["state"] == "draining")
    peers[0].send(frame(TEXT, b"here"))
    assert peers[0].read_frame() == (TEXT, True, b"here")
    ending = command(running, "stop", "--spread", "500ms")
    assert len(moments(peers)) == PEERS
    assert draining.wait(DEADLINE) == 0 and ending.wait(DEADLINE) == 0


def test_a_plain_stop_does_not_wait_for_it(crowd):
    running, peers = crowd
    spreading = command(running, "drain", "--spread", "1h")
    eventually("it is draining", lambda: status(running)["process"]["state"] == "draining")
    ending = command(running, "stop")
    assert len(moments(peers)) == PEERS
    assert spreading.wait(DEADLINE) == 0 and ending.wait(DEADLINE) == 0


def test_a_time_that_is_none_is_wrong_usage(make_gateway):
    told = ask(make_gateway(), "stop", "--spread", "30")
    assert told.returncode == 2 and '--spread takes a duration such as 30s, at most 1d, not "30"' in told.stderr

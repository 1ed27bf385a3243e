"""Handlers with `dispatch pool` in a process of their own that dies: what was queued for the pool is handled by the next
process, once and in order, and of what was running nothing is given again that was answered."""
import os
import signal
import zlib

import pytest

from gateway_process import eventually
from isolation_rig import LONG, Crowd, Numbered, ends_with, frame, number, say, seeded, who
from raw_peer import CLOSE, PING, PONG, TEXT, close_payload

POOL = "dispatch pool;"
STATELESS = ("FLAGS=GW_HF_STATELESS", "SAVES=0")


class Gate:
    """Holds callbacks up for as long as it is open for writing here."""

    def __init__(self, made, name="gate"):
        self.path = made.folder / name
        os.mkfifo(self.path)
        # Readers find a writer at once.
        self.end = os.open(self.path, os.O_RDWR)

    def release(self):
        os.close(self.end)


class Burst:
    """Says numbered messages, and hears an answer to each in its turn."""

    def __init__(self, made, **how):
        self.peer = made.peer(**how)
        self.said = self.heard = self.checksum = 0

    def text(self, filler=b""):
        text = b"n %d " % self.said + filler
        self.said += 1
        return text

    def say(self, count, filler=b""):
        """All in one."""
        self.peer.send(b"".join(frame(TEXT, self.text(filler)) for _ in range(count)))

    def hear(self, count, filler=b"", is_counted=True):
        for _ in range(count):
            opcode, _, payload = self.peer.read_frame()
            assert opcode == TEXT, (opcode, payload)
            counted, checksum, rest = payload.split(b" ", 2)
            expected = b"n %d " % self.heard + filler
            assert rest == expected, (rest[:40], self.heard)
            self.checksum = zlib.crc32(expected, self.checksum)
            self.heard += 1
            if is_counted:
                assert (int(counted), int(checksum, 16)) == (self.heard, self.checksum)

    def word(self, expected):
        assert self.peer.read_message()[1] == expected


def settled_at(made, gate, count):
    """Waits until so many callbacks have the gate open, and nothing else of the process has anything to do."""
    process = made.process()

    def opened():
        found = 0
        for each in os.listdir(f"/proc/{process}/fd"):
            try:
                found += os.readlink(f"/proc/{process}/fd/{each}") == str(gate.path)
            except FileNotFoundError:
                pass
        return found >= count
    eventually(f"{count} callbacks have come to the gate", opened, LONG)
    made.settle()


def die(made, way="null"):
    """Another connection takes the process along, or nobody knows who."""
    if way == "kill":
        os.kill(made.process(), signal.SIGKILL)
    else:
        with made.peer() as victim:
            say(victim, f"die {way}")
            assert ends_with(victim) == 1011
    made.another()


# ---- what waits, and what runs

@pytest.mark.parametrize("defines", [(), STATELESS], ids=["checkpoint", "stateless"])
@pytest.mark.parametrize("way", ["null", "kill"])
def test_what_was_queued_is_handled_by_the_next_process(isolated, defines, way):
    """And the callback that was running is run once more."""
    made = isolated(POOL, defines=defines)
    gate, counts = Gate(made), not defines
    bursts = [Burst(made) for _ in range(5)]
    for each in bursts:
        each.say(3)
        each.hear(3, is_counted=counts)
        say(each.peer, f"gate {gate.path}")
        each.say(40)
    settled_at(made, gate, len(bursts))
    for _ in range(2 if way == "null" else 1):
        die(made, way)
        settled_at(made, gate, len(bursts))
    for each in bursts:
        each.say(5)
    gate.release()
    for each in bursts:
        each.word(b"passed")
        each.hear(45, is_counted=counts)
        each.say(1)
        each.hear(1, is_counted=counts)
        each.peer.close()
    made.is_empty()


def test_of_what_was_begun_nothing_is_given_again_once_it_was_answered(isolated):
    """The connection ends with 1012, behind the answers."""
    made = isolated(POOL)
    gate = Gate(made)
    with made.peer() as peer:
        number(peer, 0)
        # Answers, and then stands there.
        say(peer, f"half {gate.path}")
        assert peer.read_message()[1] == b"begun"
        say(peer, "n 1 ")
        settled_at(made, gate, 1)
        die(made)
        assert ends_with(peer) == 1012
    gate.release()
    made.is_empty()


@pytest.mark.parametrize("resumes", [False, True])
def test_the_message_it_died_of_is_never_given_again(isolated, resumes):
    made = isolated(POOL + ("crash resume;" if resumes else ""))
    gate = Gate(made)
    burst = Burst(made)
    say(burst.peer, f"gate {gate.path}")
    burst.say(3)
    say(burst.peer, "die null")
    burst.say(4)
    settled_at(made, gate, 1)
    gate.release()
    burst.word(b"passed")
    burst.hear(3)
    if resumes:
        burst.hear(4)
        assert who(burst.peer)["restored"] == 1
        burst.peer.close()
    else:
        assert ends_with(burst.peer) == 1011
    made.is_empty()
    assert len(made.running.log().split("its connections wait")) == 2


def test_control_frames_and_halves_keep_their_places(isolated):
    """Pings wait for the handler where messages do, and half a message, and half a frame, come behind all that."""
    made = isolated(POOL)
    gate = Gate(made)
    burst = Burst(made)
    peer = burst.peer
    say(peer, f"gate {gate.path}")
    burst.say(2)
    peer.send(frame(PING, b"one"))
    first, last = burst.text(b"f" * 3000), burst.text(b"g" * 100_000)
    peer.send(frame(TEXT, first[:1000], fin=False) + frame(PING, b"two") + frame(0, first[1000:]))
    whole = frame(TEXT, last[:60_000], fin=False) + frame(PING, b"three") + frame(0, last[60_000:])
    peer.send(whole[:70_000])
    settled_at(made, gate, 1)
    die(made)
    settled_at(made, gate, 1)
    peer.send(whole[70_000:])
    gate.release()
    pongs, texts = [], []
    while len(texts) < 5:
        opcode, _, payload = peer.read_frame()
        (pongs if opcode == PONG else texts).append(payload)
    assert pongs == [b"one", b"two", b"three"]
    assert texts[0] == b"passed"
    assert [text.split(b" ", 2)[2] for text in texts[1:]] == [b"n 0 ", b"n 1 ", first, last]
    assert [int(text.split()[0]) for text in texts[1:]] == [1, 2, 3, 4]
    peer.close()
    made.is_empty()


def test_a_close_waits_for_what_came_before_it(isolated):
    made = isolated(POOL)
    gate = Gate(made)
    burst = Burst(made)
    say(burst.peer, f"gate {gate.path}")
    burst.say(3)
    burst.peer.send(frame(CLOSE, close_payload(1000, b"bye")))
    settled_at(made, gate, 1)
    die(made)
    settled_at(made, gate, 1)
    gate.release()
    burst.word(b"passed")
    burst.hear(3)
    opcode, _, payload = burst.peer.read_frame()
    assert (opcode, payload[:2]) == (CLOSE, close_payload(1000))
    made.is_empty()


def test_more_than_may_wait_is_left_to_the_kernel(isolated):
    """Hundreds of messages, some of them large, and a reader that is slow at first."""
    made = isolated(POOL + "send_buffer 8m;")
    gate = Gate(made)
    burst = Burst(made)
    filler = b"x" * 20_000
    say(burst.peer, f"gate {gate.path}")
    burst.say(400)
    settled_at(made, gate, 1)
    die(made)
    settled_at(made, gate, 1)
    gate.release()
    burst.word(b"passed")
    burst.hear(400)
    for _ in range(20):
        burst.say(5, filler)
        burst.hear(5, filler)
    burst.peer.close()
    made.is_empty()


def test_timers_that_were_due_go_off_in_the_next_process(isolated):
    made = isolated(POOL)
    gate = Gate(made)
    with made.peer() as peer:
        say(peer, "timer 20 0 -")
        assert peer.read_message()[1].startswith(b"timer")
        say(peer, f"gate {gate.path}")
        settled_at(made, gate, 1)
        die(made)
        settled_at(made, gate, 1)
        gate.release()
        assert sorted(peer.read_message()[1] for _ in range(2)) == [b"passed", b"tick 1"]
    made.is_empty()


# ---- at random

class Hasty(Numbered):
    """Has many messages under way at once, some of them in one go."""

    SIZES = (0, 1, 110, 125, 126, 1000, 4096, 20_000)
    MOST = 44

    def __init__(self, running, seed, *words, deflate=False, may_be_reset=False, **how):
        self.may_be_reset = may_be_reset
        if deflate:
            # A compressed message that has come by half cannot go on: they are to come whole.
            self.SIZES = (0, 1, 110, 125, 126, 600)
        super().__init__(running, seed, *words, deflate=deflate, **how)
        for _ in range(self.MOST - 4):
            self.room.release()

    def _burst(self, count):
        whole = b""
        for _ in range(count):
            kind, payload = self._message()
            with self.lock:
                self.expected.append((kind, payload))
            whole += b"".join(self._frames(kind, payload))
            self.sent += 1
        return whole

    def _all(self):
        source = self.random
        while not self.over.is_set():
            if not self.room.acquire(timeout=0.1):
                continue
            count = 1
            while count < 20 and source.random() < 0.9 and self.room.acquire(blocking=False):
                count += 1
            whole = self._burst(count)
            cuts = [] if self.deflate else sorted(source.randrange(len(whole) + 1) for _ in range(source.choice((0, 0, 1, 2))))
            for begin, end in zip([0, *cuts], [*cuts, len(whole)]):
                self.peer.send(whole[begin:end])
                self.over.wait(source.random() * 0.005)
        self.peer.send(frame(CLOSE, b"\x0f\xa0the end"))

    def _read(self):
        try:
            super()._read()
        except (EOFError, ConnectionResetError):
            # In the midst of a frame as well: nobody knows how much of it had left.
            if not self.may_be_reset:
                raise
            self.is_lost = True
            self.over.set()

    def _closed(self, payload, kind):
        super()._closed(payload, None if self.may_be_reset else kind)

    def _send(self):
        try:
            self._all()
        except OSError:
            self.workers[1].join(LONG)
            if not self.is_lost:
                raise


def crowd(made, count, source, **how):
    return Crowd([Hasty(made.running, source.randrange(1 << 32), "/x", **how) for _ in range(count)])


@pytest.mark.parametrize("deflate", [False, True], ids=["raw", "deflate"])
@pytest.mark.parametrize("defines", [(), STATELESS], ids=["checkpoint", "stateless"])
def test_a_crowd_in_a_hurry(isolated, defines, deflate):
    """Nobody pays but whoever it died of."""
    made = isolated(POOL + ("compression on;" if deflate else ""), defines=defines)
    with crowd(made, 12, seeded(), deflate=deflate, is_counted=not defines) as all_of_them:
        all_of_them.go_on()
        for _ in range(4):
            # Of a compressed message that has come by half nobody knows enough.
            all_of_them.grace += deflate
            die(made)
            all_of_them.go_on(60)
    made.is_empty()


@pytest.mark.parametrize("deflate", [False, True], ids=["raw", "deflate"])
@pytest.mark.parametrize("defines", [(), STATELESS], ids=["checkpoint", "stateless"])
def test_a_crowd_that_is_killed(isolated, defines, deflate):
    """Nobody can be asked: the one that each worker was writing to is reset, and whose answer has left while its callback may
    not have returned gets 1012. Whoever goes on misses nothing."""
    made, deaths = isolated(POOL + ("compression on;" if deflate else ""), defines=defines), 4
    with crowd(made, 12, seeded(), deflate=deflate, is_counted=not defines, may_be_reset=True) as all_of_them:
        all_of_them.grace = len(all_of_them.clients) - 1
        for _ in range(deaths):
            all_of_them.go_on()
            os.kill(made.process(), signal.SIGKILL)
            made.another()
        all_of_them.go_on()
        print(f"{all_of_them.lost} of {len(all_of_them.clients)} were lost in {deaths} deaths")
    made.is_empty()

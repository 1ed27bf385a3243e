"""An engine into which anybody writes: what is no publication of a gateway is counted, and nothing else comes of it."""
import contextlib
import os
import random
import socket
import struct
import zlib

import pytest

from cluster_rig import OK, cluster, engines, meet, once_in_order, resident
from admin_client import value
from gateway_process import eventually

PUBLICATION, LOSS, PROBE = 1, 2, 3
TEXT, BINARY, PLAIN, FIRST = 1, 2, 4, 8


def envelope(payload=b"forged", *, version=1, kind=PUBLICATION, flags=TEXT, zero=0, origin=77, number=1, sent=0, part=0, parts=1, crc=None):
    """As Envelope.swift writes it."""
    head = bytes([version & 255, kind & 255, flags & 255, zero])
    rest = struct.pack("<QQQII", origin, number, sent, part, parts) + payload
    return head + struct.pack("<I", zlib.crc32(rest, zlib.crc32(head)) if crc is None else crc) + rest


def name(topic, scope="/crowd", prefix="gateway"):
    return b"\0".join([prefix.encode(), scope.encode(), topic.encode()])


class Writer:
    """Speaks the engine's own protocol."""

    def __init__(self, engine):
        self.scheme = engine.scheme
        self.socket = socket.create_connection(("127.0.0.1", engine.port), 60)
        self.stream = self.socket.makefile("rb")
        if self.scheme == "nats":
            self.stream.readline()
            self.socket.sendall(b'CONNECT {"verbose":false,"pedantic":false}\r\n')

    def _encode(self, channel, data):
        if self.scheme == "redis":
            channel = b"0:" + channel
            return b"*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (len(channel), channel, len(data), data)
        plain = b"".join(bytes([octet]) if 0x20 < octet < 0x7F and octet not in b".*>%" else b"%%%02X" % octet for octet in channel)
        return b"PUB gw.%s %d\r\n%s\r\n" % (plain, len(data), data)

    def write(self, *pairs):
        """Returns once the engine has taken all of them."""
        for at in range(0, len(pairs), 1000):
            self.raw(b"".join(self._encode(*pair) for pair in pairs[at:at + 1000]), len(pairs[at:at + 1000]))

    def raw(self, data, count):
        self.socket.sendall(data if self.scheme == "redis" else data + b"PING\r\n")
        for _ in range(count if self.scheme == "redis" else 1):
            while (line := self.stream.readline()) and self.scheme == "nats" and line.strip() != b"PONG":
                assert not line.startswith(b"-ERR"), line
            assert line.startswith((b":", b"PONG")), line

    def close(self):
        self.socket.close()


@pytest.fixture
def stage(rig):
    """A gateway with a publisher, another with a member, and somebody at the engine."""
    engine = rig.engine()
    a, b = rig.gateway(), rig.gateway()
    publisher, there = rig.client(a), rig.client(b).subscribe("t").hear_gaps()
    meet([publisher], [there], "t")
    rig.publisher, rig.there, rig.a, rig.b = publisher, there, a, b
    rig.writer = Writer(engine)
    yield rig
    rig.writer.close()


def goes_on(stage):
    """All that was heard before the next true publication."""
    stage.publisher.publish("t", "true")
    heard = stage.there.hears(b"true")
    stage.there.clear()
    assert engines(stage.b)[0]["up"] and engines(stage.b)[0]["connects"] == 1, [l for l in stage.b.lines if "cluster" in l]
    return heard


GOOD = envelope()
REJECTED = {
    "nothing": b"", "one octet": b"\1", "a head without its end": GOOD[:39], "the half": GOOD[:20], "words": b"hello, world" * 10,
    "zeros": bytes(40), "ones": b"\xff" * 100, "JSON": b'{"type": "message"}', "version 0": envelope(version=0), "version 2": envelope(version=2),
    "version 255": envelope(version=255), "kind 0": envelope(kind=0), "kind 4": envelope(kind=4), "kind 255": envelope(kind=255),
    "unknown flags": envelope(flags=TEXT | 16), "all flags": envelope(flags=255), "no kind of message": envelope(flags=0),
    "both kinds": envelope(flags=TEXT | BINARY), "what has to be zero": envelope(zero=1), "a wrong CRC": envelope(crc=1),
    "a payload that was changed": GOOD[:-1] + b"X", "a payload that was cut": GOOD[:-1], "more payload": GOOD + b"x",
    "an origin of zero": envelope(origin=0), "no parts": envelope(parts=0), "a part behind the last": envelope(part=1, parts=1),
    "a part far behind": envelope(part=2**32 - 1, parts=2), "a probe": envelope(kind=PROBE, flags=0), "a head alone with a wrong CRC": GOOD[:40],
}


def test_what_is_no_envelope_is_counted(stage):
    for what, data in REJECTED.items():
        before = cluster(stage.b)["rejected"]
        stage.writer.write((name("t"), data))
        eventually(f"{what} is counted", lambda before=before: cluster(stage.b)["rejected"] == before + 1)
    assert value(stage.b, "gateway_cluster_rejected_total") == len(REJECTED) and cluster(stage.a)["rejected"] == 0
    assert goes_on(stage) == [] and stage.there.gaps == [] and cluster(stage.b)["lost"] == 0


def test_each_octet_of_an_envelope_counts(stage):
    """None may be changed unnoticed."""
    stage.writer.write(*((name("t"), GOOD[:at] + bytes([GOOD[at] ^ bit]) + GOOD[at + 1:]) for at in range(len(GOOD)) for bit in (1, 128)))
    assert goes_on(stage) == []
    assert cluster(stage.b)["rejected"] == 2 * len(GOOD)


def test_numbers_that_go_back_or_jump(stage):
    send = stage.writer.write
    send(*((name("t"), envelope(b"n %d" % number, number=number)) for number in (5, 6, 6, 5, 1, 0, 7)))
    assert goes_on(stage) == [b"n 5", b"n 6", b"n 7"] and cluster(stage.b)["lost"] == 0
    send((name("t"), envelope(b"n 10", number=10)))
    stage.there.hears_gap(b"t")
    assert cluster(stage.b)["lost"] == 2
    goes_on(stage)
    # No loss is as large as that: what has come is a gap, and counts as nothing.
    send((name("t"), envelope(b"far", number=2**40)), (name("t"), envelope(b"last", number=2**64 - 1)),
         (name("t"), envelope(b"over", number=0)), (name("t"), envelope(b"again", number=2**64 - 1)))
    stage.there.hears_gap(b"t")
    assert goes_on(stage) == [b"far", b"last"] and cluster(stage.b)["lost"] == 2
    send((name("t"), envelope(b"", kind=LOSS, flags=0, number=2**64 - 1, origin=99)), (name("t"), envelope(b"", kind=LOSS, flags=0, number=0)),
         (name("t"), envelope(b"", kind=LOSS, flags=0, number=2**64 - 1)))
    assert goes_on(stage) == [] and cluster(stage.b)["lost"] == 2


def test_text_that_is_none(stage):
    """RFC 6455 8.1: a member would have to close."""
    bad = [b"\xff", b"a\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xe4\xb8", b"x" * 100_000 + b"\x80"]
    stage.writer.write(*((name("t"), envelope(text, number=number + 1)) for number, text in enumerate(bad)))
    stage.writer.write((name("t"), envelope(bad[0], number=10, origin=78, flags=BINARY)))
    assert goes_on(stage) == [b"\xff"]
    assert cluster(stage.b)["lost"] + cluster(stage.b)["rejected"] == len(bad)


def test_parts_that_never_end(stage):
    memory = resident(stage.b)
    piece = os.urandom(200_000)
    # Of many, of which none ends; in a wrong order; with counts that change; without a first one.
    # No more at once than Redis keeps for one that reads: 32 MB.
    for first in range(0, 900, 100):
        stage.writer.write(*((name("t"), envelope(piece, origin=1000 + at % 300, number=1 + at // 300, parts=2**32 - 1))
                             for at in range(first, first + 100)))
        assert goes_on(stage) == []
    for at in range(1, 40):
        stage.writer.write((name("t"), envelope(piece, origin=5000, number=1, part=at, parts=2**32 - 1)))
    stage.writer.write(*((name("t"), envelope(piece, origin=6000, number=1, part=part, parts=parts)) for part, parts in
                         ((0, 3), (2, 3), (1, 3), (0, 3), (1, 4), (2, 3), (2, 3), (0, 2), (0, 2), (1, 3))))
    assert goes_on(stage) == []
    assert resident(stage.b) < memory + 140, (memory, resident(stage.b))
    # One that never ends by itself.
    for at in range(0, 900, 50):
        stage.writer.write(*((name("t"), envelope(piece, origin=7000, number=1, part=part, parts=2**32 - 1)) for part in range(at, at + 50)))
        assert goes_on(stage) == []
    assert resident(stage.b) < memory + 160, (memory, resident(stage.b))


def test_parts_that_never_end_do_not_keep_others_from_ending(stage):
    stage.writer.write(*((name("t"), envelope(b"begun", origin=1000 + at, number=1, parts=2)) for at in range(200)))
    large = b"L" * (3 << 20)
    assert stage.publisher.publish("t", large)[0] >= OK
    stage.there.wait(lambda client: any(text == large for text in client.texts()), "a publication in parts", 15)


def test_parts_that_are_right(stage):
    """Whoever keeps to the rules is heard: what stands here about the envelope is true."""
    stage.writer.write(*((name("t"), envelope(piece, number=3, part=part, parts=3)) for part, piece in enumerate((b"one ", b"", b"three"))))
    assert goes_on(stage) == [b"one three"]


def test_names_of_others(stage):
    """Of routes and prefixes that nobody has here, and of none at all."""
    channels = [b"gateway", b"gateway\0", b"gateway\0/crowd", b"gateway\0/crowd\0", b"gateway\0\0t", b"gateway\0/x\0t", b"gate\0/crowd\0t", b"\0", b"x",
                b"gateway\x01" + bytes(8), b"gateway\x02", b"gateway\x03", b"n" * 1000]
    stage.writer.write(*((channel, envelope()) for channel in channels), *((channel, b"garbage") for channel in channels))
    assert goes_on(stage) == []
    stage.writer.write((b"gateway\x02", envelope(b"", kind=LOSS, flags=0)))
    stage.there.hears_gap(b"")


def test_a_storm_of_garbage(stage):
    chance = random.Random(7)
    for _ in range(20):
        stage.writer.write(*((name("t"), chance.randbytes(chance.randrange(120))) for _ in range(2500)))
    memory = resident(stage.b)
    for _ in range(60):
        stage.writer.write(*((name("t"), chance.randbytes(chance.randrange(120))) for _ in range(2500)))
    assert goes_on(stage) == []
    assert cluster(stage.b)["rejected"] >= 199_000
    assert resident(stage.b) < memory + 16, (memory, resident(stage.b))
    assert len(stage.b.log()) < 20_000


def test_a_storm_of_origins(stage):
    memory = resident(stage.b)
    for at in range(0, 100_000, 5000):
        stage.writer.write(*((name("t"), envelope(b"", kind=LOSS, flags=0, origin=1 + origin)) for origin in range(at, at + 5000)))
    assert goes_on(stage) == []
    assert resident(stage.b) < memory + 48, (memory, resident(stage.b))
    stage.publisher.number("t", "x", 0, 1000)
    stage.publisher.publish("t", "end")
    stage.there.hears(b"end")
    once_in_order(stage.there, "x", 1000)


@contextlib.contextmanager
def held_up(stage):
    """All workers of the gateway with the member wait in a callback."""
    fifo = stage.b.folder / "fifo"
    os.mkfifo(fifo)
    busy = [stage.client(stage.b) for _ in range(4)]
    for each in busy:
        each.send("W", 0, 0, body=str(fifo).encode())
    with open(fifo, "wb", buffering=0):
        stage.b.wait_for(r"held up worker \d for \d+ ms and goes on")
        yield
        # Whoever comes to it from now on does not wait.
        fifo.unlink()


def has_come(stage):
    """All that was written so far has come to the gateway with the member."""
    before = cluster(stage.b)["rejected"]
    stage.writer.write((name("t"), b"fence"))
    eventually("the fence", lambda: cluster(stage.b)["rejected"] > before, 60)


def test_a_storm_of_gaps_while_the_handler_is_busy(stage):
    """Events that say the same are told once, not kept for each."""
    with held_up(stage):
        memory = resident(stage.b)
        for at in range(0, 600_000, 10_000):
            stage.writer.write(*((b"gateway\x02", envelope(b"", kind=LOSS, flags=0, number=at + number)) for number in range(10_000)))
        has_come(stage)
        grown = resident(stage.b) - memory
    assert grown < 16, f"{grown:.0f} MiB for events that wait"
    goes_on(stage)


def test_what_a_slow_worker_cannot_take_is_bounded_and_told(stage):
    """64 MiB wait for a worker at most; what comes beyond is lost, counted and told."""
    with held_up(stage):
        memory = resident(stage.b)
        payload = bytes(1000)
        for at in range(0, 200_000, 5000):
            stage.writer.write(*((name("t"), envelope(payload, flags=BINARY, number=1 + number)) for number in range(at, at + 5000)))
        has_come(stage)
        assert value(stage.b, "gateway_cluster_lost_total") > 100_000
        grown = resident(stage.b) - memory
    assert grown < 140, f"{grown:.0f} MiB"
    stage.there.hears_gap(b"t")

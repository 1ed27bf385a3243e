"""RFC 9113 5.2, flow control of the streams of one connection: who may not or does not read holds up nobody else, and costs
no more than his route allows."""
import struct
import threading

import pytest

from gateway_process import eventually
from h2_peer import (CANCEL, DATA, HEADERS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, NO_ERROR, RST_STREAM, SETTINGS, WINDOW_UPDATE,
                     H2Peer, Wire, settings_payload)
from raw_peer import BINARY, CLOSE, PING, PONG, TEXT, frame
from test_control import status
from test_http2 import answers, on_routes, said_closed, serve  # noqa: F401, since a fixture is among them
from test_memory import mebibytes

WINDOW = 65535


def witness(peer):
    """A WebSocket to the witness that has heard what its request was."""
    stream = peer.open("/witness").opened()
    stream.read_message()
    return stream


def push(stream, data):
    """As much as the window of the stream lets out; how much that was."""
    h2, sent = stream.peer.h2, 0
    while sent < len(data) and (room := min(h2.local_flow_control_window(stream.number), h2.max_outbound_frame_size)) > 0:
        piece = data[sent:sent + room]
        h2.send_data(stream.number, piece)
        sent += len(piece)
    stream.peer.flush()
    return sent


# ---- what the peer's windows let out

def test_no_more_than_the_window_of_the_stream(serve):
    running = serve()
    with H2Peer(running, window=1000) as peer:
        stream, other = peer.open().opened(), peer.open().opened()
        stream.acknowledges = False
        stream.send(frame(BINARY, b"x" * 5000))
        peer.ping()
        assert stream.received == 1000
        assert answers(other)
        # What is opened is used, to the byte.
        for count in (1, 10, 500):
            before = stream.received
            stream.acknowledge(count)
            peer.ping()
            assert stream.received == before + count
        stream.acknowledge(10_000)
        assert stream.read_message() == (BINARY, b"x" * 5000)


def test_no_more_than_the_window_of_the_connection(serve):
    running = serve()
    with H2Peer(running, window=1 << 20, acknowledges=False) as peer:
        streams = [peer.open().opened() for _ in range(4)]
        for stream in streams:
            stream.send(frame(BINARY, b"x" * 30_000))
        eventually("all that fits", lambda: peer.ping() or sum(stream.received for stream in streams) == WINDOW)
        peer.h2.increment_flow_control_window(1000)
        peer.flush()
        eventually("a little more", lambda: peer.ping() or sum(stream.received for stream in streams) == WINDOW + 1000)
        peer.acknowledges = True
        peer.h2.increment_flow_control_window(1 << 20)
        peer.flush()
        for stream in streams:
            assert stream.read_message() == (BINARY, b"x" * 30_000)


def test_a_window_of_one_byte(serve):
    running = serve()
    with H2Peer(running, window=1) as peer:
        stream, other = peer.open().opened(), peer.open().opened()
        stream.send(frame(TEXT, b"slowly but surely"))
        assert stream.read_message() == (TEXT, b"slowly but surely")
        assert stream.data_frames == stream.received
        assert answers(other)


def test_a_window_that_becomes_smaller_and_negative(serve):
    running = serve()
    with Wire(running) as wire:
        wire.shake({INITIAL_WINDOW_SIZE: 1000})
        wire.open(1)
        wire.read_until(HEADERS)
        wire.write(DATA, 0, 1, frame(BINARY, b"x" * 5000))
        came = data_bytes(wire.ping())
        assert came == 1000
        # RFC 9113 6.9.2: "a change to SETTINGS_INITIAL_WINDOW_SIZE can cause the available space ... to become negative".
        wire.write(SETTINGS, 0, 0, settings_payload({INITIAL_WINDOW_SIZE: 100}))
        wire.write(WINDOW_UPDATE, 0, 1, struct.pack("!I", 900))
        assert data_bytes(wire.ping()) == 0
        wire.write(WINDOW_UPDATE, 0, 1, struct.pack("!I", 7))
        assert data_bytes(wire.ping()) == 7
        wire.write(SETTINGS, 0, 0, settings_payload({INITIAL_WINDOW_SIZE: 10_000}))
        assert came + 7 + data_bytes(wire.ping() + wire.ping()) == 5004


def data_bytes(frames):
    return sum(len(each.payload) for each in frames if each.kind == DATA)


def test_no_frame_is_larger_than_the_peer_allows(serve):
    running = serve("route /echo { handler echo; }")
    for size in (16_384, 50_000):
        with Wire(running) as wire:
            wire.shake({MAX_FRAME_SIZE: size, INITIAL_WINDOW_SIZE: 1 << 20})
            wire.write(WINDOW_UPDATE, 0, 0, struct.pack("!I", 1 << 20))
            wire.open(1)
            wire.read_until(HEADERS)
            data = frame(BINARY, b"x" * 60_000)
            for at in range(0, len(data), 16_384):
                wire.write(DATA, 0, 1, data[at:at + 16_384])
            came, largest = 0, 0
            while came < 60_004:
                piece = wire.read_until(DATA)
                came, largest = came + len(piece.payload), max(largest, len(piece.payload))
            assert largest <= size


# ---- whose turn it is

def test_streams_take_turns(serve):
    """Of two streams with much to say neither waits for the end of the other."""
    running = serve("route /witness { handler witness; send_buffer 8m; ping_interval off; }")
    with H2Peer(running, window=1 << 20, acknowledges=False) as peer:
        streams = [witness(peer) for _ in range(4)]
        peer.order.clear()
        for stream in streams:
            stream.send(frame(TEXT, b"flood 20 20000"))
        # The window of the connection is full until it is opened as a whole.
        eventually("the first window", lambda: peer.ping() or sum(stream.received for stream in streams) > WINDOW - 2000)
        peer.acknowledges = True
        before = len(peer.order)
        peer.h2.increment_flow_control_window(4 << 20)
        peer.flush()
        while not all(stream.received > 400_000 for stream in streams):
            peer.pump()
        order = peer.order[before:]
        for stream in streams:
            first, last = order.index(stream.number), len(order) - 1 - order[::-1].index(stream.number)
            assert first < len(order) / 2 < last, f"{stream.number} came as one: {order}"


def test_what_streams_say_at_once_leaves_at_once(serve):
    """The answers to what came in one piece are one write, as counted at the socket."""
    running = serve("route /echo { handler echo; ping_interval off; }")
    with Wire(running) as wire:
        wire.shake()
        numbers = range(1, 101, 2)
        for number in numbers:
            wire.open(number)
        while wire.read_until(HEADERS).stream != numbers[-1]:
            pass
        wire.ping()
        for _ in range(5):
            before, came = wire.reads, 0
            wire.send(b"".join(h2_data(number, frame(TEXT, b"hello")) for number in numbers))
            while came < len(numbers):
                came += wire.read_until(DATA).kind == DATA
            if wire.reads - before <= 2:
                return
        raise AssertionError(f"{wire.reads - before} reads for the answers of {len(numbers)} streams")


def h2_data(number, payload):
    return len(payload).to_bytes(3) + struct.pack("!BBI", DATA, 0, number) + payload


# ---- what the gateway's windows let in

def test_a_handler_that_does_not_read_holds_back_its_stream_alone(serve):
    running = serve("route /witness { handler witness; ping_interval off; }\nroute /echo { handler echo; }")
    with H2Peer(running) as peer:
        stream, other = witness(peer), peer.open().opened()
        stream.send(frame(TEXT, b"hold"))
        assert stream.read_message() == (TEXT, b"held")
        # However long it waits, the stream gets a window's worth, and not a byte more.
        payload, sent = frame(BINARY, b"x" * 400_000), 0
        used = WINDOW - peer.h2.local_flow_control_window(stream.number)
        while (more := push(stream, payload[sent:])) > 0:
            sent += more
            peer.ping()
        assert sent + used <= WINDOW + len(frame(TEXT, b"hold"))
        for size in (10, 100_000, 300_000):
            other.send(frame(BINARY, b"y" * size))
            assert other.read_message() == (BINARY, b"y" * size)
        third = witness(peer)
        third.send(frame(TEXT, b"go on"))
        assert third.read_message() == (TEXT, b"all go on")
        stream.send(payload[sent:])
        assert stream.read_message() == (BINARY, b"x" * 400_000)


def test_many_that_are_held_do_not_fill_the_connection(serve):
    running = serve("route /witness { handler witness; ping_interval off; }\nroute /echo { handler echo; }")
    with H2Peer(running) as peer:
        held = [witness(peer) for _ in range(30)]
        for stream in held:
            stream.send(frame(TEXT, b"hold"))
            assert stream.read_message() == (TEXT, b"held")
        left = [b"" for _ in held]
        for number, stream in enumerate(held):
            payload = frame(BINARY, b"z" * 60_000)
            left[number] = payload[push(stream, payload):]
        other = peer.open().opened()
        other.send(frame(BINARY, b"y" * 200_000))
        assert other.read_message() == (BINARY, b"y" * 200_000)
        third = witness(peer)
        third.send(frame(TEXT, b"go on"))
        assert third.read_message() == (TEXT, b"all go on")
        for stream, rest in zip(held, left):
            stream.send(rest)
            assert stream.read_message() == (BINARY, b"z" * 60_000)


def test_the_windows_of_the_gateway(serve):
    running = serve()
    with H2Peer(running) as peer:
        stream = witness(peer)
        assert peer.h2.local_flow_control_window(stream.number) == WINDOW
        # RFC 9113 6.9.2: that of the connection begins with 65,535 and is opened by WINDOW_UPDATE alone.
        assert peer.h2.outbound_flow_control_window >= 1 << 20


def test_the_one_who_does_not_read_is_not_read(serve):
    """An echo whose answers are not fetched ends up taking nothing more, and its neighbour does not notice."""
    running = serve("route /echo { handler echo; send_buffer 64k; ping_interval off; }")
    with H2Peer(running, window=5000) as peer:
        deaf, other = peer.open().opened(), peer.open().opened()
        deaf.acknowledges = False
        payload = b"".join(frame(BINARY, bytes([number]) * 3000) for number in range(200))
        sent, stopped = 0, 0
        # As long as it is let: what it has sent is bounded by its own window, the gateway's and the buffer.
        while stopped < 3 and sent < len(payload):
            more = push(deaf, payload[sent:])
            sent += more
            stopped = 0 if more else stopped + 1
            peer.ping()
            assert answers(other)
        assert deaf.reset_code is None and sent < 400_000
        deaf.acknowledges = True
        deaf.acknowledge(5000)
        sender = payload[sent:]
        for number in range(200):
            sender = sender[push(deaf, sender):]
            assert deaf.read_message() == (BINARY, bytes([number]) * 3000)
        peer.ping()


# ---- slow consumers and timeouts

POLICIES = """
route /witness { handler witness; send_buffer 64k; slow_consumer %s; ping_interval off; close_timeout 300ms; %s }
route /echo { handler echo; ping_interval off; }
"""


def filled(peer, deaf, times):
    """Has somebody on another stream say so much to all who listen."""
    other = witness(peer)
    other.send(frame(TEXT, b"fill %d" % times))
    assert other.read_message() == (TEXT, b"filled")
    return other


def test_a_slow_consumer_is_closed_alone(serve):
    running = serve(POLICIES % ("close", ""))
    with H2Peer(running, window=2000) as peer, H2Peer(running) as apart:
        deaf, other = witness(peer), peer.open().opened()
        deaf.send(frame(TEXT, b"listen"))
        assert deaf.read_message() == (TEXT, b"listening")
        deaf.acknowledges = False
        filled(apart, deaf, 200)
        assert deaf.was_reset() == CANCEL
        assert answers(other)
        eventually("its close", lambda: (1013, 3) in said_closed(running))
        assert status(running)["routes"][0]["slow_consumer"]["close"] == 1


@pytest.mark.parametrize("policy", ["drop_new", "drop_old"])
def test_a_slow_consumer_loses_messages(serve, policy):
    running = serve(POLICIES % (policy, ""))
    with H2Peer(running, window=2000) as peer, H2Peer(running) as apart:
        deaf, other = witness(peer), peer.open().opened()
        deaf.send(frame(TEXT, b"listen"))
        assert deaf.read_message() == (TEXT, b"listening")
        deaf.acknowledges = False
        filled(apart, deaf, 500)
        assert answers(other)
        deaf.acknowledges = True
        deaf.acknowledge(2000)
        deaf.send(frame(PING, b"last"))
        got = 0
        while (heard := deaf.read_frame()) != (PONG, True, b"last"):
            assert heard == (BINARY, True, bytes(1000))
            got += 1
        counts = status(running)["routes"][0]["slow_consumer"]
        assert got + counts[policy] == 500 and 20 < got < 200


def test_a_slow_consumer_is_not_read(serve):
    """pause_reads holds back the windows of that stream alone."""
    running = serve(POLICIES % ("pause_reads", ""))
    with H2Peer(running, window=2000) as peer, H2Peer(running) as apart:
        deaf, other = witness(peer), peer.open().opened()
        deaf.send(frame(TEXT, b"listen"))
        assert deaf.read_message() == (TEXT, b"listening")
        deaf.acknowledges = False
        filled(apart, deaf, 100)
        payload, sent = b"".join(frame(TEXT, b"fill 0") for _ in range(30_000)), 0
        while (more := push(deaf, payload[sent:])) > 0:
            sent += more
            peer.ping()
            assert answers(other)
        assert sent <= 2 * WINDOW
        assert deaf.reset_code is None
        assert status(running)["routes"][0]["slow_consumer"]["pause_reads"] > 0


def test_write_timeout_counts_per_stream(serve):
    running = serve(POLICIES % ("pause_reads", "write_timeout 300ms;"))
    with H2Peer(running, window=2000) as peer:
        deaf, other = witness(peer), peer.open().opened()
        deaf.acknowledges = False
        # What lies in the stream counts as sent, as what lies in the kernel does: 64 KiB.
        deaf.send(frame(TEXT, b"flood 200 1000"))
        eventually("it is reset", lambda: answers(other) and deaf.reset_code is not None)
        running.wait_for("took none of its output for write_timeout")
        assert sum(route["write_timeouts"] for route in status(running)["routes"]) == 1
        assert answers(other)


def test_a_stream_that_takes_a_little_now_and_then_stays(serve):
    running = serve(POLICIES % ("pause_reads", "write_timeout 2s;"))
    with H2Peer(running, window=1000) as peer:
        slow = witness(peer)
        slow.acknowledges = False
        slow.send(frame(TEXT, b"flood 8 1000"))
        pause = threading.Event()
        for _ in range(8):
            # Progress well within the time, for longer than it.
            pause.wait(0.4)
            slow.acknowledge(1004)
        for _ in range(8):
            assert slow.read_message() == (BINARY, bytes(1000))


def test_what_waits_for_streams_is_bounded_by_their_routes(serve):
    running = serve("route /witness { handler witness; send_buffer 64k; ping_interval off; }")
    with H2Peer(running, window=0) as peer:
        streams = []
        for _ in range(100):
            streams.append(peer.open("/witness").opened())
            streams[-1].acknowledges = False
        before = mebibytes(running)
        for stream in streams:
            stream.send(frame(TEXT, b"flood 60 1000"))
        peer.ping()
        # 60 messages of 1000 bytes each, and the buffers they stand in.
        assert mebibytes(running) - before < 16
        for stream in streams:
            stream.reset()
        eventually("nobody is left", lambda: on_routes(running) == 0)


def test_a_close_waits_its_turn(serve):
    """Close stands behind what was said before, however small the window, and END_STREAM behind Close."""
    running = serve("route /witness { handler witness; ping_interval off; close_timeout 30s; }")
    with H2Peer(running, window=100) as peer:
        stream = witness(peer)
        stream.acknowledges = False
        stream.send(frame(TEXT, b"flood 2 1000") + frame(TEXT, b"end"))
        peer.ping()
        assert not stream.has_ended
        stream.acknowledges = True
        stream.acknowledge(100)
        assert [stream.read_frame()[0] for _ in range(3)] == [BINARY, BINARY, CLOSE]
        stream.send(frame(CLOSE, b"\x0f\xa7"))
        assert stream.at_end()


def test_end_of_stream_needs_no_window(serve):
    """RFC 9113 6.9 would let a frame of no bytes go that ends the stream; nghttp2 does not, so the stream is reset without a
    fault after a while."""
    running = serve(main="defaults { ping_interval 1s; }")
    with Wire(running) as wire:
        wire.shake({INITIAL_WINDOW_SIZE: 4})
        wire.open(1)
        wire.read_until(HEADERS)
        wire.write(DATA, 0, 1, frame(CLOSE, b"\x03\xe8"))
        frames = wire.ping()
        data = [each for each in frames if each.kind == DATA]
        assert b"".join(each.payload for each in data) == b"\x88\x02\x03\xe8"
        reset = [each for each in frames if each.kind == RST_STREAM] or [wire.read_until(RST_STREAM)]
        assert reset[0].number == NO_ERROR


# ---- ends while nothing moves

def held(stream):
    """Not read by its handler."""
    stream.send(frame(TEXT, b"hold"))
    assert stream.read_message() == (TEXT, b"held")


def held_with_input(stream):
    held(stream)
    stream.send(frame(BINARY, bytes(30_000)))


def stuck(stream):
    """Its output fills its buffer and waits for a window; what comes is not read for that."""
    stream.acknowledges = False
    stream.send(frame(TEXT, b"flood 40 20000") + frame(BINARY, bytes(20_000)))


def stuck_a_little(stream):
    stream.acknowledges = False
    stream.send(frame(TEXT, b"flood 2 1000"))


@pytest.mark.parametrize("state", [held, held_with_input, stuck, stuck_a_little])
@pytest.mark.parametrize("way", ["reset of the stream", "reset of the connection", "end of the connection"])
@pytest.mark.parametrize("dispatch", ["loop", "pool"])
def test_an_end_is_heard_while_nothing_moves(serve, state, way, dispatch):
    running = serve(f"route /witness {{ handler witness; send_buffer 1m; ping_interval off; dispatch {dispatch}; }}")
    with H2Peer(running, window=1000) as peer:
        stream = witness(peer)
        state(stream)
        peer.ping()
        peer.ping()
        if way == "reset of the stream":
            stream.reset()
        elif way == "reset of the connection":
            peer.reset()
        else:
            peer.close()
        eventually("its close", lambda: said_closed(running) == [(1006, 4)])
        eventually("nobody is left", lambda: on_routes(running) == 0)

"""One thread with many WebSocket clients, each with habits of its own; every frame that comes is held to RFC 6455 and 7692."""
import base64
import heapq
import itertools
import os
import selectors
import ssl
import struct
import time
from collections import deque
from datetime import UTC, datetime

from channels import Elsewhere, Truncated
from compression import OFFERS, Agreement

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


class Loop:
    """Sockets and times. `faults` collects what went wrong, whoever found it."""

    def __init__(self):
        self.selector = selectors.DefaultSelector()
        self.times, self.order = [], itertools.count()
        self.peers = set()
        self.faults = []
        # Is called before a client that has found a fault leaves.
        self.witness = lambda: None
        # How many were cut off, of those clients that may be.
        self.cut_off = 0
        # When, on which path and how clients ended that a dying process may take along.
        self.taken_along = []
        # Whether an upgrade may have ended a client with 1012, or a connection of HTTP/2.
        self.may_end = self.may_go = lambda _: False
        self.now = time.monotonic()

    def later(self, seconds, call):
        heapq.heappush(self.times, (self.now + seconds, next(self.order), call))

    def turn(self, longest=0.05):
        wait = longest
        if self.times:
            wait = min(wait, max(0.0, self.times[0][0] - time.monotonic()))
        ready = self.selector.select(wait)
        self.now = time.monotonic()
        for key, events in ready:
            if not key.data.has_ended:
                key.data.on_ready(events)
        while self.times and self.times[0][0] <= self.now:
            heapq.heappop(self.times)[2]()


def masked(payload, key):
    """RFC 6455 5.3, as one large number."""
    if not any(key) or not payload:
        return payload
    whole = (key * (len(payload) // 4 + 1))[:len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(whole, "big")).to_bytes(len(payload), "big")


def frame(opcode, payload, fin=True, key=bytes(4), rsv=0):
    length, first = len(payload), fin << 7 | rsv << 4 | opcode
    if length < 126:
        head = bytes([first, 0x80 | length])
    elif length < 65536:
        head = struct.pack("!BBH", first, 0xFE, length)
    else:
        head = struct.pack("!BBQ", first, 0xFF, length)
    return head + key + masked(payload, key)


class Habits:
    """How a client reads, writes and ends; drawn once for each."""

    def __init__(self, random):
        # With 2048 the window is smaller than a segment, and Linux sends 1 KB of what is due every 200 ms.
        self.receive_buffer = random.choice([None, None, 8192, 8192, 30000])
        self.reading = random.choices(["at once", "slowly", "with pauses"], [6, 2, 2])[0]
        self.writing = random.choices(["at once", "in cuts"], [6, 3])[0]
        self.cuts = random.choice([1, 7, 100, 3000])
        self.masks = random.random() < 0.5
        self.fragments = random.choice([0, 0, 0.2, 0.8])
        self.pings = random.choice([0, 0, 0.05])
        self.ending = random.choices(["polite", "early", "reset", "mute", "cut off"], [80, 6, 6, 4, 4])[0]
        # What it offers for compression, and how much of what it says is compressed then.
        self.offer = random.choice([None, *OFFERS])
        self.packs = random.choice([0.5, 1])

    def __str__(self):
        return (f"reads {self.reading}, writes {self.writing}"
                + (f" of {self.cuts}" if self.writing == "in cuts" else "") + f", ends {self.ending}"
                + ("" if self.offer is None else f", deflate{self.offer}"))


class Peer:
    """A client: `more()` is asked for something to send while it has room, `heard()` gets what comes."""
    PATIENCE = 60.0
    path = "/"
    # Close codes that may come without having been asked for.
    allowed = frozenset()
    # Whether the answers to what came before its Close come before the gateway's.
    answers_at_once = False
    # Whether its handler hands it over at the end of a message, whatever it was asked for.
    hands_over = True

    def __init__(self, loop, doors, random, life, number):
        self.loop, self.random, self.number = loop, random, number
        self.habits = Habits(random)
        self.until = loop.now + life
        self.phase = "opening"
        self.output, self.out_at, self.out_data = deque(), 0, 0
        self.input = bytearray()
        self.parts, self.kind = None, 0
        self.pings = deque()
        self.heard_at = loop.now
        self.read_pause = self.write_pause = False
        self.budget = random.randint(1000, 300_000)
        self.interest = 0
        self.has_ended = False
        self.messages = self.data = 0
        # How compression was agreed on, and whether the message that is coming is compressed.
        self.agreement, self.is_packed = None, False
        self.channel = doors.open(random, self.habits.receive_buffer)
        loop.peers.add(self)
        self.key = base64.b64encode(random.randbytes(16)).decode()
        offer = self.habits.offer
        extensions = "" if offer is None else f"Sec-WebSocket-Extensions: permessage-deflate{offer}\r\n"
        self.write((f"GET {self.path} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {self.key}\r\n{extensions}\r\n").encode())

    # ---- what a kind of client fills in
    def more(self):
        """Sends something and answers True, or has nothing to send now."""
        return False

    def is_settled(self):
        """Whether all that must come has come."""
        return True

    def heard(self, kind, payload):
        self.wrong(f"a message of {len(payload)} bytes came, and none was due")

    def opened(self):
        pass

    def ended(self):
        pass

    # ---- its life
    def wrong(self, what):
        # As lines of the log say it.
        moment = datetime.now(UTC).isoformat(timespec="milliseconds")
        self.loop.witness()
        self.loop.faults.append(
            f"{moment} {type(self).__name__} {self.number} on {self.path} ({self.channel}, {self.habits}): {what}")
        self.finish()

    def finish(self):
        if self.has_ended:
            return
        self.has_ended, self.phase = True, "ended"
        if self.interest:
            self.channel.watch(self.loop.selector, self.interest, 0, self)
        self.channel.close()
        self.loop.peers.discard(self)
        self.ended()

    def reset(self):
        self.channel.reset()
        self.finish()

    def tick(self):
        """Goes on by itself: sends while there is room, ends when its time is over."""
        if self.has_ended or self.phase == "opening":
            return self.check_patience()
        if self.phase == "open":
            over = self.loop.now >= self.until
            while not over and not self.has_ended and self.out_data < 200_000 and self.more():
                pass
            if self.has_ended:
                return
            if over and self.habits.ending not in ("polite", "early"):
                return self.leave_rudely()
            if over and (self.habits.ending == "early" or self.is_settled() and not self.pings):
                self.phase = "closing"
                self.write(frame(CLOSE, struct.pack("!H", 1000)))
        self.check_patience()

    def leave_rudely(self):
        if self.habits.ending == "cut off" and not self.output:
            # In the middle of a frame, as it is anyway if something waits.
            try:
                self.channel.send(frame(BINARY, bytes(5000))[:self.random.randint(1, 4000)])
            except OSError:
                pass
        if self.habits.ending == "mute":
            return self.finish()
        self.reset()

    def standing(self):
        """Where it is, in words."""
        return (f"{self.phase}, {self.out_data} bytes wait to be sent, "
                + ("all has come, " if self.is_settled() else f"not all has come, the last {self.loop.now - self.heard_at:.1f} s ago, ")
                + f"{len(self.pings)} pongs are due, {'does not read now' if self.read_pause else 'reads'}; {self.messages} messages "
                + f"came, of the next {len(self.parts or [])} frames and {len(self.input)} bytes: {bytes(self.input[:14]).hex()}; "
                + f"{self.channel.standing()}")

    def check_patience(self):
        due = self.phase != "open" or not self.is_settled() or self.pings
        if due and not self.read_pause and self.loop.now - self.heard_at > self.PATIENCE:
            self.wrong(f"nothing has come for {self.PATIENCE:.0f} s: {self.standing()}")

    # ---- sending
    def write(self, data):
        self.output.append(data)
        self.out_data += len(data)
        self.watch()

    def say(self, kind, payload):
        """A message, in one frame or in several with pings between them."""
        assert self.phase == "open", f"a client says something while {self.phase}"
        random, habits = self.random, self.habits
        is_packed = self.agreement is not None and random.random() < habits.packs
        if is_packed:
            payload = self.agreement.pack(payload)
        pieces = [payload]
        if habits.fragments and random.random() < habits.fragments:
            cuts = sorted(random.randint(0, len(payload)) for _ in range(random.randint(1, 6)))
            pieces = [payload[a:b] for a, b in zip([0] + cuts, cuts + [len(payload)])]
        for at, piece in enumerate(pieces):
            key = random.randbytes(4) if habits.masks else bytes(4)
            rsv = 4 if is_packed and at == 0 else 0
            self.write(frame(kind if at == 0 else CONTINUATION, piece, at == len(pieces) - 1, key, rsv))
            if habits.pings and random.random() < habits.pings:
                self.pings.append(random.randbytes(random.randint(0, 125)))
                self.write(frame(PING, self.pings[-1]))

    def flush(self):
        while self.output:
            chunk = memoryview(self.output[0])[self.out_at:]
            if self.habits.writing == "in cuts" and self.phase != "opening":
                chunk = chunk[:self.random.randint(1, self.habits.cuts + self.out_data // 20)]
                if self.random.random() < 0.1:
                    self.pause("write_pause", self.random.uniform(0.0, 0.01))
            try:
                sent = self.channel.send(chunk)
            except BlockingIOError:
                return
            self.out_at += sent
            self.out_data -= sent
            if self.out_at == len(self.output[0]):
                self.output.popleft()
                self.out_at = 0
            if self.write_pause:
                return

    # ---- being ready
    def watch(self):
        if self.has_ended:
            return
        writes = self.channel.is_waiting or self.output and not self.write_pause and self.channel.is_open
        wanted = (0 if self.read_pause else selectors.EVENT_READ) | (selectors.EVENT_WRITE if writes else 0)
        if wanted == self.interest:
            return
        self.channel.watch(self.loop.selector, self.interest, wanted, self)
        self.interest = wanted

    def pause(self, what, seconds):
        def over():
            setattr(self, what, False)
            # While it does not read nothing is heard.
            if what == "read_pause":
                self.heard_at = self.loop.now
            self.watch()
        setattr(self, what, True)
        self.watch()
        self.loop.later(seconds, over)

    def on_ready(self, events):
        try:
            if events & selectors.EVENT_WRITE:
                self.channel.push()
                if not self.write_pause:
                    self.flush()
            if events & selectors.EVENT_READ:
                self.receive()
        except BlockingIOError:
            pass
        except Elsewhere:
            return self.finish()
        except Truncated as error:
            # Behind a whole closing handshake RFC 8446 6.1 leaves no doubt, or the gateway has said too little.
            return self.truncated(str(error)) if self.phase == "closed" else self.lost(str(error))
        except (ConnectionError, ssl.SSLError) as error:
            return self.lost(str(error))
        if not self.has_ended:
            self.tick()
            self.watch()

    def receive(self):
        limit, habit = 1 << 18, self.habits.reading
        if habit == "slowly":
            limit = self.random.randint(100, 20_000)
        more = self.channel.receive(limit)
        if not more:
            return self.lost("end of stream")
        self.input += more
        self.budget -= len(more)
        if habit == "slowly" and self.random.random() < 0.3:
            self.pause("read_pause", self.random.uniform(0.001, 0.01))
        if habit == "with pauses" and self.budget < 0:
            self.budget = self.random.randint(1000, 600_000)
            self.pause("read_pause", self.random.uniform(0.02, 0.8))
        self.take()
        # Of a large frame every part is progress; that the gateway pings is none.
        if len(self.input) > 200:
            self.heard_at = self.loop.now

    def truncated(self, why):
        self.wrong(why)

    def lost(self, why):
        """The gateway has ended the stream, or it broke."""
        if self.phase == "closed":
            return self.finish()
        self.wrong(f"lost while {self.phase}: {why}")

    # ---- what comes
    def take(self):
        if self.phase == "opening" and not self.take_head():
            return
        at, data = 0, self.input
        while not self.has_ended and len(data) - at >= 2:
            head, length = at + 2, data[at + 1]
            if length > 125:
                head = at + (4 if length == 126 else 10)
                if len(data) < head:
                    break
                length = int.from_bytes(data[at + 2:head], "big")
            if len(data) < head + length:
                break
            first, payload = data[at], bytes(data[head:head + length])
            at = head + length
            self.on_frame(first & 0x80 != 0, first >> 4 & 7, first & 0x0F, payload)
        if at:
            del data[:at]

    def take_head(self):
        end = self.input.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self.input[:end])
        del self.input[:end + 4]
        if not head.startswith(b"HTTP/1.1 101 "):
            self.wrong(f"the handshake was answered {head[:200]!r}")
            return False
        if not self.take_response(head):
            return False
        self.phase = "open"
        self.opened()
        return not self.has_ended

    def take_response(self, head):
        """Whether what was offered for compression is answered as it may be."""
        if (self.habits.offer is not None) != (b"Sec-WebSocket-Extensions: " in head):
            self.wrong(f"permessage-deflate was {'offered' if self.habits.offer is not None else 'not offered'}: {head!r}")
        elif self.habits.offer is not None:
            response = head.partition(b"Sec-WebSocket-Extensions: ")[2].partition(b"\r\n")[0].decode()
            try:
                self.agreement = Agreement(self.habits.offer, response, self.random)
            except ValueError as error:
                self.wrong(str(error))
        return not self.has_ended

    def on_frame(self, fin, rsv, opcode, payload):
        if self.phase == "closed":
            return self.wrong(f"a frame {opcode} after Close")
        if rsv and (rsv != 4 or self.agreement is None or opcode not in (TEXT, BINARY)):
            return self.wrong(f"a frame {opcode} with the reserved bits {rsv}")
        if opcode == PING:
            # Behind our Close the gateway reads nothing, and would reset the connection for it.
            return self.write(frame(PONG, payload)) if self.phase == "open" else None
        self.heard_at = self.loop.now
        if opcode == PONG:
            # RFC 6455 5.5.3: while its output is held up the gateway may answer the last of several pings alone.
            while self.pings:
                if self.pings.popleft() == payload:
                    return None
            return self.wrong(f"a pong {payload!r} that is not due")
        if opcode == CLOSE:
            return self.on_close(payload)
        if opcode in (TEXT, BINARY) and self.parts is None:
            self.kind, self.parts, self.is_packed = opcode, [payload], rsv == 4
        elif opcode == CONTINUATION and self.parts is not None:
            self.parts.append(payload)
        else:
            return self.wrong(f"a frame with opcode {opcode} " + (
                "of no message" if self.parts is None else "within a fragmented message"))
        if fin:
            whole = self.parts[0] if len(self.parts) == 1 else b"".join(self.parts)
            self.parts = None
            if self.is_packed:
                try:
                    whole = self.agreement.unpack(whole)
                except ValueError as error:
                    return self.wrong(str(error))
            self.messages += 1
            self.data += len(whole)
            self.heard(self.kind, whole)
        return None

    def on_close(self, payload):
        code = struct.unpack("!H", payload[:2])[0] if payload else 1005
        phase, self.phase = self.phase, "closed"
        if phase == "closing":
            # Both sides may begin at once.
            if code != 1000 and not self.may_hear(code):
                return self.wrong(f"Close 1000 was answered with {code} {payload[2:]!r}")
            # One that the gateway began is no answer to ours, and what crossed it is not read.
            if code == 1000 and self.answers_at_once and not self.is_settled():
                return self.wrong("answers to what came before Close are missing")
            return None
        if not self.may_hear(code):
            return self.wrong(f"closed with {code} {payload[2:]!r} after {self.messages} messages")
        self.closed_by_gateway(code, payload[2:])
        if not self.has_ended:
            # A frame that has begun is ended, or nobody would take what follows for a Close.
            begun = [self.output[0]] if self.out_at else []
            self.output = deque(begun)
            self.out_data = sum(map(len, begun)) - self.out_at
            self.write(frame(CLOSE, payload[:2]))
        return None

    def may_hear(self, code):
        return code in self.allowed or code == 1012 and self.loop.may_end(self)

    def closed_by_gateway(self, code, reason):
        pass

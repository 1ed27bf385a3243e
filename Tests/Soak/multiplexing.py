"""HTTP/2 as clients share it: a connection whose streams are Channels. What the gateway says is held to RFC 9113 and 8441."""
import selectors
import ssl
import struct
import time

import hpack

from channels import Elsewhere, Truncated

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
(DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION) = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, HAS_PRIORITY = 1, 1, 4, 8, 0x20
CANCEL = 8
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = range(1, 6)
ENABLE_CONNECT_PROTOCOL = 8
LARGEST = (1 << 31) - 1
# What an answer over HTTP/2 does not have (RFC 9113 8.2.2, RFC 8441 5.1).
FORBIDDEN = {"connection", "upgrade", "keep-alive", "transfer-encoding", "sec-websocket-accept"}


class Breach(Exception):
    """The gateway has said what it may not."""


class H2Channel:
    """A stream that looks like a connection of HTTP/1.1: its opening handshake is said and heard in the words of RFC 8441."""
    is_open, is_waiting = True, False
    moves = False

    def __init__(self, connection, random):
        self.connection, self.random = connection, random
        self.number = None
        self.wanted, self.peer = 0, None
        self.inbox, self.head_left = bytearray(), 0
        # Whether the gateway has ended it, how it broke, whether this side has ended it, and whether its client is gone.
        self.has_ended, self.failure, self.has_said_end, self.is_left = False, None, False, False
        self.is_answered = False
        # What may be sent, what may come, and what has come and was read, but not acknowledged.
        self.window = self.allowance = self.unacknowledged = 0
        self.left_at = 0

    def __str__(self):
        return (f"stream {self.number} (may send {self.window} and hear {self.allowance}, {len(self.inbox)} unread) of "
                f"{self.connection}")

    # ---- as a channel
    @property
    def began(self):
        return self.connection.began

    def standing(self):
        return f"stream {self.number}, {self.connection.under.standing()}"

    def watch(self, selector, before, wanted, peer):
        self.wanted, self.peer = wanted, peer
        self.connection.schedule()

    def ready(self):
        """What of that which is wanted can be done."""
        can_read = self.inbox or self.has_ended or self.failure is not None
        can_write = self.connection.is_ready if self.number is None else not self.failure and self.connection.room(self)
        return self.wanted & ((selectors.EVENT_READ if can_read else 0) | (selectors.EVENT_WRITE if can_write else 0))

    def push(self):
        pass

    def send(self, chunk):
        if self.failure is not None:
            raise self.failure
        if self.number is None:
            if not self.connection.is_ready:
                raise BlockingIOError
            self.connection.ask(self, bytes(chunk))
            return len(chunk)
        room = self.connection.room(self)
        if not room:
            raise BlockingIOError
        piece = bytes(chunk[:room])
        self.connection.say(self, piece)
        return len(piece)

    def receive(self, limit):
        if self.inbox:
            taken = bytes(self.inbox[:limit])
            del self.inbox[:limit]
            self.connection.was_read(self, len(taken))
            return taken
        if self.has_ended:
            return b""
        if self.failure is not None:
            raise self.failure
        raise BlockingIOError

    def reset(self):
        if self.number is not None and not self.has_said_end:
            self.connection.break_off(self)

    def close(self):
        self.is_left, self.left_at = True, self.connection.loop.now
        self.wanted = 0
        self.connection.leave(self)

    # ---- what comes
    def on_head(self, fields, ends):
        if self.is_answered:
            raise Breach(f"stream {self.number} was answered twice")
        self.is_answered = True
        if wrong := FORBIDDEN & set(fields):
            raise Breach(f"the answer to stream {self.number} has {wrong}")
        status = fields.pop(":status")
        head = f"HTTP/1.1 {'101 ' if status == '200' else status}\r\n"
        for name, value in fields.items():
            name = {"sec-websocket-extensions": "Sec-WebSocket-Extensions"}.get(name, name)
            head += f"{name}: {value}\r\n"
        head = (head + "\r\n").encode()
        self.inbox += head
        self.head_left = len(head)
        self.has_ended = ends

    def on_data(self, payload, size, ends):
        if self.has_ended:
            raise Breach(f"DATA behind the end of stream {self.number}")
        if not self.is_answered:
            raise Breach(f"DATA before the answer to stream {self.number}")
        if size > self.allowance:
            raise Breach(f"{size} bytes of stream {self.number}, whose window had {self.allowance}")
        self.allowance -= size
        self.has_ended = ends
        if self.is_left:
            self.unacknowledged += size
            self.connection.acknowledge(self)
        else:
            self.inbox += payload
            # Padding is read by nobody.
            self.unacknowledged += size - len(payload)

    def on_reset(self, code):
        if not self.has_ended:
            self.failure = Truncated(f"RST_STREAM {code}")


class H2Connection:
    """A connection of HTTP/2 over another channel, with habits of its own."""
    PATIENCE = 60.0

    def __init__(self, loop, under, random, scheme):
        self.loop, self.under, self.random, self.scheme = loop, under, random, scheme
        self.began = time.monotonic()
        self.initial = random.choices([300, 3000, 65535, 1 << 20], [1, 2, 4, 3])[0]
        extra = random.choice([0, 1 << 20])
        table, frame_size = random.choice([0, 4096, 4096]), random.choice([16384, 16384, 100_000])
        self.cuts = random.choice([None, None, 1, 50, 3000])
        # How many streams it has at once and in all, and whether it holds its own window back now and then.
        self.most, self.left_to_open = random.randint(1, 12), random.randint(1, 60)
        self.is_lazy = random.random() < 0.3
        self.input, self.out = bytearray(), bytearray(PREFACE)
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.decoder.max_header_list_size = 1 << 16
        self.last = -1
        self.channels, self.waiting = {}, []
        # Streams that this side broke off, whose frames may still be under way: those before the last ping, and since.
        self.broken, self.broken_since, self.pinged = set(), set(), None
        self.is_ready = self.has_ended = self.is_scheduled = self.is_paused = False
        self.interest = 0
        self.head = None
        self.is_going = False
        # What was announced and not acknowledged yet: the change of every window.
        self.announced = []
        self.window, self.allowance, self.unacknowledged = 65535, 65535 + extra, 0
        self.peer_initial, self.peer_frame, self.peer_streams = 65535, 16384, 100
        self.frame_size = frame_size
        self.write_settings({HEADER_TABLE_SIZE: table, ENABLE_PUSH: 0, INITIAL_WINDOW_SIZE: self.initial,
                             MAX_FRAME_SIZE: frame_size}, lambda: setattr(self.decoder, "max_allowed_table_size", table))
        if extra:
            self.write(WINDOW_UPDATE, 0, 0, struct.pack("!I", extra))
        self.watch()

    def __str__(self):
        return (f"h2 {self.under}, windows {self.initial}, may send {self.window} and hear {self.allowance}, {len(self.out)} to "
                f"write, {len(self.input)} read" + (", lazy" if self.is_lazy else "")
                + (f", cuts {self.cuts}" if self.cuts else ""))

    # ---- streams
    def has_room(self):
        return (not self.has_ended and not self.is_going and self.left_to_open > 0
                and len(self.channels) + len(self.waiting) < min(self.most, self.peer_streams))

    def open(self, random):
        self.left_to_open -= 1
        channel = H2Channel(self, random)
        self.waiting.append(channel)
        return channel

    def ask(self, channel, request):
        """The opening handshake of HTTP/1.1 in other words."""
        first, *lines = request.decode().removesuffix("\r\n\r\n").split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines)
        head = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", self.scheme), (":path", first.split()[1]),
                (":authority", fields["Host"])]
        self.random.shuffle(head)
        head.append(("sec-websocket-version", fields["Sec-WebSocket-Version"]))
        if extensions := fields.get("Sec-WebSocket-Extensions"):
            head.append(("sec-websocket-extensions", extensions))
        self.waiting.remove(channel)
        self.last = channel.number = self.last + 2
        channel.window, channel.allowance = self.peer_initial, self.initial
        self.channels[channel.number] = channel
        self.write_head(channel.number, self.encoder.encode(head, huffman=self.random.random() < 0.5))

    def write_head(self, number, block):
        """Whole or in pieces, padded or not."""
        flags, before, after = 0, b"", b""
        if self.random.random() < 0.2:
            after = bytes(self.random.randrange(256))
            flags, before = flags | PADDED, bytes([len(after)])
        if self.random.random() < 0.2:
            flags, before = flags | HAS_PRIORITY, before + struct.pack("!IB", 0, 15)
        pieces = [block]
        if self.random.random() < 0.2:
            cut = self.random.randint(1, len(block) - 1)
            pieces = [block[:cut], block[cut:]]
        self.write(HEADERS, flags | (END_HEADERS if len(pieces) == 1 else 0), number, before + pieces[0] + after)
        for piece in pieces[1:]:
            self.write(CONTINUATION, END_HEADERS, number, piece)

    def room(self, channel):
        """How much of it fits into the next frame."""
        if channel.has_said_end or self.has_ended or len(self.out) > 1 << 16:
            return 0
        return max(0, min(channel.window, self.window, self.peer_frame))

    def say(self, channel, piece):
        flags, before, after = 0, b"", b""
        spare = min(channel.window, self.window, self.peer_frame) - len(piece)
        if spare > 0 and self.random.random() < 0.02:
            after = bytes(self.random.randrange(min(spare, 256)))
            flags, before = PADDED, bytes([len(after)])
        payload = before + piece + after
        channel.window -= len(payload)
        self.window -= len(payload)
        self.write(DATA, flags, channel.number, payload)

    def break_off(self, channel):
        channel.has_said_end = True
        self.write(RST_STREAM, 0, channel.number, struct.pack("!I", CANCEL))
        del self.channels[channel.number]
        self.broken_since.add(channel.number)
        self.ping()

    def ping(self):
        """What was broken off before it is quiet behind the answer."""
        if self.pinged is None:
            self.pinged = self.random.randbytes(8)
            self.broken, self.broken_since = self.broken_since, set()
            self.write(PING, 0, 0, self.pinged)

    def leave(self, channel):
        """Its client is gone."""
        if channel.number is None:
            self.waiting.remove(channel)
        elif not self.has_ended and channel.number in self.channels:
            if not channel.has_said_end and channel.failure is None:
                if not channel.has_ended and self.random.random() < 0.5:
                    self.break_off(channel)
                else:
                    channel.has_said_end = True
                    self.write(DATA, END_STREAM, channel.number)
            # What nobody reads any more holds nothing up.
            self.was_read(channel, len(channel.inbox))
            channel.inbox.clear()
            self.forget_if_over(channel)
        self.schedule()

    def forget_if_over(self, channel):
        if channel.is_left and (channel.has_ended or channel.failure is not None):
            self.channels.pop(channel.number, None)

    # ---- windows
    def was_read(self, channel, count):
        """Its client has taken so much."""
        head = min(count, channel.head_left)
        channel.head_left -= head
        channel.unacknowledged += count - head
        self.acknowledge(channel)

    def acknowledge(self, channel):
        """Opens its window again, in steps of at most a half."""
        count = channel.unacknowledged
        if count and not channel.has_ended and channel.failure is None and count >= max(1, self.initial // 2):
            channel.unacknowledged = 0
            channel.allowance += count
            self.write(WINDOW_UPDATE, 0, channel.number, struct.pack("!I", count))

    def acknowledge_all(self):
        """Opens its own window again."""
        if count := self.unacknowledged:
            self.unacknowledged = 0
            self.allowance += count
            self.write(WINDOW_UPDATE, 0, 0, struct.pack("!I", count))

    def starve(self):
        """Nothing of any stream fits for a while."""
        def over():
            self.is_paused = False
            if not self.has_ended:
                self.acknowledge_all()
                self.flush_and_watch()
        self.is_paused = True
        self.loop.later(self.random.uniform(0.01, 0.4), over)

    def resize(self):
        """Another size for the windows of all streams: a larger one counts at once, a smaller one when it is acknowledged."""
        before, self.initial = self.initial, self.random.choice([300, 3000, 65535, 1 << 20])
        change = self.initial - before

        # Who comes later has the new one from the beginning.
        concerned = list(self.channels.values())

        def apply():
            for channel in concerned:
                channel.allowance += change
                self.acknowledge(channel)
        if change > 0:
            apply()
        self.write_settings({INITIAL_WINDOW_SIZE: self.initial}, apply if change < 0 else lambda: None)

    # ---- frames out
    def write(self, kind, flags, number, payload=b""):
        self.out += len(payload).to_bytes(3, "big") + struct.pack("!BBI", kind, flags, number) + payload

    def write_settings(self, pairs, when_acknowledged):
        self.announced.append(when_acknowledged)
        self.write(SETTINGS, 0, 0, b"".join(struct.pack("!HI", code, number) for code, number in pairs.items()))

    def flush(self):
        while self.out and self.under.is_open:
            count = self.random.randint(1, self.cuts + len(self.out) // 20) if self.cuts else 1 << 16
            try:
                sent = self.under.send(bytes(self.out[:count]))
            except BlockingIOError:
                return
            del self.out[:sent]

    def flush_and_watch(self):
        try:
            self.flush()
        except (ConnectionError, ssl.SSLError) as error:
            # What the gateway has said before may tell why.
            self.on_ready(selectors.EVENT_READ)
            return self.fail(str(error))
        return self.watch()

    # ---- being ready
    def watch(self):
        if self.has_ended:
            return
        writes = self.under.is_waiting or self.out and self.under.is_open
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if writes else 0)
        if wanted != self.interest:
            self.under.watch(self.loop.selector, self.interest, wanted, self)
            self.interest = wanted

    def schedule(self):
        """Has `serve` called in the next turn."""
        if not self.is_scheduled and not self.has_ended:
            self.is_scheduled = True
            self.loop.later(0.0001, self.serve)

    def on_ready(self, events):
        try:
            if events & selectors.EVENT_WRITE:
                self.under.push()
                self.flush()
            if events & selectors.EVENT_READ:
                self.receive()
        except BlockingIOError:
            pass
        except Breach as error:
            return self.wrong(str(error))
        except hpack.HPACKError as error:
            return self.wrong(f"headers that cannot be read: {error}")
        except (Truncated, ConnectionError, ssl.SSLError) as error:
            return self.fail(str(error))
        self.serve()
        return self.watch()

    def serve(self):
        """Lets each stream that can go on do so, in any order."""
        self.is_scheduled = False
        channels = [*self.channels.values(), *self.waiting]
        self.random.shuffle(channels)
        for channel in channels:
            if (events := channel.ready()) and not channel.peer.has_ended:
                channel.peer.on_ready(events)
        if self.has_ended:
            return
        if self.channels and self.random.random() < 0.002:
            self.resize()
        self.flush_and_watch()
        if any(channel.ready() for channel in [*self.channels.values(), *self.waiting]):
            self.schedule()
        if self.left_to_open == 0 and self.is_idle():
            self.close()

    def is_idle(self):
        return not self.channels and not self.waiting

    # ---- its end
    def wrong(self, what):
        self.loop.faults.append(f"{self}: {what}")
        self.fail("what came was wrong")

    def fail(self, why):
        """It broke, and so did its streams."""
        if self.has_ended:
            return
        if self.is_idle() and not self.is_going:
            self.loop.faults.append(f"{self}: ended while it was idle, without GOAWAY: {why}")
        self._end()
        for channel in [*self.channels.values(), *self.waiting]:
            if channel.failure is None and not channel.has_ended:
                channel.failure = Truncated(f"the connection ended: {why}")
            self.deliver(channel)
        self.channels.clear()

    def deliver(self, channel):
        """What has come of a connection that is no more is read by whoever reads slowly, too."""
        if channel.peer is None or channel.peer.has_ended:
            return
        if channel.wanted & selectors.EVENT_READ:
            channel.peer.on_ready(selectors.EVENT_READ)
        self.loop.later(0.005, lambda: self.deliver(channel))

    def _end(self):
        self.has_ended = True
        if self.interest:
            self.under.watch(self.loop.selector, self.interest, 0, self)
        self.under.close()

    def close(self):
        """In one of the ways that there are."""
        if self.has_ended:
            return
        if self.random.random() < 0.5:
            self.write(GOAWAY, 0, 0, struct.pack("!II", 0, 0))
        try:
            self.flush()
        except (ConnectionError, ssl.SSLError):
            pass
        if self.random.random() < 0.2:
            self.under.reset()
        self._end()

    def tick(self):
        """Whether the gateway has ended what its clients have ended."""
        for channel in self.channels.values():
            if channel.is_left and self.loop.now - channel.left_at > self.PATIENCE:
                return self.wrong(f"stream {channel.number} has not ended {self.PATIENCE:.0f} s after its client had ended it")
        return None

    # ---- frames in
    def receive(self):
        more = self.under.receive(1 << 18)
        if not more:
            return self.fail("end of stream")
        self.input += more
        at, data = 0, self.input
        while not self.has_ended and len(data) - at >= 9:
            size = int.from_bytes(data[at:at + 3], "big")
            if size > self.frame_size:
                raise Breach(f"a frame of {size} bytes, the largest may have {self.frame_size}")
            if len(data) < at + 9 + size:
                break
            kind, flags, number = struct.unpack_from("!BBI", data, at + 3)
            payload = bytes(data[at + 9:at + 9 + size])
            at += 9 + size
            self.on_frame(kind, flags, number & LARGEST, payload)
        del data[:at]
        if not self.is_paused and not self.has_ended:
            if self.is_lazy and self.random.random() < 0.01:
                self.starve()
            else:
                self.acknowledge_all()
        return None

    def on_frame(self, kind, flags, number, payload):
        if self.head is not None and (kind, number) != (CONTINUATION, self.head[0]):
            raise Breach(f"a frame {kind} of stream {number} within headers of stream {self.head[0]}")
        if not self.is_ready and kind != SETTINGS:
            raise Breach(f"the first frame is {kind}")
        handlers = {DATA: self.on_data, HEADERS: self.on_headers, CONTINUATION: self.on_continuation, RST_STREAM: self.on_reset,
                    SETTINGS: self.on_settings, PING: self.on_ping, GOAWAY: self.on_goaway, WINDOW_UPDATE: self.on_window}
        if kind not in handlers:
            raise Breach(f"a frame of the kind {kind}")
        handlers[kind](flags, number, payload)

    def channel(self, number, what):
        """The stream of a frame; None for one that was broken off while the frame was under way."""
        found = self.channels.get(number)
        if found is None and number not in self.broken and number not in self.broken_since:
            raise Breach(f"{what} of stream {number}, which is not open")
        return found

    def unpadded(self, flags, payload):
        if not flags & PADDED:
            return payload
        if not payload or payload[0] >= len(payload):
            raise Breach("more padding than payload")
        return payload[1:len(payload) - payload[0]]

    def on_data(self, flags, number, payload):
        if len(payload) > self.allowance:
            raise Breach(f"{len(payload)} bytes, the window of the connection had {self.allowance}")
        self.allowance -= len(payload)
        self.unacknowledged += len(payload)
        channel = self.channel(number, "DATA")
        if channel is not None:
            channel.on_data(self.unpadded(flags, payload), len(payload), bool(flags & END_STREAM))
            self.forget_if_over(channel)

    def on_headers(self, flags, number, payload):
        payload = self.unpadded(flags, payload)
        self.head = [number, flags & END_STREAM, payload[5:] if flags & HAS_PRIORITY else payload]
        if flags & END_HEADERS:
            self.on_head()

    def on_continuation(self, flags, number, payload):
        if self.head is None:
            raise Breach("CONTINUATION of nothing")
        self.head[2] += payload
        if flags & END_HEADERS:
            self.on_head()

    def on_head(self):
        (number, ends, block), self.head = self.head, None
        # It changes the table also where nobody cares for it any more.
        fields = {str(name): str(value) for name, value in self.decoder.decode(block)}
        channel = self.channel(number, "HEADERS")
        if channel is not None:
            channel.on_head(fields, bool(ends))
            self.forget_if_over(channel)

    def on_reset(self, _, number, payload):
        if self.last < number or len(payload) != 4:
            raise Breach(f"RST_STREAM {payload!r} of stream {number}")
        # Behind its end it says that the rest is not wanted, and this side may have forgotten it.
        if channel := self.channels.get(number):
            channel.on_reset(int.from_bytes(payload, "big"))
            channel.has_said_end = True
            self.forget_if_over(channel)

    def on_settings(self, flags, number, payload):
        if flags & ACK:
            if not self.announced:
                raise Breach("SETTINGS acknowledged that were not sent")
            return self.announced.pop(0)()
        pairs = dict(struct.iter_unpack("!HI", payload))
        if not self.is_ready and pairs.get(ENABLE_CONNECT_PROTOCOL) != 1:
            raise Breach(f"the first SETTINGS are {pairs}")
        initial = pairs.get(INITIAL_WINDOW_SIZE, self.peer_initial)
        for channel in self.channels.values():
            channel.window += initial - self.peer_initial
        self.peer_initial = initial
        self.peer_frame = pairs.get(MAX_FRAME_SIZE, self.peer_frame)
        self.peer_streams = pairs.get(MAX_CONCURRENT_STREAMS, self.peer_streams)
        self.is_ready = True
        self.write(SETTINGS, ACK, 0)
        return None

    def on_ping(self, flags, number, payload):
        if not flags & ACK:
            return self.write(PING, ACK, 0, payload)
        if payload != self.pinged:
            raise Breach(f"the answer {payload!r} to the ping {self.pinged!r}")
        self.pinged = None
        self.broken.clear()
        if self.broken_since:
            self.ping()
        return None

    def on_goaway(self, flags, number, payload):
        last, code = struct.unpack("!II", payload[:8])
        if code or not self.is_idle() and not self.loop.may_go(self):
            raise Breach(f"GOAWAY {code} ({payload[8:]!r}) with {len(self.channels)} streams, the last is {last & LARGEST}")
        self.is_going = True
        # RFC 9113 6.8: those with larger numbers were not and will not be looked at.
        for channel in [*self.waiting, *(each for each in self.channels.values() if each.number > last & LARGEST)]:
            channel.failure = Elsewhere("GOAWAY")
            self.channels.pop(channel.number, None)
            self.deliver(channel)

    def on_window(self, flags, number, payload):
        count = int.from_bytes(payload, "big") & LARGEST
        if count == 0:
            raise Breach(f"WINDOW_UPDATE by nothing of stream {number}")
        if number == 0:
            self.window += count
        # One that this side has forgotten may be meant.
        elif number > self.last:
            raise Breach(f"WINDOW_UPDATE of stream {number}, which is idle")
        elif channel := self.channels.get(number):
            channel.window += count
        if self.window > LARGEST or number in self.channels and self.channels[number].window > LARGEST:
            raise Breach(f"the window of stream {number} is beyond its largest")

"""A client of HTTP/2 (RFC 9113) whose streams are WebSockets (RFC 8441) or plain requests. Honest traffic is made and judged
by the package `h2`; `Wire` alone writes any frame, right or wrong, and shows every frame it gets."""
import socket
import ssl
import struct
from dataclasses import dataclass

import h2.config
import h2.connection
import h2.events
import hpack
from h2.settings import SettingCodes, Settings

from raw_peer import FramePeer

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# RFC 9113 6: the types of frames.
(DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION) = range(10)
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8
# RFC 9113 7: the codes of errors.
(NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM,
 CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM, INADEQUATE_SECURITY, HTTP_1_1_REQUIRED) = range(14)
# RFC 9113 6.5.2 and RFC 8441 3.
(HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE) = range(1, 7)
ENABLE_CONNECT_PROTOCOL = 8
# RFC 9113 8.2.2 and RFC 8441 5.1: what an answer does not have.
FORBIDDEN = {"connection", "upgrade", "keep-alive", "transfer-encoding", "proxy-connection", "sec-websocket-accept"}


@dataclass
class Frame:
    """A frame of HTTP/2, as it came."""
    kind: int
    flags: int
    stream: int
    payload: bytes

    @property
    def number(self):
        """What RST_STREAM, WINDOW_UPDATE and GOAWAY are about: the code or the increment."""
        at = 4 if self.kind == GOAWAY else 0
        return int.from_bytes(self.payload[at:at + 4]) & 0x7FFFFFFF

    @property
    def last_stream(self):
        """Of a GOAWAY."""
        return int.from_bytes(self.payload[:4]) & 0x7FFFFFFF


def h2_frame(kind, flags=0, stream=0, payload=b"", length=None):
    """One frame on the wire, RFC 9113 4.1; `length` for one that lies about it."""
    return (len(payload) if length is None else length).to_bytes(3) + struct.pack("!BBI", kind, flags, stream) + payload


def settings_payload(pairs):
    return b"".join(struct.pack("!HI", code, number) for code, number in pairs.items())


def websocket_head(path, authority, scheme="http", headers=()):
    """RFC 8441 5: what takes the place of the opening handshake."""
    return [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", scheme), (":path", path),
            (":authority", authority), ("sec-websocket-version", "13"), *headers]


def plain_head(path, authority, scheme="http", method="GET", headers=()):
    return [(":method", method), (":scheme", scheme), (":path", path), (":authority", authority), *headers]


def secure(sock, context, host="localhost"):
    """TLS over a socket, with HTTP/2 agreed on."""
    context.set_alpn_protocols(["h2"])
    wrapped = context.wrap_socket(sock, server_hostname=host)
    assert wrapped.selected_alpn_protocol() == "h2", wrapped.selected_alpn_protocol()
    return wrapped


class Wire:
    """A connection of bare frames. `shake` opens it as RFC 9113 3.4 says; without it nothing has been said yet."""

    def __init__(self, gateway, *, context=None, host="localhost", timeout=20.0, receive_buffer=None, source=None, port=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if source:
            self.socket.bind((source, 0))
        self.port = port or gateway.port
        self.socket.connect(("127.0.0.1", self.port))
        self.scheme = "https" if context else "http"
        self.authority = f"{host if context else '127.0.0.1'}:{self.port}"
        if context:
            self.socket = secure(self.socket, context, host)
        self.pending = b""
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        # How often something came: as many writes of the gateway, or fewer.
        self.reads = 0

    def shake(self, settings=None):
        """Sends the preface, awaits the gateway's SETTINGS and acknowledges them; answers them."""
        self.send(PREFACE + h2_frame(SETTINGS, payload=settings_payload(settings or {})))
        first = self.read()
        assert (first.kind, first.flags & ACK) == (SETTINGS, 0), first
        self.send(h2_frame(SETTINGS, ACK))
        return dict(struct.iter_unpack("!HI", first.payload))

    def send(self, data):
        self.socket.sendall(data)

    def write(self, kind, flags=0, stream=0, payload=b""):
        self.send(h2_frame(kind, flags, stream, payload))

    def write_head(self, stream, head, flags=END_HEADERS):
        self.write(HEADERS, flags, stream, self.encoder.encode(head))

    def open(self, stream, path="/echo", headers=()):
        """Asks for a WebSocket, and does not wait for the answer."""
        self.write_head(stream, websocket_head(path, self.authority, self.scheme, headers))

    def _fill(self, count):
        while len(self.pending) < count:
            more = self.socket.recv(1 << 18)
            if not more:
                raise EOFError(f"closed after {len(self.pending)} of {count} bytes")
            self.reads += 1
            self.pending += more

    def read(self):
        """The next frame; EOFError when the gateway has closed."""
        self._fill(9)
        size = int.from_bytes(self.pending[:3])
        self._fill(9 + size)
        kind, flags, stream = struct.unpack("!BBI", self.pending[3:9])
        frame = Frame(kind, flags, stream & 0x7FFFFFFF, self.pending[9:9 + size])
        self.pending = self.pending[9 + size:]
        return frame

    def read_until(self, *kinds, stream=None):
        """Skips to the next frame of a kind."""
        while True:
            frame = self.read()
            if frame.kind in kinds and stream in (None, frame.stream):
                return frame

    def rest(self):
        """All frames until the gateway closes."""
        frames = []
        try:
            while True:
                frames.append(self.read())
        except (EOFError, ConnectionResetError, BrokenPipeError, ssl.SSLError):
            return frames

    def ping(self):
        """Goes round through the gateway twice, since an answer to PING may pass what else is said in its turn: what comes."""
        frames = []
        for word in (b"once ...", b"... more"):
            self.write(PING, 0, 0, word)
            while not (frames and frames[-1].kind == PING and frames[-1].payload == word):
                frames.append(self.read())
        return [each for each in frames if each.kind != PING]

    def close(self):
        self.socket.close()

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class StreamReset(ConnectionResetError):
    """The gateway has sent RST_STREAM, or the connection ended under the stream."""

    def __init__(self, code):
        super().__init__(f"the stream was reset with {code}")
        self.code = code


class H2Stream(FramePeer):
    """One stream. `status` and `headers` are those of the answer, as with RawPeer; `acknowledges` opens its window again for
    what comes."""

    def __init__(self, peer, number):
        self.peer, self.number = peer, number
        self.status, self.headers = None, {}
        self.pending = bytearray()
        self.acknowledges = True
        self.has_ended, self.reset_code = False, None
        # How many bytes of DATA have come, and in how many frames.
        self.received = self.data_frames = 0

    def _wait(self):
        if self.reset_code is not None:
            raise StreamReset(self.reset_code)
        if self.has_ended:
            raise EOFError("the stream has ended")
        self.peer.pump()

    def answered(self):
        """Waits for the head of the answer."""
        while self.status is None:
            self._wait()
        return self

    def opened(self):
        """Checks the answer as RFC 8441 5 has it."""
        self.answered()
        assert self.status == 200, (self.status, self.body)
        assert not FORBIDDEN & set(self.headers), self.headers
        return self

    @property
    def body(self):
        """All of an answer that is no WebSocket."""
        while not self.has_ended:
            self._wait()
        return bytes(self.pending)

    def _read(self, count):
        while len(self.pending) < count:
            self._wait()
        taken = bytes(self.pending[:count])
        del self.pending[:count]
        return taken

    def send(self, data, end=False):
        """All of it, as the windows of both let it out."""
        view, h2 = memoryview(bytes(data)), self.peer.h2
        while view:
            room = min(h2.local_flow_control_window(self.number), h2.max_outbound_frame_size, len(view))
            if room == 0:
                self.peer.flush()
                self._wait()
                continue
            h2.send_data(self.number, bytes(view[:room]))
            view = view[room:]
        if end:
            h2.end_stream(self.number)
        self.peer.flush()

    def end(self):
        """END_STREAM, as a FIN is."""
        self.send(b"", end=True)

    def reset(self, code=CANCEL):
        self.peer.h2.reset_stream(self.number, code)
        self.has_ended = True
        self.peer.flush()

    def acknowledge(self, count):
        """Opens the window of the stream by so much."""
        self.peer.h2.increment_flow_control_window(count, self.number)
        self.peer.flush()

    def at_end(self):
        """Whether the gateway has ended the stream and nothing is left to read."""
        while not self.pending and not self.has_ended and self.reset_code is None:
            self.peer.pump()
        return not self.pending and self.has_ended

    def is_over(self):
        """Waits until the gateway has ended it in one way or the other; nothing may be left to read."""
        while not self.has_ended and self.reset_code is None:
            self.peer.pump()
        return not self.pending

    def was_reset(self):
        """Waits until the gateway resets it; the code."""
        while self.reset_code is None:
            assert not self.has_ended, "it has ended, and was not reset"
            self.peer.pump()
        return self.reset_code

    close = reset

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if not self.has_ended and self.reset_code is None and not self.peer.has_closed:
            self.reset()


class H2Peer:
    """A connection of good faith. `window` is that of each stream, `acknowledges` whether its own is opened again."""

    def __init__(self, gateway, *, window=65535, acknowledges=True, settings=None, waits=True, **how):
        self.wire = Wire(gateway, **how)
        self.socket = self.wire.socket
        self.acknowledges = acknowledges
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        own = {SettingCodes.INITIAL_WINDOW_SIZE: window, SettingCodes.ENABLE_PUSH: 0, **(settings or {})}
        self.h2.local_settings = Settings(client=True, initial_values=own)
        self.h2.initiate_connection()
        self.streams, self.goaways, self.settings = {}, [], None
        self.has_closed = False
        # Of what came: the stream of each DATA frame in its order, and the answers to pings.
        self.order, self.pongs = [], 0
        self.flush()
        while waits and self.settings is None:
            self.pump()

    def flush(self):
        if data := self.h2.data_to_send():
            self.wire.send(data)

    def pump(self):
        """Takes the next frame."""
        try:
            frame = self.wire.read()
        except (EOFError, ConnectionError):
            self.has_closed = True
            for stream in self.streams.values():
                if not stream.has_ended and stream.reset_code is None:
                    stream.reset_code = INTERNAL_ERROR
            raise
        if frame.kind == GOAWAY:
            # `h2` takes the connection for closed then; RFC 9113 6.8 lets streams go on that were begun.
            self.goaways.append(frame)
            return
        if frame.kind == DATA:
            self.order.append(frame.stream)
        for event in self.h2.receive_data(h2_frame(frame.kind, frame.flags, frame.stream, frame.payload)):
            self._on_event(event)
        self.flush()

    def _on_event(self, event):
        stream = self.streams.get(getattr(event, "stream_id", None))
        if isinstance(event, h2.events.RemoteSettingsChanged):
            changed = {int(code): each.new_value for code, each in event.changed_settings.items()}
            self.settings = {**(self.settings or {}), **changed}
        elif isinstance(event, h2.events.PingAckReceived):
            self.pongs += 1
        elif stream is None:
            return
        elif isinstance(event, h2.events.ResponseReceived):
            fields = dict(event.headers)
            stream.status = int(fields.pop(":status"))
            stream.headers = fields
        elif isinstance(event, h2.events.DataReceived):
            stream.pending += event.data
            stream.received += len(event.data)
            stream.data_frames += 1
            if self.acknowledges and event.flow_controlled_length:
                self.h2.increment_flow_control_window(event.flow_controlled_length)
            if stream.acknowledges and event.flow_controlled_length and event.stream_ended is None:
                self.h2.increment_flow_control_window(event.flow_controlled_length, stream.number)
        elif isinstance(event, h2.events.StreamEnded):
            stream.has_ended = True
        elif isinstance(event, h2.events.StreamReset):
            stream.reset_code = event.error_code

    # ---- streams
    def begin(self, head, end=False):
        """A new stream whose answer nobody waits for yet."""
        stream = H2Stream(self, self.h2.get_next_available_stream_id())
        self.streams[stream.number] = stream
        self.h2.send_headers(stream.number, head, end_stream=end)
        self.flush()
        return stream

    def ask_for(self, path="/echo", headers=()):
        """A WebSocket that is asked for."""
        head = websocket_head(path, self.wire.authority, self.wire.scheme, dict(headers).items())
        return self.begin(head)

    def open(self, path="/echo", headers=()):
        """A WebSocket, with its answer."""
        return self.ask_for(path, headers).answered()

    def request(self, path="/", method="GET", headers=(), body=None):
        """A plain request, with the head of its answer."""
        fields = dict(headers)
        if body is not None:
            fields.setdefault("content-length", str(len(body)))
        head = plain_head(path, self.wire.authority, self.wire.scheme, method, fields.items())
        stream = self.begin(head, end=body is None)
        if body is not None:
            stream.send(body, end=True)
        return stream.answered()

    def ping(self):
        """Goes round through the gateway twice; all it had to say before has come then."""
        for _ in range(2):
            before = self.pongs
            self.h2.ping(b"round it")
            self.flush()
            while self.pongs == before:
                self.pump()

    def at_end(self):
        """Takes what comes until the gateway closes."""
        try:
            while True:
                self.pump()
        except (EOFError, ConnectionError):
            return True

    def close(self):
        self.has_closed = True
        self.socket.close()

    def reset(self):
        self.has_closed = True
        self.wire.reset()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

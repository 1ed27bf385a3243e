"""A WebSocket client of bare bytes: it may send anything, right or wrong, and shows every frame it gets."""
import base64
import hashlib
import os
import socket
import struct

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def frame(opcode, payload=b"", *, fin=True, masked=True, rsv=0):
    """One frame on the wire, RFC 6455 5.2."""
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    bit = 0x80 if masked else 0
    if len(payload) < 126:
        head += bytes([bit | len(payload)])
    elif len(payload) < 65536:
        head += struct.pack("!BH", bit | 126, len(payload))
    else:
        head += struct.pack("!BQ", bit | 127, len(payload))
    if not masked:
        return head + payload
    key = os.urandom(4)
    mask = (key * (len(payload) // 4 + 1))[:len(payload)]
    return head + key + (int.from_bytes(payload) ^ int.from_bytes(mask)).to_bytes(len(payload))


def close_payload(code, reason=b""):
    return struct.pack("!H", code) + reason


def accepted(gateway, path="/echo"):
    """A new connection, or None when it is refused in one way or another."""
    try:
        peer = RawPeer(gateway, path)
    except (ConnectionError, EOFError):
        return None
    if peer.status == 101:
        return peer
    peer.close()
    return None


class FramePeer:
    """Whoever hears frames of a gateway; `_read` gives the next so many bytes of them, `send` takes what is said."""

    def read_frame(self):
        """The next frame as (opcode, FIN, payload), `was_compressed` for RSV1; EOFError when the gateway has closed."""
        first, second = self._read(2)
        assert second & 0x80 == 0, "RFC 6455 5.1: a server does not mask"
        length = second & 0x7F
        if length == 126:
            length, = struct.unpack("!H", self._read(2))
        elif length == 127:
            length, = struct.unpack("!Q", self._read(8))
        self.was_compressed = bool(first & 0x40)
        return first & 0x0F, bool(first & 0x80), self._read(length)

    def read_message(self):
        """The next message as (opcode, payload), put together as RFC 6455 5.4 says; pings and pongs are skipped."""
        kind, parts = None, []
        while True:
            opcode, fin, payload = self.read_frame()
            if opcode == CLOSE:
                raise EOFError(f"closed with {payload!r}")
            if opcode > CLOSE:
                continue
            assert (opcode == CONTINUATION) == (kind is not None), f"opcode {opcode} after {len(parts)} fragments"
            kind = kind or opcode
            parts.append(payload)
            if fin:
                return kind, b"".join(parts)

    def ask(self, text):
        """Sends a text and answers the next message."""
        self.send(frame(TEXT, text.encode() if isinstance(text, str) else text))
        return self.read_message()[1].decode()

    def read_close(self):
        """Skips to the Close frame and answers its code (1005 when empty); then the stream must end."""
        while True:
            opcode, _, payload = self.read_frame()
            if opcode == CLOSE:
                return struct.unpack("!H", payload[:2])[0] if payload else 1005


class RawPeer(FramePeer):
    """One connection; `status`, `headers` and `body` hold the answer to the handshake."""

    def __init__(self, gateway, path="/echo", *, method="GET", headers=(), drop=(), timeout=20.0, receive_buffer=None,
                 source=None, preface=b""):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        if source:
            self.socket.bind((source, 0))
        self.socket.connect(gateway.endpoint)
        self.pending = b""
        self.key = base64.b64encode(os.urandom(16)).decode()
        fields = {"Host": f"127.0.0.1:{gateway.port}", "Upgrade": "websocket", "Connection": "Upgrade",
                  "Sec-WebSocket-Key": self.key, "Sec-WebSocket-Version": "13"}
        fields.update(headers)
        lines = [f"{method} {path} HTTP/1.1"] + [f"{n}: {v}" for n, v in fields.items() if n not in drop]
        self.socket.sendall(preface + "\r\n".join(lines + ["", ""]).encode())
        self._read_head()

    def _read_head(self):
        while b"\r\n\r\n" not in self.pending:
            more = self.socket.recv(65536)
            if not more:
                raise EOFError(f"closed in the middle of the answer: {self.pending!r}")
            self.pending += more
        head, _, self.pending = self.pending.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split()[1])
        self.headers = {n.strip().lower(): v.strip() for n, v in (line.split(":", 1) for line in lines)}
        self.body = b"" if self.status == 101 else self._read(int(self.headers.get("content-length", 0)))

    def _read(self, count):
        while len(self.pending) < count:
            more = self.socket.recv(65536)
            if not more:
                raise EOFError(f"closed after {len(self.pending)} of {count} bytes")
            self.pending += more
        taken, self.pending = self.pending[:count], self.pending[count:]
        return taken

    def opened(self):
        """Checks the 101 as RFC 6455 4.1 asks a client to, and answers self."""
        assert self.status == 101, (self.status, self.body)
        digest = hashlib.sha1((self.key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        assert self.headers["sec-websocket-accept"] == base64.b64encode(digest).decode()
        assert self.headers["upgrade"].lower() == "websocket"
        assert "upgrade" in self.headers["connection"].lower()
        return self

    def send(self, data):
        self.socket.sendall(data)

    def at_end(self):
        """Whether the gateway has ended the stream and nothing is left to read."""
        try:
            return not self.pending and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def reset(self):
        """Drops the connection with a RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

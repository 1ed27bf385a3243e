"""Messages that are too large to be held: sent and read in pieces, while the gateway's memory is watched."""
import hashlib
import struct
import threading

MIB = 1 << 20


def piece(opcode, payload, *, fin):
    """A frame masked with a key of zeros, which is as good as any other and leaves the payload as it is."""
    length = len(payload)
    size = bytes([0x80 | length]) if length < 126 else struct.pack("!BH", 0xFE, length) if length < 65536 else (
        struct.pack("!BQ", 0xFF, length))
    return bytes([(0x80 if fin else 0) | opcode]) + size + bytes(4) + payload


def fragmented(opcode, payload, size):
    """A message as frames of `size` bytes."""
    for begin in range(0, max(len(payload), 1), size):
        yield piece(opcode if begin == 0 else 0, payload[begin:begin + size], fin=begin + size >= len(payload))


def frames(peer):
    """The frames that come in as (opcode, FIN, payload), read with little copying; takes the peer over."""
    assert not peer.pending
    stream = peer.socket.makefile("rb", buffering=1 << 18)
    while head := stream.read(2):
        length = head[1] & 0x7F
        if length > 125:
            length = int.from_bytes(stream.read(2 if length == 126 else 8))
        yield head[0] & 0x0F, bool(head[0] & 0x80), stream.read(length)


class Sending(threading.Thread):
    """Sends bytes while somebody else reads; `join()` says whether it could."""

    def __init__(self, peer, pieces):
        super().__init__(daemon=True)
        self.peer, self.pieces, self.failure = peer, pieces, None
        self.start()

    def run(self):
        try:
            for each in self.pieces:
                self.peer.socket.sendall(each)
        except OSError as error:
            self.failure = error

    def join(self, timeout=60):
        super().join(timeout)
        assert not self.is_alive() and self.failure is None, self.failure


class Peak:
    """How much memory a gateway has needed at most since this was made, beyond what it needed then."""

    def __init__(self, running):
        self.running = running
        (running.proc / "clear_refs").write_text("5")
        self.before = self._read("VmRSS")

    def _read(self, name):
        for line in (self.running.proc / "status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
        raise AssertionError(f"no {name} in /proc")

    def growth(self):
        return self._read("VmHWM") - self.before


def digest(data):
    return hashlib.sha256(data).digest()

"""Messages between programs of the gateway and the process that watches over them, as bytes."""
import array
import socket
import struct

START, STARTED, NOT_STARTED, SERVES, CHILD_ENDED = 0x100, 0x101, 0x102, 0x103, 0x104
PROGRAM_FILE = 0x8004
HEAD = struct.Struct("<IHH")


def field(tag, value):
    data = value if isinstance(value, bytes) else value.encode() if isinstance(value, str) else struct.pack("<I", value)
    return struct.pack("<HI", tag, len(data)) + data


def fields(body):
    """A list of (tag, bytes)."""
    found = []
    while body:
        tag, length = struct.unpack_from("<HI", body)
        found.append((tag, body[6:6 + length]))
        body = body[6 + length:]
    return found


class Wire:
    """One end of such a way."""

    def __init__(self, end):
        self.socket = end
        end.setblocking(True)
        self.bytes = b""

    def send(self, kind, body=b"", descriptors=()):
        message = HEAD.pack(len(body), kind, len(descriptors)) + body
        beside = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        assert self.socket.sendmsg([message], beside) == len(message)

    def start(self, program, arguments, descriptor, variables=()):
        self.send(START, field(1, program) + b"".join(field(2, each) for each in arguments)
                  + b"".join(field(3, each) for each in variables), [descriptor])

    def serves(self, process):
        self.send(SERVES, field(1, process))

    def receive(self):
        """The next message: kind, and fields by their tags."""
        while True:
            if len(self.bytes) >= HEAD.size:
                length, kind, _ = HEAD.unpack_from(self.bytes)
                if len(self.bytes) >= HEAD.size + length:
                    body, self.bytes = self.bytes[HEAD.size:HEAD.size + length], self.bytes[HEAD.size + length:]
                    return kind, dict(fields(body))
            more = self.socket.recv(4096)
            assert more, "the other side has ended"
            self.bytes += more

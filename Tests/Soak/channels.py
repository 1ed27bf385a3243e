"""How a client's bytes travel: over a plain socket, or through TLS, some of it resumed."""
import os
import socket
import ssl
import struct
import subprocess
import sys
import time

CERTIFICATES = 4
VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


def certificates(folder):
    """Files that hold a certificate for localhost and its key each, so that they are replaced at once."""
    made = []
    for number in range(CERTIFICATES):
        certificate, key, both = folder / f"{number}.crt", folder / f"{number}.key", folder / f"{number}.pem"
        done = subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
             "-subj", f"/CN=soak {number}", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            sys.exit(f"soak: no certificate: {done.stdout}")
        both.write_bytes(certificate.read_bytes() + key.read_bytes())
        os.chmod(both, 0o600)
        made.append(both)
    return made


class Truncated(ConnectionError):
    """The gateway's stream ended without close_notify, so that nobody can tell whether all has come."""


class Elsewhere(ConnectionError):
    """The gateway takes nothing new there, and has done nothing with what was asked: a client asks again elsewhere."""


class Channel:
    """A socket that never waits; `receive` and `send` raise BlockingIOError where they would have to."""

    def __init__(self, port, receive_buffer=None):
        self.began = time.monotonic()
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.connect_ex(("127.0.0.1", port))

    # Whether bytes can be given to it, and whether some that were given wait for the socket.
    is_open, is_waiting = True, False
    # Whether it goes to another program.
    moves = True

    def __str__(self):
        return "plain"

    def standing(self):
        """Where it is, in words."""
        return "port %d" % self.socket.getsockname()[1]

    def watch(self, selector, before, wanted, owner):
        """What of reading and writing its owner waits for, and did until now."""
        if not before:
            selector.register(self.socket, wanted, owner)
        elif not wanted:
            selector.unregister(self.socket)
        else:
            selector.modify(self.socket, wanted, owner)

    def send(self, chunk):
        return self.socket.send(chunk)

    def receive(self, limit):
        return self.socket.recv(limit)

    def push(self):
        """Sends what waits, as far as that goes."""

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def close(self):
        self.socket.close()


class TLSChannel(Channel):
    """TLS of OpenSSL over two buffers, so that it is here where records are cut."""
    moves = False

    def __init__(self, port, receive_buffer, doors, version, protocol=None):
        super().__init__(port, receive_buffer)
        self.doors, self.kind, self.protocol = doors, (version, protocol), protocol
        self.inward, self.outward = ssl.MemoryBIO(), ssl.MemoryBIO()
        context, session = doors.contexts[self.kind], doors.sessions.get(self.kind)
        if session is not None and not doors.random.randrange(2):
            session = None
        # Whether it offers to go on with a session.
        self.asks = session is not None
        self.layer = context.wrap_bio(self.inward, self.outward, server_hostname="localhost", session=session)
        self.waiting = bytearray()
        self.is_open = False
        self._shake()

    @property
    def is_waiting(self):
        return bool(self.waiting)

    def __str__(self):
        return self.layer.version() or "TLS"

    def standing(self):
        return (f"{super().standing()}, {len(self.waiting)} bytes of TLS wait to be sent, {self.inward.pending} to be read, "
                f"{self.layer.pending()} are read")

    def _shake(self):
        try:
            self.layer.do_handshake()
            self.is_open = True
            self.doors.shaken(self)
        except ssl.SSLWantReadError:
            pass
        finally:
            self._collect()

    def _collect(self):
        self.waiting += self.outward.read()

    def push(self):
        while self.waiting:
            try:
                del self.waiting[:self.socket.send(self.waiting)]
            except (BlockingIOError, OSError) as error:
                # Until it is connected the socket says so, too.
                if not isinstance(error, BlockingIOError) and self.is_open:
                    raise
                return

    def send(self, chunk):
        self.push()
        if self.waiting or not self.is_open:
            raise BlockingIOError
        sent = self.layer.write(chunk[:1 << 16])
        self._collect()
        self.push()
        return sent

    def receive(self, limit):
        """All that is in what came, which is more than `limit` by less than a record."""
        more = self.socket.recv(limit)
        self.inward.write(more) if more else self.inward.write_eof()
        if not self.is_open:
            self._shake()
            self.push()
            if not more:
                raise Truncated("the stream ended within the handshake")
            if not self.is_open:
                raise BlockingIOError
        taken = bytearray()
        try:
            while piece := self.layer.read(1 << 16):
                taken += piece
            ended = True
        except ssl.SSLWantReadError:
            ended = False
        except ssl.SSLZeroReturnError:
            ended = True
        except ssl.SSLEOFError:
            raise Truncated("the stream ended without close_notify") from None
        self._collect()
        self.push()
        if not taken and not ended:
            raise BlockingIOError
        return bytes(taken)

    def close(self):
        # What this connection taught is of use to a later one.
        if self.is_open and (session := self.layer.session) is not None and session.has_ticket:
            self.doors.sessions[self.kind] = session
        super().close()

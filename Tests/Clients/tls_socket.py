"""A TLS socket for two threads."""
import select
import ssl
import threading


class TLSSocket(ssl.SSLSocket):
    """One thread may read from it while another one writes, as clients of `websockets.sync` do.

    OpenSSL's connection is not made for that, and Python keeps the two apart only from 3.13 on: before that, an answer that
    comes while the request still leaves may be lost inside OpenSSL, and is waited for for ever.
    """

    def do_handshake(self, block=False):
        super().do_handshake(block)
        self.patience, self.turn = self.gettimeout(), threading.Lock()
        super().settimeout(0)

    def settimeout(self, seconds):
        if hasattr(self, "turn"):
            self.patience = seconds
        else:
            super().settimeout(seconds)

    def recv(self, count=1024, flags=0):
        return self.in_turn(super().recv, count, flags)

    def recv_into(self, buffer, count=None, flags=0):
        return self.in_turn(super().recv_into, buffer, count, flags)

    def send(self, data, flags=0):
        return self.in_turn(super().send, data, flags)

    def in_turn(self, call, *arguments):
        while True:
            with self.turn:
                try:
                    return call(*arguments)
                except ssl.SSLWantReadError:
                    wish = select.POLLIN
                except ssl.SSLWantWriteError:
                    wish = select.POLLOUT
            poller = select.poll()
            poller.register(self.fileno(), wish)
            if not poller.poll(None if self.patience is None else self.patience * 1000):
                raise TimeoutError("timed out")


def context(**how):
    """What `ssl.create_default_context` makes, for sockets of two threads."""
    made = ssl.create_default_context(**how)
    made.sslsocket_class = TLSSocket
    return made

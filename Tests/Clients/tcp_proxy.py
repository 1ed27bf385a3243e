"""A stretch of network that a test can cut without a word: what stands between a gateway and its engine."""
import selectors
import socket
import threading


class Proxy:
    """Passes octets between whoever connects and a port, until `cut`: then it takes them, and says nothing."""

    def __init__(self, port):
        self.target = port
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.up = self.down = True
        # Seconds that what comes from the engine is on its way.
        self.latency = 0
        self.way = threading.Event()
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.server, selectors.EVENT_READ, None)
        self.bell, self._bell = socket.socketpair()
        self.selector.register(self._bell, selectors.EVENT_READ, None)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def cut(self, up=True, down=True):
        """`up`: what goes to the engine; `down`: what comes from it."""
        self.up, self.down = not up, not down

    def heal(self):
        self.up = self.down = True

    def _run(self):
        while True:
            for key, _ in self.selector.select():
                if key.fileobj is self._bell:
                    return
                if key.fileobj is self.server:
                    self._accept()
                else:
                    self._pass(key.fileobj, *key.data)

    def _accept(self):
        one, _ = self.server.accept()
        try:
            other = socket.create_connection(("127.0.0.1", self.target))
        except OSError:
            one.close()
            return
        self.selector.register(one, selectors.EVENT_READ, (other, "up"))
        self.selector.register(other, selectors.EVENT_READ, (one, "down"))

    def _pass(self, source, target, way):
        try:
            data = source.recv(1 << 16)
        except OSError:
            data = b""
        if way == "down" and self.latency:
            self.way.wait(self.latency)
        try:
            if data and getattr(self, way):
                target.sendall(data)
            if data:
                return
        except OSError:
            pass
        for each in (source, target):
            try:
                self.selector.unregister(each)
            except KeyError:
                continue
            each.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.bell.close()
        self.thread.join()
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        self.selector.close()

"""Engines that are polite until a test says where not to be: what they say instead, whether they close behind it."""
import json
import socket
import threading


class Fake:
    """Answers on a port of its own. `instead` maps a moment to the octets that are said then in place of the right ones; an
    answer of None is silence. Behind a moment that `closes` names the connection ends. With `drip` every octet is sent alone."""

    def __init__(self, instead=None, closes=(), drip=False):
        self.instead, self.closes, self.drip = instead or {}, set(closes), drip
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.sockets, self.threads = [], []
        self.lock = threading.Lock()
        self._run(self._accept)

    def _run(self, function, *arguments):
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        self.threads.append(thread)
        thread.start()

    def _accept(self):
        while True:
            try:
                peer, _ = self.server.accept()
            except OSError:
                return
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sockets.append(peer)
            self._run(self._serve, peer)

    def _serve(self, peer):
        try:
            self.serve(peer, peer.makefile("rb"))
        except (OSError, ValueError):
            pass  # It has left, or a moment that closes has come.

    def say(self, peer, moment, right):
        octets = self.instead.get(moment, right)
        with self.lock:
            if octets and self.drip:
                for octet in octets:
                    peer.sendall(bytes([octet]))
            elif octets:
                peer.sendall(octets)
        if moment in self.closes:
            peer.shutdown(socket.SHUT_RDWR)
            raise ValueError(moment)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        for each in self.sockets:
            each.close()


class FakeRedis(Fake):
    scheme = "redis"
    info = b"# Server\r\nredis_version:7.9.9\r\nredis_mode:standalone\r\n"

    def serve(self, peer, stream):
        self.say(peer, "accept", b"")
        while line := stream.readline():
            words = []
            for _ in range(int(line[1:])):
                words.append(stream.read(int(stream.readline()[1:]) + 2)[:-2])
            self.answer(peer, words[0].decode(), words)

    def answer(self, peer, command, words):
        if command == "INFO":
            self.say(peer, "INFO", b"$%d\r\n%s\r\n" % (len(self.info), self.info))
        elif command == "SUBSCRIBE":
            self.subscriber = peer
            self.say(peer, "SUBSCRIBE", b"".join(b"*3\r\n$9\r\nsubscribe\r\n$%d\r\n%s\r\n:1\r\n" % (len(each), each)
                                                for each in words[1:]))
        elif command == "PUBLISH":
            self.say(self.subscriber, "message", b"*3\r\n$7\r\nmessage\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (
                len(words[1]), words[1], len(words[2]), words[2]))
            self.say(peer, "PUBLISH", b":1\r\n")
        else:
            self.say(peer, command, b"+OK\r\n")


class FakeNATS(Fake):
    scheme = "nats"
    info = {"server_id": "FAKE", "version": "2.9.9", "proto": 1, "host": "127.0.0.1", "port": 1, "max_payload": 1 << 20}

    def serve(self, peer, stream):
        self.say(peer, "INFO", b"INFO %s\r\n" % json.dumps(self.info).encode())
        numbers, greeted = {}, False
        while line := stream.readline():
            words = line.split()
            if words[0] == b"PING":
                self.say(peer, "PING" if greeted else "CONNECT", b"PONG\r\n")
                greeted = True
            elif words[0] == b"SUB":
                numbers[words[1]] = words[-1]
                self.say(peer, "SUB", b"")
            elif words[0] == b"PUB":
                data = stream.read(int(words[-1]) + 2)
                if words[1] in numbers:
                    self.say(peer, "PUB", b"MSG %s %s %s\r\n%s" % (words[1], numbers[words[1]], words[-1], data))

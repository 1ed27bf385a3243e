#!/usr/bin/env python3
"""What @NAME@ is for, as a test: clients against a gateway that serves it. `make test` runs it.

Needs nothing but Python. $GATEWAY names the gateway, else it is looked for in PATH."""
import base64
import os
import re
import socket
import struct
import subprocess
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
GATEWAY = os.environ.get("GATEWAY", "gateway")
TEXT, BINARY, CLOSE = 1, 2, 8


class Client:
    """A WebSocket client, as small as one can be."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 20)
        self.stream = self.socket.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET /@NAME@ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        answer = self.stream.readline()
        assert b" 101 " in answer, answer
        while self.stream.readline() not in (b"\r\n", b""):
            pass

    def send(self, payload, opcode=TEXT):
        """One whole message, masked as RFC 6455 5.3 wants it."""
        head = bytes([0x80 | opcode])
        if len(payload) < 126:
            head += bytes([0x80 | len(payload)])
        elif len(payload) < 65536:
            head += struct.pack("!BH", 0x80 | 126, len(payload))
        else:
            head += struct.pack("!BQ", 0x80 | 127, len(payload))
        key = os.urandom(4)
        self.socket.sendall(head + key + bytes(byte ^ key[i % 4] for i, byte in enumerate(payload)))

    def receive(self):
        """The next frame: opcode and payload."""
        first, length = self.stream.read(2)
        if length == 126:
            length, = struct.unpack("!H", self.stream.read(2))
        elif length == 127:
            length, = struct.unpack("!Q", self.stream.read(8))
        return first & 15, self.stream.read(length)

    def ask(self, text):
        self.send(text.encode())
        opcode, answer = self.receive()
        assert opcode == TEXT, (opcode, answer)
        return answer.decode()

    def close(self):
        self.stream.close()
        self.socket.close()


class NumberedAnswers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        path = os.path.join(cls.folder.name, "gateway.conf")
        with open(path, "w") as file:
            file.write(f'listen 127.0.0.1:0;\nplugins "{HERE}" {{ watch off; }}\nroute /@NAME@ {{ handler @NAME@; }}\n')
        cls.gateway = subprocess.Popen([GATEWAY, "-c", path], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        said = []
        for line in cls.gateway.stderr:
            said.append(line)
            if found := re.search(r"listening on \S+:(\d+)$", line.rstrip()):
                cls.port = int(found[1])
            if " serving with " in line or line.startswith("info: serving"):
                return
        raise AssertionError("the gateway did not start:\n" + "".join(said))

    @classmethod
    def tearDownClass(cls):
        cls.gateway.terminate()
        cls.gateway.stderr.read()
        cls.gateway.stderr.close()
        cls.gateway.wait(20)
        cls.folder.cleanup()

    def connect(self):
        client = Client(self.port)
        self.addCleanup(client.close)
        return client

    def test_numbers_what_a_client_says(self):
        client = self.connect()
        self.assertEqual(client.ask("hello"), "1: hello")
        self.assertEqual(client.ask("Grüße"), "2: Grüße")
        self.assertEqual(client.ask(""), "3: ")

    def test_each_client_has_numbers_of_its_own(self):
        first, second = self.connect(), self.connect()
        self.assertEqual(first.ask("a"), "1: a")
        self.assertEqual(second.ask("b"), "1: b")

    def test_long_messages(self):
        text = "x" * 100_000
        self.assertEqual(self.connect().ask(text), "1: " + text)

    def test_refuses_binary(self):
        client = self.connect()
        client.send(b"\x00\xff", BINARY)
        opcode, payload = client.receive()
        self.assertEqual((opcode, struct.unpack("!H", payload[:2])[0]), (CLOSE, 1003))


if __name__ == "__main__":
    unittest.main()

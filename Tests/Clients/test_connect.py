"""gateway connect: typed at a terminal, from a pipe, and what it says of servers that refuse or break rules."""
import base64
import hashlib
import json
import signal
import socket
import subprocess
import threading

import pytest

from gateway_process import BINARY
from raw_peer import CLOSE, PING, PONG, TEXT, close_payload, frame
from terminal import Terminal
from test_tls import certificate


class Server:
    """Accepts one client and lets a script talk to it: `talk(server)` after the handshake."""

    def __init__(self, talk=lambda server: None, answer=None):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"ws://127.0.0.1:{self.listener.getsockname()[1]}/x"
        self.frames = []
        self.request = ""
        self.thread = threading.Thread(target=self._serve, args=(talk, answer), daemon=True)
        self.thread.start()

    def _serve(self, talk, answer):
        self.socket, _ = self.listener.accept()
        self.stream = self.socket.makefile("rb")
        while not self.request.endswith("\r\n\r\n"):
            self.request += self.stream.readline().decode()
        key = next(line.split(": ")[1] for line in self.request.split("\r\n") if line.startswith("Sec-WebSocket-Key"))
        digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        accept = base64.b64encode(digest).decode()
        self.say((answer or "HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                            "Sec-WebSocket-Accept: {accept}\r\n\r\n").format(accept=accept).encode())
        talk(self)
        self.socket.close()
        self.stream.close()

    def say(self, data):
        self.socket.sendall(data)

    def send(self, opcode, payload=b""):
        self.say(frame(opcode, payload, masked=False))

    def hear(self):
        """The next frame: opcode and payload."""
        head = self.stream.read(2)
        length = head[1] & 0x7F
        if length == 126:
            length = int.from_bytes(self.stream.read(2))
        elif length == 127:
            length = int.from_bytes(self.stream.read(8))
        assert head[1] & 0x80, "a client masks"
        key, payload = self.stream.read(4), self.stream.read(length)
        self.frames.append((head[0] & 0x0F, bytes(byte ^ key[index % 4] for index, byte in enumerate(payload))))
        return self.frames[-1]


def closing(server, code=1000):
    """Plays the server's part of a closing handshake that the client begins."""
    while server.hear()[0] != CLOSE:
        pass
    server.send(CLOSE, close_payload(code))


def run(*words, given=b"", timeout=60):
    return subprocess.run([BINARY, "connect", *words], input=given, capture_output=True, timeout=timeout)


# ---- pipes

def test_each_line_of_a_pipe_is_a_message_and_each_message_a_line(gateway):
    answer = run(gateway.url(), given=b"one\n\ntwo words\n\xff\xfe\nno end")
    assert answer.stdout == b"one\n\ntwo words\nfffe\nno end\n"
    assert answer.returncode == 0 and answer.stderr == b""


def test_much_comes_back_in_order(gateway):
    lines = [f"line {number} " + "x" * (number % 3000) for number in range(3000)]
    answer = run(gateway.url(), given="\n".join(lines).encode())
    assert answer.stdout.decode().splitlines() == lines
    assert answer.returncode == 0


def test_compression_is_agreed_on_and_used(make_gateway):
    with make_gateway(routes="route /echo { handler echo; compression on; }").start() as gateway:
        text = b"again and again " * 500
        answer = run(gateway.url(), "--deflate", given=text + b"\n" + text)
        assert answer.stdout == text + b"\n" + text + b"\n" and answer.returncode == 0
        status = json.loads(subprocess.run([BINARY, "status", "--json", "-c", gateway.file], capture_output=True).stdout)
        counted = status["routes"][0]["compression"]["in"]
        assert counted["plain_bytes"] == 2 * len(text) and counted["compressed_bytes"] < 1000


def test_json_and_raw_are_for_programs(gateway):
    answer = run(gateway.url(), "--json", given=b'say "hi"\n\xff')
    assert [json.loads(line) for line in answer.stdout.splitlines()] == [
        {"type": "text", "data": 'say "hi"'}, {"type": "binary", "hex": "ff"},
        {"type": "close", "code": 1000, "reason": ""}]
    assert run(gateway.url(), "--raw", given=b"a\nb\n\xff").stdout == b"ab\xff"


def test_headers_subprotocols_and_a_wait_reach_the_server():
    def talk(server):
        server.send(PING, b"are you there")
        assert server.hear() == (PONG, b"are you there")
        server.send(TEXT, b"late")
        server.send(CLOSE, close_payload(1001, b"bye"))
        server.hear()

    server = Server(talk, "HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n"
                          "Sec-WebSocket-Protocol: b\r\n\r\n")
    answer = run(server.url, "-H", "X-Test: 1", "--subprotocol", "a", "--subprotocol", "b", "--wait", "forever")
    server.thread.join()
    assert (answer.stdout, answer.stderr, answer.returncode) == (b"late\n", b"", 0)
    assert "\r\nX-Test: 1\r\n" in server.request and "\r\nSec-WebSocket-Protocol: a, b\r\n" in server.request
    assert server.frames[-1] == (CLOSE, close_payload(1001))


@pytest.mark.parametrize("code,status", [(1000, 0), (1001, 0), (1011, 1), (4000, 1)])
def test_the_exit_status_is_that_of_the_close(code, status):
    server = Server(lambda server: (server.send(CLOSE, close_payload(code, b"why")), server.hear()))
    answer = run(server.url, "--wait", "forever")
    assert answer.returncode == status
    assert (b'the server ended it: close %d, "why"' % code in answer.stderr) == (status == 1)


@pytest.mark.parametrize("bytes_,reason", [
    (b"\x81\x81mask\x15", "is masked"), (frame(TEXT, b"\xff", masked=False), "not UTF-8"),
    (frame(TEXT, b"x", masked=False, rsv=4), "reserved bit"), (b"", "ended without a Close"),
    (frame(CLOSE, b"x", masked=False), "a Close of one byte"),
])
def test_a_server_that_breaks_a_rule_is_told_of(bytes_, reason):
    answer = run(Server(lambda server: server.say(bytes_)).url, "--wait", "forever")
    assert answer.returncode == 1 and reason in answer.stderr.decode()


def test_a_refusal_shows_status_word_and_what_to_do(gateway):
    answer = run(gateway.url("/nowhere"))
    assert answer.returncode == 1 and answer.stdout == b""
    said = answer.stderr.decode()
    assert "refused: 404 Not Found" in said and "no-route" in said and "gateway explain" in said
    said = run(gateway.url(), "-H", "Origin: https://other.example").stderr.decode()
    assert "403" in said and "origin-not-allowed" in said and "-H 'Origin:" in said


@pytest.mark.parametrize("answer,reason", [
    ("HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: AAAA\r\n\r\n", "wrong Sec-WebSocket-Accept"),
    ("HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n"
     "Sec-WebSocket-Protocol: x\r\n\r\n", "was not asked for"),
    ("HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n"
     "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n", "was not offered"),
    ("SSH-2.0-OpenSSH\r\n", "does not speak HTTP"),
    ("HTTP/1.1 301 Moved\r\nLocation: wss://other/\r\nContent-Length: 0\r\n\r\n", "location: wss://other/"),
])
def test_an_answer_that_opens_nothing(answer, reason):
    found = run(Server(answer=answer).url)
    assert found.returncode == 1 and reason in found.stderr.decode()


def test_nobody_there_and_wrong_usage():
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        answer = run(f"ws://127.0.0.1:{deaf.getsockname()[1]}/")
        assert answer.returncode == 69 and b"Connection refused" in answer.stderr
    for words in (["ftp://x"], ["ws://x", "-H", "no colon"], ["ws://x", "--wait", "5"], []):
        answer = run(*words)
        assert answer.returncode == 2 and b"--help" in answer.stderr, words


def test_wss_wants_a_certificate_that_holds(make_gateway, tmp_path):
    authority = certificate(tmp_path, "own", "localhost")
    files = f"certificate {authority} {tmp_path}/own.key;"
    with make_gateway(listen=[f"127.0.0.1:0 tls {{ {files} }}"]).start() as gateway:
        url = gateway.url(scheme="wss")
        assert run(url, "--cacert", authority, given=b"safe").stdout == b"safe\n"
        assert run(url, "--insecure", given=b"x" * 200_000).stdout == b"x" * 200_000 + b"\n"
        answer = run(url, given=b"x")
        assert answer.returncode == 69 and b"--cacert" in answer.stderr and b"--insecure" in answer.stderr
        answer = run(gateway.url(scheme="ws"), given=b"x")
        assert answer.returncode == 1 and b"plain-http-on-tls-port" in answer.stderr and b"wss://" in answer.stderr


# ---- a terminal

def test_a_conversation_at_a_terminal(gateway, tmp_path):
    with Terminal("connect", gateway.url(), environment={"XDG_STATE_HOME": str(tmp_path)}) as terminal:
        terminal.wait_for(r"connected: ws://.*/help")
        terminal.press("helo\x1b[Dl\r")
        terminal.wait_for(r"\d\d:\d\d:\d\d\.\d{3} > hello\r\n.*< hello\r\n")
        terminal.press('{"a":[1,2],"text":"a text that is long enough for lines of its own"}\r')
        terminal.wait_for(r'< \{\r\n  "a": \[1, 2\],\r\n  "text": "a text[^\n]*"\r\n\}')
        terminal.press("/hex 00 41 ff\r")
        terminal.wait_for(r"< binary, 3 bytes\r\n00000000  00 41 ff +\.A\.\r\n")
        terminal.press("/ping abc\r")
        terminal.wait_for(r'< pong "abc" after [\d.]+ (us|ms)')
        terminal.press("/nonsense\r")
        terminal.wait_for(r'no such command: "/nonsense"')
        place = len(terminal.text)
        terminal.press("\x1b[A\x1b[A\x1b[A\x1b[A\x1b[A\r")
        terminal.wait_for(r"> hello\r\n.*< hello\r\n", place)
        terminal.press(" secret\r")
        terminal.wait_for(r"<  secret")
        terminal.press("/close 4001 that is all\r")
        terminal.wait_for(r"< close 4001")
        assert terminal.exit_status() == 0
        assert terminal.is_restored()
    kept = (tmp_path / "gateway/connect_history").read_text().splitlines()
    assert kept[0] == "hello" and kept[-1].startswith("/close") and not any("secret" in line for line in kept)
    assert (tmp_path / "gateway/connect_history").stat().st_mode & 0o777 == 0o600
    with Terminal("connect", gateway.url(), environment={"XDG_STATE_HOME": str(tmp_path)}) as terminal:
        terminal.wait_for(r"connected")
        terminal.press("\x1b[A")
        terminal.wait_for(r"> /close 4001 that is all")
        terminal.press("\x15\x04")
        terminal.wait_for(r"< close 1000 \(normal")
        assert terminal.exit_status() == 0


def test_what_comes_leaves_the_line_that_is_typed_alone(tmp_path):
    go = threading.Event()

    def talk(server):
        go.wait(20)
        server.send(TEXT, b"news\x1b[2J")
        closing(server)

    server = Server(talk)
    with Terminal("connect", server.url, environment={"XDG_STATE_HOME": str(tmp_path)}) as terminal:
        terminal.press("half a li")
        terminal.wait_for("> half a li")
        go.set()
        terminal.wait_for(r"\r\x1b\[K\d\d:[^<]*< news\\u\{1b\}\[2J\r\n\r\x1b\[K> half a li")
        place = len(terminal.text)
        terminal.resize(12, 30)
        terminal.press("ne")
        terminal.wait_for(r"\r\x1b\[K> lf a line", place)
        terminal.press("\r\x04")
        assert terminal.exit_status() == 0
    assert server.frames[0] == (TEXT, b"half a line")


@pytest.mark.parametrize("end", ["close", "vanish", "term", "interrupt"])
def test_the_terminal_is_restored_however_it_ends(end, tmp_path):
    go = threading.Event()

    def talk(server):
        go.wait(20)
        if end == "close":
            server.send(CLOSE, close_payload(1011, b"broken"))
            server.hear()
        elif end != "vanish":
            closing(server)

    server = Server(talk)
    with Terminal("connect", server.url, environment={"XDG_STATE_HOME": str(tmp_path)}) as terminal:
        terminal.wait_for("Ctrl-D ends it.*> ")
        assert not terminal.is_restored(), "keys come one by one"
        go.set()
        if end == "term":
            terminal.process.send_signal(signal.SIGTERM)
        elif end == "interrupt":
            terminal.press("\x03")
        assert terminal.exit_status() == (1 if end in ("close", "vanish") else 0)
        assert terminal.is_restored()
        terminal.wait_for({"close": r'close 1011, "broken" \(internal error',
                           "vanish": "ended without a Close"}.get(end, "< close 1000"))

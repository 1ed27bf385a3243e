"""Messages through /echo, by two independent client libraries and by bare bytes."""
import asyncio
from contextlib import asynccontextmanager

import aiohttp
import pytest
import websockets

from raw_peer import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, RawPeer, close_payload, frame

MIB = 1 << 20
MESSAGES = {
    "short text": "hello",
    "empty text": "",
    "text of many scripts": "Grüße, 世界, مرحبا, 🎈👩‍👩‍👧",
    "text with NUL": "a\0b",
    "empty binary": b"",
    "every byte": bytes(range(256)),
    "125 bytes": b"x" * 125,
    "126 bytes": b"x" * 126,
    "65535 bytes": b"x" * 65535,
    "65536 bytes": b"x" * 65536,
    "1 MiB binary": bytes(range(256)) * (MIB // 256),
    "1 MiB text": "é" * (MIB // 2),
}


class WebSocketsClient:
    def __init__(self, connection):
        self.connection = connection
        self.send, self.receive = connection.send, connection.recv

    async def ping(self):
        await (await self.connection.ping(b"are you there"))

    async def close(self, code):
        await self.connection.close(code, "bye")
        return self.connection.close_code, self.connection.close_reason


class AiohttpClient:
    def __init__(self, connection):
        self.connection = connection

    async def send(self, payload):
        await (self.connection.send_str if isinstance(payload, str) else self.connection.send_bytes)(payload)

    async def receive(self):
        return (await self.connection.receive()).data

    async def ping(self):
        await self.connection.ping(b"are you there")
        answer = await self.connection.receive()
        assert (answer.type, bytes(answer.data)) == (aiohttp.WSMsgType.PONG, b"are you there")

    async def close(self, code):
        await self.connection.close(code=code, message=b"bye")
        return self.connection.close_code, "bye"


@asynccontextmanager
async def websockets_client(url):
    async with websockets.connect(url, max_size=None, compression=None, proxy=None) as connection:
        yield WebSocketsClient(connection)


@asynccontextmanager
async def aiohttp_client(url):
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(url, max_msg_size=0, autoping=False) as connection:
            yield AiohttpClient(connection)


libraries = pytest.mark.parametrize("client", [websockets_client, aiohttp_client], ids=["websockets", "aiohttp"])


def run(scenario):
    asyncio.run(asyncio.wait_for(scenario, 60))


@libraries
@pytest.mark.parametrize("payload", MESSAGES.values(), ids=MESSAGES.keys())
def test_echo(gateway, client, payload):
    async def scenario():
        async with client(gateway.url()) as peer:
            await peer.send(payload)
            assert await peer.receive() == payload
    run(scenario())


@libraries
def test_order_is_kept(gateway, client):
    async def scenario():
        async with client(gateway.url()) as peer:
            for n in range(500):
                await peer.send(str(n))
            assert [await peer.receive() for _ in range(500)] == [str(n) for n in range(500)]
    run(scenario())


@libraries
def test_ping_is_answered(gateway, client):
    async def scenario():
        async with client(gateway.url()) as peer:
            await peer.ping()
    run(scenario())


@libraries
@pytest.mark.parametrize("code", [1000, 1001, 1011, 3000, 4999])
def test_close_is_answered_with_its_own_code(gateway, client, code):
    async def scenario():
        async with client(gateway.url()) as peer:
            assert await peer.close(code) == (code, "bye")
    run(scenario())


@libraries
def test_many_connections_keep_to_themselves(gateway, client):
    async def one(n):
        async with client(gateway.url()) as peer:
            for turn in range(20):
                await peer.send(f"{n}.{turn}")
                assert await peer.receive() == f"{n}.{turn}"

    async def scenario():
        await asyncio.gather(*(one(n) for n in range(50)))
    run(scenario())


@pytest.mark.parametrize("pieces", [["a", "b"], ["", "x", ""], ["é"] * 100, [b"\0" * 1000, b"", b"\xff"]])
def test_fragments_become_one_message(gateway, pieces):
    async def scenario():
        async with websockets.connect(gateway.url(), compression=None, proxy=None) as connection:
            await connection.send(pieces)
            assert await connection.recv() == type(pieces[0])().join(pieces)
    run(scenario())


# ---- RFC 6455, by the byte

def test_control_frames_between_fragments(gateway):
    # RFC 6455 5.4: control frames MAY be injected in the middle of a fragmented message.
    with RawPeer(gateway).opened() as peer:
        peer.send(frame(TEXT, b"Hel", fin=False) + frame(PING, b"p") + frame(CONTINUATION, b"lo"))
        assert peer.read_frame() == (PONG, True, b"p")
        assert peer.read_frame() == (TEXT, True, b"Hello")


def test_utf8_split_between_fragments(gateway):
    text = "€".encode()
    with RawPeer(gateway).opened() as peer:
        peer.send(frame(TEXT, text[:1], fin=False) + frame(CONTINUATION, text[1:]))
        assert peer.read_frame() == (TEXT, True, text)


def test_one_byte_at_a_time(gateway):
    with RawPeer(gateway).opened() as peer:
        for byte in frame(BINARY, b"slow"):
            peer.send(bytes([byte]))
        assert peer.read_frame() == (BINARY, True, b"slow")


def test_close_without_code_is_answered_without_code(gateway):
    with RawPeer(gateway).opened() as peer:
        peer.send(frame(CLOSE))
        assert peer.read_frame() == (CLOSE, True, b"")
        assert peer.at_end()


def test_what_stands_before_a_close_is_echoed(gateway):
    with RawPeer(gateway).opened() as peer:
        peer.send(frame(TEXT, b"last words") + frame(CLOSE, close_payload(1000)))
        assert peer.read_frame() == (TEXT, True, b"last words")
        assert peer.read_close() == 1000
        assert peer.at_end()


@pytest.mark.parametrize("data, code", [
    pytest.param(frame(TEXT, b"x", masked=False), 1002, id="not masked"),
    pytest.param(frame(TEXT, b"x", rsv=4), 1002, id="RSV1 without an extension"),
    pytest.param(frame(3, b"x"), 1002, id="reserved opcode"),
    pytest.param(frame(PING, b"x" * 126), 1002, id="ping over 125 bytes"),
    pytest.param(frame(PING, b"x", fin=False), 1002, id="fragmented ping"),
    pytest.param(frame(CONTINUATION, b"x"), 1002, id="continuation of nothing"),
    pytest.param(frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"), 1002, id="message inside a message"),
    pytest.param(frame(CLOSE, b"\x03"), 1002, id="close of one byte"),
    pytest.param(frame(CLOSE, close_payload(1005)), 1002, id="close code 1005"),
    pytest.param(frame(CLOSE, close_payload(2999)), 1002, id="close code 2999"),
    pytest.param(b"\x82\xff" + b"\xff" * 8 + b"mask", 1002, id="length with its top bit set"),
    pytest.param(frame(TEXT, b"\xff"), 1007, id="not UTF-8"),
    pytest.param(frame(TEXT, b"\xed\xa0\x80"), 1007, id="a surrogate in UTF-8"),
    pytest.param(frame(CLOSE, close_payload(1000, b"\xff")), 1007, id="close reason not UTF-8"),
    pytest.param(frame(TEXT, b"x" * (MIB + 1)), 1009, id="one byte over max_message"),
    pytest.param(b"\x82\xff\x7f" + b"\xff" * 7 + b"mask", 1009, id="length of 2^63 - 1"),
])
def test_a_broken_peer_hears_the_right_code(gateway, data, code):
    with RawPeer(gateway).opened() as broken, RawPeer(gateway).opened() as other:
        broken.send(data)
        assert broken.read_close() == code
        # The neighbour does not notice.
        other.send(frame(TEXT, b"still here"))
        assert other.read_frame() == (TEXT, True, b"still here")


def test_frames_right_behind_the_handshake(gateway):
    with gateway.connect() as sock:
        sock.sendall(
            b"GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            + frame(TEXT, b"early"))
        answer = b""
        while not answer.endswith(b"\x81\x05early"):
            more = sock.recv(65536)
            assert more, answer
            answer += more
        assert answer.startswith(b"HTTP/1.1 101 ")
        assert b"sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n" in answer.lower()

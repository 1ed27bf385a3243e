"""permessage-deflate (RFC 7692) with the client of `websockets`, which compresses by itself."""
import os
import random
import re
import zlib
from contextlib import ExitStack

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.sync.client import connect

from c_handler import compile_c
from gateway_process import DEADLINE, TOP
from kit import HEADER
from raw_peer import BINARY, TEXT, RawPeer, frame
from test_control import ask, status

SIZES = [0, 1, 125, 126, 255, 256, 1000, 16 << 10, 65535, 65536, 200_000, 1 << 20]
WAYS = {
    "plain offer": {},
    "client without context": {"client_no_context_takeover": True},
    "server without context": {"server_no_context_takeover": True},
    "neither with context": {"client_no_context_takeover": True, "server_no_context_takeover": True},
    "small windows": {"client_max_window_bits": 9, "server_max_window_bits": 9},
    "a window from the server": {"client_max_window_bits": True},
}


def routes(mode, rest=""):
    end = "" if mode.endswith("}") else ";"
    return f"route /echo {{ handler echo; compression {mode}{end} {rest} }}"


def client(running, **parameters):
    offer = ClientPerMessageDeflateFactory(**parameters)
    return connect(running.url(), compression=None, extensions=[offer], proxy=None, max_size=None)


def message(source, size):
    """Text, or bytes that hardly compress."""
    if source.random() < 0.3:
        return source.randbytes(size)
    words = [f"word{source.randrange(50)} " for _ in range(size // 6 + 1)]
    return "".join(words)[:size]


def pieces(source, whole):
    cuts = sorted(source.randrange(len(whole) + 1) for _ in range(3))
    return [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)])]


def exchange(connection, source, sizes=SIZES):
    for size in sizes:
        sent = message(source, size)
        connection.send(pieces(source, sent) if source.random() < 0.3 else sent)
        assert connection.recv(DEADLINE) == sent


@pytest.mark.parametrize("mode", ["on", "no-context-takeover", "on { window 10; level 9; threshold 1; }",
                                  "on { level 0; }", "no-context-takeover { level 0; }"])
@pytest.mark.parametrize("dispatch", ["loop", "pool"])
def test_messages_of_all_sizes_come_back(make_gateway, mode, dispatch):
    running = make_gateway(routes=routes(mode, f"dispatch {dispatch};")).start()
    for number, parameters in enumerate(WAYS.values()):
        with client(running, **parameters) as connection:
            assert [extension.name for extension in connection.protocol.extensions] == ["permessage-deflate"]
            for _ in range(2):
                exchange(connection, random.Random(number))


def unpack(inflater, data):
    """What a message comes to. zlib has what one call writes whole, and the window of what came before: so it is little."""
    out, rest = b"", data + b"\0\0\xff\xff"
    while rest:
        out += inflater.decompress(rest, 32)
        rest = inflater.unconsumed_tail
    return out


@pytest.mark.parametrize("bits", range(8, 16))
@pytest.mark.parametrize("mode", ["on", "no-context-takeover", "no-context-takeover { level 0; }",
                                  "no-context-takeover { level 9; }"])
def test_windows_of_both_sides_are_kept_to(make_gateway, mode, bits):
    running = make_gateway(routes=routes(mode)).start()
    # A server may decline what it cannot do, which is a window of 8 bits for itself; then the next offer counts.
    offers = (f"permessage-deflate; server_max_window_bits={bits}; client_max_window_bits={bits}, "
              f"permessage-deflate; client_max_window_bits={bits}")
    with RawPeer(running, headers=[("Sec-WebSocket-Extensions", offers)]).opened() as peer:
        _, *agreed = [word.strip() for word in peer.headers["sec-websocket-extensions"].split(";")]
        assert (f"server_max_window_bits={bits}" in agreed) == (bits > 8)
        assert (f"client_max_window_bits={bits}" in agreed) == (bits < 15)
        inflater = zlib.decompressobj(-(bits if bits > 8 else 15))
        # Noise that comes again, once within reach of the window and once just beyond it.
        for distance in ((1 << bits) - 30, (1 << bits) + 40):
            noise = random.Random(bits).randbytes(min(distance, 1500))
            sent = b"a" * 2000 + noise + b"b" * (distance - len(noise)) + noise
            packer = zlib.compressobj(6, zlib.DEFLATED, -max(9, bits))
            peer.send(frame(BINARY, (packer.compress(sent) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4], rsv=4))
            opcode, _, heard = peer.read_frame()
            assert opcode == BINARY and peer.was_compressed
            assert len(heard) < len(sent)
            assert unpack(inflater, heard) == sent
            if mode != "on":
                inflater = zlib.decompressobj(-(bits if bits > 8 else 15))


def test_nothing_is_agreed_on_unless_configured(make_gateway):
    running = make_gateway().start()
    with client(running) as connection:
        assert connection.protocol.extensions == []
        connection.send("x" * 1000)
        assert connection.recv(DEADLINE) == "x" * 1000


def peak(running):
    return int(re.search(r"VmHWM:\s+(\d+)", (running.proc / "status").read_text())[1]) << 10


def test_bombs_end_with_1009_and_cost_little(make_gateway):
    running = make_gateway(main="threads 1;", routes=routes("on", "max_message 1m;")).start()
    with client(running) as connection:
        connection.send("x" * (1 << 20))
        assert len(connection.recv(DEADLINE)) == 1 << 20
        before = peak(running)
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        bomb = packer.compress(bytes(256 << 20)) + packer.flush(zlib.Z_SYNC_FLUSH)
        assert len(bomb) * 1000 < 256 << 20
        offer = [("Sec-WebSocket-Extensions", "permessage-deflate")]
        peers = [RawPeer(running, headers=offer).opened() for _ in range(20)]
        for peer in peers:
            peer.send(frame(TEXT, bomb[:-4], rsv=4))
        for peer in peers:
            assert peer.read_close() == 1009
            peer.close()
        assert peak(running) - before < 16 << 20
        exchange(connection, random.Random(1), [1000])


def test_bombs_in_pieces_too(make_gateway):
    running = make_gateway(routes=routes("on", "max_message 64k;")).start()
    with client(running) as connection:
        with pytest.raises(ConnectionClosed) as closed:
            connection.send(["x" * 32768] * 100)
            connection.recv(DEADLINE)
        assert closed.value.rcvd.code == 1009


def put_echo(running, version):
    """Another build of the same handler, in the place of the one that serves."""
    fresh = compile_c(running.folder / "echo.so", TOP / "Plugins/echo/echo.c", "-shared", "-fPIC", f"-I{HEADER}",
                      f"-frandom-seed={version}", f"-Wl,--build-id=0x{version:04x}")
    os.replace(fresh, running.plugins / "echo.so")


@pytest.mark.parametrize("mode", ["on", "no-context-takeover"])
def test_windows_outlive_a_reload(make_gateway, mode):
    running = make_gateway(routes=routes(mode))
    put_echo(running, 1)
    running.start()
    source = random.Random(7)
    with ExitStack() as stack:
        connections = [stack.enter_context(client(running)) for _ in range(5)]
        for version in range(2, 5):
            for connection in connections:
                exchange(connection, source, [300, 5000, 300])
            put_echo(running, version)
            running.signal(1)
            running.wait_for(f"generation {version} is serving, 5 connections moved")
        for connection in connections:
            exchange(connection, source, [300, 5000, 300])


@pytest.mark.parametrize("mode", ["on", "no-context-takeover"])
@pytest.mark.parametrize("dispatch", ["loop", "pool"])
def test_what_a_handler_streams_is_compressed_too(make_gateway, mode, dispatch):
    running = make_gateway(routes=f"route /echo {{ handler echo-prefix; compression {mode}; dispatch {dispatch}; "
                                  f'set prefix "{"a long prefix " * 30}"; }}').start()
    source = random.Random(3)
    with client(running) as connection:
        for size in [1, 300, 20_000, 900_000]:
            text = "".join(f"word{source.randrange(50)} " for _ in range(size // 6 + 1))
            connection.send(pieces(source, text))
            assert connection.recv(DEADLINE) == "a long prefix " * 30 + text
    out = status(running)["routes"][0]["compression"]["out"]
    assert out["plain_bytes"] > 900_000 and out["ratio"] < 0.6


def test_status_says_what_it_saves_and_costs(make_gateway):
    running = make_gateway(main="threads 2;", routes=routes("on") + "\nroute /plain { handler echo; }").start()
    text = "again and again, " * 1000
    with ExitStack() as stack:
        for connection in [stack.enter_context(client(running)) for _ in range(4)]:
            for _ in range(20):
                connection.send(text)
                assert connection.recv(DEADLINE) == text
    echo, plain = status(running)["routes"]
    assert plain["compression"] is None
    for direction in echo["compression"].values():
        assert direction["plain_bytes"] == 80 * len(text)
        assert 0 < direction["compressed_bytes"] < direction["plain_bytes"] / 20
        assert direction["ratio"] == direction["compressed_bytes"] / direction["plain_bytes"]
        assert direction["time_us"] > 0
    assert re.search(r"^    compressed: in 1328 KiB to \d % in \d\.\ds; out 1328 KiB to \d % in \d\.\ds$",
                     ask(running, "status").stdout, re.M)
    # What was counted goes on when the route changes.
    running.file.write_text(running.file.read_text().replace("compression on", "compression off"))
    assert ask(running, "reload").returncode == 0
    assert status(running)["routes"][0]["compression"] == echo["compression"]

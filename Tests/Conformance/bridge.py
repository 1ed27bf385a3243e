"""WebSockets of HTTP/1.1 come in, and go on as streams of one connection of HTTP/2 (RFC 8441): the handshake is said again, and
what follows passes as it is, both ways, so that clients of HTTP/1.1 judge the gateway's frames."""
import asyncio
import base64
import contextlib
import hashlib
import socket
import struct
import threading

import h2.config
import h2.connection
import h2.events
from h2.exceptions import H2Error
from h2.settings import SettingCodes, Settings

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
WINDOW = 1 << 20
PASSED = ("sec-websocket-version", "sec-websocket-extensions", "sec-websocket-protocol", "origin")


class Stream:
    """One of them: who waits for its answer, its data and its window."""

    def __init__(self, number):
        self.number = number
        self.answer = asyncio.get_running_loop().create_future()
        # Data as it came; None for its end, an exception for a reset.
        self.came = asyncio.Queue()
        self.has_room = asyncio.Event()


class Uplink:
    """The connection to the gateway."""

    def __init__(self):
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.h2.local_settings = Settings(client=True, initial_values={SettingCodes.INITIAL_WINDOW_SIZE: WINDOW,
                                                                       SettingCodes.ENABLE_PUSH: 0})
        self.streams = {}
        self.is_ready = asyncio.Event()

    async def connect(self, port):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port)
        self.h2.initiate_connection()
        self.h2.increment_flow_control_window(16 * WINDOW)
        self.flush()
        self.task = asyncio.create_task(self.read())
        await self.is_ready.wait()

    def flush(self):
        self.writer.write(self.h2.data_to_send())

    async def read(self):
        with contextlib.suppress(ConnectionError):
            while more := await self.reader.read(1 << 18):
                for event in self.h2.receive_data(more):
                    self.on_event(event)
                self.flush()
        for stream in self.streams.values():
            stream.came.put_nowait(ConnectionResetError("the connection has ended"))

    def on_event(self, event):
        stream = self.streams.get(getattr(event, "stream_id", None))
        if isinstance(event, h2.events.RemoteSettingsChanged):
            assert self.h2.remote_settings.enable_connect_protocol == 1
            self.is_ready.set()
        if isinstance(event, (h2.events.RemoteSettingsChanged, h2.events.WindowUpdated)):
            for each in self.streams.values():
                each.has_room.set()
        elif isinstance(event, h2.events.ResponseReceived):
            stream.answer.set_result(dict(event.headers))
        elif isinstance(event, h2.events.DataReceived):
            stream.came.put_nowait((event.data, event.flow_controlled_length))
        elif isinstance(event, h2.events.StreamEnded):
            stream.came.put_nowait(None)
        elif isinstance(event, h2.events.StreamReset):
            stream.came.put_nowait(ConnectionResetError(f"RST_STREAM {event.error_code}"))

    def open(self, path, fields):
        stream = Stream(self.h2.get_next_available_stream_id())
        self.streams[stream.number] = stream
        head = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", path),
                (":authority", fields["host"])]
        head += [(name, fields[name]) for name in PASSED if name in fields]
        self.h2.send_headers(stream.number, head)
        self.flush()
        return stream

    async def send(self, stream, data):
        while data:
            room = min(self.h2.local_flow_control_window(stream.number), self.h2.max_outbound_frame_size)
            if room <= 0:
                stream.has_room.clear()
                await stream.has_room.wait()
                continue
            self.h2.send_data(stream.number, data[:room])
            data = data[room:]
            self.flush()
            await self.writer.drain()

    def leave(self, stream, is_broken):
        """This side says nothing more."""
        try:
            self.h2.reset_stream(stream.number, 8) if is_broken else self.h2.end_stream(stream.number)
        except H2Error:
            # It has ended on both sides.
            return
        self.flush()


class Bridge:
    """Runs in a thread of its own; `port` is where it listens."""

    def __init__(self, gateway_port):
        self.gateway_port = gateway_port
        self.is_up = threading.Event()
        self.count, self.under_way = 0, set()

    def __enter__(self):
        self.thread = threading.Thread(target=lambda: asyncio.run(self.main()), daemon=True)
        self.thread.start()
        assert self.is_up.wait(20), "the bridge does not come up"
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.over.set)
        self.thread.join(20)

    async def main(self):
        self.loop, self.over, self.uplink = asyncio.get_running_loop(), asyncio.Event(), Uplink()
        await self.uplink.connect(self.gateway_port)
        server = await asyncio.start_server(self.welcome, "127.0.0.1", 0, limit=1 << 18)
        self.port = server.sockets[0].getsockname()[1]
        self.is_up.set()
        await self.over.wait()
        server.close()
        self.uplink.writer.close()
        await self.uplink.task
        # What is left hears of it, and ends by itself.
        while self.under_way:
            await asyncio.wait(self.under_way)

    async def welcome(self, reader, writer):
        task = asyncio.current_task()
        self.under_way.add(task)
        try:
            await self.serve(reader, writer)
        finally:
            self.under_way.discard(task)

    async def serve(self, reader, writer):
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        except asyncio.IncompleteReadError:
            return writer.close()
        fields = {name.strip().lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)}
        stream = self.uplink.open(first.split()[1], fields)
        self.count += 1
        answer = await stream.answer
        if answer.pop(":status") != "200":
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return writer.close()
        proof = base64.b64encode(hashlib.sha1((fields["sec-websocket-key"] + GUID).encode()).digest()).decode()
        head = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Accept: {proof}",
                *(f"{name}: {value}" for name, value in answer.items() if name.startswith("sec-websocket-"))]
        writer.write(("\r\n".join(head) + "\r\n\r\n").encode())
        inward = asyncio.create_task(self.inward(reader, stream))
        await self.outward(writer, stream)
        inward.cancel()
        return None

    async def inward(self, reader, stream):
        """From the client to the gateway."""
        is_broken = False
        try:
            while more := await reader.read(1 << 16):
                await self.uplink.send(stream, more)
        except (ConnectionError, H2Error):
            is_broken = True
        self.uplink.leave(stream, is_broken)

    async def outward(self, writer, stream):
        """From the gateway to the client."""
        try:
            while isinstance(piece := await stream.came.get(), tuple):
                writer.write(piece[0])
                await writer.drain()
                # One that the gateway has ended meanwhile needs no window.
                with contextlib.suppress(H2Error):
                    self.uplink.h2.acknowledge_received_data(piece[1], stream.number)
                self.uplink.flush()
            if piece is not None and not writer.is_closing():
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except ConnectionError:
            pass
        self.uplink.leave(stream, piece is not None)
        writer.close()

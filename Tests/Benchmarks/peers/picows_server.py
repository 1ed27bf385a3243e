"""An echo and chat server on picows: picows_server.py PORT."""
import asyncio
import sys

import uvloop
from picows import WSListener, WSMsgType, ws_create_server

members = set()


class Echo(WSListener):
    def on_ws_connected(self, transport):
        self.parts = []
        self.kind = None

    def on_ws_frame(self, transport, frame):
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        elif frame.msg_type == WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif frame.msg_type != WSMsgType.PONG:
            self.data(transport, frame)

    def data(self, transport, frame):
        if frame.msg_type != WSMsgType.CONTINUATION:
            self.kind = frame.msg_type
        if frame.fin and not self.parts:
            self.answer(transport, frame.get_payload_as_memoryview())
            return
        self.parts.append(frame.get_payload_as_bytes())
        if frame.fin:
            whole = b"".join(self.parts)
            self.parts.clear()
            self.answer(transport, whole)

    def answer(self, transport, data):
        transport.send(self.kind, data)


class Chat(Echo):
    def on_ws_connected(self, transport):
        super().on_ws_connected(transport)
        members.add(transport)

    def on_ws_disconnected(self, transport):
        members.discard(transport)

    def answer(self, transport, data):
        data = bytes(data)
        for member in members:
            member.send(self.kind, data)


def listener(request):
    return Chat() if request.path == b"/chat" else Echo()


async def main():
    server = await ws_create_server(listener, "127.0.0.1", int(sys.argv[1]), max_frame_size=1 << 24, backlog=4096)
    await server.serve_forever()


uvloop.install()
asyncio.run(main())

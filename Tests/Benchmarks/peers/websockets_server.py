"""An echo and chat server on websockets: websockets_server.py PORT."""
import asyncio
import sys

from websockets.asyncio.server import broadcast, serve

members = set()


async def handle(connection):
    if connection.request.path == "/chat":
        members.add(connection)
    try:
        async for message in connection:
            if connection in members:
                broadcast(members, message)
            else:
                await connection.send(message)
    finally:
        members.discard(connection)


async def main():
    async with serve(handle, "127.0.0.1", int(sys.argv[1]), compression=None, max_size=1 << 24, ping_interval=None,
                     backlog=4096) as server:
        await server.serve_forever()


asyncio.run(main())

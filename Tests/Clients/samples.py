"""The routes of gateway.conf for the tests of the samples, and what else those have in common."""
import asyncio
import http.client
import re
import shutil

import websockets

from gateway_process import BINARY, DEADLINE, TOP
from raw_peer import TEXT, frame
from swarm import put

CONFIGURATION = (TOP / "gateway.conf").read_text()


def routes():
    """The routes of gateway.conf, also those that wait for somebody to build their handler."""
    found = re.findall(r"^(?:# )?(route /.*?\})", CONFIGURATION, re.M)
    assert len(found) > 10
    return [line.replace("./Plugins/", f"{TOP}/Plugins/") for line in found]


def route(handler):
    """The route of one handler."""
    return next(line for line in routes() if re.search(rf"handler {handler};", line))


def built_routes():
    """Those of handlers that are built with the gateway."""
    return [line for line in routes() if "-rust" not in line]


def said(peer, payload, opcode=TEXT):
    peer.send(frame(opcode, payload))
    return heard(peer, opcode)


def heard(peer, opcode=TEXT):
    kind, _, payload = peer.read_frame()
    assert kind == opcode, (kind, payload)
    return payload


def run(scenario):
    asyncio.run(asyncio.wait_for(scenario, DEADLINE * 3))


def connect(running, path):
    return websockets.connect(running.url(path), compression=None, proxy=None, max_size=None)


def plain(running, path):
    """The answer to a plain request: its status and its body."""
    connection = http.client.HTTPConnection(*running.endpoint, timeout=DEADLINE)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def own(running, handler):
    """Puts a sample where it can be replaced; `rebuilt` makes it another file of the same code."""
    target = running.plugins / f"{handler}.so"
    shutil.copyfile(BINARY.parent / f"lib{handler}.so", target)
    return target


def rebuilt(running, target, number):
    fresh = running.folder / "fresh.so"
    # What stands behind the end of an ELF file belongs to nobody: other bytes, the same code.
    fresh.write_bytes((BINARY.parent / f"lib{target.name}").read_bytes() + b"\0" * number)
    put(fresh, target, in_place=False)

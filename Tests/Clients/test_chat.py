"""The chat sample: members are numbered, and everyone hears everyone."""
import asyncio
import http.client

import pytest
import websockets

from gateway_process import DEADLINE, Gateway


@pytest.fixture(params=["chat", "chat-functional", "chat-fleck", "chat-imperative"])
def flavour(request):
    return request.param


@pytest.fixture
def gateway(tmp_path, flavour):
    """One of its own for each test, so that the numbers start at 0."""
    with Gateway(tmp_path, routes=f"route /chat {{ handler {flavour}; }}") as running:
        yield running


def run(scenario):
    asyncio.run(asyncio.wait_for(scenario, DEADLINE * 2))


async def join(gateway, path="/chat"):
    return await websockets.connect(gateway.url(path), compression=None, proxy=None)


async def settled(members):
    """Each says one line and hears it: from here on all of them are known to be in the room."""
    for member in members:
        await member.send("ready")
        while not (await member.recv()).endswith(": ready"):
            continue


async def heard(member, line):
    """Skips what was said before and answers once `line` is heard."""
    while await member.recv() != line:
        continue


def test_everyone_hears_everyone_by_number(gateway):
    async def scenario():
        members = []
        for _ in range(5):
            members.append(await join(gateway))
            await settled(members[-1:])
        for n, speaker in enumerate(members):
            await speaker.send(f"hello from {n}")
            for listener in members:
                await heard(listener, f"[{n}]: hello from {n}")
        for member in members:
            await member.close()
    run(scenario())


def test_numbers_stay_when_others_leave(gateway):
    async def scenario():
        members = []
        for _ in range(3):
            members.append(await join(gateway))
            await settled(members[-1:])
        await members[0].close()
        await members[2].send("still two")
        await heard(members[1], "[2]: still two")
        await members[2].close()
        await members[1].close()
    run(scenario())


def test_a_member_that_vanishes_does_not_stop_the_room(gateway):
    async def scenario():
        stays = await join(gateway)
        await settled([stays])
        vanishes = await join(gateway)
        await settled([vanishes])
        vanishes.transport.abort()
        for n in range(50):
            await stays.send(str(n))
            await heard(stays, f"[0]: {n}")
        await stays.close()
    run(scenario())


def test_rooms_of_two_routes_are_apart(tmp_path, flavour):
    routes = f"route /a {{ handler {flavour}; }}\nroute /b {{ handler {flavour}; }}"
    folder = tmp_path / "rooms"
    folder.mkdir()

    async def scenario(running):
        in_a, in_b = await join(running, "/a"), await join(running, "/b")
        await in_a.send("for a")
        await in_b.send("for b")
        assert await in_a.recv() == "[0]: for a"
        assert await in_b.recv() == "[0]: for b"
        await in_a.close()
        await in_b.close()

    with Gateway(folder, routes=routes) as running:
        run(scenario(running))


def test_many_talk_at_once(gateway):
    async def member(count, lines):
        connection = await join(gateway)
        await settled([connection])
        ready.append(connection)
        if len(ready) == count:
            everyone.set()
        await everyone.wait()
        for n in range(lines):
            await connection.send(f"line {n}")
        got = {}
        while sum(got.values()) < count * lines:
            text = await connection.recv()
            if ": line " in text:
                speaker, _, n = text.partition(": line ")
                assert int(n) == got.get(speaker, 0), "the lines of one speaker keep their order"
                got[speaker] = got.get(speaker, 0) + 1
        await connection.close()
        return set(got)

    async def scenario():
        speakers = await asyncio.gather(*(member(8, 40) for _ in range(8)))
        assert speakers == [{f"[{n}]" for n in range(8)}] * 8

    ready, everyone = [], asyncio.Event()
    run(scenario())


def test_a_browser_gets_the_page_on_the_same_path(gateway):
    connection = http.client.HTTPConnection(*gateway.endpoint, timeout=DEADLINE)
    connection.request("GET", "/chat")
    answer = connection.getresponse()
    page = answer.read().decode()
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/html")
    for name in ["incoming", "sendForm", "sendText", "status"]:
        assert f'id="{name}"' in page or f"id={name}" in page
    connection.close()

"""The sample handlers, each on the route that gateway.conf gives it."""
import asyncio
import http.client
import re
import shutil
import subprocess

import pytest
import websockets

from gateway_process import BINARY, DEADLINE, TOP, Gateway
from raw_peer import BINARY as OCTETS
from raw_peer import CLOSE, PING, PONG, TEXT, RawPeer, close_payload, frame
from swarm import put

CONFIGURATION = (TOP / "gateway.conf").read_text()


def routes():
    """The routes of gateway.conf, also those that wait for somebody to build their handler."""
    found = re.findall(r"^(?:# )?(route /.*\})$", CONFIGURATION, re.M)
    assert len(found) > 5
    return found


def route(handler):
    """The route of one handler."""
    return next(line for line in routes() if re.search(rf"handler {handler};", line))


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    served = [line for line in routes() if "-rust" not in line]
    with Gateway(tmp_path_factory.mktemp("samples"), routes="\n".join(served)) as running:
        yield running


def said(peer, payload, opcode=TEXT):
    peer.send(frame(opcode, payload))
    kind, _, answer = peer.read_frame()
    assert kind == opcode
    return answer


def run(scenario):
    asyncio.run(asyncio.wait_for(scenario, DEADLINE * 3))


def connect(running, path):
    return websockets.connect(running.url(path), compression=None, proxy=None, max_size=None)


def own(running, handler):
    """Puts a sample where it can be replaced; `rebuilt` makes it another file of the same code."""
    target = running.plugins / f"{handler}.so"
    shutil.copyfile(BINARY.parent / f"lib{handler}.so", target)
    return target


def rebuilt(running, target, number):
    fresh = running.folder / "fresh.so"
    # What stands behind the end of an ELF file belongs to nobody: other octets, the same code.
    fresh.write_bytes((BINARY.parent / f"lib{target.name}").read_bytes() + b"\0" * number)
    put(fresh, target, in_place=False)


def test_every_route_of_the_configuration_serves(gateway):
    assert "handler-unavailable" not in gateway.log()
    for line in routes():
        if "-rust" not in line:
            path = re.sub(r":\w+", "x", line.split()[1])
            connection = http.client.HTTPConnection(*gateway.endpoint, timeout=DEADLINE)
            connection.request("GET", path)
            assert connection.getresponse().status != 503, line
            connection.close()


def test_every_sample_is_in_the_configuration():
    named = re.findall(r"handler ([\w-]+)", CONFIGURATION)
    for folder in (TOP / "Plugins").iterdir():
        assert folder.name in [*named, "chat-room"], folder.name


# ---- programs of other servers

def test_the_echo_of_aspnet_core(gateway):
    with RawPeer(gateway, "/prefix").opened() as peer:
        peer.send(frame(TEXT, b"hello"))
        assert peer.read_frame() == (TEXT, True, b"Server Response to: hello")
        # `CloseAsync(result.CloseStatus.Value, result.CloseStatusDescription)`
        peer.send(frame(CLOSE, close_payload(3999, b"that was all")))
        assert peer.read_frame() == (CLOSE, True, close_payload(3999, b"that was all"))
        assert peer.at_end()


@pytest.mark.parametrize("path", ["/prefix", "/fleck"])
def test_a_plain_request_is_a_bad_request(gateway, path):
    connection = http.client.HTTPConnection(*gateway.endpoint, timeout=DEADLINE)
    connection.request("GET", path)
    answer = connection.getresponse()
    assert (answer.status, b"not-a-websocket-request" in answer.read()) == (400, True)
    connection.close()


def test_the_sample_of_fleck(gateway):
    with RawPeer(gateway, "/fleck").opened() as peer:
        gateway.wait_for(r"OnOpen /fleck [0-9a-f]{8}-")
        assert said(peer, b"Hello World") == b"Echo: Hello World"
        gateway.wait_for("OnMessage Hello World")
        assert said(peer, b"Hello World", OCTETS) == b"Echo: Hello World"
        gateway.wait_for("OnBinary 11")
        peer.send(frame(PING, b"there?"))
        assert peer.read_frame() == (PONG, True, b"there?")
        gateway.wait_for("OnPing")
        peer.send(frame(PONG, b"unasked"))
        gateway.wait_for("OnPong")
        peer.send(frame(CLOSE, close_payload(1000, b"enter was pressed")))
        assert peer.read_frame() == (CLOSE, True, close_payload(1000, b"enter was pressed"))
    gateway.wait_for("OnClose 1000 enter was pressed")
    with RawPeer(gateway, "/fleck").opened() as peer:
        peer.send(frame(TEXT, b"not masked", masked=False))
        assert peer.read_close() == 1002
    gateway.wait_for("OnError")


# ---- other languages

def test_reverse_in_cpp(gateway):
    with RawPeer(gateway, "/reverse").opened() as peer:
        assert said(peer, "Grüße, 世界 🎈".encode()).decode() == "1 🎈 界世 ,eßürG"
        assert said(peer, b"") == b"2 "
        assert said(peer, b"\x00\x01\xff", OCTETS) == b"3 \xff\x01\x00"


def test_reverse_in_cpp_takes_its_numbers_along(make_gateway):
    running = make_gateway(routes=route("reverse-cpp"))
    target = own(running, "reverse-cpp")
    with RawPeer(running.start(), "/reverse").opened() as peer:
        assert said(peer, b"ab") == b"1 ba"
        rebuilt(running, target, 1)
        running.wait_for("generation 2 is serving, 1 connection moved")
        assert said(peer, b"cd") == b"2 dc"


@pytest.mark.skipif(not shutil.which("rustc"), reason="rustc is not there")
def test_caesar_in_rust(make_gateway):
    running = make_gateway(routes=route("caesar-rust") + "\nroute /three { handler caesar-rust; set shift 3; }")
    command = re.search(r"^# .*(rustc .*)$", CONFIGURATION, re.M)[1].split()
    assert " ".join(command) in (TOP / "Plugins/caesar-rust/lib.rs").read_text()
    command = [str(running.plugins / "caesar-rust.so") if part.endswith(".so") else part for part in command]
    subprocess.run([*command, "-D", "warnings"], cwd=TOP, check=True, stdin=subprocess.DEVNULL)
    running.start()
    with RawPeer(running, "/caesar").opened() as peer:
        assert said(peer, "Grüße!".encode()) == "Teüßr!".encode()
        assert said(peer, b"") == b""
        peer.send(frame(OCTETS, b"x"))
        assert peer.read_close() == 1003
    with RawPeer(running, "/three").opened() as peer:
        assert said(peer, b"xyz") == b"abc"


@pytest.mark.skipif(not shutil.which("rustc"), reason="rustc is not there")
def test_caesar_in_rust_says_why_it_does_not_start(make_gateway):
    running = make_gateway(routes="route /bad { handler caesar-rust; set shift 26; }\nroute /echo { handler echo; }")
    subprocess.run(["rustc", "--edition", "2021", "--crate-type", "cdylib", "-o", running.plugins / "caesar-rust.so",
                    TOP / "Plugins/caesar-rust/lib.rs"], check=True, stdin=subprocess.DEVNULL)
    running.start().wait_for("set shift: 0 to 25")


# ---- rooms

async def heard(member, count):
    return [await member.recv() for _ in range(count)]


def test_rooms_are_apart_and_tell_newcomers_what_was_said(gateway):
    async def scenario():
        ada, bob = await connect(gateway, "/rooms/tea?name=Ada"), await connect(gateway, "/rooms/tea?name=Bob")
        other = await connect(gateway, "/rooms/coffee%20%26%20cake")
        await other.send("nobody here")
        assert await other.recv() == "guest: nobody here"
        await ada.send("milk?")
        assert [await each.recv() for each in (ada, bob)] == ["Ada: milk?"] * 2
        await bob.send("no")
        assert [await each.recv() for each in (ada, bob)] == ["Bob: no"] * 2
        late = await connect(gateway, "/rooms/tea")
        assert await heard(late, 2) == ["Ada: milk?", "Bob: no"]
        for each in (ada, bob, other, late):
            await each.close()
    run(scenario())


def test_a_room_remembers_so_many_lines_and_no_more(gateway):
    async def scenario():
        async with connect(gateway, "/rooms/long?name=a") as first:
            for n in range(60):
                await first.send(str(n))
                assert await first.recv() == f"a: {n}"
        async with connect(gateway, "/rooms/long?name=b") as second:
            assert await heard(second, 50) == [f"a: {n}" for n in range(10, 60)]
    run(scenario())


@pytest.mark.parametrize("path, status", [("/rooms/" + "x" * 65, 400), ("/rooms/x?name=" + "x" * 65, 400),
                                          ("/rooms/", 404), ("/rooms/x", 101)])
def test_what_may_be_a_room(gateway, path, status):
    with RawPeer(gateway, path) as peer:
        assert peer.status == status


def test_a_room_is_for_text(gateway):
    with RawPeer(gateway, "/rooms/tea").opened() as peer:
        peer.send(frame(OCTETS, b"x"))
        assert peer.read_close() == 1003


def in_order(lines):
    """The first and the last number of each speaker; fails when one in between is missing or comes twice."""
    numbers = {}
    for line in lines:
        name, _, number = line.partition(": ")
        if number == "over":
            continue
        numbers.setdefault(name, []).append(int(number))
    for name, theirs in numbers.items():
        assert theirs == list(range(theirs[0], theirs[0] + len(theirs))), name
    return {name: (theirs[0], theirs[-1]) for name, theirs in numbers.items()}


@pytest.mark.parametrize("threads", [1, 2])
def test_a_room_under_traffic_survives_reloads(make_gateway, threads):
    """Nobody is disconnected or renamed, no line is lost or doubled, and the history is whole."""
    members, reloads = 8, 5
    running = make_gateway(main=f"threads {threads};", routes="route /rooms/:room { handler rooms; set history 500; }")
    target = own(running, "rooms")
    running.start()

    async def scenario():
        over = asyncio.Event()
        connections = [await connect(running, f"/rooms/tea?name=m{n}") for n in range(members)]

        async def speak(connection):
            said = 0
            while not over.is_set():
                await connection.send(str(said))
                said += 1
                await (await connection.ping())
            await connection.send("over")
            return said

        async def listen(connection):
            lines, done = [], 0
            while done < members:
                line = await connection.recv()
                done += line.endswith(": over")
                lines.append(line)
            return lines

        listeners = [asyncio.create_task(listen(each)) for each in connections]
        speakers = [asyncio.create_task(speak(each)) for each in connections]
        for number in range(2, reloads + 2):
            rebuilt(running, target, number)
            await asyncio.to_thread(running.wait_for, f"generation {number} is serving, {members} connections moved")
        over.set()
        said = await asyncio.gather(*speakers)
        for lines in await asyncio.gather(*listeners):
            assert in_order(lines) == {f"m{n}": (0, said[n] - 1) for n in range(members)}
        assert min(said) > reloads
        async with connect(running, "/rooms/tea") as late:
            history = await heard(late, min(500, sum(said) + members))
        assert {name: last for name, (_, last) in in_order(history).items()} == {
            f"m{n}": said[n] - 1 for n in range(members)}
        for each in connections:
            await each.close()
    run(scenario())

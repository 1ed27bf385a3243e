"""The sample handlers, each on the route that gateway.conf gives it."""
import asyncio
import re
import shutil
import subprocess

import pytest

from gateway_process import BINARY, DEADLINE, TOP, Gateway
from raw_peer import BINARY as OCTETS
from raw_peer import CLOSE, PING, PONG, TEXT, RawPeer, close_payload, frame
from samples import CONFIGURATION, built_routes, connect, own, plain, rebuilt, route, run, said


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    with Gateway(tmp_path_factory.mktemp("samples"), routes="\n".join(built_routes())) as running:
        yield running


def test_every_route_of_the_configuration_serves(gateway):
    for line in built_routes():
        assert plain(gateway, re.sub(r":\w+", "x", line.split()[1]))[0] in (200, 400, 401, 403), line


def test_every_sample_is_in_the_configuration():
    named = re.findall(r"handler ([\w-]+)", CONFIGURATION)
    for folder in (TOP / "Plugins").iterdir():
        assert not folder.is_dir() or folder.name in [*named, "chat-room", ".last-good"], folder.name


def test_the_configuration_serves_from_wherever_it_is_started(tmp_path):
    """`gateway -c` with the file itself: what its handlers need is found beside it."""
    subprocess.run([BINARY, "check", "-c", TOP / "gateway.conf"], cwd=tmp_path, check=True, stdin=subprocess.DEVNULL)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("handler, path, headers, answer", [
    ("auth", "/auth", {"Authorization": "Bearer s3cret-of-ada"}, b"Ada: hi"),
    ("echo-prefix", "/prefix", {}, b"Server Response to: hi"),
    ("longjob", "/longjob", {}, b"a number up to 100000000, please"),
])
def test_a_reload_is_not_noticed(make_gateway, handler, path, headers, answer):
    running = make_gateway(routes=route(handler))
    target = own(running, handler)
    with RawPeer(running.start(), path, headers=headers).opened() as peer:
        assert said(peer, b"hi") == answer
        rebuilt(running, target, 1)
        running.wait_for("generation 2 is serving, 1 connection moved")
        assert said(peer, b"hi") == answer


def test_the_counter_goes_on_in_a_newer_build(make_gateway):
    running = make_gateway(routes=route("counter"))
    target = own(running, "counter")
    with RawPeer(running.start(), "/counter").opened() as one, RawPeer(running, "/counter").opened() as other:
        assert [said(one, b""), said(one, b""), said(other, b"")] == [b"1 of 1", b"2 of 2", b"1 of 3"]
        rebuilt(running, target, 1)
        running.wait_for("generation 2 is serving, 2 connections moved")
        assert [said(one, b""), said(other, b"")] == [b"3 of 4", b"2 of 5"]


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
    status, body = plain(gateway, path)
    assert (status, b"not-a-websocket-request" in body) == (400, True)


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

async def lines(member, count):
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
        assert await lines(late, 2) == ["Ada: milk?", "Bob: no"]
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
            assert await lines(second, 50) == [f"a: {n}" for n in range(10, 60)]
    run(scenario())


def test_who_comes_in_the_middle_misses_nothing(make_gateway):
    """Also when speakers and listeners are on different threads; a line may come twice then, but not be lost."""
    running = make_gateway(main="threads 2;", routes="route /rooms/:room { handler rooms; set history 10000; }").start()
    present = None

    async def listen(connection, speakers):
        got, over = [], set()
        while len(over) < speakers:
            got.append(await connection.recv())
            if got[-1].endswith(": over"):
                over.add(got[-1])
        return got

    async def speak(n):
        async with connect(running, f"/rooms/tea?name=m{n}") as connection:
            listener = asyncio.create_task(listen(connection, 4))
            # All are there before the first speaks: to a newcomer a line may come twice.
            await (await connection.ping())
            await present.wait()
            for number in range(150):
                await connection.send(str(number))
                await (await connection.ping())
            await connection.send("over")
            return await listener

    async def come(n):
        async with connect(running, f"/rooms/tea?name=late{n}") as connection:
            return await listen(connection, 4)

    async def scenario():
        nonlocal present
        present = asyncio.Barrier(4)
        speakers = [asyncio.create_task(speak(n)) for n in range(4)]
        newcomers = []
        while not all(task.done() for task in speakers):
            newcomers.append(asyncio.create_task(come(len(newcomers))))
            async with connect(running, "/rooms/other") as other:
                await other.ping()
        heard = await asyncio.gather(*speakers, *newcomers)
        assert len(newcomers) > 10
        for each in heard:
            assert in_order(dict.fromkeys(each)) == {f"m{n}": (0, 149) for n in range(4)}
        assert all(len(set(each)) == len(each) for each in heard[:4])
    run(scenario())


@pytest.mark.parametrize("path, status", [("/rooms/" + "x" * 65, 400), ("/rooms/x?name=" + "x" * 65, 400),
                                          ("/rooms/", 404), ("/rooms/x", 101)])
def test_what_may_be_a_room(gateway, path, status):
    with RawPeer(gateway, path) as peer:
        assert peer.status == status


def test_a_room_says_whose_it_is_to_who_asks(make_gateway):
    running = make_gateway(routes="route /rooms/:room { handler rooms; set history 50; }")
    running.environment["GATEWAY_NAME"] = "gw-left"
    running.start()

    async def scenario():
        async with connect(running, "/rooms/tea?name=Ada") as ada:
            await ada.send("milk?")
            assert await ada.recv() == "Ada: milk?"
        async with connect(running, "/rooms/tea?greet") as guest:
            assert await lines(guest, 2) == ["gw-left", "Ada: milk?"]
    run(scenario())


def test_a_room_is_for_text(gateway):
    with RawPeer(gateway, "/rooms/tea").opened() as peer:
        peer.send(frame(OCTETS, b"x"))
        assert peer.read_close() == 1003


def in_order(said):
    """The first and the last number of each speaker; fails when one in between is missing or comes twice."""
    numbers = {}
    for line in said:
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
            got, done = [], 0
            while done < members:
                got.append(await connection.recv())
                done += got[-1].endswith(": over")
            return got

        listeners = [asyncio.create_task(listen(each)) for each in connections]
        speakers = [asyncio.create_task(speak(each)) for each in connections]
        for number in range(2, reloads + 2):
            rebuilt(running, target, number)
            await asyncio.to_thread(running.wait_for, f"generation {number} is serving, {members} connections moved")
        over.set()
        said = await asyncio.gather(*speakers)
        for got in await asyncio.gather(*listeners):
            assert in_order(got) == {f"m{n}": (0, said[n] - 1) for n in range(members)}
        assert min(said) > reloads
        async with connect(running, "/rooms/tea") as late:
            history = await lines(late, min(500, sum(said) + members))
        assert {name: last for name, (_, last) in in_order(history).items()} == {
            f"m{n}": said[n] - 1 for n in range(members)}
        for each in connections:
            await each.close()
    run(scenario())

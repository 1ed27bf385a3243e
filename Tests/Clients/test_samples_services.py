"""The samples that do more than answer: auth, ticker, longjob, upload; on the routes of gateway.conf."""
import shutil

import pytest

from gateway_process import TOP, Gateway, eventually
from raw_peer import BINARY, CONTINUATION, PING, PONG, TEXT, RawPeer, frame
from samples import built_routes, heard, own, rebuilt, route, said
from streams import MIB, Peak, Sending, fragmented, piece

ADA, BOB = [line.split()[0] for line in (TOP / "Plugins/auth/tokens").read_text().splitlines()]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    with Gateway(tmp_path_factory.mktemp("services"), routes="\n".join(built_routes())) as running:
        yield running


# ---- auth

def bearer(token, scheme="Bearer"):
    return {"Authorization": f"{scheme} {token}"}


@pytest.mark.parametrize("headers, user", [
    (bearer(ADA), "Ada"),
    (bearer(BOB, "bearer"), "Bob"),
    ({"Cookie": f"theme=dark; token={ADA}"}, "Ada"),
], ids=["bearer", "scheme in lower case", "cookie"])
def test_who_has_a_token_comes_in_by_name(gateway, headers, user):
    with RawPeer(gateway, "/auth", headers=headers).opened() as peer:
        assert peer.headers["x-user"] == user
        assert said(peer, b"hello") == f"{user}: hello".encode()


@pytest.mark.parametrize("headers", [{}, bearer("wrong"), bearer(ADA[:-1]), bearer(ADA + "x"), bearer(""),
                                     bearer(f"{ADA} {BOB}"), bearer(ADA, "Basic"), {"Cookie": "token="},
                                     {"Cookie": "token=%00"}],
                         ids=["nothing", "wrong", "too short", "too long", "empty", "two", "other scheme",
                              "empty cookie", "cookie of NUL"])
def test_who_has_none_is_asked_for_one(gateway, headers):
    with RawPeer(gateway, "/auth", headers=headers) as peer:
        assert (peer.status, peer.headers["www-authenticate"]) == (401, 'Bearer realm="gateway"')


@pytest.mark.parametrize("offered, spoken", [("auth.v1", "auth.v1"), ("auth.v1, auth.v2", "auth.v1"),
                                             ("mqtt, auth.v2, auth.v1", "auth.v2"), ("mqtt", None)])
def test_the_first_subprotocol_that_both_speak(gateway, offered, spoken):
    headers = bearer(ADA) | {"Sec-WebSocket-Protocol": offered}
    with RawPeer(gateway, "/auth", headers=headers).opened() as peer:
        assert peer.headers.get("sec-websocket-protocol") == spoken


@pytest.mark.parametrize("headers, status", [
    ({"Origin": "https://evil.example"}, 403),
    ({"Origin": "https://evil.example"} | bearer(ADA), 403),
    ({"Origin": "https://good.example"}, 401),
    ({"Origin": "https://good.example"} | bearer(ADA), 101),
    (bearer(ADA), 101),
], ids=["other site", "other site with a token", "own site", "own site with a token", "no browser"])
def test_only_pages_of_the_own_site_may_ask(make_gateway, headers, status):
    own_site = route("auth").replace("}", "origin any; set origin https://good.example; }")
    with RawPeer(make_gateway(routes=own_site).start(), "/auth", headers=headers) as peer:
        assert peer.status == status


def test_a_token_that_is_taken_away_is_worth_nothing_at_once(make_gateway):
    running = make_gateway(routes="route /auth { handler auth; set tokens tokens; }\nroute /echo { handler echo; }")
    tokens = running.folder / "tokens"
    shutil.copyfile(TOP / "Plugins/auth/tokens", tokens)
    running.start()
    with RawPeer(running, "/auth", headers=bearer(ADA)).opened() as ada:
        tokens.write_text(f"{BOB} Bob\n")
        assert said(ada, b"still here") == b"Ada: still here"
    with RawPeer(running, "/auth", headers=bearer(ADA)) as peer:
        assert peer.status == 401
    with RawPeer(running, "/auth", headers=bearer(BOB)) as peer:
        assert peer.status == 101
    tokens.unlink()
    with RawPeer(running, "/auth", headers=bearer(BOB)) as peer:
        assert peer.status == 503
    running.wait_for("tokens: No such file or directory")


def test_without_tokens_it_does_not_start(make_gateway):
    running = make_gateway(routes="route /auth { handler auth; set tokens none; }\nroute /echo { handler echo; }")
    running.start().wait_for("none: No such file or directory")


# ---- ticker

def numbers(peer, word, count):
    got = [heard(peer).decode().split() for _ in range(count)]
    assert all(each[0] == word for each in got)
    return [int(each[1]) for each in got]


def test_a_timer_of_ones_own(gateway):
    with RawPeer(gateway, "/ticker?every=10").opened() as fast, RawPeer(gateway, "/ticker?every=3600000").opened() as slow:
        assert numbers(fast, "tick", 20) == list(range(1, 21))
        slow.send(frame(PING, b"nothing yet?"))
        assert slow.read_frame() == (PONG, True, b"nothing yet?")


def test_a_clock_for_all(make_gateway):
    running = make_gateway(routes="route /ticker { handler ticker; set every 10; }").start()
    with RawPeer(running, "/ticker").opened() as one, RawPeer(running, "/ticker").opened() as other:
        first, second = numbers(one, "clock", 5), numbers(other, "clock", 5)
        assert [first, second] == [list(range(each[0], each[0] + 5)) for each in (first, second)]
        assert second[0] >= first[0]


@pytest.mark.parametrize("every", ["", "9", "3600001", "-1", "1s", "99999999999999999999"])
def test_an_interval_that_is_none(gateway, every):
    with RawPeer(gateway, f"/ticker?every={every}") as peer:
        assert peer.status == 400


def test_ticks_go_on_over_a_reload(make_gateway):
    running = make_gateway(routes="route /ticker { handler ticker; set every 10; }")
    target = own(running, "ticker")
    running.start()
    with RawPeer(running, "/ticker?every=10").opened() as ticks, RawPeer(running, "/ticker").opened() as clock:
        before = numbers(ticks, "tick", 3), numbers(clock, "clock", 3)
        rebuilt(running, target, 1)
        running.wait_for("generation 2 is serving, 2 connections moved")
        for name, peer, last in (("tick", ticks, before[0][-1]), ("clock", clock, before[1][-1])):
            seen = numbers(peer, name, 50)
            assert seen == sorted(seen) and seen[0] > last, name
            # Both generations may have counted on from one number in the moment of the move.
            assert len(seen) - len(set(seen)) <= (name == "clock"), name


# ---- longjob

def test_a_long_job_does_not_keep_the_connection_from_living(gateway):
    with RawPeer(gateway, "/longjob").opened() as peer:
        peer.send(frame(TEXT, b"2000000") + frame(TEXT, b"10") + frame(PING, b"alive?"))
        got = [peer.read_frame() for _ in range(3)]
        # The long one was asked for first and is answered last.
        assert got[-1] == (TEXT, True, b"2000000: 148933")
        assert sorted(got[:2]) == [(TEXT, True, b"10: 4"), (PONG, True, b"alive?")]


def test_several_jobs_at_once_and_no_more_than_that(gateway):
    with RawPeer(gateway, "/longjob").opened() as peer:
        peer.send(b"".join(frame(TEXT, b"%d" % (500_000 + n)) for n in range(10)))
        got = dict(heard(peer).decode().split(": ") for _ in range(10))
        assert sum(answer == "too much to do, try again later" for answer in got.values()) == 2
        assert sum(answer == "41538" for answer in got.values()) == 8
        assert said(peer, b"100") == b"100: 25"


@pytest.mark.parametrize("text", [b"", b"x", b"-1", b"100000001", b"99999999999999999999"])
def test_what_is_no_job(gateway, text):
    with RawPeer(gateway, "/longjob").opened() as peer:
        assert said(peer, text) == b"a number up to 100000000, please"
    with RawPeer(gateway, "/longjob").opened() as peer:
        assert [said(peer, b"%d" % n) for n in range(4)] == [b"0: 0", b"1: 0", b"2: 1", b"3: 2"]


def test_who_leaves_takes_the_jobs_along(gateway):
    with RawPeer(gateway, "/longjob").opened() as peer:
        peer.send(frame(TEXT, b"99999999"))
        peer.send(frame(PING))
        assert peer.read_frame()[0] == PONG
        peer.reset()
    gateway.wait_for("the primes up to 99999999 are not wanted any more")


def test_a_job_is_finished_where_it_began_and_then_the_connection_moves(make_gateway):
    running = make_gateway(routes=route("longjob"))
    target = own(running, "longjob")
    running.start()
    with RawPeer(running, "/longjob").opened() as peer:
        peer.send(frame(TEXT, b"3000000"))
        peer.send(frame(PING))
        assert peer.read_frame()[0] == PONG
        rebuilt(running, target, 1)
        assert heard(peer) == b"3000000: 216816"
        running.wait_for("generation 2 is serving")
        assert said(peer, b"10") == b"10: 4"


# ---- upload

@pytest.fixture
def uploads(make_gateway):
    running = make_gateway(routes=route("upload")).start()
    return running, running.folder / "uploads"


def stored(peer):
    """Skips the reports of progress and answers name and size."""
    last = 0
    while (words := heard(peer).decode().split())[0] == "received":
        assert int(words[1]) >= last + MIB // 2
        last = int(words[1])
    assert words[0] == "stored"
    return words[1], int(words[2]), last


def test_a_large_file_in_little_memory(uploads):
    running, folder = uploads
    data = bytes(range(256)) * (64 * MIB // 256) + b"end"
    with RawPeer(running, "/upload", timeout=60).opened() as peer:
        peak = Peak(running)
        sending = Sending(peer, fragmented(BINARY, data, 1_000_003))
        name, size, reported = stored(peer)
        sending.join()
        assert size == len(data)
        assert reported > 62 * MIB
        assert (folder / name).read_bytes() == data
        assert peak.growth() < 4 * MIB
        assert [each.name for each in folder.iterdir()] == [name]


def test_one_file_after_the_other_and_each_its_own_name(uploads):
    running, folder = uploads
    contents = [b"", b"one", "zwölf".encode(), b"\0" * 100_000]
    names = []
    with RawPeer(running, "/upload").opened() as one, RawPeer(running, "/upload").opened() as other:
        for peer in (one, other):
            # All at once: they are taken one by one.
            peer.send(b"".join(frame(BINARY, each) for each in contents))
            for each in contents:
                name, size, _ = stored(peer)
                assert (size, (folder / name).read_bytes()) == (len(each), each)
                names.append(name)
    assert len(set(names)) == 8
    assert {each.name for each in folder.iterdir()} == set(names)


@pytest.mark.parametrize("way", ["close", "reset", "not UTF-8"])
def test_what_is_not_finished_leaves_nothing_behind(uploads, way):
    running, folder = uploads
    with RawPeer(running, "/upload").opened() as peer:
        peer.send(piece(TEXT, b"x" * (2 * MIB), fin=False))
        assert heard(peer).startswith(b"received ")
        assert [each.suffix for each in folder.iterdir()] == [".part"]
        if way == "close":
            peer.close()
        elif way == "reset":
            peer.reset()
        else:
            peer.send(frame(CONTINUATION, b"\xff"))
            assert peer.read_close() == 1007
        eventually("the partial file is gone", lambda: not list(folder.iterdir()))


def test_a_file_beyond_the_limit(make_gateway):
    running = make_gateway(routes=route("upload").replace("1g", "1m")).start()
    with RawPeer(running, "/upload").opened() as peer:
        Sending(peer, fragmented(BINARY, b"x" * (MIB + 1), 10_000))
        assert peer.read_close() == 1009
    eventually("the partial file is gone", lambda: not list((running.folder / "uploads").iterdir()))


def test_a_disk_that_fails_is_1011_and_said_in_the_log(uploads):
    running, folder = uploads
    with RawPeer(running, "/upload").opened() as peer:
        folder.rmdir()
        peer.send(frame(BINARY, b"x"))
        assert peer.read_close() == 1011
    running.wait_for("uploads/.*No such file or directory")


def test_an_upload_is_finished_before_a_reload_moves_it(make_gateway):
    running = make_gateway(routes=route("upload"))
    target = own(running, "upload")
    running.start()
    with RawPeer(running, "/upload").opened() as peer, RawPeer(running, "/upload").opened() as idle:
        peer.send(piece(BINARY, b"x" * MIB, fin=False))
        assert heard(peer).startswith(b"received ")
        rebuilt(running, target, 1)
        running.wait_for("generation 2 is serving")
        assert said_binary(idle) == 1
        peer.send(piece(CONTINUATION, b"y" * MIB, fin=True))
        assert stored(peer)[1] == 2 * MIB
        assert said_binary(peer) == 1


def said_binary(peer):
    peer.send(frame(BINARY, b"z"))
    return stored(peer)[1]

"""Engines that are not there, do not want, die or stand still."""
import socket
import threading
import time

import pytest

from backplane import E_AWAY, E_REFUSED, OK

SHORT = 500


def timed(call):
    begin = time.monotonic()
    answer = call()
    return answer, time.monotonic() - begin


def test_nobody_there(Kind, make_link):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    status, text = make_link(f"{Kind.scheme}://127.0.0.1:{port}").connect()
    assert status == E_AWAY and f"127.0.0.1:{port}" in text


def test_no_such_host(Kind, make_link):
    status, text = make_link(f"{Kind.scheme}://no-such-host.invalid").connect()
    assert status == E_AWAY and "no-such-host.invalid" in text


def test_passwords(make_engine, make_link):
    engine = make_engine(user="chat", password='a b"c\\d@e/f:g%')
    escaped = "a%20b%22c%5cd%40e%2ff%3Ag%25"
    for how in ({"urls": engine.url()}, {"urls": engine.url("chat:wrong")}, {"urls": engine.url("other:" + escaped)},
                {"urls": engine.url(), "user": b"chat", "password": b"wrong"},
                {"urls": engine.url("chat:" + escaped), "password": b"wrong"}):
        status, text = make_link(**how).connect()
        assert status == E_REFUSED and "wrong" not in text and "b\"c" not in text, (how, text)
    for how in ({"urls": engine.url("chat:" + escaped)},
                {"urls": engine.url(), "user": b"chat", "password": b'a b"c\\d@e/f:g%'},
                {"urls": engine.url("chat:wrong"), "password": b'a b"c\\d@e/f:g%'}):
        link = make_link(**how).connected()
        assert link.subscribe(b"in") == OK
        link.published((b"in", b"x"))
        link.hears(1)


def test_killed(make_engine, make_link):
    engine = make_engine()
    link = make_link(engine.url()).connected()
    assert link.subscribe(b"a", b"b") == OK
    link.probe()
    engine.kill()
    assert link.loses().isprintable()
    assert link.publish((b"a", b"1"))[0] == E_AWAY
    assert link.subscribe(b"c") in (OK, E_AWAY) and link.unsubscribe(b"a") in (OK, E_AWAY)
    link.disconnect()
    assert link.connect()[0] == E_AWAY
    engine.start()
    link.connected()
    # Subscriptions ended with the connection.
    assert link.subscribe(b"b") == OK
    link.published((b"a", b"old"), (b"b", b"new"))
    assert link.hears(1) == [(b"b", b"new")]


def test_killed_under_load(make_engine, make_link):
    engine = make_engine()
    link = make_link(engine.url(), keep=False).connected()
    assert link.subscribe(b"load") == OK
    link.published((b"load", b"x"))
    link.hears(1)
    answers = []

    def shout():
        while not answers:
            status, taken = link.publish(*[(b"load", bytes(1000))] * 200)
            if status != OK:
                answers.append((status, taken))

    shouting = threading.Thread(target=shout)
    shouting.start()
    link.wait(lambda each: each.count > 5000, "load")
    engine.kill()
    shouting.join(30)
    assert not shouting.is_alive() and answers[0][0] == E_AWAY and answers[0][1] < 200
    link.loses()


@pytest.fixture
def still(make_engine, make_link):
    """An engine that stands still behind a link that is up."""
    engine = make_engine()
    link = make_link(engine.url(), timeout=SHORT).connected()
    assert link.subscribe(b"before") == OK
    link.probe()
    engine.pause()
    yield engine, link
    engine.go_on()


def test_connect_to_one_that_stands_still(still, make_link):
    engine, _ = still
    (status, text), seconds = timed(make_link(engine.url(), timeout=SHORT).connect)
    assert status == E_AWAY and "no answer in time" in text
    assert SHORT / 1000 * 0.9 < seconds < SHORT / 1000 * 2 + 1


def test_publish_to_one_that_stands_still(still):
    _, link = still
    (status, taken), seconds = timed(lambda: link.publish((b"before", b"1"), (b"before", b"2")))
    assert (status, taken) == (E_AWAY, 0) and seconds < SHORT / 1000 * 2 + 1
    _, seconds = timed(link.disconnect)
    assert seconds < SHORT / 1000 * 2 + 1


def test_publish_much_to_one_that_stands_still(still):
    """More than sockets hold, so that it cannot even be written."""
    _, link = still
    (status, _), seconds = timed(lambda: link.publish(*[(b"before", bytes(500_000))] * 100))
    assert status == E_AWAY and seconds < SHORT / 1000 * 2 + 1
    _, seconds = timed(link.disconnect)
    assert seconds < SHORT / 1000 * 2 + 1


def test_subscribe_to_one_that_stands_still(still):
    _, link = still
    for at in range(60):
        names = [b"%d %d " % (at, each) + b"n" * 900 for each in range(512)]
        status, seconds = timed(lambda names=names: link.subscribe(*names))
        assert seconds < SHORT / 1000 * 2 + 1
        if status != OK:
            break
    assert status == E_AWAY
    assert timed(link.disconnect)[1] < SHORT / 1000 * 2 + 1


def test_goes_on_where_it_stood(make_engine, make_link):
    """An engine that stood still for less than the timeout has lost nothing."""
    engine = make_engine()
    link = make_link(engine.url()).connected()
    assert link.subscribe(b"a") == OK
    link.probe()
    engine.pause()
    timer = threading.Timer(0.3, engine.go_on)
    timer.start()
    link.published((b"a", b"1"))
    timer.join()
    assert link.hears(1) == [(b"a", b"1")] and not link.losses

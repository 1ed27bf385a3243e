"""What Redis alone has: databases, sockets in the file system, rights, a Sentinel that is none."""
import socket

import pytest

from backplane import E_AWAY, E_REFUSED, OK, Link, Refused
from engines import found

KINDS = ["redis"]


def command(engine, *words):
    """Asks it something as another client does."""
    with socket.create_connection(("127.0.0.1", engine.port)) as other:
        other.sendall(b"".join([b"*%d\r\n" % len(words)] + [b"$%d\r\n%s\r\n" % (len(word), word) for word in words]))
        answer = b""
        while not answer.endswith(b"\r\n"):
            answer += other.recv(65536)
        return answer


def test_says_who_it_is(engine, make_link):
    link = make_link(engine.url(), name=b"gateway on host 1").connected()
    version = engine_version(engine)
    assert link.text == f"Redis {version} at 127.0.0.1:{engine.port}"
    assert command(engine, b"CLIENT", b"LIST").count(b"name=gateway-on-host-1 ") == 2


def engine_version(engine):
    info = command(engine, b"INFO", b"server").decode()
    return next(line.partition(":")[2] for line in info.splitlines() if line.startswith("redis_version"))


def test_databases_do_not_hear_each_other(engine, make_link):
    links = {path: make_link(engine.url(path=path)).connected() for path in ("", "/0", "/3", "/33")}
    for link in links.values():
        assert link.subscribe(b"a", b"3:a") == OK
        link.probe()
    for path, link in links.items():
        link.published((b"a", path.encode()))
    for each in links.values():
        each.published((b"end", b""))
    assert {data for _, data in links[""].hears(2)} == {data for _, data in links["/0"].hears(2)} == {b"", b"/0"}
    assert links["/3"].hears(1) == [(b"a", b"/3")] and links["/33"].hears(1) == [(b"a", b"/33")]


def test_unix_sockets(engine, make_link):
    over_tcp = make_link(engine.url(path="/7")).connected()
    assert over_tcp.subscribe(b"a") == OK
    over_tcp.probe()
    for url in (engine.unix("?db=7"), engine.unix("?db=7").replace("redis+unix:", "valkey+unix://")):
        link = make_link(url).connected()
        assert link.text.endswith(f"{engine.folder}/redis.sock")
        link.published((b"a", url.encode()))
    over_tcp.hears(2)
    status, text = make_link(f"redis+unix:{engine.folder}/other.sock").connect()
    assert status == E_AWAY and "No such file" in text


@pytest.mark.parametrize("url, says", [
    ("redis://h/x", "database"), ("redis://h/-1", "database"), ("redis://h/1234567890", "database"), ("redis://h?db=1", "parameters"),
    ("redis+unix:/a?x=1", "db"), ("redis+unix:/a?db=x", "database"), ("redis+unix:/" + "a" * 200, "107"), ("redis+unix://h/a", "path"),
    ("rediss://h", "TLS"), ("valkeys://h", "TLS")])
def test_bad_urls(module, url, says):
    with pytest.raises(Refused, match=says):
        Link(module, url)


def test_a_password_alone(make_engine, make_link):
    engine = make_engine(password="geheim")
    status, text = make_link(engine.url()).connect()
    assert status == E_REFUSED and "a password is needed" in text
    for how in ({"urls": engine.url(":geheim")}, {"urls": engine.url(), "password": b"geheim"}):
        make_link(**how).connected()


def test_rights(make_engine, make_link):
    engine = make_engine(user="u", password="p", rights="resetchannels &0:a -@all +publish +subscribe +unsubscribe")
    link = make_link(engine.url("u:p")).connected()
    assert link.text.startswith("Redis at"), "neither INFO nor CLIENT SETNAME is needed"
    assert link.subscribe(b"a") == OK
    link.published((b"a", b"x"))
    link.hears(1)
    assert link.publish((b"a", b"1"), (b"b", b"2"), (b"a", b"3")) == (E_REFUSED, 1)
    assert "NOPERM" in link.loses()
    link.disconnect()
    link.connected()
    assert link.subscribe(b"b") == OK
    assert "NOPERM" in link.loses()


def test_full_house(make_engine, make_link):
    engine = make_engine(more=["--maxclients", "1"])
    with socket.create_connection(("127.0.0.1", engine.port)) as other:
        other.sendall(b"PING\r\n")
        assert other.recv(100).startswith(b"+PONG")
        status, text = make_link(engine.url()).connect()
    assert status == E_REFUSED and "max number of clients" in text


def test_a_sentinel(make_engine, make_link, tmp_path):
    file = tmp_path / "sentinel.conf"
    file.write_text("")
    engine = make_engine()
    assert b"redis_mode:standalone" in command(engine, b"INFO", b"server")
    engine.kill()
    engine.command = lambda: [found("redis-server"), str(file), "--sentinel", "--port", str(engine.port), "--bind", "127.0.0.1"]
    engine.last = r"Sentinel ID is"
    engine.start()
    status, text = make_link(engine.url()).connect()
    assert status == E_REFUSED and "Sentinel" in text


@pytest.mark.parametrize("kind", [b"normal", b"pubsub"])
def test_one_of_the_two_is_cut(engine, make_link, kind):
    link = make_link(engine.url()).connected()
    assert link.subscribe(b"a") == OK
    link.probe()
    assert command(engine, b"CLIENT", b"KILL", b"TYPE", kind) != b":0\r\n"
    if kind == b"normal":
        assert link.publish((b"a", b"x")) == (E_AWAY, 0)
    link.loses()

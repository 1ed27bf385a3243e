"""The admin listener: who may ask, what health says, and that it answers whatever happens."""
import http.client
import os
import re
import socket
import subprocess

import pytest

from admin_client import admin_port, get, value
from gateway_process import BINARY, DEADLINE, eventually
from raw_peer import TEXT, RawPeer, frame
from test_dispatch import SLEEPER
from test_handlers import compile_handler

ADMIN = "admin 127.0.0.1:0;"


def token_file(running, word="s3cret", mode=0o600):
    path = running.folder / "admin.token"
    path.write_text(word + "\n")
    path.chmod(mode)
    return path


def guarded(make_gateway, address="127.0.0.1:0", more=""):
    running = make_gateway(main=f"admin {address} {{ token_file admin.token; {more} }}")
    token_file(running)
    return running


def command(running, *words):
    return subprocess.run([BINARY, *words, "-c", running.file], capture_output=True, text=True, timeout=DEADLINE)


def test_there_is_none_unless_it_is_asked_for(gateway):
    assert "metrics and health" not in gateway.log()


def test_health_and_readiness(make_gateway):
    running = make_gateway(main=ADMIN).start()
    assert get(running, "/healthz")[::2] == (200, "ok\n")
    assert get(running, "/readyz")[::2] == (200, "ready\n")
    status, headers, body = get(running, "/readyz", method="HEAD")
    assert (status, headers["Content-Length"], body) == (200, "6", "")
    assert headers["Cache-Control"] == "no-store"


def test_a_route_without_a_handler_is_no_readiness_and_status_says_so(make_gateway):
    running = make_gateway(main=ADMIN, routes="route /echo { handler echo; }\nroute /x { handler nowhere; }").start()
    status, _, body = get(running, "/readyz")
    assert status == 503
    assert re.fullmatch(r'handler-unavailable: route /x, handler "nowhere": .+\n', body)
    assert get(running, "/healthz")[0] == 200
    said = command(running, "status")
    assert said.returncode == 1 and "degraded, 1 of 2 routes unavailable" in said.stdout
    assert "nowhere" in said.stdout


def test_draining_is_no_readiness_until_the_end(make_gateway):
    running = make_gateway(main=ADMIN).start()
    with RawPeer(running).opened() as peer:
        draining = subprocess.Popen([BINARY, "drain", "-c", running.file], stdout=subprocess.DEVNULL)
        eventually("it to drain", lambda: get(running, "/readyz")[0] == 503)
        assert get(running, "/readyz")[2] == "draining: new connections are refused\n"
        assert get(running, "/healthz")[0] == 200
        assert value(running, "gateway_ready") == 0 and value(running, "gateway_connections") == 1
        peer.send(frame(TEXT, b"still"))
        assert peer.read_frame()[2] == b"still"
    assert draining.wait(DEADLINE) == 0
    assert running.exit_status() == 0


def test_it_answers_while_every_worker_is_stuck(make_gateway):
    running = make_gateway(main=ADMIN + "threads 1;", routes="route /slow { handler sleeper; }")
    compile_handler(running, "sleeper", SLEEPER)
    running.start()
    pipe = running.folder / "pipe"
    os.mkfifo(pipe)
    with RawPeer(running, "/slow").opened() as peer:
        peer.send(frame(TEXT, str(pipe).encode()))
        eventually("it to be seen", lambda: value(running, "gateway_worker_unresponsive_seconds", worker="0") > 0.5)
        assert get(running, "/healthz")[0] == 200
        pipe.write_bytes(b"go")
        peer.read_frame()
    eventually("it to come back", lambda: value(running, "gateway_worker_unresponsive_seconds") == 0)
    assert value(running, "gateway_worker_loop_lag_seconds_sum", worker="0") > 0.5


def test_a_token_is_asked_for_but_not_of_probes(make_gateway):
    running = guarded(make_gateway).start()
    status, headers, body = get(running, "/metrics")
    assert (status, headers["WWW-Authenticate"]) == (401, 'Bearer realm="gateway"')
    assert body.startswith("token-required: ")
    assert get(running, "/metrics", Authorization="Bearer wrong1")[0] == 401
    assert get(running, "/metrics", Authorization="Bearer s3cret")[0] == 200
    assert get(running, "/healthz")[0] == get(running, "/readyz")[0] == 200
    assert "s3cret" not in running.log()


@pytest.mark.parametrize("headers", [
    {"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}])
def test_foreigners_are_refused_even_with_the_token(make_gateway, headers):
    running = guarded(make_gateway).start()
    for path in ("/metrics", "/readyz"):
        assert get(running, path, Authorization="Bearer s3cret", **headers)[0] == 403


def test_names_of_its_own(make_gateway):
    running = guarded(make_gateway, more="hosts gw.example.com;").start()
    for host in ("localhost", socket.gethostname(), "gw.example.com:9090", "10.1.2.3", "[::1]:9090"):
        assert get(running, "/readyz", Host=host)[0] == 200, host


def test_what_is_wrong_is_answered_so(make_gateway):
    running = make_gateway(main=ADMIN).start()
    assert get(running, "/nothing")[0] == get(running, "/metrics/")[0] == 404
    status, headers, _ = get(running, "/metrics", method="POST")
    assert (status, headers["Allow"]) == (405, "GET, HEAD")
    assert get(running, "/metrics", X="y" * 20_000)[0] == 431
    connection = http.client.HTTPConnection("127.0.0.1", admin_port(running), timeout=DEADLINE)
    for _ in range(3):
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        assert answer.status == 200 and answer.read()
    kept = connection.sock
    connection.request("GET", "/nothing")
    assert connection.getresponse().read() and connection.sock is kept
    connection.close()


def test_many_who_say_nothing_keep_nobody_out(make_gateway):
    running = make_gateway(main=ADMIN).start()
    port = admin_port(running)
    silent = [socket.create_connection(("127.0.0.1", port), DEADLINE) for _ in range(40)]
    assert get(running, "/healthz")[0] == 200
    for each in silent:
        each.close()


@pytest.mark.parametrize("mode,word,why", [
    (0o644, "s3cret", r"mode 0644, so others can use it: chmod 600 \S+/admin.token"), (0o600, "", "is empty"),
    (0o600, "two words", "one word of ASCII")])
def test_a_token_that_is_none_is_a_wrong_configuration(make_gateway, mode, word, why):
    running = guarded(make_gateway)
    token_file(running, word, mode)
    for words in (["run"], ["check"]):
        said = command(running, *words)
        assert said.returncode == 78
        assert re.search(r"gateway\.conf:\d+.*token_file: .*" + why, said.stderr), said.stderr
    (running.folder / "admin.token").unlink()
    assert "No such file" in command(running, "check").stderr


def test_beyond_this_machine_there_has_to_be_one(make_gateway):
    running = make_gateway(main="admin 0.0.0.0:0;")
    said = command(running, "check")
    assert said.returncode == 78 and '"admin" beyond this machine needs a token' in said.stderr
    running = guarded(make_gateway, "0.0.0.0:0").start()
    assert get(running, "/metrics", Authorization="Bearer s3cret")[0] == 200


def test_a_port_that_is_taken_is_said(make_gateway):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        running = make_gateway(main=f"admin 127.0.0.1:{taken.getsockname()[1]};")
        said = command(running)
        assert said.returncode == 1 and "\"admin\" cannot listen on" in said.stderr


def test_the_line_changes_by_reload_and_nobody_is_disconnected(make_gateway):
    running = guarded(make_gateway).start()
    port = admin_port(running)
    scraper = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)

    def scrape(word):
        scraper.request("GET", "/metrics", headers={"Authorization": f"Bearer {word}"})
        answer = scraper.getresponse()
        answer.read()
        return answer.status

    with RawPeer(running).opened() as peer:
        assert scrape("s3cret") == 200
        kept = scraper.sock
        token_file(running, "other1")
        assert "admin: another token" in command(running, "reload").stdout
        assert (scrape("s3cret"), scrape("other1")) == (401, 200)
        assert scraper.sock is kept
        # A line that is wrong changes nothing.
        token_file(running, "third1", 0o666)
        refused = command(running, "reload")
        assert refused.returncode == 75 and "chmod 600" in refused.stdout + refused.stderr
        assert scrape("other1") == 200
        # Elsewhere, and then nowhere.
        text = running.file.read_text()
        running.file.write_text(re.sub(r"admin .*\}", "admin unix:admin.sock;", text))
        moved = command(running, "reload")
        assert moved.returncode == 0 and "admin: 127.0.0.1:0" in moved.stdout, moved.stdout
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(running.folder / "admin.sock"))
            client.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
        with pytest.raises(ConnectionError):
            socket.create_connection(("127.0.0.1", port), DEADLINE)
        running.file.write_text(re.sub(r"admin .*;", "admin off;", running.file.read_text()))
        assert command(running, "reload").returncode == 0
        assert not (running.folder / "admin.sock").exists()
        peer.send(frame(TEXT, b"here"))
        assert peer.read_frame()[2] == b"here"
    scraper.close()


def test_the_effective_configuration_has_the_line(make_gateway):
    running = guarded(make_gateway, "127.0.0.1:9090", "hosts gw;")
    said = command(running, "-T")
    assert f"\nadmin 127.0.0.1:9090 {{ token_file {running.folder}/admin.token; hosts gw; }}" in said.stdout

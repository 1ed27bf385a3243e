"""Starting, listening, and the two ways of ending."""
import asyncio
import os
import re
import signal
import socket
import stat
import subprocess

import pytest
import websockets
from websockets.sync.client import connect, unix_connect

from gateway_process import BINARY, DEADLINE, eventually
from raw_peer import TEXT, RawPeer, accepted, frame
from test_control import ask, status


def echoes(connection, text="hello"):
    connection.send(text)
    return connection.recv(DEADLINE) == text


def test_a_unix_listener(make_gateway):
    running = make_gateway(listen=["unix:gateway.sock"]).start()
    path = running.folder / "gateway.sock"
    assert stat.S_ISSOCK(path.stat().st_mode)
    with unix_connect(str(path), "ws://localhost/echo", compression=None) as connection:
        assert echoes(connection)
    running.stop()
    assert not path.exists(), "the socket file is left over"


def test_a_unix_socket_left_over_by_a_crash_is_replaced(make_gateway):
    running = make_gateway(listen=["unix:gateway.sock"])
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(running.folder / "gateway.sock"))
    running.start()
    with unix_connect(str(running.folder / "gateway.sock"), "ws://localhost/echo", compression=None) as connection:
        assert echoes(connection)


def test_a_gateway_that_ends_leaves_the_socket_of_the_next_one(make_gateway):
    first = make_gateway(listen=["unix:gateway.sock"]).start()
    path = first.folder / "gateway.sock"
    path.unlink()
    second = make_gateway(listen=[f"unix:{path}"]).start()
    first.stop()
    with unix_connect(str(path), "ws://localhost/echo", compression=None) as connection:
        assert echoes(connection)
    second.stop()
    assert not path.exists()


def close_standard_descriptors():
    for number in range(3):
        os.close(number)


def test_standard_descriptors_that_are_closed_become_no_sockets(make_gateway):
    running = make_gateway(routes="route /echo { handler echo; }")
    running.process = subprocess.Popen([BINARY, "-c", running.file], cwd=running.folder,
                                       preexec_fn=close_standard_descriptors)
    try:
        eventually("it answers", lambda: ask(running, "status").returncode == 0)
        names = [os.readlink(running.proc / "fd" / str(number)) for number in range(3)]
        assert names == ["/dev/null"] * 3
    finally:
        running.signal()
        assert running.process.wait(DEADLINE) == 0


def test_the_crash_record_follows_no_link(make_gateway):
    running = make_gateway(routes="route /echo { handler echo; }")
    target = running.folder / "precious"
    target.write_text("precious")
    (running.folder / ".gateway.crash").symlink_to(target)
    running.start()
    running.wait_for(r"warning: no file for a crash record at \S+/\.gateway\.crash: this is no regular file")
    running.signal(signal.SIGABRT)
    assert running.exit_status() == -signal.SIGABRT
    assert target.read_text() == "precious"


def test_a_pipe_in_the_place_of_the_crash_record_stops_nobody(make_gateway):
    running = make_gateway(routes="route /echo { handler echo; }")
    os.mkfifo(running.folder / ".gateway.crash")
    running.start()


def test_the_start_says_where_the_console_is(make_gateway):
    running = make_gateway(main="console /try;").start()
    assert running.wait_for(r"the console is at (\S+)")[1] == f"http://127.0.0.1:{running.port}/try"


def test_several_listeners_and_both_families(make_gateway):
    running = make_gateway(listen=["127.0.0.1:0", "0"]).start()
    ports = [int(address.rpartition(":")[2]) for address in running.addresses()]
    assert len(set(ports)) == 2 and 0 not in ports
    with connect(f"ws://127.0.0.1:{ports[0]}/echo", proxy=None) as connection:
        assert echoes(connection)
    dual = ports[1] if running.addresses()[1].startswith("[::]") else ports[0]
    hosts = ["127.0.0.1"] + (["[::1]"] if socket.has_ipv6 and loopback_has_ipv6() else [])
    for host in hosts:
        with connect(f"ws://{host}:{dual}/echo", proxy=None) as connection:
            assert echoes(connection)


def loopback_has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
def test_a_graceful_end_says_1001_and_exits_0(make_gateway, number):
    running = make_gateway().start()

    async def scenario():
        peers = [await websockets.connect(running.url(path), proxy=None) for path in ["/echo", "/echo", "/chat"]]
        running.signal(number)
        for peer in peers:
            await asyncio.wait_for(peer.wait_closed(), DEADLINE)
        return [peer.close_code for peer in peers]

    assert asyncio.run(scenario()) == [1001, 1001, 1001]
    assert running.exit_status() == 0


def test_the_port_is_free_at_once(make_gateway):
    running = make_gateway(main="defaults { close_timeout 200ms; }").start()
    port = running.port
    with RawPeer(running).opened():
        running.stop()
        again = make_gateway(listen=[f"127.0.0.1:{port}"]).start()
    with connect(again.url(), proxy=None) as connection:
        assert echoes(connection)


def test_a_stuck_peer_does_not_hold_up_the_end(make_gateway):
    running = make_gateway(main="defaults { close_timeout 200ms; }").start()
    with RawPeer(running).opened() as stuck:
        running.signal()
        assert stuck.read_close() == 1001
        # It never answers; the gateway goes without it.
        assert running.exit_status() == 0


def test_a_second_signal_ends_at_once(make_gateway):
    # The deadline for the end is far below the close_timeout that the first signal would wait.
    running = make_gateway(main="defaults { close_timeout 5m; }").start()
    with RawPeer(running).opened() as stuck:
        running.signal()
        assert stuck.read_close() == 1001
        running.signal()
        running.exit_status()


def test_no_new_connections_while_draining(make_gateway):
    running = make_gateway(main="defaults { close_timeout 5m; }").start()
    with RawPeer(running).opened() as stuck:
        running.signal()
        assert stuck.read_close() == 1001
        assert accepted(running) is None
        running.signal()
        running.exit_status()


MISSPELT = r'gateway\.conf:\d+:12: error: unknown directive "max_mesage" \(did you mean "max_message"\?\)'


@pytest.mark.parametrize("main, said", [
    ("defaults { max_mesage 1m; }", MISSPELT),
    ("listen 0.0.0.0:99999;", r"gateway\.conf:\d+:\d+: error: "),
    ("route /echo { handler echo; }", r"gateway\.conf:\d+:\d+: error: .*first"),
], ids=["misspelt", "port out of range", "a route twice"])
def test_an_invalid_file_is_78_and_says_where(make_gateway, main, said):
    refused = make_gateway(main=main).launch()
    assert refused.exit_status() == 78
    refused.wait_for(said)


def test_a_port_in_use_is_said(make_gateway):
    first = make_gateway().start()
    second = make_gateway(listen=[f"127.0.0.1:{first.port}"]).launch()
    assert second.exit_status() not in (0, None)
    second.wait_for(rf"127\.0\.0\.1:{first.port}")
    with RawPeer(first).opened() as peer:
        peer.send(frame(TEXT, b"unharmed"))
        assert peer.read_frame() == (TEXT, True, b"unharmed")


# ---- one at a time

def test_a_second_gateway_with_the_same_control_socket_is_refused_by_name(make_gateway):
    first = make_gateway(main="control unix:./own.sock;").start()
    second = make_gateway(main=f"control unix:{first.folder}/own.sock;").launch()
    assert second.exit_status() == 1
    second.wait_for(rf"error: \S+gateway\.conf:\d+: another gateway is running: process {first.process.pid}, which serves "
                    rf"{first.file} and listens at the control socket {first.folder}/own\.sock")
    second.wait_for(rf"To do: `gateway reload -c {first.file}`")
    assert ask(first, "status").returncode == 0


def test_the_same_file_twice_is_refused_by_name_and_not_for_its_port(make_gateway):
    first = make_gateway().start()
    first.file.write_text(first.file.read_text().replace("127.0.0.1:0", f"127.0.0.1:{first.port}"))
    again = subprocess.run([BINARY, "-c", first.file], cwd=first.folder, capture_output=True, text=True, timeout=DEADLINE)
    assert again.returncode == 1
    assert f"another gateway is running: process {first.process.pid}, which serves {first.file}" in again.stderr
    assert (first.folder / ".gateway.sock").exists()


def test_a_gateway_that_hangs_is_named_by_its_process(make_gateway):
    first = make_gateway().start()
    first.signal(signal.SIGSTOP)
    try:
        again = subprocess.run([BINARY, "-c", first.file], cwd=first.folder, capture_output=True, text=True, timeout=DEADLINE)
    finally:
        first.signal(signal.SIGCONT)
    assert again.returncode == 1 and f"process {first.process.pid} listens at the control socket" in again.stderr


# ---- how it does

def test_status_says_why_not_all_is_well(make_gateway):
    running = make_gateway(routes="route /echo { handler echo; }\nroute /gone { handler nowhere; }").start()
    told = ask(running, "status")
    assert told.returncode == 1
    assert re.search(r"reason  handler-unavailable: route /gone, handler \"nowhere\": ", told.stdout)
    report = status(running)
    assert [reason.split(":")[0] for reason in report["reasons"]] == ["handler-unavailable"]
    assert ask(running, "status", "--json").returncode == 1
    with RawPeer(running, "/none") as refused:
        assert refused.status == 404
    assert status(running)["refusals"] == {"no-route": 1}
    assert "refused  1 no-route" in ask(running, "status").stdout


def test_status_is_1_while_it_drains(make_gateway):
    running = make_gateway().start()
    assert ask(running, "status").returncode == 0
    with RawPeer(running).opened():
        draining = subprocess.Popen([BINARY, "drain", "-c", running.file], stdout=subprocess.DEVNULL)
        eventually("it is draining", lambda: ask(running, "status").returncode == 1)
        assert status(running)["reasons"] == ["draining: new connections are refused"]
    assert draining.wait(DEADLINE) == 0

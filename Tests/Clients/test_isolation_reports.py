"""What the gateway says of handlers in processes of their own: status, connections, metrics, logs and crash records."""
import json
import os
import re
import signal

import pytest

import admin_client
from gateway_process import eventually
from isolation_rig import BINARY, TEXT, ends_with, frame, number, say, who
from raw_peer import CLOSE, RawPeer, close_payload
from test_connections import connections
from test_control import ask, status
from test_trace import Trace


def route(made, path="/x"):
    return next(each for each in status(made.running)["routes"] if each["route"] == path)


def test_status_names_the_process(isolated):
    made = isolated()
    with made.peer() as peer:
        number(peer, 0)
        shown = ask(made.running, "status")
        assert shown.returncode == 0 and f"process {made.process()}" in shown.stdout, shown.stdout
        assert made.live()["connections"] == route(made)["connections"] == made.count() == 1
        assert status(made.running)["process"]["pid"] == made.running.process.pid
        made.kill()
        who(peer)
        assert f"process {made.process()}" in ask(made.running, "status").stdout


def test_traffic_is_counted(isolated):
    """Over a death, too: what was counted stays, and nothing is counted twice."""
    made = isolated()
    with made.peer() as peer:
        for index in range(5):
            number(peer, index)
        eventually("all messages", lambda: route(made)["traffic"]["messages_out"] == 5)
        traffic = route(made)["traffic"]
        assert (traffic["opened"], traffic["closed"], traffic["messages_in"]) == (1, 0, 5)
        assert traffic["bytes_in"] == 5 * len(frame(TEXT, b"n 0 "))
        made.kill()
        number(peer, 5)
        eventually("one more", lambda: route(made)["traffic"]["messages_out"] == 6)
        made.reload(2)
        number(peer, 6)
        eventually("one more", lambda: route(made)["traffic"]["messages_out"] == 7)
        traffic = route(made)["traffic"]
        assert (traffic["opened"], traffic["closed"], traffic["messages_in"]) == (1, 0, 7)
    eventually("the end", lambda: route(made)["traffic"]["closed"] == 1)


def test_connections_are_listed_as_they_are(isolated):
    made = isolated("subprotocols a.v1;")
    with made.peer(headers={"Sec-WebSocket-Protocol": "a.v1"}) as peer:
        for index in range(3):
            number(peer, index)
        found, = connections(made.running)["connections"]
        assert found["id"] == who(peer)["conn"] and found["state"] == "open"
        assert (found["route"], found["handler"], found["generation"]) == ("/x", "isolated", 1)
        assert found["peer"] == f"127.0.0.1:{peer.socket.getsockname()[1]}"
        assert connections(made.running, "--route", "/x")["matched"] == 1
        assert connections(made.running, "--handler", "isolated")["matched"] == 1


def test_connections_are_listed_with_what_they_have_said(isolated):
    made = isolated("subprotocols a.v1;")
    with made.peer(headers={"Sec-WebSocket-Protocol": "a.v1"}) as peer:
        for index in range(3):
            number(peer, index)
        found = eventually("its messages", lambda: (row := connections(made.running)["connections"][0])["messages_in"] and row)
        assert (found["messages_in"], found["messages_out"], found["subprotocol"]) == (3, 3, "a.v1")
        assert found["bytes_out"] > 0 and found["idle_ms"] < 20_000


def test_a_listing_goes_on_without_a_process_that_hangs(isolated):
    made = isolated()
    fifo = made.folder / "gate"
    os.mkfifo(fifo)
    with made.peer() as peer, made.peer() as held:
        number(peer, 0)
        number(held, 0)
        process = made.process()
        os.kill(process, signal.SIGSTOP)
        try:
            said = ask(made.running, "connections", "--json")
            assert said.returncode == 1, said
            told = json.loads(said.stdout)
            assert told["silent_handlers"] == ["isolated"] and told["matched"] == 2
            assert [(each["route"], each["messages_in"]) for each in told["connections"]] == [("/x", None)] * 2
            assert "did not answer in time" in ask(made.running, "connections").stdout
        finally:
            os.kill(process, signal.SIGCONT)
        eventually("its counts", lambda: all(each["messages_in"] == 1 for each in connections(made.running)["connections"]))


def test_a_listing_is_sorted_by_what_each_has_said(isolated):
    made = isolated(routes="route /echo { handler echo; }")
    with made.peer() as few, made.peer() as many, made.peer("/echo") as other:
        for index in range(5):
            number(many, index)
        number(few, 0)
        for _ in range(3):
            assert other.ask("x") == "x"
        assert len(connections(made.running)["connections"]) == 3
        rows = eventually("the counts", lambda: [
            (each["route"], each["messages_in"])
            for each in connections(made.running, "--sort", "messages:desc", "--limit", "2")["connections"]
        ] == [("/x", 5), ("/echo", 3)])
        assert rows
        shown = connections(made.running, "--sort", "messages", "--limit", "1")
        assert shown["matched"] == 3 and shown["connections"][0]["messages_in"] == 1


def test_metrics_are_those_of_all_processes(isolated):
    made = isolated(main="threads 2; admin 127.0.0.1:0;")
    value, labels = admin_client.value, {"route": "/x", "handler": "isolated"}

    def reads(wanted, name, **more):
        eventually(f"{name} {more} to be {wanted}", lambda: value(made.running, name, **labels, **more) == wanted)

    with made.peer() as peer, made.peer() as other:
        for index in range(4):
            number(peer, index)
        other.send(frame(BINARY, b"n 0 "))
        other.read_message()
        reads(2, "gateway_connections")
        reads(2, "gateway_connections_opened_total")
        reads(4, "gateway_messages_received_total", type="text")
        reads(1, "gateway_messages_received_total", type="binary")
        reads(4, "gateway_messages_sent_total", type="text")
        made.kill()
        number(peer, 4)
        reads(5, "gateway_messages_received_total", type="text")
        reads(2, "gateway_connections_opened_total")
        eventually("the restart", lambda: value(made.running, "gateway_worker_process_restarts_total") == 1)
        peer.send(frame(CLOSE, close_payload(4001)))
        assert peer.read_close() == 4001
        reads(1, "gateway_connections_closed_total", code="4xxx", initiator="peer")
        reads(1, "gateway_connections")
    reads(0, "gateway_connections")
    # The parser of the format has no objections.
    assert len(admin_client.families(made.running)) > 30
    assert admin_client.get(made.running, "/readyz")[0] == 200


def test_readiness_says_that_it_has_crashed_too_often(isolated):
    made = isolated(main="threads 2; admin 127.0.0.1:0;")
    for _ in range(5):
        with made.peer() as peer:
            say(peer, "die null")
            ends_with(peer)
    code, _, text = eventually("it is not ready", lambda: (told := admin_client.get(made.running, "/readyz"))[0] == 503 and told)
    assert "isolated" in text and admin_client.get(made.running, "/healthz")[0] == 200


def test_a_death_is_told_once_with_all_that_matters(isolated):
    made = isolated()
    process = made.process()
    with made.peer() as peer, made.peer() as other:
        number(peer, 0)
        number(other, 0)
        name = who(peer)["conn"]
        say(peer, "die null")
        assert ends_with(peer) == 1011
        made.another()
        number(other, 1)
    made.running.stop()
    lines = [line for line in made.running.log().splitlines() if " debug: " not in line]
    crash, = (line for line in lines if " crash: " in line)
    assert re.search(rf'handler "isolated", generation 1, in message of route /x, connection {name}: SIGSEGV .*pid {process}\b', crash)
    death, = (line for line in lines if " error: " in line)
    assert re.search(rf'handler "isolated": process {process}, generation 1, .*(signal 11|SIGSEGV)', death)
    assert len([line for line in lines if "serves on" in line]) == 1
    # What both processes do is said by one of them.
    for once in ("serving with 2 workers", "handler \"isolated\": generation 1 loaded from", "limit of descriptors"):
        assert len([line for line in lines if once in line]) <= 1, once
    record = (made.folder / ".gateway.crash").read_text()
    assert "isolated" in record and "message" in record and str(process) in record


def test_a_death_by_a_callback_that_hangs_says_so(isolated):
    made = isolated("callback_stall 20ms;")
    process = made.process()
    with made.peer() as peer:
        say(peer, "die loop")
        assert ends_with(peer) in (1011, 1012)
        made.another()
    assert re.search(r"message\(\) of connection \w+ has held up worker \d", made.running.log())
    assert re.search(rf"process {process}\b", made.running.log())


def logged(isolated, *words, **how):
    """Gateway with an access log, and what that has of a connection, once the gateway has ended."""
    made = isolated(*words, start=False, **how)
    text = made.running.file.read_text().replace("access_log off;", "access_log access.log json;")
    made.running.file.write_text(text)
    made.running.start()
    made.seen = {made.process()}
    return made


def lines_of(made):
    records = [json.loads(line) for line in (made.folder / "access.log").read_text().splitlines()]
    return lambda name: [each for each in records if each.get("id") == name]


def test_access_log(isolated):
    """Every connection is there once, wherever it was served, and whatever died meanwhile."""
    made = logged(isolated)
    with made.peer() as peer, made.peer() as victim:
        for index in range(3):
            number(peer, index)
        names = who(peer)["conn"], who(victim)["conn"]
        say(victim, "die null")
        assert ends_with(victim) == 1011
        made.another()
        number(peer, 3)
        peer.send(frame(CLOSE, close_payload(1000)))
        assert peer.read_close() == 1000
    made.is_empty()
    made.running.stop()
    lines = lines_of(made)
    for name, code in zip(names, (1000, 1011)):
        own = lines(name)
        assert [each["event"] for each in own] == ["open", "close"], own
        assert own[1]["code"] == code and own[1]["route"] == "/x" and own[1]["handler"] == "isolated"
    assert lines(names[0])[1]["messages_in"] == 5
    # What was said of its request is said at the end as well, by whichever process tells of that.
    opened, closed = lines(names[1])
    assert (closed["by"], closed["messages_in"], closed["detail"]) == ("gateway", 1, "the handler crashed")
    for key in ("peer", "host", "method", "path", "http", "generation"):
        assert opened[key] == closed[key]
    assert closed["bytes_in"] > 0 and closed["bytes_out"] > 0 and closed["duration_ms"] < 60_000


def test_access_log_of_a_generation_that_is_given_up(isolated):
    made = logged(isolated)
    with made.peer() as peer:
        number(peer, 0)
        name = who(peer)["conn"]
        for _ in range(5):
            with made.peer() as victim:
                say(victim, "die null")
                ends_with(victim)
        assert ends_with(peer) == 1011
    made.running.stop()
    opened, closed = lines_of(made)(name)
    assert (opened["event"], closed["event"], closed["code"], closed["by"]) == ("open", "close", 1011, "gateway")
    assert closed["messages_in"] == 2


def test_access_log_of_what_nobody_can_go_on_with(isolated):
    """Without a checkpoint the next process has nothing to go by: 1012."""
    made = logged(isolated, route="isolation process;")
    with made.peer() as peer:
        number(peer, 0)
        name = who(peer)["conn"]
        made.kill()
        assert ends_with(peer) == 1012
    made.is_empty()
    made.running.stop()
    opened, closed = lines_of(made)(name)
    assert (opened["event"], closed["event"], closed["code"], closed["by"]) == ("open", "close", 1012, "gateway")
    assert (closed["messages_in"], closed["messages_out"]) == (2, 2)


@pytest.mark.parametrize("callback", ["close", "restore", "drop"])
def test_access_log_of_a_death_in_another_callback(isolated, callback):
    made = logged(isolated)
    with made.peer() as peer:
        name = who(peer)["conn"]
        assert peer.ask(f"arm {callback} null") == "armed"
        if callback == "close":
            peer.send(frame(CLOSE, close_payload(4001)))
            peer.read_close()
            made.another()
        else:
            made.kill() if callback == "restore" else made.reload(2)
            if callback == "restore":
                assert ends_with(peer) == 1012
    made.is_empty()
    made.running.stop()
    own = lines_of(made)(name)
    assert [each["event"] for each in own] == ["open", "close"], own
    assert own[1]["code"] == {"close": 4001, "restore": 1012}.get(callback, own[1]["code"])


def test_access_log_of_a_death_in_open(isolated):
    """The peer was never let in."""
    made = logged(isolated)
    with RawPeer(made.running, "/x?open=null") as peer:
        assert peer.status == 503
        name, = {each["id"] for each in json_lines(made) if "open=null" in each.get("path", "")} or [None]
    made.running.stop()
    own = lines_of(made)(name) if name else json_lines(made)
    assert [each["event"] for each in own] == ["refuse"], own


def json_lines(made):
    return [json.loads(line) for line in (made.folder / "access.log").read_text().splitlines()]


def test_access_log_at_the_end_of_the_gateway(isolated):
    made = logged(isolated)
    with made.peer() as polite, made.peer() as silent:
        names = who(polite)["conn"], who(silent)["conn"]
        made.running.signal(signal.SIGTERM)
        assert ends_with(polite) == 1001
        assert silent.read_close() == 1001
        silent.socket.close()
        assert made.running.exit_status() == 0
    for name in names:
        opened, closed = lines_of(made)(name)
        assert (opened["event"], closed["event"], closed["code"], closed["by"]) == ("open", "close", 1001, "shutdown")


def test_logs_are_reopened_by_all(isolated):
    made = logged(isolated)
    log = made.folder / "access.log"
    with made.peer() as peer:
        number(peer, 0)
    eventually("it is written down", lambda: log.exists() and '"close"' in log.read_text())
    os.rename(log, made.folder / "older.log")
    made.running.signal(signal.SIGUSR1)
    eventually("another file", log.exists)
    with made.peer() as peer:
        number(peer, 0)
    eventually("it is written down there", lambda: '"close"' in log.read_text())
    assert (made.folder / "older.log").read_text().count('"close"') == 1


def test_the_trace_of_a_connection(isolated):
    """Frames that pass in the process of the handler are seen, in the next one as well, and so is the end."""
    made = isolated()
    with made.peer() as peer, made.peer() as other:
        number(peer, 0)
        name = who(peer)["conn"]
        with Trace(made.running, name) as trace:
            assert trace.begun == f"# connection {name}: 1 connection is open"
            number(other, 0)
            number(peer, 1)
            assert [re.sub(r" [0-9a-f]{8} ", " ", line) for line in trace.frames(2)] == [
                'in  text 4 "n 1 "', 'out text 15 "2 n 1 "']
            made.kill()
            number(peer, 2)
            assert trace.frames(1) == ['in  text 4 "n 2 "']
            made.reload(2)
            number(peer, 3)
            assert trace.frames(2)[1] == 'in  text 4 "n 3 "'
            peer.send(frame(CLOSE, close_payload(4001)))
            assert peer.read_close() == 4001
            assert trace.frames(4)[1:] == ['in  close 2 code=4001', 'out close 2 code=4001', "end code=4001 by=peer"]
            assert trace.next() is None
            assert trace.status() == 0


def test_the_trace_of_a_route(isolated):
    made = isolated()
    with made.peer() as peer, Trace(made.running, "--route", "/x", "--json") as trace:
        begun = json.loads(trace.begun)
        assert (begun["event"], begun["connections"]) == ("trace", 1)
        with made.peer() as victim:
            assert trace.records(1)[0]["event"] == "open"
            say(victim, "die null")
            assert ends_with(victim) == 1011
            # The first process ends it.
            told, ended = trace.records(2)
            assert (told["text"], told["direction"]) == ("die null", "in")
            assert (ended["event"], ended["code"], ended["by"]) == ("end", 1011, "gateway")
        number(peer, 0)
        assert [each["direction"] for each in trace.records(2)] == ["in", "out"]
    # Nobody follows any more: it goes on as before.
    made.running.wait_for("info: the trace of route /x is over")


def test_a_trace_of_nobody_ends_at_once(isolated):
    made = isolated()
    told = ask(made.running, "trace", "7f00000001")
    assert told.returncode == 1 and "no open connection has the id" in told.stdout + told.stderr


def test_what_a_trace_cannot_take_is_counted(isolated):
    """It is followed by somebody who does not read: nothing waits for that, and what is missing is said."""
    made = isolated(main="threads 2;")
    with made.peer() as peer, made.peer() as other:
        name = who(peer)["conn"]
        with Trace(made.running, name, "--limit", "4096") as trace:
            assert "1 connection is open" in trace.begun
            trace.process.send_signal(signal.SIGSTOP)
            try:
                for index in range(3000):
                    number(peer, index, b"x" * 4000)
                number(other, 0)
            finally:
                trace.process.send_signal(signal.SIGCONT)
            missing = re.compile(r"# (\d+) lines are missing here")
            lines = iter(trace.next, None)
            assert next(found for line in lines if (found := missing.match(line)))

"""The configuration of handlers in processes of their own is read anew, and clients stay."""
from gateway_process import eventually
from isolation_rig import LONG, ends_with, is_there, number, seeded, who
from raw_peer import CLOSE, RawPeer, close_payload, frame
from test_control import ask, status


def test_settings_reach_the_handler(isolated):
    made = isolated("set value one;")
    with made.crowd(4, seeded()) as crowd, made.peer() as peer:
        assert peer.ask("set value") == "one"
        number(peer, 0)
        for value in ("two", "three", "four"):
            crowd.go_on()
            before = peer.ask("set value")
            told = made.configure(f"set value {before};", f"set value {value};")
            assert told.returncode == 0, told
            eventually("the new value", lambda: peer.ask("set value") == value, LONG)
        crowd.go_on()
        number(peer, 1)
        with made.peer() as fresh:
            assert fresh.ask("set value") == "four"
        eventually("one process", lambda: len(made.processes()) == 1, LONG)
    made.is_empty()


def test_a_setting_that_is_refused_changes_nothing(isolated):
    made = isolated("set value one;")
    with made.peer() as peer:
        number(peer, 0)
        told = made.configure("set value one;", "set value two; set start refuse; set probe refuse;")
        assert told.returncode in (0, 75), told
        number(peer, 1)
        with made.peer() as fresh:
            number(fresh, 0)


def test_limits_change(isolated):
    made = isolated("max_message 1k; max_frame 1k; max_connections 10;")
    with made.peer() as old:
        number(old, 0)
        assert made.configure("max_message 1k; max_frame 1k; max_connections 10;",
                              "max_message 1m; max_frame 1m; max_connections 2;").returncode == 0
        with made.peer() as fresh:
            number(fresh, 0, b"x" * 100_000)
            with RawPeer(made.running, "/x") as third:
                assert third.status == 503
        number(old, 1)
        number(old, 2, b"x" * 100_000)
        assert made.configure("max_message 1m; max_frame 1m;", "max_message 500; max_frame 500;").returncode == 0
        fresh = eventually("a place", lambda: (peer := RawPeer(made.running, "/x")).status == 101 and peer)
        fresh.send(frame(1, b"x" * 501))
        assert ends_with(fresh) == 1009
    made.is_empty()


def test_routes_come_and_go(isolated):
    more = "route /y { handler isolated; isolation process; checkpoint message; set value y; }"
    made = isolated(routes="# more")
    with made.peer() as peer:
        number(peer, 0)
        process = who(peer)["pid"]
        assert made.configure("# more", more).returncode == 0
        with made.peer("/y") as y, made.peer() as x:
            number(y, 0)
            assert (y.ask("set value"), who(y)["pid"]) == ("y", who(x)["pid"])
            number(peer, 1)
            # Without its route a client of it is told to go, when it is time.
            assert made.configure(more, "# more").returncode == 0
            with RawPeer(made.running, "/y") as gone:
                assert gone.status == 404
            number(peer, 2)
            number(x, 0)
            y.send(frame(CLOSE, close_payload(1000)))
            assert y.read_close() in (1000, 1001, 1012)
        eventually("one process", lambda: len(made.processes()) == 1, LONG)
        assert process and who(peer)["pid"] == made.process()
    made.is_empty()


def test_the_last_route_of_a_handler_goes_with_its_process(isolated):
    made = isolated("drain_timeout 1s;", routes="route /in { handler inside; }", start=False)
    made.build(under="inside")
    made.running.start()
    process = made.process()
    with made.peer() as peer:
        number(peer, 0)
        text = made.running.file.read_text()
        made.running.file.write_text("\n".join(line for line in text.splitlines() if not line.startswith("route /x")) + "\n")
        assert ask(made.running, "reload").returncode == 0
        with RawPeer(made.running, "/x") as gone:
            assert gone.status == 404
        assert ends_with(peer) in (1001, 1012)
    eventually("the end of its process", lambda: not is_there(process), LONG)
    made.running.file.write_text(text)
    assert ask(made.running, "reload").returncode == 0
    with made.peer() as peer:
        number(peer, 0)
        assert who(peer)["pid"] == made.process() != process
    made.is_empty()


def test_into_a_process_of_its_own_and_back(isolated):
    """Clients move from the first process, into one, and back, with their state; or they stay where they are."""
    made = isolated(route="", start=False)
    made.running.start()
    with made.crowd(4, seeded()) as crowd, made.peer() as peer:
        first = made.running.process.pid
        number(peer, 0)
        assert who(peer)["pid"] == first and not made.processes()
        crowd.go_on()
        for round_ in range(2):
            told = made.configure("handler isolated; ", "handler isolated; isolation process; checkpoint message; ")
            assert told.returncode == 0, told
            crowd.go_on()
            with made.peer() as fresh:
                assert who(fresh)["pid"] == made.process() != first
            number(peer, 2 * round_ + 1)
            told = made.configure("isolation process; checkpoint message; ", "")
            assert told.returncode == 0, told
            crowd.go_on()
            with made.peer() as fresh:
                assert who(fresh)["pid"] == first
            number(peer, 2 * round_ + 2)
    eventually("no process is left", lambda: not made.processes(), LONG)
    made.is_empty()


def test_checkpoint_and_crash_change(isolated):
    made = isolated(route="isolation process;")
    with made.peer() as old:
        number(old, 0)
        assert made.configure("isolation process;", "isolation process; checkpoint message; crash resume;").returncode == 0
        number(old, 1)
        with made.peer() as peer:
            number(peer, 0)
            old.send(frame(1, b"die null"))
            number(old, 2)
            number(peer, 1)
            assert who(peer)["recovered"] == who(old)["recovered"] == 1
    made.is_empty()


def test_a_configuration_that_is_wrong_changes_nothing(isolated):
    made = isolated()
    process = made.process()
    with made.peer() as peer:
        number(peer, 0)
        for wrong in ("isolation both;", "checkpoint sometimes;", "crash later;", "nonsense;"):
            told = made.configure("isolation process;", wrong)
            assert told.returncode == 75 and wrong.split()[0] in told.stdout + told.stderr, told
            made.running.file.write_text(made.running.file.read_text().replace(wrong, "isolation process;"))
        told = made.configure("isolation process;", "isolation process; #")
        number(peer, 1)
        assert who(peer)["pid"] == process and told.returncode in (0, 75)


def test_what_stands_in_routes_of_others_leaves_the_process_alone(isolated):
    made = isolated(routes="route /in { handler inside; max_connections 5; }", start=False)
    made.build(under="inside")
    made.running.start()
    process = made.process()
    with made.peer() as peer:
        number(peer, 0)
        assert made.configure("max_connections 5;", "max_connections 6; set value new;").returncode == 0
        assert ask(made.running, "reload").returncode == 0
        number(peer, 1)
        assert who(peer)["pid"] == made.process() == process and who(peer)["restored"] == 0
    assert [route["state"] for route in status(made.running)["routes"]] == ["serving"] * 2

"""gateway bench against a real gateway: what it counts is what was asked for."""
import json
import subprocess

from gateway_process import BINARY, DEADLINE, eventually


def bench(running, *words, path="/echo"):
    """The figures of a run without faults."""
    mode = [words[0]] if words and not words[0].startswith("-") else []
    done = subprocess.run([BINARY, "bench", *mode, running.url(path), *words[len(mode):], "--json"],
                          capture_output=True, text=True, timeout=3 * DEADLINE)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_an_echo(gateway):
    figures = bench(gateway, "-c", "4", "--depth", "3", "--messages", "600", "--utf8", "--size", "700")
    assert (figures["messages"], figures["connections"]) == (600, 4)
    assert 0 < figures["p50_us"] <= figures["p99_us"] <= figures["p999_us"] <= figures["max_us"] * 1.02


def test_a_flood_beside_the_others_is_checked_and_not_measured_with_them(gateway):
    figures = bench(gateway, "-c", "4", "--messages", "2000", "--flood", "500")
    assert (figures["messages"], figures["connections"], figures["flood"]) == (2000, 4, 500)
    assert figures["flood_messages_per_s"] > 0


def test_a_flood_beside_a_rate(gateway):
    figures = bench(gateway, "-c", "4", "--messages", "200", "--rate", "5000", "--flood", "50")
    assert figures["messages"] == 200
    assert figures["flood_messages_per_s"] > 0


def test_a_rate_alone(gateway):
    assert bench(gateway, "-c", "4", "--messages", "200", "--rate", "5000")["messages"] == 200


def test_publications_reach_everybody(gateway):
    figures = bench(gateway, "fanout", "-c", "10", "--messages", "50", path="/chat")
    assert (figures["copies"], figures["deliveries"]) == (10, 500)


def test_connections(gateway):
    assert bench(gateway, "connect", "-c", "8", "--messages", "100")["handshakes"] == 100


def test_connections_that_are_held_are_spread_evenly(make_gateway):
    running = make_gateway(main="threads 2; control unix:control.sock;").start()
    holding = subprocess.Popen([BINARY, "bench", "idle", running.url(), "-c", "100", "--hold", "60"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        def held():
            said = subprocess.run([BINARY, "status", "--json", "-c", running.file], capture_output=True, text=True)
            workers = json.loads(said.stdout)["process"]["worker_connections"]
            return workers if sum(workers) == 100 else None
        both = eventually("100 connections", held)
        assert len(both) == 2
        # Each newcomer goes to the worker that has fewer; two workers that accept at once may both choose the same.
        assert abs(both[0] - both[1]) <= 4
    finally:
        holding.kill()
        holding.wait()


def test_a_typo_is_named_without_the_whole_usage(gateway):
    said = subprocess.run([BINARY, "bench", gateway.url(), "--dept", "3"], capture_output=True, text=True,
                          timeout=DEADLINE)
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr == ('error: unknown option "--dept" of "bench" (did you mean "--depth"?)\n'
                           "       `gateway bench --help` shows how it is used\n")

"""gateway bench against a real gateway: what it counts is what was asked for."""
import json
import subprocess

import pytest

from gateway_process import BINARY, DEADLINE, eventually
from test_tls import certificate, listen


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


def test_connections_at_a_rate(gateway):
    figures = bench(gateway, "connect", "-c", "8", "--messages", "100", "--rate", "400")
    assert figures["handshakes"] == 100
    # The last of them is due after 247 ms.
    assert figures["seconds"] > 0.24


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


@pytest.fixture
def secure(make_gateway, tmp_path):
    """The URL of a gateway whose only listener speaks TLS, and the file that vouches for it."""
    file = certificate(tmp_path, "first", "localhost")
    running = make_gateway(listen=(), main=listen("first"))
    # `start` waits for as many to be up.
    running.listen = ["tls"]
    return running.start().url(scheme="wss"), file


def secured(url, *words):
    mode = [words[0]] if not words[0].startswith("-") else []
    done = subprocess.run([BINARY, "bench", *mode, url, *words[len(mode):], "--json"], capture_output=True, text=True,
                          timeout=3 * DEADLINE)
    return done, json.loads(done.stdout) if done.stdout else {}


@pytest.mark.parametrize("words", [["--size", "20", "--depth", "16"], ["--size", "300000", "--binary"],
                                   ["--rate", "5000"], ["--flood", "50"]])
def test_an_echo_over_wss(secure, words):
    url, file = secure
    done, figures = secured(url, "-c", "4", "--messages", "300", "--cacert", file, *words)
    assert (done.returncode, done.stderr) == (0, "")
    assert (figures["messages"], figures["tls"]) == (300, "TLSv1.3 TLS_AES_128_GCM_SHA256")


def test_held_connections_over_wss(secure):
    done, figures = secured(secure[0], "idle", "-c", "100", "--hold", "0", "--insecure")
    assert (done.returncode, figures["alive"]) == (0, 100)


def test_full_and_resumed_handshakes(secure):
    url, file = secure
    done, figures = secured(url, "connect", "-c", "4", "--messages", "60", "--cacert", file)
    assert (done.returncode, figures["handshakes"], "resumed" in figures) == (0, 60, False)
    done, figures = secured(url, "connect", "-c", "4", "--messages", "60", "--cacert", file, "--resume")
    assert (done.returncode, figures["handshakes"], figures["resumed"]) == (0, 60, 60)


def test_a_server_is_not_trusted_without_reason(secure, tmp_path):
    url, _ = secure
    done, figures = secured(url, "-c", "2", "--messages", "2")
    assert (done.returncode, figures["refused"]) == (1, 2)
    assert done.stderr.endswith("certificate verify failed: self-signed certificate; --cacert FILE trusts it, "
                                "--insecure does not ask\n")
    done, _ = secured(url, "--messages", "2", "--cacert", tmp_path / "none.pem")
    assert done.returncode == 2 and "none.pem" in done.stderr
    other = certificate(tmp_path, "other", "localhost")
    assert secured(url, "-c", "1", "--messages", "1", "--cacert", other)[0].returncode == 1


def test_wss_to_a_server_without_tls_is_told(gateway):
    done, _ = secured(gateway.url(scheme="wss"), "-c", "1", "--messages", "1")
    assert done.returncode == 1 and "what answers does not speak TLS" in done.stderr


@pytest.mark.parametrize("mode, agreed", [("on", "permessage-deflate; client_no_context_takeover"),
                                          ("no-context-takeover", "permessage-deflate; server_no_context_takeover;"
                                                                  " client_no_context_takeover")])
def test_compressed_messages(make_gateway, mode, agreed):
    running = make_gateway(routes=f"route /echo {{ handler echo; compression {mode}; }}").start()
    figures = bench(running, "-c", "4", "--messages", "400", "--depth", "5", "--deflate", "--records", "--size", "2000")
    assert (figures["messages"], figures["deflate"]) == (400, agreed)
    assert figures["received_bytes"] == 400 * 2000
    assert 0 < figures["received_wire_bytes"] < figures["received_bytes"] / 2
    assert 0 < figures["sent_wire_bytes"] < figures["sent_bytes"] / 2
    # Too short for the gateway's threshold, so that some go plain and some do not.
    assert bench(running, "-c", "4", "--messages", "400", "--deflate", "--size", "20")["messages"] == 400


def test_compressed_publications(make_gateway):
    running = make_gateway(routes="route /chat { handler chat; compression on { threshold 16; } }").start()
    figures = bench(running, "fanout", "-c", "10", "--messages", "50", "--deflate", "--records", "--size", "1000",
                    path="/chat")
    assert figures["deliveries"] == 500
    assert 0 < figures["sent_wire_bytes"] < figures["sent_bytes"]
    # Whether copies are compressed is the gateway's affair; each is inflated where it was.
    assert 0 < figures["received_wire_bytes"] <= figures["received_bytes"]


def test_a_server_without_compression_is_told(gateway):
    done = subprocess.run([BINARY, "bench", gateway.url(), "--deflate", "-c", "1", "--messages", "1"],
                          capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 1 and "does not agree to permessage-deflate" in done.stderr


def test_a_typo_is_named_without_the_whole_usage(gateway):
    said = subprocess.run([BINARY, "bench", gateway.url(), "--dept", "3"], capture_output=True, text=True,
                          timeout=DEADLINE)
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr == ('error: unknown option "--dept" of "bench" (did you mean "--depth"?)\n'
                           "       `gateway bench --help` shows how it is used\n")

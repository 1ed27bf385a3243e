"""What /metrics says, as the parsers of others read it: counted exactly, in both formats."""
import json
import re
import shutil
import subprocess
import time

import c_handler
from admin_client import OPENMETRICS, admin_port, families, get, names_in, samples, value
from gateway_process import BINARY, DEADLINE, TOP, eventually
from raw_peer import BINARY as OCTETS, CLOSE, PING, PONG, TEXT, RawPeer, close_payload, frame

ADMIN = "admin 127.0.0.1:0;"
# What is counted of topics over several gateways is there whether or not the engine is.
CLUSTER = f"{ADMIN}\ncluster redis://127.0.0.1:1;"
MONITORING = TOP / "Sources/GatewayMetrics/Monitoring"
PROMTOOL = shutil.which("promtool") or "promtool"


def promtool(*words, text=None):
    done = subprocess.run([PROMTOOL, *words], input=text, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def reads(running, wanted, name, /, **labels):
    """Waits until the samples of a name come to what is wanted; a counter is at most 32 ms behind."""
    eventually(f"{name} {labels} to be {wanted}", lambda: value(running, name, **labels) == wanted)


def test_both_formats_say_the_same_and_nothing_that_promtool_minds(make_gateway):
    running = make_gateway(main=ADMIN).start()
    with RawPeer(running).opened() as peer:
        peer.send(frame(TEXT, b"x"))
        peer.read_frame()
    new, old = families(running), families(running, accept="text/plain")
    assert new.keys() == {name.removesuffix("_info") for name in old} and len(new) > 30
    for name, family in new.items():
        assert family.documentation == old.get(name, old.get(f"{name}_info")).documentation != ""
        # Either parser checks labels, buckets and numbers.
        assert family.type in ("counter", "gauge", "histogram", "info")
        if family.unit:
            assert name.endswith(f"_{family.unit}")
    status, headers, text = get(running, "/metrics")
    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert promtool("check", "metrics", text=text) == (0, "")
    _, headers, text = get(running, "/metrics", Accept=OPENMETRICS)
    assert headers["Content-Type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert text.endswith("# EOF\n")


def again(peer):
    peer.send(frame(TEXT, b"again"))
    return peer.read_frame() == (TEXT, True, b"again")


def test_traffic_is_counted_to_the_byte(make_gateway):
    running = make_gateway(main=ADMIN).start()
    labels = {"route": "/echo", "handler": "echo", "generation": "1"}
    with RawPeer(running).opened() as peer:
        for opcode, size in ((TEXT, 5), (OCTETS, 200), (OCTETS, 70_000)):
            peer.send(frame(opcode, b"x" * size))
            assert peer.read_frame() == (opcode, True, b"x" * size)
        peer.send(frame(TEXT, b"ab", fin=False) + frame(0, b"c"))
        assert peer.read_frame() == (TEXT, True, b"abc")
        reads(running, 2, "gateway_messages_received_total", type="text", **labels)
        reads(running, 2, "gateway_messages_received_total", type="binary", **labels)
        reads(running, 2, "gateway_messages_sent_total", type="text", **labels)
        reads(running, 2, "gateway_messages_sent_total", type="binary", **labels)
        # Headers of 2, 4 and 10 bytes, with 4 more of a client; two fragments, one answer.
        reads(running, 5 + 6 + 200 + 8 + 70_000 + 14 + 3 + 12, "gateway_received_bytes_total", **labels)
        reads(running, 5 + 2 + 200 + 4 + 70_000 + 10 + 3 + 2, "gateway_sent_bytes_total", **labels)
        assert value(running, "gateway_connections", **labels) == 1
        assert value(running, "gateway_connections_opened_total", **labels) == 1
        assert value(running, "gateway_handshake_duration_seconds_count", **labels) == 1
        # One in 32 ms is timed, and none in those in which the connection was opened.
        eventually("a message is timed", lambda: again(peer) and value(
            running, "gateway_callback_duration_seconds_count", callback="message", **labels) >= 1)
        peer.send(frame(CLOSE, close_payload(3210)))
        assert peer.read_close() == 3210
    reads(running, 1, "gateway_connections_closed_total", code="3xxx", initiator="peer", **labels)
    assert value(running, "gateway_connections") == 0
    with RawPeer(running).opened():
        pass
    reads(running, 1, "gateway_connections_closed_total", code="1006", initiator="transport", **labels)
    with RawPeer(running).opened() as peer:
        peer.send(frame(TEXT, b"\xff"))
        assert peer.read_close() == 1007
    reads(running, 1, "gateway_connections_closed_total", code="1007", initiator="gateway", **labels)


def test_pings_and_rejections(make_gateway):
    running = make_gateway(main=ADMIN + "defaults { ping_interval 50ms; max_message 16; }").start()
    with RawPeer(running).opened() as peer:
        opcode, _, payload = peer.read_frame()
        assert opcode == PING
        peer.send(frame(PONG, payload))
        eventually("a pong to be timed", lambda: value(running, "gateway_ping_rtt_seconds_count", route="/echo") >= 1)
    for path in ("/none", "/none", "/nothing"):
        assert RawPeer(running, path).status == 404
    reads(running, 3, "gateway_handshakes_rejected_total", reason="no-route")


def test_a_reload_moves_what_is_counted_from_then_on(make_gateway):
    running = make_gateway(main=ADMIN, routes="route /echo { handler echo; }")
    source = (BINARY.parent / "libecho.so").read_bytes()
    (running.plugins / "libecho.so").write_bytes(source)
    running.start()
    with RawPeer(running).opened() as peer:
        peer.send(frame(TEXT, b"one"))
        peer.read_frame()
        # Bytes behind the end of an object file are nobody's; it is another file all the same.
        (running.folder / "next.so").write_bytes(source + b"\0")
        (running.folder / "next.so").rename(running.plugins / "libecho.so")
        running.wait_for("generation 2 is serving, 1 connection moved")
        peer.send(frame(TEXT, b"two"))
        peer.read_frame()
        reads(running, 1, "gateway_messages_received_total", type="text", generation="1")
        reads(running, 1, "gateway_messages_received_total", type="text", generation="2")
        now = samples(running)

        def one(name, **labels):
            return now[name, frozenset(labels.items())]

        at = {"route": "/echo", "handler": "echo"}
        assert one("gateway_connections", **at, generation="1") == 0
        assert one("gateway_connections", **at, generation="2") == 1
        assert one("gateway_connections_opened_total", **at, generation="2") == 0
        assert one("gateway_state_migrations_total", **at, generation="2", result="moved") == 1
        assert one("gateway_reloads_total", handler="echo", result="switched") == 1
        assert one("gateway_reload_duration_seconds_count", handler="echo") == 1
        assert one("gateway_handler_generations", handler="echo", state="live") == 1
    (running.plugins / "libecho.so").write_bytes(b"\x7fELF and no more")
    eventually("the file to be refused",
               lambda: value(running, "gateway_reloads_total", handler="echo", result="refused") == 1)
    assert value(running, "gateway_config_last_reload_success") == 1
    running.file.write_text(running.file.read_text() + "nonsense;\n")
    subprocess.run([BINARY, "reload", "-c", running.file], capture_output=True, timeout=DEADLINE)
    assert value(running, "gateway_config_last_reload_success") == 0


def test_what_handlers_define(make_gateway):
    running = make_gateway(main=ADMIN, routes="route /a { handler meter; }\nroute /b { handler meter; }")
    c_handler.build(running, "meter")
    running.start()
    for path, sizes in (("/a", (3, 5)), ("/b", (1,))):
        with RawPeer(running, path).opened() as peer:
            for size in sizes:
                peer.send(frame(TEXT, b"x" * size))
                assert peer.read_message()[1] == b"1"
    now = families(running)
    # The number of a metric is the handler's, which has one of each for the route that started last.
    assert now["handler_meter_heard"].documentation == 'What "came"\nin \\ messages'
    assert sum(sample.value for sample in now["handler_meter_heard"].samples) == 3
    assert {sample.labels["route"] for sample in now["handler_meter_heard"].samples} == {"/a", "/b"}
    assert now["handler_meter_size_bytes"].type == "histogram"
    _, _, text = get(running, "/metrics")
    code, said = promtool("check", "metrics", text=text)
    assert code in (0, 3) and "error" not in said, said


def test_tls_and_compression(make_gateway, tmp_path):
    made = tmp_path / "certificate"
    made.mkdir()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                    "30", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout",
                    made / "key.pem", "-out", made / "cert.pem"], check=True, capture_output=True)
    running = make_gateway(
        listen=(f"127.0.0.1:0 tls {{ certificate {made}/cert.pem {made}/key.pem; }}",),
        main=ADMIN, routes="route /echo { handler echo; compression on; }").start()
    url = f"https://localhost:{running.port}/echo"
    for version in ("1.2", "1.3"):
        subprocess.run(["curl", "-sk", "--tls-max", version, url], check=True, capture_output=True, timeout=DEADLINE)
        reads(running, 1, "gateway_tls_handshakes_total", version=f"TLSv{version}", resumed="false", result="ok")
    with running.connect() as peer:
        peer.sendall(b"\x16\x03\x01\x00\x05nonsense")
        while peer.recv(4096):
            pass
    reads(running, 1, "gateway_tls_handshakes_total", result="failed")
    ends = value(running, "gateway_tls_certificate_expiry_seconds", name="localhost")
    import time
    assert 29 * 86400 < ends - time.time() < 31 * 86400
    now = samples(running)
    for direction in ("received", "sent"):
        for form in ("plain", "compressed"):
            labels = {"route": "/echo", "handler": "echo", "direction": direction, "form": form}
            assert now["gateway_compression_bytes_total", frozenset(labels.items())] == 0


def test_the_alerts_fire_when_they_should_and_ask_for_what_is_there(make_gateway, tmp_path):
    shutil.copy(MONITORING / "alerts.yml", tmp_path)
    shutil.copy(TOP / "Tests/Clients/alerts_test.yml", tmp_path)
    code, said = promtool("test", "rules", str(tmp_path / "alerts_test.yml"))
    assert code == 0, said
    rules = (MONITORING / "alerts.yml").read_text()
    tested = set(re.findall(r"alertname: (\w+)", (TOP / "Tests/Clients/alerts_test.yml").read_text()))
    assert set(re.findall(r"alert: (\w+)", rules)) == tested
    running = make_gateway(main=CLUSTER).start()
    expressions = re.findall(r"^        expr: (?:\|\n((?:          .*\n)+)|(.*)$)", rules, re.M)
    asked = set().union(*(names_in(block or line) for block, line in expressions))
    assert asked and asked <= exported(running), asked - exported(running)


def exported(running):
    """The names that PromQL may ask for."""
    names = set()
    for family in families(running).values():
        suffixes = {"counter": ["_total"], "info": ["_info"], "histogram": ["_bucket", "_sum", "_count"]}
        names |= {family.name + suffix for suffix in suffixes.get(family.type, [""])}
    return names


def test_the_dashboard_asks_for_what_is_there(make_gateway, tmp_path):
    running = make_gateway(main=CLUSTER).start()
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    expressions += [each["query"] for each in dashboard["templating"]["list"] if each["type"] == "query"]
    assert len(expressions) > 15
    there = exported(running)
    for expression in expressions:
        assert names_in(expression) and names_in(expression) <= there, (expression, names_in(expression) - there)
    # Prometheus reads each of them.
    panels = [e for e in expressions if not e.startswith("label_values")]
    rules = ["groups:", "  - name: dashboard", "    rules:"]
    for number, expression in enumerate(panels):
        expression = expression.replace("$__rate_interval", "5m").replace("$__range", "1h")
        expression = re.sub(r"\$(\w+)", ".*", expression)
        rules += [f"      - record: panel_{number}", f"        expr: {json.dumps(expression)}"]
    (tmp_path / "panels.yml").write_text("\n".join(rules) + "\n")
    code, said = promtool("check", "rules", str(tmp_path / "panels.yml"))
    assert code == 0 and f"{len(panels)} rules found" in said, said
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)


def test_no_scrape_has_connections_as_labels(make_gateway):
    running = make_gateway(main=ADMIN).start()
    with RawPeer(running).opened(), RawPeer(running).opened():
        before = len(samples(running))
        with RawPeer(running).opened():
            assert len(samples(running)) == before
    assert admin_port(running) != running.port

"""What the page of clusters shows does what it says, with gateways and engines of their own."""
import contextlib
import http.client
import re
import socket
import subprocess

import pytest

from admin_client import admin_port, get, value
from engines import found
from gateway_process import BINARY, DEADLINE, TOP, Gateway, eventually
from kit import HEADER
from raw_peer import TEXT, RawPeer, frame
from swarm import compile_c

PAGE = (TOP / "Sources/GatewayHandler/GatewayHandler.docc/Clusters.md").read_text()
ROUTE = "route /prices { handler prices; }"
# What stands around the listing in C.
BEFORE = """#include "gw_handler.h"
static const gw_host *host;
static gw_instance instance;

static gw_status start(const gw_host *h, const gw_config *config, void **self) {
    instance = config->instance;
    return GW_OK;
}

static void open(void *self, gw_conn connection, void *state, const gw_request *request) {
    host->subscribe(host, connection, 0, "prices", 6);
}

static void message(void *self, gw_conn connection, void *state, const gw_message *m) {
    host->publish(host, instance, "prices", 6, m->kind, 0, m->data.ptr, m->data.len, 0, NULL);
}

"""
BEHIND = """
static const gw_handler table = {
    GW_HANDLER_INIT, .min_host_abi = GW_ABI(1, 2), .flags = GW_HF_STATELESS,
    .name = "prices", .version = "1.0", .start = start, .open = open, .message = message, .event = event,
};
const gw_handler *gw_handler_entry_v1(const gw_host *h) { host = h; return &table; }
"""


def listing(language, word):
    """The one listing of that language that has the word in it."""
    texts = [text for text in re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.M | re.S) if word in text]
    assert len(texts) == 1
    return texts[0]


@pytest.fixture
def make_gateway(tmp_path):
    """Gateways of one engine, with the handler of the page."""
    made = []

    def make(cluster):
        folder = tmp_path / f"gateway{len(made)}"
        folder.mkdir()
        made.append(Gateway(folder, main=f"admin 127.0.0.1:0;\n{cluster}", routes=ROUTE))
        source = folder / "prices.c"
        source.write_text(BEFORE + listing("c", "GW_EV_GAP") + BEHIND)
        compile_c(made[-1].plugins / "prices.so", source, "-shared", "-fPIC", f"-I{HEADER}", "-Wno-unused-parameter")
        return made[-1]

    yield make
    for each in made:
        each.stop()


def is_up(running):
    """Once a message has come back through the engine."""
    eventually("the engine to be up", lambda: value(running, "gateway_cluster_up") == 1)


def until(peer, awaited):
    """Reads up to a message; nothing but what was said before the engine came back may precede it."""
    while (said := peer.read_frame()[2]) != awaited:
        assert said == b"meanwhile"


def test_who_is_here_hears_of_a_gap(make_engine, make_gateway):
    engine = make_engine()
    gateways = [make_gateway(f"cluster {engine.url()};").start() for _ in range(2)]
    for running in gateways:
        is_up(running)
    with RawPeer(gateways[0], "/prices").opened() as one, RawPeer(gateways[1], "/prices").opened() as other:
        engine.kill()
        for running in gateways:
            eventually("the engine to be missed", lambda: value(running, "gateway_cluster_up") == 0)
            status, _, why = get(running, "/readyz")
            assert status == 503 and why.startswith("cluster-down: ")
        one.send(frame(TEXT, b"meanwhile"))
        assert one.read_frame()[2] == b"meanwhile"
        engine.start()
        assert one.read_frame()[2] == b"again"
        # What has waited comes late, before or behind that, or is what is missing: the other gateway may have been later.
        until(other, b"again")
        other.send(frame(TEXT, b"5"))
        assert one.read_frame()[2] == b"5"
        until(other, b"5")


def test_rights_of_the_page_are_enough(Kind, make_engine, make_gateway, tmp_path):
    if Kind.scheme == "nats":
        engine = make_engine(config=listing("conf", "# nats-server.conf"))
    else:
        users = tmp_path / "users.acl"
        users.write_text("".join(line + "\n" for line in listing("conf", "# redis: users.acl").splitlines() if line[:1] != "#"))
        engine = make_engine(more=["--aclfile", str(users)])
    gateways = [make_gateway(f"cluster {engine.url()} {{ user gateway; password_file secret; }}") for _ in range(2)]
    for running in gateways:
        secret = running.folder / "secret"
        secret.write_text("s3cret\n")
        secret.chmod(0o600)
        checked = subprocess.run([BINARY, "check", "-c", running.file], capture_output=True, text=True, timeout=DEADLINE)
        assert checked.returncode == 0, checked.stderr
        is_up(running.start())
    with RawPeer(gateways[0], "/prices").opened() as one, RawPeer(gateways[1], "/prices").opened() as other:
        def reaches():
            one.send(frame(TEXT, b"tick"))
            assert one.read_frame()[2] == b"tick"
            return value(gateways[1], "gateway_cluster_messages_total", direction="received")

        # The engine knows of the second member a moment after he has come.
        eventually("the other gateway to be reached", reaches)
        assert other.read_frame()[2] == b"tick"


@contextlib.contextmanager
def haproxy(running, folder):
    """HAProxy with the check of the page before one gateway, behind a socket that is answered at once."""
    file = folder / "haproxy.cfg"
    file.write_text(f"""defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    timeout tunnel 75s
frontend web
    bind unix@{folder}/web.sock
    default_backend gateways
backend gateways
    balance leastconn
{listing("haproxy", "http-check")}    server a 127.0.0.1:{running.port} check port {admin_port(running)} inter 100ms fall 1 rise 1
""")
    process = subprocess.Popen([found("haproxy"), "-db", "-f", str(file)], cwd=folder, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually("HAProxy to listen", (folder / "web.sock").exists)
        yield folder / "web.sock"
    finally:
        process.terminate()
        process.wait(DEADLINE)


def asked(path):
    """What a plain request through a unix socket is answered."""
    connection = http.client.HTTPConnection("localhost", timeout=DEADLINE)
    connection.sock = socket.socket(socket.AF_UNIX)
    with contextlib.closing(connection):
        connection.sock.connect(str(path))
        connection.request("GET", "/prices")
        return connection.getresponse().read().decode()


def test_a_balancer_goes_on_without_the_engine_and_not_while_it_drains(Kind, make_gateway, tmp_path):
    running = make_gateway(f"cluster {Kind.scheme}://127.0.0.1:1;").start()
    assert get(running, "/readyz")[0] == 503
    with haproxy(running, tmp_path) as door:
        with RawPeer(running, "/prices").opened():
            eventually("the gateway to be asked", lambda: "not-a-websocket-request" in asked(door))
            draining = subprocess.Popen([BINARY, "drain", "-c", running.file], stdout=subprocess.DEVNULL)
            eventually("nobody to be asked", lambda: "No server is available" in asked(door))
            assert running.process.poll() is None
        assert draining.wait(DEADLINE) == 0

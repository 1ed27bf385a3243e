"""The runbook: its proxies before two gateways, through reloads and a drain; its deploys, and what it says of crashes."""
import contextlib
import re
import shutil
import signal
import socket
import ssl
import subprocess

import pytest
from websockets.sync.client import connect

import c_handler
from gateway_process import BINARY, TOP, eventually
from raw_peer import TEXT, RawPeer, frame
from test_control import ask, status
from test_handlers import SHOUT, compile_handler
from test_tls import certificate, trust

PAGE = (TOP / "Sources/GatewayHandler/GatewayHandler.docc/Runbook.md").read_text()
SBIN = "/usr/sbin:/usr/bin:/usr/local/bin"
HOSTS = ("127.0.0.1", "127.0.0.2")
CLIENT = "127.0.0.5"
ECHO = TOP / "Plugins/echo/echo.c"
ROUTES = "route /echo { handler echo; }\nroute /who { handler whoami; }\n"


def listing(name):
    """The listing of a file, by the comment that it begins with."""
    found, = re.findall(rf"^```\w+\n(# {re.escape(name)}\n.*?)^```$", PAGE, re.M | re.S)
    return found


def setting():
    """The configuration of a gateway behind a proxy: the one listing of `gateway.conf` that names a proxy."""
    found, = re.findall(r"^```nginx\n# gateway.conf\n(listen .*?)^```$", PAGE, re.M | re.S)
    return found


def replaced(text, pairs):
    for old, new in pairs.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


class Ports:
    """What the page calls 443, 8443, 8080, 8444 and 9180, free on every address that is used."""

    def __init__(self):
        self.web, self.through, self.plain, self.secret, self.admin = (self.free() for _ in range(5))

    @staticmethod
    def free():
        while True:
            with contextlib.ExitStack() as probes:
                first = probes.enter_context(socket.socket())
                first.bind((HOSTS[0], 0))
                second = probes.enter_context(socket.socket())
                try:
                    second.bind((HOSTS[1], first.getsockname()[1]))
                except OSError:
                    continue
                return first.getsockname()[1]


class Pair:
    """Two gateways as the page has them, and where a proxy before them finds a certificate."""

    def __init__(self, make_gateway, folder):
        self.folder, self.ports = folder, Ports()
        certificate(folder, "site", "localhost")
        (folder / "both.pem").write_text((folder / "site.pem").read_text() + (folder / "site.key").read_text())
        (folder / "admin.token").write_text("s3cret")
        (folder / "admin.token").chmod(0o600)
        self.gateways = [self.gateway(make_gateway, host) for host in HOSTS]

    def gateway(self, make_gateway, host):
        lines = replaced(setting(), {
            "10.0.0.1": host, "10.0.0.9": HOSTS[0], "8080": str(self.ports.plain), "8444": str(self.ports.secret),
            "9180": str(self.ports.admin), "fullchain.pem privkey.pem": f"{self.folder}/site.pem {self.folder}/site.key",
            "admin.token": f"{self.folder}/admin.token"})
        running = make_gateway(listen=(), main=lines, routes=ROUTES)
        running.listen = ["plain", "tls"]
        compile_handler(running, "echo", ECHO, "-Wl,--build-id=0x00000001")
        c_handler.build(running, "whoami")
        return running.start()

    def reload(self):
        """A newer build of the echo in both."""
        for running in self.gateways:
            compile_handler(running, "echo.new", ECHO, "-Wl,--build-id=0x00000002").rename(running.plugins / "echo.so")
        return [int(running.wait_for(r'"echo": generation 2 is serving, (\d+) connections? moved')[1])
                for running in self.gateways]

    def opened(self, *, port=None, path="/echo", secret=True):
        """A WebSocket through the proxy, from an address of its own."""
        port = port or self.ports.web
        peer = socket.create_connection((HOSTS[0], port), timeout=20, source_address=(CLIENT, 0))
        context = trust(self.folder, "site") if secret else None
        return connect(f"{'wss' if secret else 'ws'}://localhost:{port}{path}", sock=peer, ssl=context,
                       server_hostname="localhost" if secret else None, compression=None, proxy=None, open_timeout=20)

    def count(self, number):
        return sum(route["connections"] for route in status(self.gateways[number])["routes"])


@pytest.fixture
def pair(make_gateway, tmp_path):
    return Pair(make_gateway, tmp_path)


def program(name):
    return shutil.which(name, path=SBIN) or pytest.skip(f"{name} is not installed")


@contextlib.contextmanager
def proxy(pair, *command):
    """A proxy that runs until the end of the block; its words are shown when it does not come up."""
    with open(pair.folder / "proxy.log", "w+") as log:
        process = subprocess.Popen(command, cwd=pair.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

        def is_up():
            assert process.poll() is None, (pair.folder / "proxy.log").read_text()
            with contextlib.suppress(OSError), socket.create_connection((HOSTS[0], pair.ports.web), 1):
                return True

        try:
            eventually("the proxy to listen", is_up)
            yield process
        finally:
            process.terminate()
            process.wait(20)


def nginx(pair):
    file = pair.folder / "nginx.conf"
    # The folder of a test is for its user alone.
    here = "daemon off; pid nginx.pid; error_log stderr; user root;\n"
    places = "".join(f"{kind}_temp_path {pair.folder}/{kind}; " for kind in
                     ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    text = replaced(listing("nginx.conf"), {
        "10.0.0.1:8080": f"{HOSTS[0]}:{pair.ports.plain}", "10.0.0.2:8080": f"{HOSTS[1]}:{pair.ports.plain}",
        "listen 443 ssl": f"listen {HOSTS[0]}:{pair.ports.web} ssl", "worker_processes auto": "worker_processes 1",
        "/etc/ssl/example/fullchain.pem": f"{pair.folder}/site.pem",
        "/etc/ssl/example/privkey.pem": f"{pair.folder}/site.key",
        "http {": "http {\n    access_log off; " + places})
    # Less than a test may raise it to.
    file.write_text(here + replaced(text, {"65536": "1024", "32768": "256"}))
    return [program("nginx"), "-p", str(pair.folder), "-c", str(file)]


def haproxy(pair):
    file = pair.folder / "haproxy.cfg"
    file.write_text(replaced(listing("haproxy.cfg"), {
        "10.0.0.1:8080": f"{HOSTS[0]}:{pair.ports.plain}", "10.0.0.2:8080": f"{HOSTS[1]}:{pair.ports.plain}",
        "10.0.0.1:8444": f"{HOSTS[0]}:{pair.ports.secret}", "10.0.0.2:8444": f"{HOSTS[1]}:{pair.ports.secret}",
        "port 9180": f"port {pair.ports.admin}", "bind :443": f"bind {HOSTS[0]}:{pair.ports.web}",
        "bind :8443": f"bind {HOSTS[0]}:{pair.ports.through}", "maxconn 20000": "maxconn 200",
        "/etc/haproxy/example.pem": f"{pair.folder}/both.pem"}))
    return [program("haproxy"), "-db", "-f", str(file)]


def caddy(pair):
    file = pair.folder / "Caddyfile"
    # Without a name of the world there is no certificate for it, so this one is asked without TLS.
    file.write_text("{\n    admin off\n}\n" + replaced(listing("Caddyfile"), {
        "10.0.0.1:8080": f"{HOSTS[0]}:{pair.ports.plain}", "10.0.0.2:8080": f"{HOSTS[1]}:{pair.ports.plain}",
        "health_port 9180": f"health_port {pair.ports.admin}",
        "example.com {": f"http://localhost:{pair.ports.web} {{\n    bind {HOSTS[0]}"}))
    return [program("caddy"), "run", "--config", str(file), "--adapter", "caddyfile"]


@pytest.mark.parametrize("command, secret, doors", [
    (nginx, True, ["web"]), (haproxy, True, ["web", "through"]), (caddy, False, ["web"]),
], ids=["nginx", "haproxy", "caddy"])
def test_a_proxy_of_the_page(pair, command, secret, doors):
    with proxy(pair, *command(pair)), contextlib.ExitStack() as peers:
        ports = [getattr(pair.ports, door) for door in doors]
        for port in ports:
            # Who asks is known, and whether the way to the proxy is secret.
            with pair.opened(port=port, path="/who", secret=secret) as peer:
                said = peer.recv(timeout=20).split()
                assert (said[0], said[2]) == (CLIENT, "tls" if secret else "plain")
        old = [peers.enter_context(pair.opened(port=port, secret=secret)) for port in ports * 4]
        eventually("those before to be gone", lambda: pair.count(0) + pair.count(1) == len(old))
        counts = [pair.count(0), pair.count(1)]
        assert min(counts) > 0, "both gateways are used"
        for peer in old:
            peer.send("before")
            assert peer.recv(timeout=20) == "before"
        # A new build of the handler in both gateways: nobody is disconnected.
        assert pair.reload() == counts
        for peer in old:
            peer.send("after")
            assert peer.recv(timeout=20) == "after"
        drained(pair, ports, secret, old)


def drained(pair, ports, secret, old):
    """One gateway drains: who is there stays, and newcomers are taken to the other one."""
    draining = subprocess.Popen([BINARY, "drain", "-c", pair.gateways[0].file], stdout=subprocess.DEVNULL)
    pair.gateways[0].wait_for("draining")
    here = pair.count(0)
    for port in ports:

        def newcomer():
            with contextlib.suppress(Exception), pair.opened(port=port, secret=secret) as peer:
                peer.send("new")
                return peer.recv(timeout=20) == "new"

        # Until it has been asked for its health again.
        eventually("a newcomer to come in", newcomer)
    assert pair.count(0) <= here
    for peer in old:
        peer.send("still")
        assert peer.recv(timeout=20) == "still"
        peer.close()
    assert draining.wait(20) == 0
    assert pair.gateways[0].exit_status() == 0


# ---- deploys, crashes, debuggers



def shell(text, folder, running):
    """What a block of the page does, with its folder below that of the test."""
    script = text.replace("/srv/app", str(folder))
    return subprocess.run(["bash", "-e", "-c", script], cwd=running.folder, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=60,
                          env={"PATH": f"{BINARY.parent}:/usr/bin:/bin", "GATEWAY_CONF": str(running.file)})


def test_a_flipped_link_is_a_deploy(make_gateway, tmp_path):
    block, = re.findall(r"^```sh\n(mkdir -p /srv/app.*?)^```$", PAGE, re.M | re.S)
    app = tmp_path / "app"
    running = make_gateway(routes="route /chat { handler chat; }")
    running.file.write_text(replaced(running.file.read_text(), {
        "plugins ./Plugins;": f"plugins {app}/current {{ settle 20ms; }}"}))
    (app / "releases/1").mkdir(parents=True)
    compile_handler(running, "chat").rename(app / "releases/1/chat.so")
    (app / "current").symlink_to("releases/1")
    running.start()
    source = running.folder / "other.c"
    source.write_text(SHOUT.read_text().replace("c - 'a' + 'A'", "'?'"))
    compile_handler(running, "chat", source).rename(running.folder / "chat.so")
    with RawPeer(running, "/chat").opened() as peer:
        assert peer.ask("ab") == "AB"
        done = shell(block, app, running)
        assert done.returncode == 0 and "generation 2" in done.stdout, done
        shutil.rmtree(app / "releases/1")
        with RawPeer(running, "/chat").opened() as newcomer:
            assert newcomer.ask("ab") == "??"
    assert ask(running, "rollback", "chat").returncode == 0
    with RawPeer(running, "/chat").opened() as newcomer:
        assert newcomer.ask("ab") == "AB"


CRASHES = """#include "gw_handler.h"
static const gw_host *host;
static gw_status start(const gw_host *h, const gw_config *config, void **self) { return GW_OK; }
static void message(void *self, gw_conn conn, void *state, const gw_message *message) {
    if (message->data.len == 4) *(volatile int *)8 = 1;
    host->send(host, conn, message->kind, 0, message->data.ptr, message->data.len);
}
static const gw_handler table = {
    GW_HANDLER_INIT, .min_host_abi = GW_ABI(1, 0), .name = "chat", .version = "1.0", .start = start, .message = message};
const gw_handler *gw_handler_entry_v1(const gw_host *h) { host = h; return &table; }
"""
LINE = 5
RECORD = (r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ crash: handler "chat", generation 1, in message of route /chat, '
          r"connection \d+: SIGSEGV at address 0x8 \(build [0-9a-f]{16}, pid \d+, thread \d+, code at 0x[0-9a-f]+, in "
          r"/\S+/gateway-\d+-\w{6}/chat\.1\.[0-9a-f]{8}\.so\+(0x[0-9a-f]+)\)")


def crashing(make_gateway):
    """A handler that writes where there is nothing when it hears four bytes, with symbols."""
    running = make_gateway(main="threads 1;", routes="route /chat { handler chat; }\nroute /echo { handler echo; }")
    source = running.folder / "handler.c"
    source.write_text(CRASHES)
    compile_handler(running, "chat", source, "-g", "-O0", "-Wno-unused-parameter", "-Wno-array-bounds")
    compile_handler(running, "echo", ECHO)
    return running


def test_the_record_of_a_crash_leads_to_the_line(make_gateway):
    running = crashing(make_gateway)
    running.start()
    with RawPeer(running, "/chat").opened() as peer:
        peer.send(frame(TEXT, b"boom"))
        assert peer.at_end()
    assert running.exit_status() == -signal.SIGSEGV
    found = re.fullmatch(RECORD, (running.folder / ".gateway.crash").read_text().strip())
    shown, = re.findall(r"^```text\n(\S+ crash: .*?)^```$", PAGE, re.M | re.S)
    assert re.fullmatch(RECORD, shown.strip().replace("\n", " "))
    said = subprocess.run(["addr2line", "-f", "-e", running.plugins / "chat.so", found[1]], capture_output=True, text=True)
    assert f"handler.c:{LINE}" in said.stdout
    # The same build is not loaded again; the rest is served.
    running.launch()
    running.wait_for("its file is the build that killed the gateway")
    running.wait_for("serving with")
    assert ask(running, "status").returncode == 1
    assert ask(running, "reload", "chat").returncode == 0
    assert ask(running, "status").returncode == 0


def test_gdb_stops_in_a_handler(make_gateway):
    gdb = program("gdb")
    first = subprocess.run([gdb, "-nx", "-batch", "-ex", "run", "--args", "/bin/true"], stdin=subprocess.DEVNULL,
                           capture_output=True, text=True)
    if "exited normally" not in first.stdout:
        pytest.skip("processes may not be traced here")
    running = crashing(make_gateway)
    said = running.folder / "gdb.txt"
    steps = ["set debuginfod enabled off", "set breakpoint pending on", f"break handler.c:{LINE}",
             f"set logging file {said}", "set logging enabled on", "run", "print *message", "backtrace 1", "kill"]
    running.starter = [gdb, "-q", "-nx", "-batch", *[word for step in steps for word in ("-ex", step)], "--args"]
    running.start()
    with RawPeer(running, "/chat").opened() as peer:
        peer.send(frame(TEXT, b"hello"))
        assert peer.at_end()
    assert running.exit_status() == 0
    text = said.read_text()
    assert re.search(rf"Breakpoint 1(\.\d+)?, message \(.*\) at .*handler.c:{LINE}", text), text
    assert "len = 5" in text

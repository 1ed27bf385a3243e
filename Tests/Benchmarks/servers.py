"""The servers of a benchmark as processes: each pinned to one core, on a port of its own, ended by who started it."""
import atexit
import functools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
WORK = TOP / ".build" / "bench"
PLUGINS = WORK / "Plugins"
BINARY = Path(os.environ.get("GATEWAY", TOP / ".build/release/gateway"))
DEADLINE = 20.0

sys.path.insert(0, str(HERE.parent / "Clients"))

import kit  # noqa: E402


def pinned(core, command, realtime=False):
    """The command on one core (or cores, as in "0,1"), if wished before everything that is not realtime itself."""
    prefix = ["taskset", "-c", str(core)] if core is not None else []
    return prefix + (["chrt", "-f", "1"] if realtime else []) + [str(word) for word in command]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """One server; `command` gets the port and answers what to run. With `tls` its clients speak wss, with `http2` they open
    streams of HTTP/2."""

    def __init__(self, name, command, environment=None, core=0, realtime=False, tls=False, http2=False):
        self.name, self.command, self.environment = name, command, environment or {}
        self.core, self.realtime, self.tls, self.http2, self.process = core, realtime, tls, http2, None

    def start(self):
        if self.process and self.process.poll() is None:
            return self
        self.port = free_port()
        self.log = WORK / f"{self.name}.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                pinned(self.core, self.command(self.port), self.realtime), cwd=WORK, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, env={**os.environ, **self.environment})
        pause, end = threading.Event(), time.monotonic() + DEADLINE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                if self.process.poll() is not None or time.monotonic() > end:
                    self.stop()
                    raise SystemExit(f"{self.name} does not listen:\n{self.log.read_text(errors='replace')}") from None
                pause.wait(0.02)

    @property
    def processes(self):
        """Those whose time and memory count."""
        return [self.process.pid]

    def target(self, mode):
        """What the load generator is told of it: a URL and what goes with that."""
        path = "chat" if mode == "fanout" else "echo"
        if self.tls:
            return [f"wss://localhost:{self.port}/{path}", "--cacert", certificate()[0]]
        return [f"ws://127.0.0.1:{self.port}/{path}", *(["--http2"] if self.http2 else [])]

    def stop(self):
        """Ends it as its manager would, so that it may write what it counted."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


class Proxied(Server):
    """A server before another one, on the same core; `command` gets both ports. What both use counts."""

    def __init__(self, name, backend, command, **options):
        super().__init__(name, lambda port: command(port, backend.port), tls=True, **options)
        self.backend = backend

    def start(self):
        self.backend.start()
        return super().start()

    @property
    def processes(self):
        return super().processes + self.backend.processes

    def stop(self):
        super().stop()
        self.backend.stop()


@functools.cache
def certificate():
    """Files of a certificate for localhost, ECDSA P-256, of its key, and of both in one, made for this run."""
    WORK.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="tls-", dir=WORK))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    names = [folder / name for name in ("cert.pem", "key.pem", "both.pem")]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                    "-keyout", names[1], "-out", names[0]], check=True, stderr=subprocess.DEVNULL)
    names[2].write_bytes(names[0].read_bytes() + names[1].read_bytes())
    return names


def module(handler):
    """The file of a handler: beside the gateway, or an echo of handlers/ for bench-<flavour>, built once per change."""
    handler = handler.partition("+")[0]
    PLUGINS.mkdir(mode=0o755, parents=True, exist_ok=True)
    if not handler.startswith("bench-"):
        return BINARY.parent / f"lib{handler}.so"
    flavour = handler.removeprefix("bench-")
    source, target = HERE / "handlers" / f"{flavour}.swift", PLUGINS / f"lib{handler}.so"
    parts = [source, *(BINARY.parent / "GatewayHandler.build").glob("*.o")]
    if not target.exists() or any(part.stat().st_mtime > target.stat().st_mtime for part in parts):
        kit.module(BINARY.parent, flavour, source, target, *kit.FAST)
    return target


# Each message by itself, short ones too.
COMPRESSING = "compression no-context-takeover { threshold 1; }"


def gateway_configuration(handler="echo", folder=None, main="threads 1;", control="off", watch="on", tls=False, http2=False):
    """One worker, no log of each connection, otherwise the defaults. Answers a function from port to arguments.

    "echo+compression" is a handler on a route that compresses."""
    module(handler)
    handler, _, compresses = handler.partition("+")
    route = COMPRESSING if compresses else ""
    secured = "tls {{ certificate {} {}; }}".format(*certificate()) if tls else "{ http2 on; max_streams 1024; }" if http2 else ";"

    def arguments(port):
        file = WORK / f"gateway-{handler}-{port}.conf"
        file.write_text(f"listen 127.0.0.1:{port} {secured}\nplugins {folder or PLUGINS} {{ watch {watch}; }}\naccess_log off;\n"
                        f"control {control};\n{main}\n"
                        f"route /echo {{ handler {handler}; {route} }}\nroute /chat {{ handler chat; }}\n")
        return ["-c", file]
    return arguments


def gateway(handler, name=None, main="threads 1;", control="off", tls=False, http2=False, **options):
    arguments = gateway_configuration(handler, main=main, control=control, tls=tls, http2=http2)
    name = name or ("gateway" if handler.partition("+")[0] == "echo" else f"gateway-{handler}")
    return Server(name, lambda port: [BINARY, *arguments(port)], tls=tls, http2=http2, **options)


def compiled(source, *flags, name=None):
    """Builds a C program once per change and answers where it is."""
    WORK.mkdir(parents=True, exist_ok=True)
    source = HERE / source
    program = WORK / ((name or source.stem) + (".so" if "-shared" in flags else ""))
    if not program.exists() or any(program.stat().st_mtime < each.stat().st_mtime for each in [source, *HERE.glob("*.h")]):
        subprocess.run(["cc", "-O3", "-march=native", "-Wall", "-Wextra", "-Werror", "-o", program, source, *flags],
                       check=True)
    return program


def rawecho(**options):
    program = compiled("rawecho.c", "-lcrypto")
    return Server("rawecho", lambda port: [program, port], **options)


def rawecho_deflate(*flags, name="rawecho_deflate", **options):
    """With the libraries that the gateway has; other flags of the compiler want another name."""
    has_isal = Path("/usr/include/isa-l/igzip_lib.h").exists()
    isal = ["-DHAVE_ISAL", "-lisal"] if has_isal else []
    program = compiled("rawecho_deflate.c", *flags, "-lcrypto", "-lz", *isal, name=name)
    return Server(name, lambda port: [program, port], **options)


def rawecho_tls(name="rawecho_tls", **options):
    program = compiled("rawecho_tls.c", "-lssl", "-lcrypto")
    return Server(name, lambda port: [program, port, *certificate()[:2]], tls=True, **options)


def rawecho_h2(name="rawecho_h2", **options):
    program = compiled("rawecho_h2.c", "-lcrypto", "-lnghttp2")
    return Server(name, lambda port: [program, port], http2=True, **options)


def tls_proxies(**options):
    """What is put before a server that speaks no TLS, as far as it is installed; what is missing is said."""
    found = []
    for name, command in (("nginx", nginx), ("haproxy", haproxy)):
        if shutil.which(name, path=SBIN):
            backend = Server(f"rawecho-{name}", rawecho().command, **options)
            found.append(Proxied(name, backend, command, **options))
        else:
            print(f"{name} is not installed: left out", file=sys.stderr)
    return found


# Debian's nginx and haproxy are not in the PATH of every user.
SBIN = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"])


def nginx(port, backend):
    folder = Path(tempfile.mkdtemp(prefix="nginx-", dir=certificate()[0].parent))
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in
                        ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    user = "user root;\n" if os.getuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"{user}daemon off; master_process off; worker_processes 1; worker_rlimit_nofile 16384;\n"
        f"pid {folder}/pid; error_log {folder}/log;\nevents {{ worker_connections 16000; }}\n"
        f"http {{\naccess_log off;\n{temporary}"
        "server {\n"
        f"listen 127.0.0.1:{port} ssl backlog=4096;\n"
        # Debian 12's nginx has no TLS 1.3 unless it is told.
        "ssl_protocols TLSv1.2 TLSv1.3;\n"
        f"ssl_certificate {certificate()[0]}; ssl_certificate_key {certificate()[1]};\n"
        f"location / {{\nproxy_pass http://127.0.0.1:{backend}; proxy_http_version 1.1; proxy_read_timeout 1h;\n"
        "proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;\n}\n}\n}\n")
    return [shutil.which("nginx", path=SBIN), "-e", folder / "log", "-p", folder, "-c", folder / "nginx.conf"]


def haproxy(port, backend):
    file = certificate()[0].parent / f"haproxy-{port}.cfg"
    file.write_text(
        "global\n maxconn 8000\n nbthread 1\n"
        "defaults\n mode tcp\n timeout connect 10s\n timeout client 1h\n timeout server 1h\n"
        f"frontend wss\n bind 127.0.0.1:{port} ssl crt {certificate()[2]} backlog 4096\n default_backend ws\n"
        f"backend ws\n server rawecho 127.0.0.1:{backend} maxconn 8000\n")
    return [shutil.which("haproxy", path=SBIN), "-db", "-f", file]


def peers(**options):
    """The peers that this machine has or can have; what is missing is said."""
    found = []
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "libwebsockets"], capture_output=True, text=True)
    if flags.returncode == 0:
        program = compiled("peers/lws.c", *flags.stdout.split())
        found.append(Server("libwebsockets", lambda port: [program, port], **options))
    else:
        print("libwebsockets is not installed (libwebsockets-dev): left out")
    python = peer_python()
    for name in ("picows", "websockets") if python else ():
        script = HERE / "peers" / f"{name}_server.py"
        found.append(Server(name, lambda port, script=script: [python, script, port], **options))
    return found


def peer_python():
    """A Python environment with the peers of PyPI; None where it cannot be made."""
    venv, wanted = WORK / "venv", HERE / "peers" / "requirements.txt"
    installed = venv / ".installed"
    if not installed.exists() or installed.read_bytes() != wanted.read_bytes():
        shutil.rmtree(venv, ignore_errors=True)
        made = subprocess.run(["python3", "-m", "venv", venv], capture_output=True, text=True)
        if made.returncode == 0:
            made = subprocess.run([venv / "bin/pip", "install", "--quiet", "--disable-pip-version-check", "-r", wanted],
                                  capture_output=True, text=True)
        if made.returncode != 0:
            print(f"picows and websockets cannot be installed: left out\n{made.stderr.strip()[-300:]}")
            return None
        shutil.copy(wanted, installed)
    return venv / "bin/python"

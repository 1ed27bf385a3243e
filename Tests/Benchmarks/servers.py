"""The servers of a benchmark as processes: each pinned to one core, on a port of its own, ended by who started it."""
import os
import shutil
import signal
import socket
import subprocess
import sys
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
    """One server; `command` gets the port and answers what to run."""

    def __init__(self, name, command, environment=None, core=0, realtime=False):
        self.name, self.command, self.environment = name, command, environment or {}
        self.core, self.realtime, self.process = core, realtime, None

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


def module(handler):
    """The file of a handler: beside the gateway, or an echo of handlers/ for bench-<flavour>, built once per change."""
    PLUGINS.mkdir(mode=0o755, parents=True, exist_ok=True)
    if not handler.startswith("bench-"):
        return BINARY.parent / f"lib{handler}.so"
    flavour = handler.removeprefix("bench-")
    source, target = HERE / "handlers" / f"{flavour}.swift", PLUGINS / f"lib{handler}.so"
    parts = [source, *(BINARY.parent / "GatewayHandler.build").glob("*.o")]
    if not target.exists() or any(part.stat().st_mtime > target.stat().st_mtime for part in parts):
        kit.module(BINARY.parent, flavour, source, target, *kit.FAST)
    return target


def gateway_configuration(handler="echo", folder=None, main="threads 1;", control="off", watch="on"):
    """One worker, no log of each connection, otherwise the defaults. Answers a function from port to arguments."""
    module(handler)

    def arguments(port):
        file = WORK / f"gateway-{handler}-{port}.conf"
        file.write_text(f"listen 127.0.0.1:{port};\nplugins {folder or PLUGINS} {{ watch {watch}; }}\naccess_log off;\n"
                        f"control {control};\n{main}\n"
                        f"route /echo {{ handler {handler}; }}\nroute /chat {{ handler chat; }}\n")
        return ["-c", file]
    return arguments


def gateway(handler, name=None, main="threads 1;", control="off", **options):
    arguments = gateway_configuration(handler, main=main, control=control)
    name = name or ("gateway" if handler == "echo" else f"gateway-{handler}")
    return Server(name, lambda port: [BINARY, *arguments(port)], **options)


def compiled(source, *flags):
    """Builds a C program once per change and answers where it is."""
    WORK.mkdir(parents=True, exist_ok=True)
    source = HERE / source
    program = WORK / (source.stem + (".so" if "-shared" in flags else ""))
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        subprocess.run(["cc", "-O3", "-march=native", "-Wall", "-Wextra", "-Werror", "-o", program, source, *flags],
                       check=True)
    return program


def rawecho(**options):
    program = compiled("rawecho.c", "-lcrypto")
    return Server("rawecho", lambda port: [program, port], **options)


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

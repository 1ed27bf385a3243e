"""Counts what a gateway does for each message: instructions with callgrind, allocations with a preloaded library.

The gateway serves a fixed number of operations twice, more the second time; the difference of what was counted is
divided by the difference in number, so that starting and stopping cancel out. Files are not watched meanwhile, nor how
long callbacks take, which costs by the time and not by the message. What is left of the machine's speed is how many messages a turn finds: the least
of several runs counts. Instructions depend a little on the processor, where libraries choose among variants: those are
held to what every x86-64 of the last fifteen years has, so the counts are not quite those of a real run.
"""
import json
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
from pathlib import Path

import servers
from servers import BINARY, Server

# Under callgrind an instant is seconds: the watch for slow callbacks would look more often than it ever does.
UNTIMED = "threads 1; defaults { callback_stall off; }"
# simdjson and glibc would look for wider vectors.
PLAIN_PROCESSOR = {"SIMDJSON_FORCE_IMPLEMENTATION": "westmere", "OPENSSL_ia32cap": ":0",
                   "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-AVX,-ERMS,-FSRM,-AVX_Fast_Unaligned_Load"}


class Failed(Exception):
    """A run that does not count."""


def load(server, words, number):
    """Runs so many operations and answers how many those were: a publication is one for each copy."""
    mode, *rest = words.split()
    # Handshakes with TLS under valgrind take long: one after the other, each is waited for.
    slowly = ["--ramp", "1"] if server.tls else []
    done = subprocess.run([BINARY, "bench", mode, *server.target(mode), *rest, *slowly, "--messages", str(number),
                           "--json"], capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise Failed(done.stderr.strip() or f"exit status {done.returncode}")
    said = json.loads(done.stdout)
    copies = said.get("copies", 1)
    if mode == "fanout" and copies != said["connections"]:
        raise Failed(f"{said['connections']} connections heard {copies} copies of a publication")
    return number * copies


def has_callgrind():
    return shutil.which("valgrind") is not None


def instructions(words, number, folder, handler="echo", tls=False):
    """Of the gateway's own process, in user space, the least of four runs; and how many operations."""
    return min(instructions_once(words, number, folder, handler, tls) for _ in range(4))


def floor_instructions(words, number, folder, server):
    """The same of another server."""
    return min(callgrind(words, number, folder, server.command, tls=server.tls) for _ in range(4))


def instructions_once(words, number, folder, handler, tls):
    # valgrind 3.19 cannot read the DWARF 5 of Swift.
    for file in (BINARY, servers.module(handler), servers.module("chat")):
        if not (folder / file.name).exists():
            subprocess.run(["strip", "--strip-debug", "-o", folder / file.name, file], check=True)
    arguments = servers.gateway_configuration(handler, folder, main=UNTIMED, watch="off", tls=tls)
    return callgrind(words, number, folder, lambda port: [folder / "gateway", *arguments(port)], tls)


def callgrind(words, number, folder, program, tls):
    out = Path(tempfile.mkstemp(dir=folder)[1])
    command = lambda port: ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", *program(port)]
    with Server("callgrind", command, core=None, environment=PLAIN_PROCESSOR, tls=tls) as server:
        if tls:
            shake_hands(server)
        operations = load(server, words, number)
    found = re.search(r"^(?:totals|summary): (\d+)", out.read_text(errors="replace"), re.M)
    if not found:
        raise Failed(f"callgrind counted nothing:\n{server.log.read_text(errors='replace')[-500:]}")
    return int(found[1]), operations


def shake_hands(server):
    """The first handshake brings in much of OpenSSL, for which the load generator would not wait under valgrind."""
    context = ssl.create_default_context(cafile=servers.certificate()[0])
    with socket.create_connection(("127.0.0.1", server.port), 120) as peer:
        context.wrap_socket(peer, server_hostname="localhost").close()


def allocations(words, number, folder, handler="echo", tls=False):
    """Calls of malloc and its relatives by the gateway's own process, the least of three runs; and how many operations.

    Tables grow and threads start at other moments in each run."""
    return min(counted_once(words, number, folder, handler, tls) for _ in range(3))


def counted_once(words, number, folder, handler, tls):
    library = servers.compiled("count_allocations.c", "-shared", "-fPIC")
    counts = Path(tempfile.mkdtemp(dir=folder))
    arguments = servers.gateway_configuration(handler, main=UNTIMED, watch="off", tls=tls)
    with Server("allocations", lambda port: [BINARY, *arguments(port)], core=None, tls=tls,
                environment={"LD_PRELOAD": str(library), "COUNT_ALLOCATIONS": str(counts)}) as server:
        operations = load(server, words, number)
        process = server.process.pid
    return int((counts / str(process)).read_text()), operations


def slope(count, words, few, many, folder, *what):
    """What one operation more costs."""
    first, second = count(words, few, folder, *what), count(words, many, folder, *what)
    return (second[0] - first[0]) / (second[1] - first[1])

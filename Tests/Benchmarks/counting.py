"""Counts what a gateway does for each message: instructions with callgrind, allocations with a preloaded library.

The gateway serves a fixed number of operations twice, more the second time; the difference of what was counted is
divided by the difference in number, so that starting and stopping cancel out. Files are not watched meanwhile, which
costs by the time and not by the message. What is left of the machine's speed is how many messages a turn finds: the least
of several runs counts. Instructions depend a little on the processor, where libraries choose among variants: those are
held to what every x86-64 of the last fifteen years has, so the counts are not quite those of a real run.
"""
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import servers
from servers import BINARY, Server

# simdjson and glibc would look for wider vectors.
PLAIN_PROCESSOR = {"SIMDJSON_FORCE_IMPLEMENTATION": "westmere", "OPENSSL_ia32cap": ":0",
                   "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-AVX,-ERMS,-FSRM,-AVX_Fast_Unaligned_Load"}


class Failed(Exception):
    """A run that does not count."""


def load(server, words, number):
    """Runs so many operations and answers how many those were: a publication is one for each copy."""
    mode, *rest = words.split()
    url = f"ws://127.0.0.1:{server.port}/{'chat' if mode == 'fanout' else 'echo'}"
    done = subprocess.run([BINARY, "bench", mode, url, *rest, "--messages", str(number), "--json"],
                          capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise Failed(done.stderr.strip() or f"exit status {done.returncode}")
    said = json.loads(done.stdout)
    copies = said.get("copies", 1)
    if mode == "fanout" and copies != said["connections"]:
        raise Failed(f"{said['connections']} connections heard {copies} copies of a publication")
    return number * copies


def has_callgrind():
    return shutil.which("valgrind") is not None


def instructions(words, number, folder, handler="echo"):
    """Of the gateway's own process, in user space, the least of four runs; and how many operations."""
    return min(instructions_once(words, number, folder, handler) for _ in range(4))


def instructions_once(words, number, folder, handler):
    # valgrind 3.19 cannot read the DWARF 5 of Swift.
    for file in (BINARY, servers.module(handler), servers.module("chat")):
        if not (folder / file.name).exists():
            subprocess.run(["strip", "--strip-debug", "-o", folder / file.name, file], check=True)
    out = Path(tempfile.mkstemp(dir=folder)[1])
    arguments = servers.gateway_configuration(handler, folder, watch="off")
    command = lambda port: ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", folder / "gateway",
                            *arguments(port)]
    with Server("callgrind", command, core=None, environment=PLAIN_PROCESSOR) as server:
        operations = load(server, words, number)
    found = re.search(r"^(?:totals|summary): (\d+)", out.read_text(errors="replace"), re.M)
    if not found:
        raise Failed(f"callgrind counted nothing:\n{server.log.read_text(errors='replace')[-500:]}")
    return int(found[1]), operations


def allocations(words, number, folder, handler="echo"):
    """Calls of malloc and its relatives by the gateway's own process, the least of three runs; and how many operations.

    Tables grow and threads start at other moments in each run."""
    return min(counted_once(words, number, folder, handler) for _ in range(3))


def counted_once(words, number, folder, handler):
    library = servers.compiled("count_allocations.c", "-shared", "-fPIC")
    counts = Path(tempfile.mkdtemp(dir=folder))
    arguments = servers.gateway_configuration(handler, watch="off")
    with Server("allocations", lambda port: [BINARY, *arguments(port)], core=None,
                environment={"LD_PRELOAD": str(library), "COUNT_ALLOCATIONS": str(counts)}) as server:
        operations = load(server, words, number)
        process = server.process.pid
    return int((counts / str(process)).read_text()), operations


def slope(count, words, few, many, folder, handler="echo"):
    """What one operation more costs."""
    first, second = count(words, few, folder, handler), count(words, many, folder, handler)
    return (second[0] - first[0]) / (second[1] - first[1])

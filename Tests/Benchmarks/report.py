"""What the benchmarks have in common: options, the machine they ran on, interleaved rounds, tables."""
import argparse
import datetime
import json
import os
import platform
import re
import statistics
import subprocess
import sys
from pathlib import Path

from servers import BINARY, TOP, WORK, pinned


def options(description, rounds=5, seconds=1.0):
    """A parser with the options that all benchmarks have."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--seconds", type=float, default=seconds)
    parser.add_argument("--warmup", type=float, default=0.3)
    parser.add_argument("--json", metavar="FILE", help="all results as JSON")
    parser.add_argument("--server-core", type=int, default=0)
    parser.add_argument("--load-core", type=int, default=1)
    parser.add_argument("--realtime", action="store_true",
                        help="server and load before all other work of the machine (SCHED_FIFO), where that is allowed")
    parser.add_argument("--no-build", action="store_true")
    return parser


def build(given):
    """Builds what is measured, unless told otherwise."""
    if not given.no_build and "GATEWAY" not in os.environ:
        subprocess.run(["swift", "build", "-c", "release"], cwd=TOP, check=True, stdout=sys.stderr)
    WORK.mkdir(parents=True, exist_ok=True)


def bench(server, words, given, timed=True):
    """One run of the load generator; its figures, or what went wrong under "failed"."""
    command = [BINARY, "bench", words[0], *server.target(words[0]), *words[1:], "--json"]
    for process in server.processes:
        command += ["--pid", process]
    if timed:
        command += ["--seconds", given.seconds, "--warmup", given.warmup]
    done = subprocess.run(pinned(given.load_core, command, given.realtime), capture_output=True, text=True,
                          timeout=given.seconds + 120)
    if done.returncode == 0:
        return json.loads(done.stdout)
    return {"failed": done.stderr.strip()[-300:] or f"exit status {done.returncode}"}


def machine():
    """Where and when it was measured."""
    model = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=TOP, capture_output=True, text=True)
    return {"date": datetime.date.today().isoformat(), "cpu": model[1] if model else platform.machine(),
            "cores": os.cpu_count(), "kernel": platform.release(), "commit": commit.stdout.strip(),
            "load": os.getloadavg()[0]}


def heading(about, given):
    """One line that says what stands behind a table."""
    how = ", realtime" if given.realtime else ""
    return (f"{about['date']}, {about['cpu']}, {about['cores']} cores, Linux {about['kernel']},"
            f" commit {about['commit']}; {given.rounds} rounds of {given.seconds:g} s{how}; other load {about['load']:.1f}")


def keep(given, about, **results):
    """Writes everything for programs, where that was asked for."""
    if given.json:
        said = {**about, "rounds": given.rounds, "seconds": given.seconds, "realtime": given.realtime, **results}
        Path(given.json).write_text(json.dumps(said, indent=1) + "\n")


def median(values):
    """Of what there is; None when there is nothing."""
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


def grid(head, rows):
    """A table in Markdown that can also be read as it is."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    line = lambda row: "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |"
    return "\n".join([line(head), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *map(line, rows)])


def number(value, digits=0):
    return "-" if value is None else f"{value:,.{digits}f}"


def cost(value):
    """Microseconds with as many digits as mean something."""
    return number(value, 3 if value is not None and value < 1 else 2 if value is not None and value < 100 else 0)

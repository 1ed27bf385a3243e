"""Clients that always have a message in flight, and handlers for them to talk to; see swarm.c."""
import json
import os
import shutil
import subprocess
from pathlib import Path

import kit
from gateway_process import BINARY, TOP
from kit import HEADER

HERE = Path(__file__).parent
FIXTURES = TOP / "Tests/Fixtures"


def compiler():
    found = shutil.which("cc") or shutil.which("clang")
    assert found, "neither cc nor clang is there"
    return found


def compile_c(built, source, *options):
    subprocess.run([compiler(), "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O2", *options, "-o", built, source],
                   check=True, stdin=subprocess.DEVNULL)
    return built


def counter_in_c(folder, version):
    """A counter as its own C compiler makes it."""
    return compile_c(folder / f"counter_{version}.so", FIXTURES / "counter.c", "-shared", "-fPIC", "-pthread", f"-I{HEADER}",
                     f'-DCOUNTER_VERSION="{version}"', "-DCOUNTER_FLAGS=GW_HF_UNLOAD", "-Wno-unused-parameter")


def counter_in_swift(folder, version):
    """A counter on the Swift kit, in its first or its second version."""
    return kit.module(BINARY.parent, f"counter{version}", FIXTURES / "Counter.swift", folder / f"counter_swift_{version}.so",
                      "-O", *(["-DSECOND"] if version == 2 else []))


def put(source, target, *, in_place):
    """Puts a module where another one is: `cp` over it, or a new file that is renamed."""
    if in_place:
        with open(target, "r+b") as file:
            file.write(source.read_bytes())
            file.truncate()
    else:
        fresh = target.with_name(target.name + ".new")
        shutil.copyfile(source, fresh)
        os.rename(fresh, target)


class Swarm:
    """A running swarm; `window()` says what happened since the last one. With `sums` it talks to isolated.c."""

    def __init__(self, running, path, clients, *, pause_ms=0, burst=1, sums=False, folder):
        program = folder / "swarm"
        if not program.exists():
            compile_c(program, HERE / "swarm.c")
        words = [running.port, path, clients, pause_ms, burst, "sums" if sums else "counts"]
        self.process = subprocess.Popen([program, *map(str, words)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._read()["ready"] == clients

    def _read(self):
        line = self.process.stdout.readline()
        assert line, f"the swarm ended with {self.process.wait()}"
        return json.loads(line)

    def window(self, word="mark"):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        return self._read()

    def end(self):
        last = self.window("end")
        self.process.wait(20)
        return last

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

"""The tutorial: every block is run in its order, in one folder, and what comes out is what stands there.

Blocks of `sh` are run, those of `c` and `swift` are written to the file that their first line names, those of `log` are
waited for in the log of the gateway. A block of `text` behind one of `sh` is what that prints, in which `...` is anything;
one that begins with a name is what somebody sends (`>`) and hears (`<`), in a terminal that stays open.
"""
import os
import re
import shutil
import signal
import subprocess
import threading

import pytest

from gateway_process import BINARY, DEADLINE, TOP, eventually
from test_runbook import Ports

PAGE = (TOP / "Sources/GatewayHandler/GatewayHandler.docc/Tutorial.md").read_text()
BUILDING = 900


class Lines:
    """What a program writes, line by line, each taken once."""

    def __init__(self, stream):
        self.lines, self.taken = [], 0
        self.heard = threading.Condition()
        threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def _read(self, stream):
        for line in stream:
            with self.heard:
                self.lines.append(line.rstrip("\n"))
                self.heard.notify_all()

    def next(self):
        with self.heard:
            assert self.heard.wait_for(lambda: len(self.lines) > self.taken, DEADLINE), "nothing more was heard"
            self.taken += 1
            return self.lines[self.taken - 1]

    def until(self, words):
        for _ in range(10_000):
            if words in (line := self.next()):
                return line


class Reader:
    """Somebody who does all that the page says."""

    def __init__(self, folder):
        self.folder = self.home = folder
        self.web, self.admin = Ports.free(), Ports.free()
        (folder / "bin").mkdir()
        (folder / "bin/gateway").symlink_to(BINARY)
        self.environment = {**os.environ, "PATH": f"{folder}/bin:{os.environ['PATH']}", "PORT": str(self.web),
                            "XDG_STATE_HOME": str(folder), "LC_ALL": "C.UTF-8"}
        for name in ("GATEWAY_CONF", "NO_COLOR"):
            self.environment.pop(name, None)
        self.gateway, self.log, self.printed, self.people = None, None, "", {}

    def here(self, text):
        """Ports that are free, in the place of those of the page."""
        return text.replace("8080", str(self.web)).replace("9090", str(self.admin))

    def follow(self, kind, text):
        if kind in {"c", "swift"}:
            self.file(text)
        elif kind == "log":
            for line in text.splitlines():
                self.log.until(line)
        elif kind == "text" and text.startswith("# "):
            self.talk(*text.removeprefix("# ").split("\n", 1))
        elif kind == "text":
            self.compare(self.here(text))
        elif text == "gateway\n":
            self.serve()
        else:
            self.run(self.here(text))

    def file(self, text):
        path = re.match(r"(?:/\*|//) (\S+?):", text)[1]
        assert (self.folder / path).exists(), path
        (self.folder / path).write_text(text)

    def run(self, text):
        script = f"cd '{self.folder}'\n{text}\npwd > '{self.home}/where'\n"
        done = subprocess.run(["bash", "-e", "-c", script], env=self.environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=BUILDING)
        assert done.returncode == 0, f"{text}\n{done.stdout}"
        self.printed = done.stdout
        self.folder = type(self.home)((self.home / "where").read_text().strip())
        # The page takes the one that `gateway init` writes.
        file = self.folder / "gateway.conf"
        if file.exists():
            file.write_text(file.read_text().replace("9090", str(self.admin)))

    def compare(self, text):
        form = ".*".join(re.escape(part) for part in text.strip().split("..."))
        assert re.search(form, self.printed, re.S), f"{text}\nis not in\n{self.printed}"

    def serve(self):
        self.gateway = subprocess.Popen(["gateway"], cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                        executable=BINARY)
        self.log = Lines(self.gateway.stderr)

    def talk(self, name, text):
        for line in text.splitlines():
            if command := re.fullmatch(r"\$ gateway connect '(.*)'", line):
                process = subprocess.Popen([BINARY, "connect", self.here(command[1]), "--wait", "forever"], text=True,
                                           stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self.environment)
                self.people[name] = (process, Lines(process.stdout))
                continue
            process, heard = self.people[name]
            time, way, words = re.fullmatch(r"(\d\d:\d\d:\d\d\.\d{3}) ([<>]) (.*)", line).groups()
            if way == ">":
                process.stdin.write(words + "\n")
                process.stdin.flush()
            else:
                assert heard.next() == words, (name, time)

    def leave(self):
        for process, _ in self.people.values():
            process.kill()
            process.wait(DEADLINE)
        if self.gateway and self.gateway.poll() is None:
            self.gateway.send_signal(signal.SIGTERM)
        if self.gateway:
            self.gateway.wait(DEADLINE)


def blocks(page):
    return re.findall(r"^```(sh|c|swift|log|text)\n(.*?)^```$", page, re.M | re.S)


def test_the_tutorial(tmp_path):
    if not shutil.which("swift"):
        pytest.skip("no toolchain here")
    reader = Reader(tmp_path)
    try:
        done = [reader.follow(*block) for block in blocks(PAGE)]
        eventually("the gateway to end", lambda: reader.gateway.poll() == 0)
        assert len(done) == len(re.findall(r"^```\w", PAGE, re.M)) > 30
    finally:
        reader.leave()

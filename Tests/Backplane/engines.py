"""Engines for the tests, each a process with a port of its own choice. A third kind needs a class like these."""
import ctypes
import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

from gateway_process import DEADLINE, TOP

LIBC = ctypes.CDLL(None)


def found(program):
    """Debian keeps servers where only root looks."""
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin") or program


def die_with_the_tests():
    """A module that takes the tests down leaves no engine behind. 1 is PR_SET_PDEATHSIG."""
    LIBC.prctl(1, signal.SIGKILL)


class EngineProcess:
    """What is common to them: a process whose output says when it is up."""
    ready = None
    module = None

    def __init__(self, folder, **how):
        self.folder, self.how, self.port, self.process = Path(folder), how, None, None
        # What it is started by, and where it listens, when that is not this machine's own network.
        self.before, self.address = how.get("before", []), how.get("address", "127.0.0.1")
        self.folder.mkdir(exist_ok=True)
        self.lines = []
        self._heard = threading.Condition()
        self.start()

    def command(self):
        raise NotImplementedError

    def start(self):
        """Once more with the port it had, if it had one."""
        for _ in range(20):
            with self._heard:
                self.lines.clear()
            self.process = subprocess.Popen([*self.before, *self.command()], cwd=self.folder, stdin=subprocess.DEVNULL, text=True,
                                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace", preexec_fn=die_with_the_tests)
            self._reader = threading.Thread(target=self._read, args=(self.process,), daemon=True)
            self._reader.start()
            if self._is_up():
                return self
            self.kill()
        raise AssertionError("the engine does not start\n" + "\n".join(self.lines))

    def _read(self, process):
        for line in process.stdout:
            with self._heard:
                self.lines.append(line.rstrip("\n"))
                self._heard.notify_all()
        with self._heard:
            self.lines.append("the end")
            self._heard.notify_all()

    def _is_up(self):
        end = time.monotonic() + DEADLINE
        with self._heard:
            while True:
                for line in self.lines:
                    if found := re.search(self.ready, line):
                        self.port = self.port or int(found[1])
                        if len(self.lines) and any(re.search(self.last, each) for each in self.lines):
                            return True
                if self.lines[-1:] == ["the end"] or time.monotonic() > end:
                    return False
                self._heard.wait(0.1)

    def signal(self, number):
        self.process.send_signal(number)

    def pause(self):
        """Returns once it stands still."""
        self.signal(signal.SIGSTOP)
        stat = Path(f"/proc/{self.process.pid}/stat")
        wait = threading.Event()
        while stat.read_text().rpartition(")")[2].split()[0] != "T":
            wait.wait(0.001)

    def go_on(self):
        self.signal(signal.SIGCONT)

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join(DEADLINE)
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


class NATS(EngineProcess):
    module = "libgateway-nats.so"
    scheme = "nats"
    ready = r"Listening for client connections on [\d.]+:(\d+)"
    last = r"Server is ready"

    def command(self):
        line = [found("nats-server"), "-a", self.address, "-p", str(self.port or -1)]
        if "user" in self.how:
            line += ["--user", self.how["user"], "--pass", self.how["password"]]
        if "config" in self.how:
            file = self.folder / "nats.conf"
            file.write_text(self.how["config"])
            line += ["-c", str(file)]
        return line + self.how.get("more", [])

    def url(self, user=None, scheme=None):
        return f"{scheme or self.scheme}://{user + '@' if user else ''}{self.address}:{self.port}"


class Redis(EngineProcess):
    module = "libgateway-redis.so"
    scheme = "redis"
    ready = r"port=(\d+)"
    last = r"Ready to accept connections"

    def command(self):
        if not self.port:
            # It cannot choose one itself. Where it is taken meanwhile it ends, and is started again.
            with socket.create_server(("127.0.0.1", 0)) as free:
                self._free = free.getsockname()[1]
        line = [found("redis-server"), "--port", str(self.port or self._free), "--bind", self.address, "--unixsocket", "redis.sock", "--protected-mode", "no",
                "--save", "", "--appendonly", "no", "--daemonize", "no", "--dir", str(self.folder)]
        if "user" in self.how:
            rights = self.how.get("rights", "&* +@all")
            secret = hashlib.sha256(self.how["password"].encode()).hexdigest()
            file = self.folder / "users.acl"
            file.write_text(f"user {self.how['user']} on #{secret} {rights}\nuser default off\n")
            line += ["--aclfile", str(file)]
        elif "password" in self.how:
            line += ["--requirepass", self.how["password"]]
        return line + self.how.get("more", [])

    def url(self, user=None, path=""):
        return f"redis://{user + '@' if user else ''}{self.address}:{self.port}{path}"

    def unix(self, more=""):
        return f"redis+unix:{self.folder}/redis.sock{more}"


KNOWN = {"nats": NATS, "redis": Redis}
BUILT = TOP / ".build/release"

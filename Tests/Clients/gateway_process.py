"""The built gateway as a process of a test: a configuration in, addresses and log lines out."""
import os
import re
import resource
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("GATEWAY", TOP / ".build/release/gateway")).resolve()
DEADLINE = 20.0
SAMPLE_ROUTES = "route /echo { handler echo; }\nroute /chat { handler chat; }\n"


def eventually(what, condition, deadline=DEADLINE):
    """Asks `condition` until it answers something true; fails with `what` after the deadline."""
    end = time.monotonic() + deadline
    pause = threading.Event()
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < end, f"not within {deadline:.0f} s: {what}"
        pause.wait(0.02)


class Gateway:
    """One gateway in a folder of its own, stopped by `stop()` or on leaving the `with` block."""

    def __init__(self, folder, *, listen=("127.0.0.1:0",), main="", routes=SAMPLE_ROUTES, descriptors=None):
        self.folder = Path(folder)
        self.plugins = self.folder / "Plugins"
        self.plugins.mkdir(mode=0o755, exist_ok=True)
        self.file = self.folder / "gateway.conf"
        self.listen = listen
        lines = [f"listen {address}" + ("" if address.endswith("}") else ";") for address in listen]
        lines += ["plugins ./Plugins;", "error_log stderr info;", "access_log off;", main, routes]
        self.file.write_text("\n".join(lines) + "\n")
        self.descriptors = descriptors
        # What is added to its environment, what starts it, and descriptors that it inherits.
        self.environment = {}
        self.starter = []
        self.inherited = ()
        self.process = None
        self.lines = []
        self._heard = threading.Condition()

    # ---- life
    def start(self):
        """Starts it and returns once every listener and handler is up."""
        self.launch()
        self.wait_for(r"\bserving\b")
        eventually("all listeners", lambda: len(self.addresses()) == len(self.listen))
        return self

    def launch(self):
        """Starts it without waiting for anything."""
        before = self._limit_descriptors if self.descriptors else None
        self.process = subprocess.Popen(
            [*self.starter, BINARY, "-c", self.file], cwd=self.folder, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace", preexec_fn=before,
            env={**os.environ, **self.environment}, pass_fds=self.inherited)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def _limit_descriptors(self):
        resource.setrlimit(resource.RLIMIT_NOFILE, (self.descriptors, self.descriptors))

    def _read(self):
        for line in self.process.stderr:
            with self._heard:
                self.lines.append(line.rstrip("\n"))
                self._heard.notify_all()
        with self._heard:
            self.lines.append("")
            self._heard.notify_all()

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def exit_status(self, deadline=DEADLINE):
        """Waits for the end and answers the exit status; negative means a signal."""
        status = self.process.wait(deadline)
        self._reader.join(deadline)
        self.process.stderr.close()
        return status

    def stop(self):
        """Ends it gracefully. A gateway that crashed before or does not end is a failure of the test."""
        if self.process is None or self.process.returncode is not None:
            return
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            status = self.exit_status()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.exit_status()
            raise AssertionError("the gateway did not end after SIGTERM\n" + self.log()) from None
        assert status == 0, f"exit status {status}\n{self.log()}"

    def __enter__(self):
        return self if self.process else self.start()

    def __exit__(self, *_):
        self.stop()

    # ---- what it says
    def log(self):
        with self._heard:
            return "\n".join(self.lines)

    def wait_for(self, pattern, deadline=DEADLINE):
        """Waits for a line of the log and answers the match."""
        end = time.monotonic() + deadline
        with self._heard:
            seen = 0
            while True:
                for line in self.lines[seen:]:
                    if found := re.search(pattern, line):
                        return found
                seen = len(self.lines)
                left = end - time.monotonic()
                gone = self.process.poll() is not None and not self._reader.is_alive()
                assert left > 0 and not gone, f"no line like {pattern!r} in the log:\n" + "\n".join(self.lines)
                self._heard.wait(min(left, 0.5))

    def addresses(self):
        return re.findall(r"listening on (\S+)", self.log())

    @property
    def port(self):
        """The port of the first TCP listener."""
        return next(int(a.rpartition(":")[2]) for a in self.addresses() if not a.startswith("unix:"))

    @property
    def endpoint(self):
        return ("127.0.0.1", self.port)

    def url(self, path="/echo", scheme="ws"):
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    def connect(self, timeout=DEADLINE):
        """A plain TCP connection to it."""
        return socket.create_connection(self.endpoint, timeout)

    # ---- what the kernel knows of it
    @property
    def proc(self):
        return Path("/proc") / str(self.process.pid)

    def descriptor_count(self):
        return len(os.listdir(self.proc / "fd"))

    def thread_count(self):
        return len(os.listdir(self.proc / "task"))

    def watched_counts(self):
        """For each epoll instance, how many descriptors it watches."""
        counts = {}
        for name in os.listdir(self.proc / "fdinfo"):
            try:
                if os.readlink(self.proc / "fd" / name) == "anon_inode:[eventpoll]":
                    counts[name] = (self.proc / "fdinfo" / name).read_text().count("tfd:")
            except FileNotFoundError:
                continue
        return counts

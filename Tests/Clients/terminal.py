"""A command behind a terminal of a given size: keys in, and all that was drawn out."""
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading

from gateway_process import BINARY, DEADLINE


class Terminal:
    """One command, ended on leaving the `with` block."""

    def __init__(self, *words, columns=100, rows=30, environment=None, cwd=None):
        self.primary, self.secondary = pty.openpty()
        self.resize(columns, rows)
        self.before = termios.tcgetattr(self.secondary)
        self.text = ""
        self._heard = threading.Condition()
        self.process = subprocess.Popen(
            [BINARY, *words], stdin=self.secondary, stdout=self.secondary, stderr=self.secondary, cwd=cwd,
            start_new_session=True, preexec_fn=self._control,
            env={**os.environ, "TERM": "xterm", "NO_COLOR": "1", **(environment or {})})
        threading.Thread(target=self._read, daemon=True).start()

    @staticmethod
    def _control():
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.secondary)

    def _read(self):
        while True:
            try:
                more = os.read(self.primary, 65536)
            except OSError:
                return
            with self._heard:
                self.text += more.decode(errors="replace")
                self._heard.notify_all()

    def resize(self, columns, rows):
        fcntl.ioctl(self.primary, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def press(self, keys):
        os.write(self.primary, keys.encode())

    def wait_for(self, pattern, start=0):
        """The match of a pattern in what was drawn from `start` on."""
        found = None
        with self._heard:
            def looks():
                nonlocal found
                found = re.search(pattern, self.text[start:], re.S)
                return found
            assert self._heard.wait_for(looks, DEADLINE), f"{pattern!r} was not drawn:\n{self.text[start:]}"
        return found

    def exit_status(self):
        return self.process.wait(DEADLINE)

    def is_restored(self):
        """The terminal is as it was before the command."""
        return termios.tcgetattr(self.secondary) == self.before

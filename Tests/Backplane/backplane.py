"""A backplane as a gateway has it: the module loaded by ctypes, and links of it that note what they hear."""
import ctypes
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from gateway_process import DEADLINE

OK, E_CONFIG, E_AWAY, E_REFUSED, E_TOO_LARGE = 0, -1, -2, -3, -4
VERSION = 1 << 16
TEXT_MAX, NAME_MAX, BATCH_MAX = 512, 1024, 512
SEEDS = 1


class Span(ctypes.Structure):
    _fields_ = [("ptr", ctypes.c_void_p), ("len", ctypes.c_size_t)]

    def bytes(self):
        return ctypes.string_at(self.ptr, self.len) if self.len else b""


class Publication(ctypes.Structure):
    _fields_ = [("name", Span), ("data", Span)]


class Config(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_uint32), ("timeout_ms", ctypes.c_uint32), ("urls", ctypes.POINTER(Span)),
                ("url_count", ctypes.c_size_t), ("client_name", Span), ("user", Span), ("password", Span)]


class Engine(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_uint32), ("reserved", ctypes.c_uint32), ("max_data", ctypes.c_size_t),
                ("text", ctypes.c_char * TEXT_MAX)]


Deliver = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(Publication), ctypes.c_size_t)
Lost = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_void_p, ctypes.c_size_t)
Log = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int32, ctypes.c_void_p, ctypes.c_size_t)


class Host(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_uint32), ("abi_version", ctypes.c_uint32), ("deliver", Deliver),
                ("lost", Lost), ("log", Log)]


def function(result, *arguments):
    return ctypes.CFUNCTYPE(result, *arguments)


class Table(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_uint32), ("abi_version", ctypes.c_uint32), ("name", ctypes.c_char_p),
        ("version", ctypes.c_char_p), ("schemes", ctypes.c_char_p), ("flags", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
        ("start", function(ctypes.c_int32, ctypes.POINTER(Host), ctypes.c_void_p, ctypes.POINTER(Config),
                           ctypes.c_char_p, ctypes.POINTER(ctypes.c_void_p))),
        ("connect", function(ctypes.c_int32, ctypes.c_void_p, ctypes.c_uint64, ctypes.POINTER(Engine))),
        ("subscribe", function(ctypes.c_int32, ctypes.c_void_p, ctypes.POINTER(Span), ctypes.c_size_t)),
        ("unsubscribe", function(ctypes.c_int32, ctypes.c_void_p, ctypes.POINTER(Span), ctypes.c_size_t)),
        ("publish", function(ctypes.c_int32, ctypes.c_void_p, ctypes.POINTER(Publication), ctypes.c_size_t,
                             ctypes.POINTER(ctypes.c_size_t))),
        ("disconnect", function(None, ctypes.c_void_p)),
        ("stop", function(None, ctypes.c_void_p)),
    ]


def span(octets):
    """Borrowed: whoever calls it keeps the octets."""
    return Span(ctypes.cast(ctypes.c_char_p(octets), ctypes.c_void_p), len(octets))


def load(path):
    """The table of a module. It is never unloaded."""
    entry = ctypes.CDLL(str(path), mode=ctypes.RTLD_LOCAL).gw_backplane_entry_v1
    entry.argtypes, entry.restype = [ctypes.c_uint32], ctypes.POINTER(Table)
    return entry


def alone(code, environment=None, **values):
    """What some lines of Python print in a process of their own, which may not die of a module."""
    here = Path(__file__).parent
    head = f"import sys\nsys.path[:0] = {[str(here), str(here.parent / 'Clients')]!r}\nfrom backplane import *\n"
    head += "".join(f"{name} = {value!r}\n" for name, value in values.items())
    done = subprocess.run([sys.executable, "-c", head + code], capture_output=True, text=True, timeout=120,
                          env={**os.environ, **(environment or {})})
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


class Refused(Exception):
    """start() says no."""


class Link:
    """One link. What it hears stands in `heard`, in order; calls that the contract forbids stand in `wrong`."""
    contexts = iter(range(1000, 1 << 30))

    def __init__(self, module, urls, *, user=b"", password=b"", name=b"gateway test", timeout=10000, keep=True):
        self.table = load(module)(VERSION).contents
        self.urls = [url.encode() for url in ([urls] if isinstance(urls, str) else urls)]
        self.heard, self.losses, self.lines, self.wrong = [], [], [], []
        self.count, self.keep, self.hook = 0, keep, None
        self.attempt, self.may_call = 0, set()
        self.changed = threading.Condition()
        self.context = next(self.contexts)
        self.host = Host(ctypes.sizeof(Host), VERSION, Deliver(self._deliver), Lost(self._lost), Log(self._log))
        self._kept = (name, user, password)
        spans = (Span * max(1, len(self.urls)))(*map(span, self.urls))
        self.config = Config(ctypes.sizeof(Config), timeout, spans, len(self.urls), span(name), span(user), span(password))
        self.me, error = ctypes.c_void_p(), ctypes.create_string_buffer(b"?" * (TEXT_MAX - 1), TEXT_MAX)
        status = self.table.start(self.host, self.context, self.config, error, self.me)
        if status != OK:
            assert status == E_CONFIG and b"\0" in error.raw
            self.me = None
            raise Refused(error.value.decode())

    # ---- what the gateway is asked
    def _judge(self, context, what):
        if context != self.context or self.attempt not in self.may_call:
            self.wrong.append(what)

    def _deliver(self, context, batch, count):
        if self.hook:
            self.hook()
        found = [(batch[at].name.bytes(), batch[at].data.bytes()) for at in range(count)] if self.keep else []
        with self.changed:
            self._judge(context, "deliver")
            if not 1 <= count <= BATCH_MAX:
                self.wrong.append(f"a batch of {count}")
            self.heard += found
            self.count += count
            self.changed.notify_all()

    def _lost(self, context, attempt, why, length):
        with self.changed:
            self._judge(context, "lost")
            self.losses.append((attempt, ctypes.string_at(why, length).decode()))
            self.changed.notify_all()

    def _log(self, context, level, text, length):
        with self.changed:
            self._judge(context, "log")
            self.lines.append((level, ctypes.string_at(text, length).decode()))

    # ---- what a gateway does
    def connect(self):
        """The status and the text."""
        self.attempt += 1
        self.may_call.add(self.attempt)
        found = Engine(struct_size=ctypes.sizeof(Engine))
        status = self.table.connect(self.me, self.attempt, found)
        self.max_data, self.text = found.max_data, found.text.decode()
        if status != OK:
            self.may_call.discard(self.attempt)
        return status, self.text

    def connected(self):
        status, text = self.connect()
        assert status == OK, text
        return self

    def _named(self, call, names):
        for at in range(0, len(names), BATCH_MAX):
            part = names[at:at + BATCH_MAX]
            status = call(self.me, (Span * len(part))(*map(span, part)), len(part))
            if status != OK:
                return status
        return OK

    def subscribe(self, *names):
        return self._named(self.table.subscribe, names)

    def unsubscribe(self, *names):
        return self._named(self.table.unsubscribe, names)

    def publish(self, *pairs):
        """One call: the status, and how many were taken."""
        batch = (Publication * len(pairs))(*(Publication(span(name), span(data)) for name, data in pairs))
        taken = ctypes.c_size_t(1 << 40)
        status = self.table.publish(self.me, batch, len(pairs), taken)
        return status, taken.value

    def published(self, *pairs):
        for at in range(0, len(pairs), BATCH_MAX):
            part = pairs[at:at + BATCH_MAX]
            assert self.publish(*part) == (OK, len(part))

    def disconnect(self):
        self.table.disconnect(self.me)
        with self.changed:
            self.may_call.discard(self.attempt)

    def stop(self):
        if self.me:
            self.table.stop(self.me)
            self.me = None
        assert not self.wrong, self.wrong

    def close(self):
        if self.me:
            self.disconnect()
            self.stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- what a test waits for
    def wait(self, condition, what, deadline=DEADLINE):
        end = time.monotonic() + deadline
        with self.changed:
            while not (answer := condition(self)):
                left = end - time.monotonic()
                assert left > 0, f"not within {deadline:.0f} s: {what}; heard {self.count}, lost {self.losses}"
                self.changed.wait(left)
            return answer

    def hears(self, count, deadline=DEADLINE):
        """All that was heard so far, of which there are as many."""
        self.wait(lambda link: link.count >= count, f"{count} publications", deadline)
        assert self.count == count
        return list(self.heard)

    def loses(self):
        return self.wait(lambda link: [why for attempt, why in link.losses if attempt == link.attempt], "lost")[0]

    def probe(self):
        """Subscribes to a name of its own, and waits for a publication to come back: all before it is in force (R8)."""
        name = b"probe %d" % next(self.contexts)
        assert self.subscribe(name) == OK
        assert self.publish((name, b"?")) == (OK, 1)
        self.wait(lambda link: (name, b"?") in link.heard[-4:], "the probe")
        self.heard.remove((name, b"?"))
        self.count -= 1

"""System calls of the gateway that fail when a test says so: faults.c, preloaded, and the plan that it reads."""
import ctypes
import mmap
from pathlib import Path

from swarm import compile_c

CALLS = ("accept4 recv send sendmsg readv read pread write epoll_wait epoll_ctl poll open link rename fsync mkdir bind mmap malloc "
         "pthread_create").split()
ALWAYS = 1 << 62
EVERYBODY = -1


class Rule(ctypes.Structure):
    _fields_ = [("error", ctypes.c_int32), ("every", ctypes.c_int32), ("left", ctypes.c_int64), ("calls", ctypes.c_int64),
                ("failures", ctypes.c_int64), ("what", ctypes.c_char * 64)]


class Plan(ctypes.Structure):
    _fields_ = [("process", ctypes.c_int64), ("wall_offset", ctypes.c_int64), ("rules", Rule * len(CALLS))]


class Faults:
    """What fails in one gateway from now on."""

    def __init__(self, running):
        self.running = running
        library = compile_c(running.folder / "faults.so", Path(__file__).with_name("faults.c"), "-shared", "-fPIC", "-pthread")
        file = running.folder / "faults.plan"
        file.write_bytes(bytes(ctypes.sizeof(Plan)))
        with file.open("r+b") as open_file:
            self.memory = mmap.mmap(open_file.fileno(), 0)
        self.plan = Plan.from_buffer(self.memory)
        running.environment = {"LD_PRELOAD": str(library), "GATEWAY_FAULTS": str(file)}

    def rule(self, call):
        return self.plan.rules[CALLS.index(call)]

    def fail(self, call, error, *, every=1, times=ALWAYS, what=""):
        """Has a call fail from now on: each `every`th one (below zero in no order), `times` times, where `what` is in the
        path or in the caller's."""
        rule = self.rule(call)
        rule.error = 0
        rule.what, rule.every, rule.left, rule.calls, rule.failures = what.encode(), every, times, 0, 0
        # One that has not begun is whoever begins: nobody else has the plan.
        self.plan.process = self.running.process.pid if self.running.process else EVERYBODY
        rule.error = error

    def stop(self, *calls):
        """Has nothing fail any more, or not these calls."""
        for call in calls or CALLS:
            self.rule(call).error = 0

    def failures(self, call):
        return self.rule(call).failures

    def calls(self, call):
        return self.rule(call).calls

    def step_wall_clock(self, seconds):
        self.plan.process = self.running.process.pid
        self.plan.wall_offset = seconds

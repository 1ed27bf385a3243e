"""Handlers in processes of their own, the deaths of those, and clients that may be taken along, though not more of them than
the page about it says."""
import os
import re
import signal
import threading
import time
from pathlib import Path

import clients

# Of these the processes are killed. Of the other isolated ones they are only replaced, since much of what they do ends with
# a process, as that page says: jobs, messages in pieces, and compressed ones by half.
KILLED = ("plain_mortal", "busy_mortal")
ISOLATED = (*KILLED, "plain_apart", "pieces_apart", "busy_apart")
# Each is a copy of another one.
COPIES = {name: name.partition("_")[0] for name in ISOLATED}
PATHS = {"plain_mortal": ["/plain-mortal"], "busy_mortal": ["/busy-mortal"]}
ROUTES = """
route /plain-mortal { handler plain_mortal; isolation process; checkpoint message; compression no-context-takeover; }
route /busy-mortal { handler busy_mortal; isolation process; checkpoint message; compression on { threshold 1; } }
route /plain-isolated { handler plain_apart; isolation process; checkpoint message; }
route /pieces-isolated { handler pieces_apart; isolation process; checkpoint message; }
route /busy-isolated { handler busy_apart; isolation process; checkpoint message; }
"""
# How many a dying process may take along: the connection that each worker was just busy with.
WORKERS = 2
# So many deaths in a row, and then a minute without one, which has the gateway forget them: a fifth one would be too many.
ROW, QUIET = 4, 61.0
# Threads that come when they are needed, up to a limit, and stay: of the gateway's pools, and of Swift's own.
POOLS = re.compile("^pool$|^dispatch$|qos")


def modules(made):
    """What the copies are: all builds but the third, which refuses some of those whom it is to take over. From a process there
    is no way back."""
    return {name: made[of][:2] for name, of in COPIES.items()}


class Mortal:
    """On a route whose process is killed: it may end with 1012, or be cut off, if it was just being served. What came until
    then is right, and everybody else notices nothing."""
    allowed = frozenset([1012])
    # What waits for a slow reader is kept up to 64 KiB.
    most, MOST_WAITING = 10_000, 30_000

    def __init__(self, *words):
        super().__init__(*words)
        self.window = min(self.window, self.MOST_WAITING)
        # Half a compressed message is not kept; what it hears may be compressed.
        self.habits.packs = 0

    def on_close(self, payload):
        if payload[:2] == (1012).to_bytes(2) and not self.loop.may_end(self):
            self.taken_along("1012")
        return super().on_close(payload)

    def truncated(self, why):
        self.lost(why)

    def lost(self, why):
        if self.phase != "closed":
            self.taken_along(f"{why} while {self.phase}")
        self.finish()

    def taken_along(self, how):
        self.loop.taken_along.append((time.time(), self.path, f"{type(self).__name__} {self.number} on {self.path}"
                                                              f" ({self.channel}): {how}"))


class MortalEcho(Mortal, clients.Echo):
    pass


class MortalCounting(Mortal, clients.Counting):
    """What the handler knows of it outlives the process."""


class MortalTimed(Mortal, clients.Timed):
    """So do its timers."""
    most = 200


KINDS = [
    (MortalEcho, "/plain-mortal", 4), (MortalCounting, "/busy-mortal", 4), (MortalTimed, "/busy-mortal", 2),
    (clients.Echo, "/plain-isolated", 3), (clients.Streaming, "/pieces-isolated", 2),
    (clients.Counting, "/busy-isolated", 1), (clients.Jobs, "/busy-isolated", 2), (clients.Timed, "/busy-isolated", 1),
    (clients.Member, "/busy-isolated", 2), (clients.Leaver, "/busy-isolated", 1), (clients.Doomed, "/busy-isolated", 1),
]


def lasting_threads(process):
    """Names of the threads of a process that do not come and go."""
    names = []
    for task in (process / "task").iterdir():
        try:
            names.append((task / "comm").read_text().strip())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return [name for name in names if not POOLS.search(name)]


class Processes:
    """The processes of the isolated handlers of a gateway."""

    def __init__(self, running, programs, random, faults, deadline):
        self.running, self.random, self.faults, self.deadline = running, random, faults, deadline
        self.programs = programs
        self.deaths = {name: [] for name in KILLED}
        # When and of which handler, all of them.
        self.killed = []
        self.pause = threading.Event()

    # ---- who there is
    def of(self, name):
        """Those of a handler: while it is replaced there are two."""
        return [number for number, handler in self.programs.handlers() if handler == name]

    def count(self):
        return len(self.programs.handlers())

    def usage(self):
        """The most that any of them has."""
        memory, descriptors, threads = [0], [0], [0]
        for number, _ in self.programs.handlers():
            try:
                status = Path(f"/proc/{number}/status").read_text()
                descriptors.append(len(os.listdir(f"/proc/{number}/fd")))
                threads.append(len(lasting_threads(Path(f"/proc/{number}"))))
            except (FileNotFoundError, ProcessLookupError):
                continue
            # One that has gone and is not reaped yet has none.
            if resident := re.search(r"VmRSS:\s+(\d+)", status):
                memory.append(int(resident[1]) * 1024)
        return {"memory of a process": max(memory), "descriptors of a process": max(descriptors),
                "threads of a process": max(threads)}

    # ---- killing them
    def kill(self):
        """Kills one that serves alone, if one may die now: in the midst of a replacement more would be lost than what was just
        being served. Answers whether it did."""
        now = time.monotonic()
        for times in self.deaths.values():
            if times and now - times[-1] > QUIET:
                times.clear()
        candidates = [name for name, times in self.deaths.items() if len(times) < ROW and len(self.of(name)) == 1]
        if not candidates:
            return False
        name = self.random.choice(candidates)
        before = self.recoveries(name)
        self.deaths[name].append(now)
        self.killed.append((time.time(), name))
        os.kill(self.of(name)[0], signal.SIGKILL)
        self.wait_for(name, before)
        return True

    def balance(self, taken_along):
        """For each death who ended with it, as that was seen until the next one of the same handler."""
        found = [(moment, name, []) for moment, name in self.killed]
        for moment, path, how in taken_along:
            before = [each for each in found if each[0] <= moment and path in PATHS[each[1]]]
            if before:
                before[-1][2].append(how)
            else:
                self.faults.append(f"{how}, and no process had been killed")
        return found

    def recoveries(self, name):
        return len(re.findall(rf'handler "{name}": process \d+ serves on', self.running.log()))

    def wait_for(self, name, before):
        """Until another one serves: what is done to a handler without a process is another story."""
        end = time.monotonic() + self.deadline
        while self.recoveries(name) == before:
            if self.running.process.poll() is not None:
                return
            if time.monotonic() > end:
                return self.faults.append(f"no process of {name} has come up within {self.deadline:.0f} s after one was killed")
            self.pause.wait(0.02)

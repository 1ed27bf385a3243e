"""The gateway's own program is replaced while clients are served: which processes there are then, and who may end with it."""
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

import mortals

# Routes whose connections stay with the program before, because of their `reload`.
STAYING = {"/restarted"}
# What there may be of the process that watches, and how much more after a later round than at first: nothing but what
# the allocator keeps.
WATCHING = {"memory": 2 << 20, "descriptors": 9, "threads": 1}
WATCHING_SLACK = {"memory": 256 << 10, "descriptors": 0, "threads": 0}
# Descriptors of a program that has relieved another one: the way to the process that watches, what it waits by, and the file
# of that other program.
WAYS = 3
IS_UNDER_WAY = "an upgrade of the program is under way"
ANOTHER, BEFORE, RELOADS = "another one is not over", "has not ended", "a reload is under way"
# Where one was rolled back before, the new program begins with that build.
NO_WAY_BACK = re.compile("there is no (generation|older build) to go back to")


def words_of(process):
    """Of its command line; one that has gone and is not reaped yet has none."""
    try:
        return Path(f"/proc/{process}/cmdline").read_text().split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return [""]


def children(process):
    try:
        return [int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


class Programs:
    """The processes of a gateway: the first one, which serves until there is an upgrade and watches later on, the programs
    that take each other's place below it, and what those have started."""

    def __init__(self, first):
        self.first = first

    def below(self):
        """All of them with their words."""
        found, left = [], children(self.first)
        while left:
            process = left.pop(0)
            found.append((process, words_of(process)))
            left += children(process)
        return found

    def handlers(self):
        """Number and handler of each process of a handler."""
        return [(process, words[2]) for process, words in self.below() if words[1:2] == ["--handler"]]

    def watches(self):
        return words_of(self.first)[1:2] == ["--watch-over"]

    def serving(self):
        """The newest program."""
        later = [process for process, words in self.below() if words[1:2] not in ([], ["--handler"], ["--rehearse"])]
        return later[-1] if later else self.first

    def is_settled(self):
        """Whether nothing is left of a program before."""
        words = [words for _, words in self.below()]
        later = [each for each in words if each[1:2] != ["--handler"]]
        return not later or len(later) == 1 and self.watches()

    def watching(self):
        """What the process that watches has; nothing where none does."""
        if not self.watches():
            return {}
        process = Path(f"/proc/{self.first}")
        memory = re.search(r"RssAnon:\s+(\d+)", (process / "status").read_text())
        return {"memory": int(memory[1]) * 1024, "descriptors": len(list((process / "fd").iterdir())),
                "threads": len(list((process / "task").iterdir()))}


class Switch:
    """One upgrade: what the log said since it began, until when it was under way."""

    def __init__(self, lines):
        self.lines, self.first, self.behind = lines, len(lines), None
        self.ended = float("inf")

    def end(self):
        self.ended, self.behind = time.monotonic(), len(self.lines)

    def refuses(self, path):
        """Whether a build has come up for a route that refuses some of those whom it is to take over."""
        return any(re.search(rf"soak: begins \S+ {path} instance=\d+ build=3", line)
                   for line in self.lines[self.first:self.behind])


class Upgrades:
    """What Unrest does of them, and what may come of it."""

    def __init__(self, unrest, programs):
        self.unrest, self.programs, self.random = unrest, programs, unrest.random
        self.running, self.faults = unrest.running, unrest.faults
        self.switches = []
        self.pause = threading.Event()
        self.at_first = None

    # ---- who may end
    def concerned(self, since):
        """Those that have taken place, or do so now, since a connection was made."""
        return [each for each in list(self.switches) if since <= each.ended]

    def may_end(self, peer):
        """Whether an upgrade may have ended it with 1012: it is over TLS or HTTP/2, or it is its route or its handler that
        stays behind, or the build that was to take it over has refused."""
        stays = not peer.channel.moves or peer.path in STAYING or not peer.hands_over
        return any(stays or each.refuses(peer.path) for each in self.concerned(peer.channel.began))

    def may_go(self, connection):
        """Whether one of HTTP/2 may have been asked to go."""
        return bool(self.concerned(connection.began))

    # ---- upgrades
    def upgrade(self):
        """By the command or by the signal; now and then something is asked for meanwhile."""
        meddles = self.random.choice([(), (), (self.reload, self.rollback, self.install),
                                      (self.reload, self.rollback, self.second)])
        switch, by_signal = self.begin(), self.random.random() < 0.3
        said = len(self.running.lines)
        if by_signal:
            self.running.signal(signal.SIGUSR2)
        else:
            asked = subprocess.Popen([self.unrest.binary, "upgrade", "-c", self.running.file], stdin=subprocess.DEVNULL,
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        end = time.monotonic() + self.unrest.deadline
        while not (self.said_of_signal(said) if by_signal else asked.poll() is not None):
            if time.monotonic() > end or self.running.process.poll() is not None:
                return self.faults.append(f"an upgrade {'by USR2' if by_signal else ''} has not been answered within"
                                          f" {self.unrest.deadline:.0f} s")
            if meddles:
                self.random.choice(meddles)()
            self.pause.wait(0.02)
        status, text = self.said_of_signal(said) if by_signal else (asked.returncode, asked.communicate()[0])
        if self.answered(switch, status, text, self.second in meddles) and not meddles:
            self.rollback_to_nothing()
        return None

    def begin(self):
        switch = Switch(self.running.lines)
        self.switches.append(switch)
        return switch

    def said_of_signal(self, since):
        """What the command would have exited with and said, from the log; None before that."""
        for line in self.running.lines[since:]:
            if found := re.search(r"upgrade \(SIGUSR2\)( refused| failed|: process \d+ serves, ).*", line):
                return {" refused": 75, " failed": 1}.get(found[1], 0), line
        return None

    def answered(self, switch, status, text, are_two):
        """Notes how it went; whether the new program serves."""
        switch.end()
        if status == 0:
            # What was mapped of handlers in Swift was so by the program before.
            self.unrest.swift_reloads = 0
            return True
        if status == 75:
            self.switches.remove(switch)
        # A reload is also begun by SIGHUP, and by files that have changed.
        due = [RELOADS, *([ANOTHER] if are_two else []), *([BEFORE] if self.switches else [])]
        if status != 75 or not any(reason in text for reason in due):
            self.faults.append(f"an upgrade exited with {status}:\n{text}")
        return False

    # ---- meanwhile
    def ask(self, *words):
        """What must be done, or refused because of the upgrade."""
        told = self.unrest.ask(*words)
        if told is None:
            return
        refused = told.returncode == 75 and IS_UNDER_WAY in told.stdout
        begins_anew = words[0] == "rollback" and NO_WAY_BACK.search(told.stdout)
        if told.returncode != 0 and not refused and not begins_anew:
            self.faults.append(f"`gateway {' '.join(words)}` during an upgrade exited with {told.returncode}:\n{told.stdout}")

    def reload(self):
        self.ask("reload", *self.random.choice([[], [self.random.choice(self.unrest.names())]]))

    def rollback(self):
        self.ask("rollback", self.random.choice(self.unrest.names()))

    def install(self):
        """A newer file, which the program loads that comes up or the one that serves, whichever sees it."""
        name = self.random.choice([name for name in self.unrest.names() if name not in mortals.KILLED])
        self.unrest.install(name, self.random.choice(self.unrest.modules[name]))

    def second(self):
        switch = self.begin()
        if (told := self.unrest.ask("upgrade")) is not None:
            self.answered(switch, told.returncode, told.stdout, True)

    def rollback_to_nothing(self):
        """The new program knows of no generation before its own."""
        name = self.random.choice(self.unrest.names())
        told = self.unrest.ask("rollback", name)
        if told is not None and (told.returncode == 0 or not NO_WAY_BACK.search(told.stdout)):
            self.faults.append(f"`gateway rollback {name}` behind an upgrade exited with {told.returncode}:\n{told.stdout}")

    # ---- afterwards
    def excess(self):
        """What the process that watches has too much of."""
        now = self.programs.watching() if self.programs.is_settled() else {}
        if now and self.at_first is None:
            self.at_first = now
        return {name: f"{now[name]:,} instead of {self.at_first[name]:,}" for name in now
                if now[name] > min(WATCHING[name], self.at_first[name] + WATCHING_SLACK[name])}

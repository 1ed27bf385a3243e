"""Kinds of clients: what each sends, and what must come back, to the byte."""
import struct
import time
from collections import deque

from wire import BINARY, TEXT, Peer

PATTERN_SIZE = 1 << 20


def make_pattern():
    """As pattern.h makes it."""
    x, data = 1, bytearray(PATTERN_SIZE)
    for i in range(PATTERN_SIZE):
        x = (x * 1664525 + 1013904223) & 0xFFFFFFFF
        data[i] = x >> 24
    return bytes(data)


PATTERN = make_pattern()


def mix(stream, number):
    x = (stream * 2654435761 & 0xFFFFFFFF) ^ (number * 2246822519 & 0xFFFFFFFF)
    x ^= x >> 15
    x = x * 3266489917 & 0xFFFFFFFF
    return x ^ x >> 13


def pattern_message(stream, number, most):
    length, offset = mix(number, stream) % (most + 1), mix(stream, number) % (PATTERN_SIZE - most)
    return b"J" + struct.pack("<II", stream, number) + PATTERN[offset:offset + length]


def differing(data, due):
    same = next((i for i, (a, b) in enumerate(zip(data, due)) if a != b), min(len(data), len(due)))
    return f"{len(data)} bytes instead of {len(due)}, the same up to {same}"


class Payloads:
    """Bytes and characters to send pieces of."""

    def __init__(self, random):
        self.data = random.randbytes(1 << 20)
        letters = "abcdefghijk lmnop äöüß€ иероглиф 漢字かな 😀🦊"
        self.text = "".join(random.choices(letters, k=1 << 17))

    def message(self, random, most):
        """Kind and bytes; small ones more often than large ones."""
        length = int(2 ** random.uniform(0, most.bit_length())) - 1
        length = min(length, most)
        if random.random() < 0.5:
            at = random.randrange(len(self.data) - length)
            return BINARY, self.data[at:at + length]
        # At most four bytes a character.
        length = min(length // 4, len(self.text) - 1)
        at = random.randrange(len(self.text) - length)
        return TEXT, self.text[at:at + length].encode()


class Echo(Peer):
    """What it sends comes back as it was, in its order."""
    answers_at_once = True
    most = 100_000
    # What a message costs of the window beside its bytes.
    EACH = 1000

    def __init__(self, loop, doors, random, life, number, payloads, path):
        self.path, self.payloads = path, payloads
        self.expected, self.waiting = deque(), 0
        self.window = random.choice([1, 5000, 200_000, 3_000_000])
        self.size = random.choice([20, 3000, self.most, self.most])
        super().__init__(loop, doors, random, life, number)

    def more(self):
        if self.waiting >= self.window:
            return False
        kind, payload = self.payloads.message(self.random, self.size)
        self.send(kind, payload)
        return True

    def send(self, kind, payload):
        self.expect(kind, payload)
        self.say(kind, payload)

    def expect(self, kind, payload):
        self.expected.append((kind, payload))
        self.waiting += len(payload) + self.EACH

    def is_settled(self):
        return not self.expected

    def heard(self, kind, payload):
        if not self.expected:
            return super().heard(kind, payload)
        due_kind, due = self.expected.popleft()
        self.waiting -= len(due) + self.EACH
        if kind != due_kind or payload != due:
            self.wrong(f"message {self.messages} is not what was sent: " + self.difference(kind, payload, due_kind, due))
        return None

    def difference(self, kind, payload, due_kind, due):
        if kind != due_kind:
            return f"opcode {kind} instead of {due_kind}"
        for ahead, (_, later) in enumerate(self.expected, 1):
            if later == payload and len(payload) > 8:
                return f"it is the one {ahead} later: some are lost"
        return differing(payload, due)


class Streaming(Echo):
    """Large messages that the gateway's side never holds as a whole."""
    most = 900_000


class Looping(Echo):
    """An echo of the imperative flavour; the first message says how its loop is written."""
    answers_at_once = hands_over = False

    def opened(self):
        self.say(TEXT, [b"frames", b"within", b"slow", b"elsewhere"][self.number % 4])


class Restarted(Echo):
    """On a route with `reload close`: the gateway may end it with 1012, and what came until then is right. Who has not
    answered that five seconds later is cut off, as it happens to some where the machine is busy."""
    allowed = frozenset([1012])

    def truncated(self, why):
        self.lost(why)

    def lost(self, why):
        # Its own Close may be under way while the gateway gives up.
        if self.phase in ("open", "closing", "closed"):
            self.loop.cut_off += self.phase != "closed"
            return self.finish()
        return super().lost(why)


class Counting(Echo):
    """The handler counts its messages, in whichever generation it lives just now."""

    def __init__(self, *words):
        self.count = 0
        super().__init__(*words)

    def send(self, kind, payload):
        self.count += 1
        self.expect(BINARY, b"E" + struct.pack("<Q", self.count) + payload)
        self.say(BINARY, b"E" + payload)


class Jobs(Peer):
    """Asks for streams of messages that threads, the pool and callbacks make, all of whom obey backpressure."""
    THREAD, FRAGMENTS, CALLBACK, POOL, THEN_POST = range(5)
    hands_over = False

    def __init__(self, loop, doors, random, life, number, payloads, path):
        self.path = path
        self.how = random.randrange(5)
        is_small = self.how == self.FRAGMENTS or self.how != self.THEN_POST and random.random() < 0.5
        self.most = random.choice([0, 100, 4000] if is_small and self.how != self.FRAGMENTS else [100, 30_000, 100_000])
        self.at_once = random.randint(2, 6) if is_small else 1
        self.jobs, self.last = {}, 0
        super().__init__(loop, doors, random, life, number)

    def more(self):
        if len(self.jobs) >= self.at_once:
            return False
        self.last += 1
        count = self.random.randint(1, max(1, min(200, 3_000_000 // (self.most + 1))))
        # What comes next, how many, and up to which size.
        self.jobs[self.last] = [0, count, self.most]
        self.say(BINARY, b"J" + struct.pack("<IIII", self.last, count, self.most, self.how))
        return True

    def is_settled(self):
        return not self.jobs

    def wrong(self, what):
        return super().wrong(f"{what} (how {self.how}, up to {self.most} bytes; jobs {self.jobs})")

    def heard(self, kind, payload):
        if kind != BINARY or len(payload) < 9 or payload[:1] not in (b"J", b"D"):
            return self.wrong(f"{payload[:9]!r} is no message of a job (how {self.how})")
        stream, number = struct.unpack("<II", payload[1:9])
        job = self.jobs.get(stream)
        if job is None:
            return self.wrong(f"{payload[:9]!r} of job {stream}, which is over (how {self.how})")
        if payload[:1] == b"D":
            if job[0] != job[1]:
                return self.wrong(f"job {stream} ended after {job[0]} of {job[1]} messages (how {self.how})")
            del self.jobs[stream]
            return None
        if number != job[0]:
            return self.wrong(f"message {number} of job {stream} came instead of {job[0]} (how {self.how})")
        if payload != pattern_message(stream, number, job[2]):
            return self.wrong(f"message {number} of job {stream} has other bytes (how {self.how})")
        job[0] += 1
        return None


class Timed(Counting):
    """Starts and cancels timers between its messages."""
    answers_at_once = False
    most = 200

    def __init__(self, *words):
        # By token: when it was started, after and every how many ms, how often it must come, how often it has.
        self.timers, self.cancelled, self.last_token = {}, deque(), 0
        super().__init__(*words)

    def more(self):
        what = self.random.random()
        if what < 0.02 and len(self.timers) < 12:
            self.last_token += 1
            after, every = self.random.randint(0, 80), self.random.choice([0, 0, 1, 20])
            times = self.random.randint(1, 5) if every else 1
            self.timers[self.last_token] = [self.loop.now, after, every, times, 0]
            self.say(BINARY, b"T" + struct.pack("<IIII", self.last_token, after, every, times))
        elif what < 0.025 and self.timers:
            token = self.random.choice(list(self.timers))
            if token not in self.cancelled:
                self.cancelled.append(token)
                self.say(BINARY, b"C" + struct.pack("<I", token))
        elif what < 0.03:
            self.say(BINARY, b"K" + struct.pack("<I", 10_000))
        elif self.waiting >= self.window:
            return False
        else:
            return super().more()
        return True

    def is_settled(self):
        return super().is_settled() and not self.timers and not self.cancelled

    def heard(self, kind, payload):
        if payload[:1] == b"T":
            return self.heard_timer(*struct.unpack("<II", payload[1:9]))
        if payload[:1] == b"C":
            return self.heard_cancelled(*struct.unpack("<Ii", payload[1:9]))
        return super().heard(kind, payload)

    def heard_timer(self, token, number):
        timer = self.timers.get(token)
        if timer is None:
            return self.wrong(f"timer {token} went off, number {number}, and was over or cancelled")
        began, after, every, times, count = timer
        due = (after + every * (number - 1)) / 1000
        # The loop's own time is that of the beginning of its turn, when this had perhaps not come yet.
        passed = time.monotonic() - began
        if number != count + 1:
            return self.wrong(f"timer {token} came as number {number} after {count}")
        if passed < due:
            return self.wrong(f"timer {token} came after {passed:.4f} s, due after {due}")
        timer[4] = number
        if number == times:
            del self.timers[token]
        return None

    def heard_cancelled(self, token, status):
        if not self.cancelled or self.cancelled.popleft() != token:
            return self.wrong(f"the cancelling of timer {token} was answered, and not asked for")
        if status == 0 and self.timers.pop(token, None) is None:
            return self.wrong(f"timer {token} was cancelled though it was over")
        return None


class Room:
    """Who is subscribed to a topic, and what of whom each must hear next."""

    def __init__(self, name):
        self.name, self.members, self.everybody = name, {}, set()


class Member(Peer):
    """Publishes to its topic, and hears all that others publish there, each in its order."""
    AT_ONCE, MOST = 6, 6000

    def __init__(self, loop, doors, random, life, number, payloads, path, rooms):
        self.path, self.payloads = path, payloads
        self.room = random.choice(rooms)
        self.is_member = False
        # The last number it published under, and the bytes of the last ones.
        self.sequence, self.recent = 0, {}
        # By publisher: the number that came last.
        self.latest = {}
        # By number of a publisher: the publications that must come next, as author, sequence, bytes.
        self.due = {}
        # Of what it published: sequence, and for how many members it has not come yet.
        self.pending = {}
        self.answers = deque()
        super().__init__(loop, doors, random, life, number)

    def opened(self):
        self.room.everybody.add(self)
        self.join()

    def join(self):
        self.answers.append(b"s" + self.room.name)
        self.say(BINARY, b"S" + self.room.name)

    def more(self):
        if not self.is_member or len(self.pending) >= self.AT_ONCE or len(self.answers) >= self.AT_ONCE:
            return False
        if self.random.random() < 0.02:
            self.is_member = False
            self.answers.append(b"u" + self.room.name)
            self.say(BINARY, b"U" + self.room.name)
            return False
        self.publish()
        return True

    def publish(self):
        self.sequence += 1
        size = int(2 ** self.random.uniform(0, 12.5))
        at = self.random.randrange(1 << 19)
        payload = struct.pack("<II", self.number, self.sequence) + self.payloads.data[at:at + size]
        excepts = self.random.random() < 0.5
        # Whoever has left or is about to may hear it or not.
        waited = {m for m in self.room.members.values() if m.is_member and m.phase == "open"}
        if excepts:
            waited.discard(self)
        for member in waited:
            member.due.setdefault(self.number, deque()).append((self, self.sequence, payload))
        if waited:
            self.pending[self.sequence] = len(waited)
        self.answers.append(b"p")
        self.say(BINARY, b"P" + struct.pack("<II", excepts, len(self.room.name)) + self.room.name + payload)
        self.recent[self.sequence] = payload
        self.recent.pop(self.sequence - 300, None)

    def is_settled(self):
        return not self.answers and not self.pending and not any(self.due.values())

    def standing(self):
        due = {publisher: (len(waiting), waiting[0][1]) for publisher, waiting in self.due.items() if waiting}
        return (f"{super().standing()}; member {self.is_member} of {self.room.name} with {sorted(self.room.members)}, "
                f"answers due {list(self.answers)}, not everywhere {self.pending}, due of {due}")

    def heard(self, kind, payload):
        if payload[:1] == b"P":
            return self.heard_publication(payload[1:])
        if payload[:1] not in (b"s", b"u", b"p"):
            return super().heard(kind, payload)
        due = self.answers.popleft() if self.answers else None
        if due is None or payload[:1] != due[:1] or due != b"p" and payload != due:
            return self.wrong(f"{payload[:60]!r} came, due was {due!r}")
        if due[:1] == b"s":
            self.is_member = True
            self.room.members[self.number] = self
        if due[:1] == b"u":
            self.forgive()
            # Behind its Close a client says nothing, and the gateway reads nothing.
            if self.phase == "open":
                self.join()
        return None

    def heard_publication(self, payload):
        publisher, sequence = struct.unpack("<II", payload[:8])
        waiting = self.due.get(publisher)
        if waiting and waiting[0][1] == sequence:
            author, _, due = waiting.popleft()
            author.reached(sequence)
            if due != payload:
                return self.wrong(f"publication {sequence} of {publisher} is not what it sent: {differing(payload, due)}")
            self.latest[publisher] = sequence
            return None
        if waiting and sequence > waiting[0][1]:
            return self.wrong(f"publication {sequence} of {publisher} came, {waiting[0][1]} is lost or late")
        return self.heard_undue(publisher, sequence, payload)

    def heard_undue(self, publisher, sequence, payload):
        """Allowed while it comes and goes: then nobody knows, but each at most once and in order."""
        author = self.room.members.get(publisher)
        if sequence <= self.latest.get(publisher, 0):
            return self.wrong(f"publication {sequence} of {publisher} came twice or late")
        if author is not None and author.recent.get(sequence, payload) != payload:
            return self.wrong(f"publication {sequence} of {publisher} has other bytes")
        self.latest[publisher] = sequence
        return None

    def reached(self, sequence):
        """A member has it, or is not waited for any more."""
        self.pending[sequence] -= 1
        if self.pending[sequence] == 0:
            del self.pending[sequence]

    def forgive(self):
        """What others published for it is not waited for any more."""
        self.room.members.pop(self.number, None)
        for waiting in self.due.values():
            for author, sequence, _ in waiting:
                author.reached(sequence)
        self.due.clear()

    def ended(self):
        self.is_member = False
        self.forgive()
        if self.pending:
            # It broke off, and what it has published last may never have reached the gateway.
            for member in self.room.everybody:
                member.due.pop(self.number, None)
        self.room.everybody.discard(self)


class Leaver(Peer):
    """Is told to leave after some messages, or is dropped; by a callback or by a thread."""
    allowed = frozenset([4000])
    hands_over = False

    def __init__(self, loop, doors, random, life, number, payloads, path):
        self.path = path
        self.count, self.next, self.is_asked = random.choice([0, 1, 20, 300]), 0, False
        self.code, self.by_thread = random.choice([0, 4000, 4000]), random.randrange(2)
        super().__init__(loop, doors, random, life, number)
        self.habits.ending = "polite"

    def more(self):
        if self.is_asked:
            return False
        self.is_asked = True
        self.say(BINARY, b"X" + struct.pack("<III", self.code, self.count, self.by_thread))
        return True

    def is_settled(self):
        return not self.is_asked

    def heard(self, kind, payload):
        if payload != b"x" + struct.pack("<II", self.next, 0):
            return self.wrong(f"{payload[:20]!r} instead of x {self.next}")
        self.next += 1
        return None

    def closed_by_gateway(self, code, reason):
        if code == 1012:
            return
        if reason != b"as you wish" or self.next != self.count:
            self.wrong(f"Close {reason!r} came after {self.next} of {self.count} messages, "
                       f"asked for by {'a thread' if self.by_thread else 'a callback'}")

    def lost(self, why):
        if self.code == 0 and self.is_asked:
            return self.finish()
        return super().lost(why)


class Doomed(Counting):
    """Dies while it is handed over, if it is: in the callback that restores it, or in the one that drops it."""

    def opened(self):
        self.say(BINARY, b"B" + struct.pack("<I", self.random.choice([1, 2])))

    def lost(self, why):
        return self.finish()

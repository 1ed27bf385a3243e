"""What an operator does while clients are served: newer files, bad files, rollbacks, changed configurations and
certificates, another program; and what befalls processes of handlers."""
import json
import os
import shutil
import signal
import subprocess
import threading

import mortals
import upgrades


class Unrest:
    """Does something every now and then from start to stop; what the gateway should not have answered is a fault."""
    # What is in Swift stays mapped for ever, so there is little of it.
    SWIFT = 4

    def __init__(self, running, binary, modules, certificates, random, faults, deadline, upgrading):
        self.running, self.binary, self.modules, self.random = running, binary, modules, random
        self.certificates = certificates
        self.faults, self.deadline = faults, deadline
        self.programs = upgrades.Programs(running.process.pid)
        self.processes = mortals.Processes(running, self.programs, random, faults, deadline)
        # How often the program is replaced, to 26 deeds of other kinds.
        self.upgrading = upgrading
        self.upgrades = upgrades.Upgrades(self, self.programs)
        self.over = threading.Event()
        self.done = {}
        self.swift_reloads = 0

    def start(self):
        self.over.clear()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.over.wait(self.random.uniform(0.1, 0.8)):
            act = self.random.choices([self.newer, self.bad, self.rollback, self.configure, self.look, self.certificate,
                                       self.bad_certificate, self.death, self.upgrade],
                                      [8, 2, 3, 3, 2, 3, 1, 4, self.upgrading])[0]
            if act() is not False:
                self.done[act.__name__] = self.done.get(act.__name__, 0) + 1

    def stop(self):
        self.over.set()
        self.thread.join()

    # ---- deeds
    def names(self):
        return [name for name in self.modules if name != "looping"]

    def name(self):
        if self.swift_reloads < self.SWIFT and self.random.random() < 0.1:
            self.swift_reloads += 1
            return "looping"
        return self.random.choice(self.names())

    def install(self, name, file):
        self.replace(file, self.running.plugins / f"{name}.so")

    def replace(self, file, target):
        """At once, as whoever replaces a file that is in use has to."""
        temporary = target.with_name(f".{target.name}.new")
        shutil.copy(file, temporary)
        os.replace(temporary, target)

    def newer(self):
        name = self.name()
        self.install(name, self.random.choice(self.modules[name]))
        # A process that dies while another one takes over may take more along, so one waits for the end of that.
        if self.random.random() < 0.7 or name in mortals.KILLED:
            self.command(0, "reload", name)

    def death(self):
        return self.processes.kill()

    def upgrade(self):
        return self.upgrades.upgrade()

    def bad(self):
        """A file that is none: it is refused, and the one before goes on serving."""
        name = self.random.choice(self.names())
        garbage = self.running.folder / "garbage"
        garbage.write_bytes(self.random.randbytes(5000))
        self.install(name, garbage)
        self.command(75, "reload", name)
        self.install(name, self.random.choice(self.modules[name]))
        self.command(0, "reload", name)

    def rollback(self):
        self.command(None, "rollback", self.random.choice(self.names()))

    def configure(self):
        text = self.running.file.read_text()
        if text.rstrip().endswith("# changed"):
            text = text[:text.rindex("route /extra")]
        else:
            text += f"route /extra{self.random.randint(1, 9)} {{ handler plain; max_message {self.random.randint(1, 9)}k; }} # changed\n"
        temporary = self.running.folder / "gateway.conf.new"
        temporary.write_text(text)
        os.replace(temporary, self.running.file)
        if self.random.random() < 0.5:
            self.running.signal(signal.SIGHUP)
        else:
            self.command(0, "reload")

    def certificate(self):
        """Another one, by a reload or by the file alone; who is connected stays as he is."""
        self.replace(self.random.choice(self.certificates), self.running.folder / "soak.pem")
        if self.random.random() < 0.5:
            self.command(0, "reload")

    def bad_certificate(self):
        """One that is none: it is refused, and the one before goes on being shown."""
        garbage = self.running.folder / "garbage"
        garbage.write_bytes(self.random.randbytes(500))
        self.replace(garbage, self.running.folder / "soak.pem")
        self.command(75, "reload")
        self.replace(self.random.choice(self.certificates), self.running.folder / "soak.pem")
        self.command(0, "reload")

    def look(self):
        answer = self.command(None, "status", "--json")
        if answer is not None:
            try:
                json.loads(answer)
            except ValueError as error:
                self.faults.append(f"status --json is no JSON: {error}\n{answer}")

    def command(self, due, *words):
        """Its output; `due` is the exit status it must have."""
        done = self.ask(*words)
        if done is not None and due is not None and done.returncode != due:
            self.faults.append(f"`gateway {' '.join(words)}` exited with {done.returncode}, {due} was due:\n{done.stdout}")
        return done and done.stdout

    def ask(self, *words):
        """How a command has ended; one that does not is a fault."""
        try:
            return subprocess.run([self.binary, *words, "-c", self.running.file], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=self.deadline)
        except subprocess.TimeoutExpired:
            self.faults.append(f"`gateway {' '.join(words)}` has not answered within {self.deadline:.0f} s")
            return None

"""What an operator does while clients are served: newer files, bad files, rollbacks, changed configurations."""
import json
import os
import shutil
import signal
import subprocess
import threading


class Unrest(threading.Thread):
    """Does something every now and then until it is stopped; what the gateway should not have answered is a fault."""

    def __init__(self, running, binary, modules, random, faults, deadline):
        super().__init__(daemon=True)
        self.running, self.binary, self.modules, self.random = running, binary, modules, random
        self.faults, self.deadline = faults, deadline
        self.over = threading.Event()
        self.done = {}
        self.swift_reloads = 0

    def run(self):
        while not self.over.wait(self.random.uniform(0.1, 0.8)):
            act = self.random.choices([self.newer, self.bad, self.rollback, self.configure, self.look],
                                      [8, 2, 3, 3, 2])[0]
            self.done[act.__name__] = self.done.get(act.__name__, 0) + 1
            act()

    def stop(self):
        self.over.set()
        self.join()

    # ---- deeds
    def name(self):
        # What is in Swift stays mapped for ever, so there is little of it.
        names = [name for name in self.modules if name != "looping"]
        if self.swift_reloads < 4 and self.random.random() < 0.1:
            self.swift_reloads += 1
            return "looping"
        return self.random.choice(names)

    def install(self, name, file):
        temporary = self.running.plugins / f".{name}.new"
        shutil.copy(file, temporary)
        os.replace(temporary, self.running.plugins / f"{name}.so")

    def newer(self):
        name = self.name()
        self.install(name, self.random.choice(self.modules[name]))
        if self.random.random() < 0.7:
            self.command(0, "reload", name)

    def bad(self):
        """A file that is none: it is refused, and the one before goes on serving."""
        name = self.random.choice([name for name in self.modules if name != "looping"])
        garbage = self.running.folder / "garbage"
        garbage.write_bytes(self.random.randbytes(5000))
        self.install(name, garbage)
        self.command(75, "reload", name)
        self.install(name, self.random.choice(self.modules[name]))
        self.command(0, "reload", name)

    def rollback(self):
        self.command(None, "rollback", self.random.choice([name for name in self.modules if name != "looping"]))

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

    def look(self):
        answer = self.command(None, "status", "--json")
        if answer is not None:
            try:
                json.loads(answer)
            except ValueError as error:
                self.faults.append(f"status --json is no JSON: {error}\n{answer}")

    def command(self, due, *words):
        """Its output; `due` is the exit status it must have."""
        try:
            done = subprocess.run([self.binary, *words, "-c", self.running.file], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=self.deadline)
        except subprocess.TimeoutExpired:
            self.faults.append(f"`gateway {' '.join(words)}` has not answered within {self.deadline:.0f} s")
            return None
        if due is not None and done.returncode != due:
            self.faults.append(f"`gateway {' '.join(words)}` exited with {done.returncode}, {due} was due:\n{done.stdout}")
        return done.stdout

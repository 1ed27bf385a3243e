"""A network namespace beside the machine's own, and a wire to it that can be unplugged."""
import itertools
import os
import shutil
import subprocess

import pytest

IP = shutil.which("ip", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
# Of 198.18.0.0/15, which is kept for tests of networks (RFC 2544): each process of the tests, and each wire of it, has its own.
NUMBERS = itertools.count()


def ip(*words):
    subprocess.run([IP, *words], check=True, capture_output=True, text=True)


class Wire:
    def __init__(self):
        place = (os.getpid() * 16 + next(NUMBERS) % 16) % (1 << 15)
        self.name = f"gw{place}"
        self.near, self.far = (f"198.18.{place * 4 >> 8 & 127}.{place * 4 & 255 | end}" for end in (1, 2))
        self.inside = [IP, "netns", "exec", self.name]

    def __enter__(self):
        ip("netns", "add", self.name)
        try:
            ip("link", "add", f"{self.name}a", "type", "veth", "peer", "name", f"{self.name}b", "netns", self.name)
            ip("address", "add", f"{self.near}/30", "dev", f"{self.name}a")
            ip("link", "set", f"{self.name}a", "up")
            ip("-n", self.name, "address", "add", f"{self.far}/30", "dev", f"{self.name}b")
            self.plug_in()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        # The wire goes with the namespace.
        ip("netns", "delete", self.name)

    def unplug(self):
        """Sockets look well at both ends; what is sent goes nowhere."""
        ip("-n", self.name, "link", "set", f"{self.name}b", "down")

    def plug_in(self):
        ip("-n", self.name, "link", "set", f"{self.name}b", "up")


def may_be_had():
    try:
        with Wire():
            return True
    except (OSError, TypeError, subprocess.CalledProcessError):
        return False


needs_wires = pytest.mark.skipif(not may_be_had(), reason="no network namespace to be had here: that takes root and iproute2")

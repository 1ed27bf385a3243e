"""A stand-in for systemd: starts a gateway.service in a root of its own as the unit says, and hears what it notifies."""
import os
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import threading
from pathlib import Path

# What `systemctl` is in that root: it notes what it was asked, and knows the process.
SYSTEMCTL = """#!/bin/sh
echo "$*" >>/run/systemctl.log
case "$*" in
*"--value gateway.service"*) cat /run/gateway.pid 2>/dev/null || echo 0 ;;
esac
"""


class Unit:
    """The lines of a unit file."""

    def __init__(self, file):
        self.lines = re.findall(r"^(\w+)=(.*)$", file.read_text(), re.M)

    def __getitem__(self, name):
        return next(value for key, value in self.lines if key == name)


class Service:
    """A gateway as its unit starts it, with a root that only its own folders can be written in."""

    def __init__(self, root):
        self.root = Path(root)
        self.unit = Unit(self.root / "lib/systemd/system/gateway.service")
        self.process = None
        self.log = ""

    def start(self):
        self.log = ""
        user = self.unit["User"]
        folders = {"RUNTIME_DIRECTORY": "/run/" + self.unit["RuntimeDirectory"],
                   "STATE_DIRECTORY": "/var/lib/" + self.unit["StateDirectory"],
                   "LOGS_DIRECTORY": "/var/log/" + self.unit["LogsDirectory"]}
        for folder in folders.values():
            self.inside("install", "-d", "-o", user, "-g", user, "-m", "0755" if "/run/" in folder else "0750", folder)
        self.notifications = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        place = self.root / "run/notify"
        place.unlink(missing_ok=True)
        self.notifications.bind(str(place))
        place.chmod(0o777)
        writable = [*folders.values(), "/tmp"]
        kept = "-all,+net_bind_service"
        command = (f"exec {shutil.which('chroot')} . /usr/bin/setpriv --no-new-privs --reuid {user} --regid {user}"
                   f" --init-groups --inh-caps {kept} --ambient-caps {kept} --bounding-set {kept} {self.unit['ExecStart']}")
        # Each folder is a mount of its own, so it stays writable when the root is not any more.
        script = " && ".join(
            [f"mount --bind {self.root} {self.root}", f"cd {self.root}"]
            + [f"mount --bind .{folder} .{folder}" for folder in [*folders.values(), "/tmp"]]
            + ["mount -o remount,bind,ro .", "mount -t proc proc ./proc", "umask 027", command])
        environment = {"PATH": "/usr/bin:/bin", "NOTIFY_SOCKET": "/run/notify", "WATCHDOG_USEC": "30000000", **folders}
        self.process = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sh", "-c", script],
                                        env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        threading.Thread(target=self._read, daemon=True).start()
        (self.root / "run/gateway.pid").write_text(str(self.process.pid))
        return self

    def _read(self):
        for line in self.process.stderr:
            self.log += line

    def number(self, kind):
        return self.inside("id", "-" + kind, self.unit["User"]).stdout.strip()

    def inside(self, *words, check=True):
        """A command of an administrator in that root."""
        answer = subprocess.run(["chroot", self.root, *words], capture_output=True, text=True, timeout=120,
                                env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                                     "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"})
        assert not check or answer.returncode == 0, f"{shlex.join(map(str, words))}\n{answer.stdout}{answer.stderr}\n{self.log}"
        return answer

    def wait_for(self, word, seconds=60):
        """A datagram that has a line `word`."""
        heard = []
        while word not in heard:
            assert select.select([self.notifications], [], [], seconds)[0], f"{word} is not notified: {heard}\n{self.log}"
            heard += self.notifications.recv(4096).decode().split("\n")

    def reload(self):
        return self.inside(*shlex.split(self.unit["ExecReload"]), check=False)

    def stop(self):
        if self.process is None:
            return None
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(60)
        finally:
            self.process.kill()
        self.process = None
        (self.root / "run/gateway.pid").unlink()
        self.notifications.close()
        return status


def other_package(package, folder, version, change=None):
    """The same package as a version of its own; `change` may do something to its files."""
    files = folder / f"files-{version}"
    subprocess.run(["dpkg-deb", "-R", package, files], check=True)
    control = files / "DEBIAN/control"
    control.write_text(re.sub(r"^Version: .*$", f"Version: {version}", control.read_text(), flags=re.M))
    if change:
        change(files)
    made = folder / f"gateway_{version}.deb"
    subprocess.run(["dpkg-deb", "-b", "--root-owner-group", files, made], check=True, stdout=subprocess.DEVNULL)
    return made


def mounted_proc(root):
    """Maintainer scripts look at the process that runs."""
    os.makedirs(f"{root}/proc", exist_ok=True)
    subprocess.run(["mount", "-t", "proc", "proc", f"{root}/proc"], check=True)

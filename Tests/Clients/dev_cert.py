"""`gateway dev-cert` for tests: in a home of their own, and in a mount namespace where the system's list of authorities is
theirs too, so that the machine trusts nobody on account of a test."""
import os
import shutil
import subprocess
from functools import cache

import pytest

from gateway_process import BINARY, DEADLINE

LIST = "/usr/local/share/ca-certificates"
HASHED = "/etc/ssl/certs"
HOOKS = "/etc/ca-certificates/update.d"
NAMESPACE = ["unshare", "--map-root-user", "--mount"]
MOUNT = """
set -e
cover() { if [ -d "$2" ]; then mount --bind "$1" "$2"; fi; }
cover "$STORE/list" %s
cover "$STORE/hashed" %s
cover "$STORE/hooks" %s
for place in $READ_ONLY; do mount --bind "$place" "$place"; mount -o remount,bind,ro "$place"; done
cd "$FOLDER"
exec "$@"
""" % (LIST, HASHED, HOOKS)


@cache
def has_namespaces():
    program = shutil.which("unshare")
    return bool(program) and subprocess.run([*NAMESPACE, "mount", "--bind", "/tmp", "/tmp"], capture_output=True).returncode == 0


needs_namespaces = pytest.mark.skipif(
    not has_namespaces(), reason="no mount namespace to be had here, and the machine's own list is not for tests")


class DevCert:
    """A user with a home and a folder to work in, and a system that trusts whom this user adds."""

    def __init__(self, top):
        self.home = top / "home"
        self.folder = top / "work"
        self.store = top / "store"
        for place in (self.home, self.folder, self.store / "list", self.store / "hooks"):
            place.mkdir(parents=True)
        if os.path.isdir(HASHED):
            shutil.copytree(HASHED, self.store / "hashed", symlinks=True)
        self.authority = self.home / ".local/share/gateway/dev-ca.pem"
        self.certificate = self.folder / "dev-cert.pem"
        self.key = self.folder / "dev-key.pem"

    @property
    def environment(self):
        """That of this user's programs; what the testing user has of it stays out."""
        inherited = {name: value for name, value in os.environ.items()
                     if name not in ("XDG_DATA_HOME", "SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE")}
        return {**inherited, "HOME": str(self.home)}

    def within(self, *command, read_only=(), **more):
        """Has a program run in the namespace; an environment variable that is None is taken away."""
        environment = {**self.environment, "STORE": self.store, "FOLDER": self.folder, "READ_ONLY": " ".join(map(str, read_only)),
                       **more}
        environment = {name: str(value) for name, value in environment.items() if value is not None}
        return subprocess.run([*NAMESPACE, "sh", "-c", MOUNT, "sh", *command], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=DEADLINE * 6, env=environment)

    def __call__(self, *words, status=0, **how):
        """What `gateway dev-cert` says."""
        done = self.within(BINARY, "dev-cert", *words, **how)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def files(self):
        """All there is but the databases of browsers, with what is in it."""
        places = (self.home / ".local", self.folder, self.store / "list")
        return {path: path.read_bytes() for place in places for path in place.rglob("*") if path.is_file()}

"""wss:// from end to end: clients with TLS of different makes stay connected, and the handler keeps what it knows of them,
while handler and certificates are replaced in one reload."""
import shutil
import ssl
import subprocess
import threading

import pytest

from gateway_process import DEADLINE, TOP
from swarm import counter_in_c, put
from test_control import ask
from test_tls import certificate, make, tls, trust, wss  # noqa: F401, since a fixture is among them

NODE_CLIENT = TOP / "Tests/Clients/node_client.js"


class Node:
    """A client on Node that trusts one authority."""

    def __init__(self, running, path, authority):
        self.process = subprocess.Popen([shutil.which("node"), NODE_CLIENT, f"wss://localhost:{running.port}{path}"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={"NODE_EXTRA_CA_CERTS": str(authority)})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(DEADLINE)
        self.process.stdout.close()

    def hears(self):
        # Who is not answered is not waited for for ever.
        end = threading.Timer(DEADLINE, self.process.kill)
        end.start()
        try:
            return self.process.stdout.readline().rstrip("\n")
        finally:
            end.cancel()

    def says(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        return self.hears()

    def leaves(self):
        self.process.stdin.close()
        return self.process.wait(DEADLINE)


def curl(running, authority):
    """The exit status of curl, and what the gateway answers."""
    done = subprocess.run(["curl", "--silent", "--http1.1", "--noproxy", "*", "--cacert", authority, "--resolve",
                           f"localhost:{running.port}:127.0.0.1", f"https://localhost:{running.port}/nothing"],
                          capture_output=True, text=True, timeout=DEADLINE)
    return done.returncode, done.stdout


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_handler_and_certificates_change_under_live_connections(make, tmp_path, version):
    builds = [counter_in_c(tmp_path, number) for number in (1, 2, 3)]
    running = make(routes="route /counter { handler counter; }")
    put(builds[0], running.plugins / "counter.so", in_place=False)
    running.start()
    old = tmp_path / "old.pem"
    shutil.copy(tmp_path / "first.pem", old)
    with (wss(running, trust(tmp_path, "first", least=version, most=version), "/counter") as python,
          Node(running, "/counter", old) as node):
        assert node.hears() == "open"
        for generation in (1, 2, 3):
            if generation > 1:
                put(builds[generation - 1], running.plugins / "counter.so", in_place=False)
                certificate(tmp_path, "first", "localhost")
                told = ask(running, "reload")
                assert told.returncode == 0 and "other certificates" in told.stdout, told.stdout + told.stderr
                running.wait_for(f"generation {generation} is serving, [23] connections moved")
            for number in (2 * generation - 1, 2 * generation):
                python.send("python")
                assert python.recv(DEADLINE) == f"{generation} {number} python"
                assert node.says("node") == f"{generation} {number} node"
            # Who comes now is shown the new one, and by it finds the same handler.
            assert curl(running, tmp_path / "first.pem")[1].startswith("no-route")
            with Node(running, "/counter", tmp_path / "first.pem") as other:
                assert (other.hears(), other.says("new")) == ("open", f"{generation} 1 new")
                assert other.leaves() == 0
        assert curl(running, old)[0] == 60
        with pytest.raises(ssl.SSLCertVerificationError):
            tls(running, trust(tmp_path, "old"))
        with Node(running, "/counter", old) as stranger:
            assert stranger.hears() == "DEPTH_ZERO_SELF_SIGNED_CERT"
        assert node.leaves() == 0

"""Ten thousand connections that say nothing, each pinged twice a minute, cost next to nothing of a core."""
import resource
import subprocess
import threading
import time

import pytest

from gateway_process import BINARY, DEADLINE, eventually
from test_control import status

CONNECTIONS = 10_000
# As long as the default of ping_interval, so that every connection is pinged once and answers.
SECONDS = 30
NEEDED = CONNECTIONS + 200


def processor_seconds(running):
    """What its threads have used, to the nanosecond."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in (running.proc / "task").iterdir()) / 1e9


@pytest.mark.skipif(resource.getrlimit(resource.RLIMIT_NOFILE)[1] < NEEDED, reason=f"needs {NEEDED} descriptors")
def test_10000_idle_connections_take_less_than_a_hundredth_of_a_core(make_gateway):
    running = make_gateway(routes="route /echo { handler echo; }", descriptors=NEEDED).start()
    holding = subprocess.Popen(
        [BINARY, "bench", "idle", running.url(), "-c", str(CONNECTIONS), "--hold", "3600"], stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (NEEDED, NEEDED)))
    try:
        eventually("all are connected", lambda: status(running)["process"]["connections"] == CONNECTIONS, 3 * DEADLINE)
        # What else the machine does costs caches: the quietest of three spans counts.
        for _ in range(3):
            used, begin = processor_seconds(running), time.monotonic()
            # A span to measure, not one to wait for something.
            threading.Event().wait(SECONDS)
            share = (processor_seconds(running) - used) / (time.monotonic() - begin)
            if share < 0.01:
                break
        assert status(running)["process"]["connections"] == CONNECTIONS, "each has answered its ping"
        print(f"{CONNECTIONS} idle connections: {share:.2%} of a core")
        assert 0 < share < 0.01
    finally:
        holding.kill()
        holding.wait(DEADLINE)

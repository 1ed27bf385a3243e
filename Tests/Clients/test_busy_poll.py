"""busy_poll: a worker with nothing to do looks for more before it sleeps."""
import re

import pytest
from websockets.sync.client import connect

from gateway_process import DEADLINE, eventually

ROUNDS = 50


def worker(running):
    """The folder of the only worker's thread in /proc."""
    tasks = running.proc / "task"
    return next(task for task in tasks.iterdir() if (task / "comm").read_text().startswith("worker 0"))


def sleeps(thread):
    """How often it has gone to sleep so far."""
    return int(re.search(r"\nvoluntary_ctxt_switches:\s+(\d+)", (thread / "status").read_text())[1])


def exchange(connection):
    for number in range(ROUNDS):
        connection.send(f"message {number}")
        assert connection.recv(DEADLINE) == f"message {number}"


@pytest.mark.parametrize(("setting", "may_sleep"), [("off", True), ("1s", False)])
def test_how_often_a_worker_sleeps_between_messages(make_gateway, setting, may_sleep):
    running = make_gateway(main=f"threads 1; busy_poll {setting};").start()
    with connect(running.url(), compression=None, proxy=None) as connection:
        exchange(connection)
        thread = worker(running)
        before = sleeps(thread)
        exchange(connection)
        slept = sleeps(thread) - before
    if may_sleep:
        assert slept > ROUNDS / 5
    else:
        # Other reasons to wait for a moment there may be, but not one for each message.
        assert slept <= ROUNDS / 5


def test_a_worker_that_has_looked_in_vain_sleeps(make_gateway):
    running = make_gateway(main="threads 1; busy_poll 50us;").start()
    with connect(running.url(), compression=None, proxy=None) as connection:
        exchange(connection)
        thread = worker(running)
        # Blocked in a system call that waits: state S.
        eventually("the worker sleeps", lambda: (thread / "stat").read_text().rpartition(")")[2].split()[0] == "S")
        exchange(connection)


def test_a_reload_switches_it_on(make_gateway):
    running = make_gateway(main="threads 1;").start()
    running.file.write_text(running.file.read_text().replace("threads 1;", "threads 1; busy_poll 1s;"))
    with connect(running.url(), compression=None, proxy=None) as connection:
        running.signal(1)
        thread = worker(running)

        def hardly_sleeps():
            before = sleeps(thread)
            exchange(connection)
            return sleeps(thread) - before <= ROUNDS / 5
        eventually("the worker no longer sleeps between messages", hardly_sleeps)

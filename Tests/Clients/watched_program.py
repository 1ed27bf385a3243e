"""A program that is watched over, in the place of a gateway: it says what happens to it, and does what it is told.

Lines on the socket that its first argument names: what it says, and what it is to do."""
import ast
import os
import signal
import socket
import sys
import threading

from succession_wire import Wire

HEARD = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM,
         signal.SIGRTMIN]
signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)
news = socket.socket(socket.AF_UNIX)
news.connect(sys.argv[1])


def say(*words):
    news.sendall((repr(words) + "\n").encode())


def hear_signals():
    while True:
        say("signal", signal.Signals(signal.sigwait(HEARD)).name)


def supervisor():
    number, _, parent = os.environ["GATEWAY_SUPERVISOR"].partition(":")
    assert int(parent) == os.getppid()
    return Wire(socket.socket(fileno=int(number)))


def main():
    wire = None
    say("up", os.getpid(), sys.argv[2:])
    threading.Thread(target=hear_signals, daemon=True).start()
    for line in news.makefile():
        order, *words = ast.literal_eval(line)
        if order == "exit":
            os._exit(words[0])
        elif order == "die":
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [words[0]])
            os.kill(os.getpid(), words[0])
            signal.pause()
        elif order == "call":
            # Something of the way to the process that watches, which is opened once.
            wire = wire or supervisor()
            say("called", getattr(wire, words[0])(*words[1:]))
        elif order == "raw":
            wire = wire or supervisor()
            wire.socket.sendall(words[0])
            say("called", None)
        elif order == "environment":
            say("environment", os.environ.get(words[0]))
        elif order == "descriptors":
            say("descriptors", sorted(int(name) for name in os.listdir("/proc/self/fd")))
        elif order == "open":
            say("opened", os.open(words[0], os.O_RDONLY))
        elif order == "read":
            say("read", os.read(words[0], 100))
        elif order == "orphan":
            if os.fork() == 0:
                os._exit(0 if os.fork() else 3)
            os.wait()
            say("orphan")


main()

"""Engines that say what no engine says. A module may give up the connection, and nothing else (R5)."""
import pytest

from backplane import E_AWAY, OK
from meeting import FAKES, judge, meet

KINDS = list(FAKES)


@pytest.mark.parametrize("drip", [False, True])
def test_polite(Kind, module, drip):
    status, _, subscribed, published, losses, heard, _ = meet(Kind, module, "a publication", drip=drip)
    assert (status, subscribed, published, losses, heard) == (OK, OK, OK, [], ["x"])


MOMENTS = {"redis": ["accept", "CLIENT", "INFO", "SUBSCRIBE", "message", "PUBLISH"], "nats": ["INFO", "CONNECT", "SUB", "PUB", "PING"]}
# Those at which something is waited for.
WAITING = {"redis": ["CLIENT", "INFO", "SUBSCRIBE", "PUBLISH"], "nats": ["INFO", "CONNECT", "PING"]}
GARBAGE = {"binary": bytes(range(256)) * 10, "http": b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n", "zeros": bytes(100_000),
           "line": b"a" * 200_000, "error": b"-ERR 'it is \x00\x1b[31m broken'\r\n", "newlines": b"\r\n" * 1000}


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage(Kind, module, at, garbage):
    judge(meet(Kind, module, timeout=3000, instead={at: GARBAGE[garbage]}, closes=[at] if garbage in ("http", "error") else []))


def test_closes(Kind, module, at):
    judge(meet(Kind, module, instead={at: b""}, closes=[at]))


def test_closes_in_the_middle(Kind, module, at):
    half = {"redis": b"*3\r\n$7\r\nmess", "nats": b"MSG gw.a 1 10\r\nabc"}[Kind.scheme]
    judge(meet(Kind, module, instead={at: half}, closes=[at]))


def test_never_answers(Kind, module, waiting):
    status, text, subscribed, published, *_ = meet(Kind, module, "a publication", timeout=300, instead={waiting: None})
    assert E_AWAY in (status, subscribed, published)
    # Behind an answer that is left out the next one is taken for it.
    assert status == OK or waiting == "CLIENT" or "no answer in time" in text

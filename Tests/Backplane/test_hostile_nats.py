"""What a client of NATS may be told, and by no NATS ever is."""
import pytest

from meeting import judge, meet

KINDS = ["nats"]

NATS = {
    "no arguments": b"MSG\r\n", "two arguments": b"MSG gw.a 1\r\n", "negative size": b"MSG gw.a 1 -1\r\n", "no size": b"MSG gw.a 1 x\r\n",
    "no number": b"MSG gw.a x 1\r\n", "longer than it says": b"MSG gw.a 1 1\r\nxyz\r\nQ", "headers over the end": b"HMSG gw.a 1 9 3\r\nabc\r\n",
    "unknown": b"QUIT\r\n", "error": b"-ERR 'Unknown Protocol Operation'\r\n", "stale": b"-ERR 'Stale Connection'\r\n",
    "rights": b"-ERR 'Permissions Violation for Subscription to \"gw.a\"'\r\n", "long line": b"MSG " + b"a" * 100_000 + b" 1 1\r\n",
}


@pytest.mark.parametrize("moment", ["SUB", "PUB", "PING"])
@pytest.mark.parametrize("case", NATS)
def test_nats_once_connected(Kind, module, case, moment):
    judge(meet(Kind, module, instead={moment: NATS[case]}, timeout=2000, closes=[moment]))


INFOS = {"empty": b"INFO {}\r\n", "no JSON": b"INFO {\r\n", "wrong types": b'INFO {"max_payload":"x","server_id":7}\r\n',
         "no limit": b'INFO {"server_id":"x"}\r\n', "negative limit": b'INFO {"max_payload":-1}\r\n', "nothing": b"INFO\r\n",
         "deep": b"INFO " + b'{"a":' * 5000 + b"\r\n", "brackets": b"INFO " + b"[" * 30000 + b"\r\n", "long": b'INFO {"server_id":"' + b"x" * 100_000 + b'"}\r\n'}


@pytest.mark.parametrize("case", INFOS)
def test_nats_introduces_itself(Kind, module, case):
    judge(meet(Kind, module, instead={"INFO": INFOS[case]}, timeout=2000))


# libnats 3.4 adds the size to an int, and reads before its buffer. Nothing of the module's stands between the two.
@pytest.mark.xfail(strict=True, reason="libnats 3.4.1 dies of a size near 2^31")
@pytest.mark.parametrize("case", [b"MSG gw.a 1 2147483647\r\nx\r\n", b"HMSG gw.a 1 2147483647 2147483647\r\nx\r\n"], ids=["MSG", "HMSG"])
def test_a_size_that_overflows(Kind, module, case):
    judge(meet(Kind, module, instead={"SUB": case}, timeout=2000))

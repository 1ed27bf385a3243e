"""What a subscriber and a publisher of Redis may be told, and by no Redis ever is."""
import pytest

from meeting import judge, meet

KINDS = ["redis"]

REDIS = {
    "giant string": b"$9223372036854775807\r\n", "giant string twice": b"$99999999999999999999\r\n", "over 64 MiB": b"$67108865\r\nx",
    "negative string": b"$-2\r\n", "no number": b"$x\r\n", "giant array": b"*2147483647\r\n", "many elements": b"*5\r\n",
    "negative array": b"*-5\r\n", "nil array": b"*-1\r\n", "nil": b"$-1\r\n", "empty array": b"*0\r\n", "giant number": b":9" + b"9" * 30 + b"\r\n",
    "nested": b"*3\r\n*3\r\n$1\r\na\r\n", "deep": b"*1\r\n" * 20, "status": b"+message\r\n" * 3, "integers": b"*3\r\n:1\r\n:2\r\n:3\r\n",
    "number for a name": b"*3\r\n$7\r\nmessage\r\n:1\r\n$1\r\nx\r\n", "nil for data": b"*3\r\n$7\r\nmessage\r\n$3\r\n0:a\r\n$-1\r\n",
    "long name": b"*3\r\n$7\r\nmessage\r\n$1027\r\n0:" + b"a" * 1025 + b"\r\n$1\r\nx\r\n",
    "empty name": b"*3\r\n$7\r\nmessage\r\n$2\r\n0:\r\n$1\r\nx\r\n", "foreign name": b"*3\r\n$7\r\nmessage\r\n$3\r\n1:a\r\n$1\r\nx\r\n",
    "two elements": b"*2\r\n$7\r\nmessage\r\n$3\r\n0:a\r\n", "unknown": b"*3\r\n$7\r\npmessag\r\n$3\r\n0:a\r\n$1\r\nx\r\n",
    "map": b"%1\r\n+a\r\n+b\r\n", "push": b">3\r\n$7\r\nmessage\r\n$3\r\n0:a\r\n$1\r\nx\r\n", "confirmed by a word": b"*3\r\n$9\r\nsubscribe\r\n$3\r\n0:a\r\n$1\r\n1\r\n",
    "error": b"-NOPERM it may not\r\n", "endless line": b"+" + b"a" * 100_000, "error in an array": b"*3\r\n-ERR x\r\n$1\r\na\r\n$1\r\nb\r\n",
}


@pytest.mark.parametrize("moment", ["SUBSCRIBE", "message"])
@pytest.mark.parametrize("case", REDIS)
def test_redis_to_a_subscriber(Kind, module, case, moment):
    answer = meet(Kind, module, instead={moment: REDIS[case]}, timeout=2000)
    assert judge(answer) and answer[4]


@pytest.mark.parametrize("moment", ["CLIENT", "INFO", "PUBLISH"])
@pytest.mark.parametrize("case", [each for each in REDIS if each not in ("status", "error")])
def test_redis_to_others(Kind, module, case, moment):
    judge(meet(Kind, module, instead={moment: REDIS[case]}, timeout=1000, closes=[moment]))


def test_redis_sends_64_mib_for_ever(Kind, module):
    """A reply of the largest size that is taken, and one octet more of everything: memory stays bounded."""
    large = b"*3\r\n$7\r\nmessage\r\n$3\r\n0:a\r\n$67108860\r\n" + bytes(67108860) + b"\r\n"
    answer = meet(Kind, module, instead={"message": large}, timeout=20000)
    assert "64 MiB" in answer[4][-1][1]

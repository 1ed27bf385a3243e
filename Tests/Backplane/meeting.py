"""A meeting of a module and a fake engine, in a process of its own, which has to live."""
import json

from backplane import E_AWAY, E_REFUSED, OK, alone
from fake_engines import FakeNATS, FakeRedis

FAKES = {"redis": FakeRedis, "nats": FakeNATS}

MEETING = """
import json
from pathlib import Path
with Link(module, url, timeout=timeout) as link:
    status, text = link.connect()
    subscribed = published = None
    if status == OK:
        subscribed, published = link.subscribe(b"a"), link.publish((b"a", b"x"))[0]
        if published == OK or awaited == "lost":
            link.wait(lambda each: each.losses if awaited == "lost" else each.count, awaited)
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(json.dumps([status, text, subscribed, published, link.losses, [data.decode() for _, data in link.heard],
                      int(peak.split()[1]) // 1024]))
"""


def meet(Kind, module, awaited="lost", timeout=10000, **how):
    with FAKES[Kind.scheme](**how) as fake:
        told = alone(MEETING, module=module, url=f"{Kind.scheme}://127.0.0.1:{fake.port}", awaited=awaited, timeout=timeout)
        return json.loads(told)


def judge(answer):
    """It has ended, and says why in words."""
    status, text, subscribed, published, losses, _, peak = answer
    assert status != OK or losses or published != OK, answer
    assert status in (OK, E_AWAY, E_REFUSED)
    for said in [text] + [why for _, why in losses]:
        assert 10 < len(said) <= 511 and said.isascii() and said.isprintable() and not said.endswith("."), said
    assert peak < 200, f"{peak} MiB"
    return text if status != OK else (losses or [[0, ""]])[-1][1]

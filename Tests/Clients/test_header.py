"""The example that stands in gw_handler.h compiles and does what it says there."""
import re
import shutil
import subprocess

from raw_peer import TEXT, RawPeer, frame
from swift_module import HEADER

TEXT_OF_IT = (HEADER / "gw_handler.h").read_text()


def example():
    """The listing behind the heading AN EXAMPLE, without its stars."""
    block = TEXT_OF_IT[TEXT_OF_IT.index("- AN EXAMPLE -"):]
    lines = re.findall(r"^ \*(?:   (.*))?$", block, re.M)
    return "\n".join(lines[next(n for n, line in enumerate(lines) if line.startswith("#include")):])


def build(running, text):
    source = running.folder / "counter.c"
    source.write_text(text)
    fresh = running.folder / "counter.so"
    subprocess.run([shutil.which("cc") or "clang", "-std=c11", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror",
                    "-shared", "-fPIC", "-fvisibility=hidden", "-I", HEADER, source, "-o", fresh], check=True,
                   stdin=subprocess.DEVNULL)
    fresh.rename(running.plugins / "counter.so")


def said(peer):
    peer.send(frame(TEXT, b"count"))
    return peer.read_frame()[2]


def test_the_example_goes_on_counting_in_a_newer_build(make_gateway):
    running = make_gateway(routes="route /counter { handler counter; }")
    build(running, example())
    running.start()
    with RawPeer(running, "/counter").opened() as one, RawPeer(running, "/counter").opened() as other:
        assert [said(one), said(one), said(other)] == [b"1 of 1", b"2 of 2", b"1 of 3"]
        build(running, example().replace(" of %llu", " out of %llu"))
        running.wait_for("generation 2 is serving, 2 connections moved")
        assert [said(one), said(other)] == [b"3 out of 4", b"2 out of 5"]

"""Handlers that live outside the repository: compiled against the header alone and dropped into a folder."""
import shutil
import subprocess
from pathlib import Path

import pytest

from gateway_process import TOP
from raw_peer import TEXT, RawPeer, frame

HEADER = TOP / "Sources/CGatewayABI/include"
SHOUT = Path(__file__).parent / "shout.c"


def compile_handler(running, name, source=SHOUT, *options):
    compiler = shutil.which("cc") or shutil.which("clang")
    assert compiler, "neither cc nor clang is there"
    built = running.plugins / f"{name}.so"
    subprocess.run([compiler, "-std=c11", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", f"-I{HEADER}",
                    *options, "-o", built, source], check=True, stdin=subprocess.DEVNULL)
    return built


def said(running, path, text):
    with RawPeer(running, path).opened() as peer:
        peer.send(frame(TEXT, text))
        return peer.read_frame()[2]


def test_a_handler_in_c_is_dropped_in_and_mapped(make_gateway):
    running = make_gateway(routes='route /shout { handler shout; set mark "!"; }\nroute /echo { handler echo; }')
    compile_handler(running, "shout")
    running.start()
    assert said(running, "/shout", b"hello") == b"HELLO!"
    assert said(running, "/echo", b"hello") == b"hello"


def test_one_file_serves_several_routes_with_settings_of_their_own(make_gateway):
    running = make_gateway(routes='route /a { handler shout; set mark "?"; }\nroute /b/:who { handler shout; }')
    compile_handler(running, "libshout")
    running.start()
    assert said(running, "/a", b"x") == b"X?"
    assert said(running, "/b/me", b"x") == b"X"


def test_a_handler_may_refuse(make_gateway):
    running = make_gateway(routes="route /shout { handler shout; }")
    compile_handler(running, "shout")
    running.start()
    with RawPeer(running, "/shout?quiet") as peer:
        assert peer.status == 403
    assert said(running, "/shout", b"loud") == b"LOUD"


def garbage(running):
    (running.plugins / "broken.so").write_bytes(b"not a library")


def truncated(running):
    data = compile_handler(running, "broken").read_bytes()
    (running.plugins / "broken.so").write_bytes(data[: len(data) // 2])


def refuses_to_start(running):
    compile_handler(running, "broken", SHOUT, "-DREFUSE_TO_START")


@pytest.mark.parametrize("prepare, why", [
    (lambda running: None, "broken"),
    (garbage, "broken"),
    (truncated, "broken"),
    (refuses_to_start, "the voice is gone"),
], ids=["missing", "garbage", "truncated", "refuses to start"])
def test_a_bad_handler_leaves_the_others_serving(make_gateway, prepare, why):
    running = make_gateway(routes="route /broken { handler broken; }\nroute /echo { handler echo; }")
    prepare(running)
    running.start()
    running.wait_for(why)
    assert said(running, "/echo", b"fine") == b"fine"
    with RawPeer(running, "/broken") as peer:
        assert (peer.status, b"handler-unavailable" in peer.body) == (503, True)


def test_nothing_to_serve_is_78(make_gateway):
    alone = make_gateway(routes="route /broken { handler broken; }").launch()
    assert alone.exit_status() == 78
    alone.wait_for("broken")


def test_a_file_others_may_write_is_not_loaded(make_gateway):
    running = make_gateway(routes="route /shout { handler shout; }\nroute /echo { handler echo; }")
    compile_handler(running, "shout").chmod(0o777)
    running.start()
    with RawPeer(running, "/shout") as peer:
        assert peer.status == 503

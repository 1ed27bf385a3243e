"""Handlers that fail, go on after the end, flood, or throw: whose connections pay for it, and what others notice."""
import json
import re
import shutil
import socket
import subprocess

import pytest

import c_handler
from gateway_process import TOP, eventually
from kit import HEADER
from raw_peer import BINARY, CLOSE, PING, PONG, TEXT, RawPeer, frame
from test_control import ask
from test_memory import mebibytes

ECHO = "route /echo { handler echo; }"


def serving(make_gateway, more="", name="fails"):
    running = make_gateway(main="threads 2;", routes=f"route /fails {{ handler {name}; {more} }}\n{ECHO}")
    c_handler.build(running, "fails")
    return running.start()


def report(running, name="fails"):
    found = json.loads(ask(running, "status", "--json").stdout)["handlers"]
    return next(each for each in found if each["handler"] == name)["generations"][0]


def test_a_handler_that_fails_in_every_callback_hurts_its_own_peers_alone(make_gateway):
    running = serving(make_gateway)
    with RawPeer(running).opened() as other:
        for count in range(50):
            with RawPeer(running, "/fails?fail") as refused:
                assert refused.status == 500 and refused.body.strip()
            with RawPeer(running, "/fails", drop=("Upgrade", "Connection")) as plain:
                assert plain.status == 500
            with RawPeer(running, "/fails?open").opened() as peer:
                assert peer.read_close() == 1011
            for said in (frame(TEXT, b"x"), frame(PING, b"x"), frame(PONG, b"x"), frame(TEXT, b"timer"),
                         frame(TEXT, b"work")):
                with RawPeer(running, "/fails").opened() as peer:
                    peer.send(said)
                    assert peer.read_close() == 1011
            assert other.ask(f"still {count}") == f"still {count}"
        # Each of them is one of the handler: two that said so, and six connections that it closed with 1011.
        assert report(running)["errors"] == 400
        eventually("no peer left", lambda: report(running)["connections"] == 0)


def test_nothing_goes_out_after_a_close_however_often_it_is_tried(make_gateway):
    running = serving(make_gateway)
    with RawPeer(running, "/fails").opened() as peer:
        peer.send(frame(TEXT, b"after 10000"))
        assert peer.read_frame() == (CLOSE, True, (4000).to_bytes(2))
        peer.send(frame(CLOSE, (4000).to_bytes(2)))
        assert peer.at_end()
    assert int(running.wait_for(r"taken after close (\d+)")[1]) == 0
    eventually("no peer left", lambda: report(running)["connections"] == 0)
    assert "taken in close" not in running.log()


@pytest.mark.parametrize("way", ["flood", "thread"])
def test_a_flood_ends_at_send_buffer(make_gateway, way):
    """Of a megabyte for each peer no more is kept than that, and all that was taken comes before the Close."""
    running = serving(make_gateway, "send_buffer 1m; close_timeout 20s;")
    before = mebibytes(running)
    with RawPeer(running, "/fails", receive_buffer=4096).opened() as peer, RawPeer(running).opened() as other:
        peer.send(frame(TEXT, f"{way} 3000".encode()))
        taken = int(running.wait_for(r"flood taken (\d+)")[1])
        # The queue, and what the kernel takes for a peer that does not read.
        assert 10 <= taken < 100
        assert mebibytes(running) - before < 8
        assert other.ask("still here") == "still here"
        # From here on it reads, and fast.
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        got = 0
        while (found := peer.read_frame())[0] == BINARY:
            assert len(found[2]) == 100_000
            got += 1
        assert found == (CLOSE, True, (1013).to_bytes(2) + b"slow consumer")
        assert got == taken


# ---- throwing

def throwing_cpp(folder, source):
    module = folder / "throws.so"
    (folder / "throws.cpp").write_text(source)
    subprocess.run(["c++", "-std=c++17", "-O1", "-shared", "-fPIC", f"-I{HEADER}", folder / "throws.cpp", "-o", module],
                   check=True, stdin=subprocess.DEVNULL)
    return module


def throwing_rust(folder, source):
    module = folder / "throws.so"
    (folder / "throws.rs").write_text(source)
    subprocess.run(["rustc", "--edition", "2021", "-O", "--crate-type", "cdylib", "-o", module, folder / "throws.rs"],
                   check=True, stdin=subprocess.DEVNULL)
    return module


def with_throw(file, line, throw):
    """The sample, which throws where a message is "throw"."""
    source = (TOP / file).read_text()
    assert source.count(line) == 1, line
    return source.replace(line, throw + line)


def throwing(language):
    if language == "c++":
        return throwing_cpp, with_throw(
            "Plugins/reverse-cpp/reverse.cpp", "        auto &talk = *static_cast<Talk *>(state);",
            '        if (message->data.len == 5) throw std::runtime_error("thrown on purpose");\n'
        ).replace("#include <memory>", "#include <memory>\n#include <stdexcept>")
    return throwing_rust, with_throw(
        "Plugins/caesar-rust/lib.rs", "        // RFC 6455 7.4.1: 1003 for a type",
        '        if bytes == b"throw" { panic!("thrown on purpose") }\n')


LANGUAGES = [
    pytest.param("c++", "thrown on purpose", marks=pytest.mark.skipif(not shutil.which("c++"), reason="c++ is not there")),
    pytest.param("rust", "message panicked", marks=pytest.mark.skipif(not shutil.which("rustc"), reason="rustc is not there")),
]


@pytest.mark.parametrize("language, said", LANGUAGES)
def test_the_samples_let_no_exception_out(make_gateway, language, said):
    running = make_gateway(main="threads 1;", routes=f"route /throws {{ handler throws; }}\n{ECHO}")
    build, source = throwing(language)
    build(running.folder, source).rename(running.plugins / "throws.so")
    running.start()
    with RawPeer(running).opened() as other, RawPeer(running, "/throws").opened() as neighbour:
        for _ in range(20):
            with RawPeer(running, "/throws").opened() as peer:
                assert peer.ask("abc")
                peer.send(frame(TEXT, b"throw"))
                assert peer.read_close() == 1011
        assert neighbour.ask("abc") and other.ask("still here") == "still here"
    running.wait_for(f'"throws".*{said}|throws.*{said}')


@pytest.mark.parametrize("language, said", LANGUAGES)
def test_an_exception_that_gets_out_is_told_by_the_trial(tmp_path, language, said):
    """A handler without the wrapper: the process that tries it ends, not one that serves."""
    from gateway_process import BINARY as PROGRAM
    build, source = throwing(language)
    if language == "c++":
        source = re.sub(r"    try \{\n        return body\(\);\n.*?return GW_E_FAILED;\n", "    return body();\n", source,
                        flags=re.S)
        # "throw" is no word of the trial: every message of more than 16 bytes will do.
        source = source.replace("message->data.len == 5", "message->data.len > 16").replace(") noexcept {", ") {")
    else:
        source = source.replace("catch_unwind(AssertUnwindSafe(body)).unwrap_or(FAILED)", "body()")
        source = source.replace("use std::panic::{catch_unwind, AssertUnwindSafe};\n", "")
        source = source.replace('bytes == b"throw"', "bytes.len() > 16")
    done = subprocess.run([PROGRAM, "test", build(tmp_path, source), "--json"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True)
    wrong = {each["title"]: each["detail"] for each in json.loads(done.stdout)["findings"] if each["verdict"] == "wrong"}
    assert done.returncode == 1
    assert any("SIGABRT" in detail and "message" in detail for detail in wrong.values()), wrong

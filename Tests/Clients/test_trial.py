"""`gateway test`: good handlers pass, and each misbehaving one is told from the others."""
import json
import shutil
import subprocess

import pytest

from gateway_process import BINARY, TOP
from raw_peer import BINARY as OCTETS
from raw_peer import RawPeer, frame

FIXTURES = TOP / "Tests/Fixtures/misuse"
HEADER = TOP / "Sources/CGatewayABI/include"
BUILT = BINARY.parent

# fixture: (title of the finding, what it says)
MISTAKES = {
    "bad_close": ("bad close", "1006"),
    "blocks": ("slow callback", "message() took 2"),
    "crashes": ("binary", "in message of route /trial"),
    "hangs": ("text", "nothing came for"),
    "keeps_payload": ("kept payload", "send()"),
    "leaks": ("1,000 come and go", "bytes of memory behind"),
    "never_replies": ("plain HTTP", "504"),
    "bytes_as_text": ("text that is none", "not UTF-8"),
    "refuses_move": ("reload", "16 of 16 connections could not move"),
    "second_reply": ("second reply", "reply()"),
    "sends_after_close": ("send after close", "message() called send()"),
    "stale_sink": ("stale sink", "sink_write()"),
    "stop_crashes": ("reload", "stop"),
    "wrong_thread": ("wrong thread", "conn_state()"),
}


def trial(*words):
    return subprocess.run([BINARY, "test", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True)


def compiled(name, folder):
    module = folder / f"{name}.so"
    subprocess.run([shutil.which("cc") or "clang", "-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-pthread",
                    "-I", HEADER, FIXTURES / f"{name}.c", "-o", module], check=True, stdin=subprocess.DEVNULL)
    return module


def test_there_is_a_case_for_every_fixture():
    assert {path.stem for path in FIXTURES.glob("*.c")} == set(MISTAKES)


@pytest.mark.parametrize("module", ["echo", "chat", "chat-functional", "chat-fleck"])
def test_good_handlers_pass(module):
    done = trial(BUILT / f"lib{module}.so")
    assert done.returncode == 0, done.stdout
    assert "WRONG" not in done.stdout and done.stderr == ""


@pytest.mark.parametrize("module", ["echo", "chat-functional"])
@pytest.mark.parametrize("options, agreed", [
    (["--tls"], "TLSv1.3, TLS_AES_128_GCM_SHA256"), (["--deflate"], "permessage-deflate"),
    (["--tls", "--deflate"], "TLSv1.3, TLS_AES_128_GCM_SHA256; permessage-deflate")])
def test_good_handlers_pass_over_tls_and_with_compression(module, options, agreed):
    done = trial(BUILT / f"lib{module}.so", *options, "--json")
    assert done.returncode == 0, done.stdout
    details = {each["title"]: each["detail"] for each in json.loads(done.stdout)["findings"]}
    assert details["lets clients in"] == agreed


@pytest.mark.parametrize("name", ["keeps_payload", "crashes", "hangs", "bad_close"])
def test_a_mistake_is_told_over_tls_and_with_compression(name, tmp_path):
    report = json.loads(trial(compiled(name, tmp_path), "--tls", "--deflate", "--json").stdout)
    wrong = {each["title"]: each["detail"] for each in report["findings"] if each["verdict"] == "wrong"}
    title, words = MISTAKES[name]
    assert words in wrong.get(title, ""), wrong


def test_why_connections_stay_is_told():
    report = json.loads(trial(BUILT / "libchat-fleck.so", "--json").stdout)
    said = {each["title"]: (each["verdict"], each["detail"]) for each in report["findings"]}
    reason = "no GW_HF_STATELESS, and no save_conn and restore_conn"
    assert said["reload"] == ("note", f"connections stay with the old generation: {reason}")
    report = json.loads(trial(BUILT / "libecho.so", "--json").stdout)
    assert {each["title"]: each["detail"] for each in report["findings"]}["reload"] == "16 connections moved"


@pytest.mark.parametrize("name", sorted(MISTAKES))
def test_a_mistake_is_told(name, tmp_path):
    done = trial(compiled(name, tmp_path), "--json")
    report = json.loads(done.stdout)
    wrong = {each["title"]: each["detail"] for each in report["findings"] if each["verdict"] == "wrong"}
    title, sentence = MISTAKES[name]
    assert done.returncode == 1 and not report["passed"]
    assert sentence in wrong[title], wrong
    # Of the mistake and nothing else; a refused reload shows twice, and whoever waits for a thread may wait long.
    assert set(wrong) - {title} <= {"reload": {"reload again"}, "wrong thread": {"slow callback"}}.get(title, set()), wrong
    assert not list(tmp_path.glob("gateway-*"))


def test_route_and_settings_reach_the_handler():
    done = trial(BUILT / "libchat.so", "--route", "/rooms/:room", "--set", "history=2")
    assert done.returncode == 0, done.stdout
    done = trial(BUILT / "libchat.so", "--set", "history=many")
    assert done.returncode == 1 and "history" in done.stdout, done.stdout


@pytest.mark.parametrize(
    "words, status, sentence",
    [
        (["nowhere.so"], 1, "cannot read nowhere.so"),
        ([], 2, "needs FILE.so"),
        (["a.so", "--set", "novalue"], 2, "KEY=VALUE"),
        (["a.so", "--route", "rooms"], 2, "does not begin"),
    ])
def test_is_refused(words, status, sentence):
    done = trial(*words)
    assert done.returncode == status
    assert sentence in done.stdout + done.stderr


def test_a_file_that_is_no_module(tmp_path):
    (tmp_path / "text.so").write_text("no module")
    done = trial(tmp_path / "text.so")
    assert done.returncode == 1 and "WRONG  starts" in done.stdout


def served(make_gateway, tmp_path, main):
    running = make_gateway(main=main, routes="route /keeps { handler keeps_payload; }")
    shutil.copy(compiled("keeps_payload", tmp_path), running.plugins)
    return running.start()


def test_what_was_lent_is_overwritten_in_development(make_gateway, tmp_path):
    running = served(make_gateway, tmp_path, "mode development; console off; threads 1;")
    with RawPeer(running, "/keeps").opened() as peer:
        # Both come with one read: what is overwritten behind the first must not be the second.
        peer.send(frame(OCTETS, b"first message") + frame(OCTETS, b"second one"))
        peer.send(frame(OCTETS, b"x" * 100_000))
        assert peer.read_frame() == (OCTETS, True, b"\xdb" * len("first message"))
        assert peer.read_frame() == (OCTETS, True, b"\xdb" * len("second one"))
    found = running.wait_for(r'handler "keeps_payload" was caught at a mistake \(kept payload\)')
    assert found


def test_nobody_is_watched_in_production(make_gateway, tmp_path):
    running = served(make_gateway, tmp_path, "threads 1;")
    with RawPeer(running, "/keeps").opened() as peer:
        peer.send(frame(OCTETS, b"first message") + frame(OCTETS, b"second one"))
        assert peer.read_frame()[0] == OCTETS
    assert "mistake" not in running.log()

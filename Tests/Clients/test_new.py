"""`gateway new`: what it writes builds with one command anywhere, passes its own test, and serves."""
import filecmp
import re
import shutil
import subprocess

import pytest

from gateway_process import BINARY
from raw_peer import TEXT, RawPeer, frame

LANGUAGES = {"c": "handler.c", "cpp": "handler.cpp", "rust": "src/lib.rs", "swift": "Sources/Handler.swift"}
TOOLS = {"c": "cc", "cpp": "c++", "rust": "cargo", "swift": "swift"}
FLAVOURS = ["functional", "imperative", "fleck"]  # reactive is the standard


def gateway_new(*words, cwd):
    return subprocess.run([BINARY, "new", *words], cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True)


def make(project, *words):
    """One command, with nothing of this repository within reach but the gateway."""
    done = subprocess.run(["make", f"GATEWAY={BINARY}", *words], cwd=project, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    assert "warning" not in done.stdout, done.stdout
    return done.stdout


def written(folder, language, *words):
    if not shutil.which(TOOLS[language]):
        pytest.skip(f"no {TOOLS[language]} here")
    name = f"my-{language}"
    done = gateway_new(name, "--language", language, *words, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert f"make -C {name} test" in done.stdout
    for line in done.stdout.splitlines()[1:]:
        if line.startswith("  "):
            assert (folder / name / line.split()[0]).exists(), line
    return folder / name


@pytest.fixture(scope="module")
def swift_project(tmp_path_factory):
    """A project in Swift; its kit is compiled once for all flavours."""
    return written(tmp_path_factory.mktemp("swift"), "swift")


def served(make_gateway, project):
    """A gateway that serves the module of the project, as a user would map it."""
    name = project.name
    running = make_gateway(routes=f"route /{name} {{ handler {name}; }}")
    shutil.copy(project / f"{name}.so", running.plugins)
    return running.start()


def said(peer, text):
    peer.send(frame(TEXT, text))
    opcode, _, payload = peer.read_frame()
    assert opcode == TEXT
    return payload


def rebuilt(project, source, running):
    """A newer build that answers otherwise, dropped in while clients are connected."""
    text = (project / source).read_text()
    changed = re.sub(r'": "|(?<=\\\(count\)): |(?<=%llu): |(?<=\{\}): ', lambda found: found[0].replace(": ", " - "), text)
    assert changed != text
    (project / source).write_text(changed)
    make(project)
    shutil.copy(project / f"{project.name}.so", running.plugins)


def check(make_gateway, project, source, hands_over=True):
    make(project, "test")
    running = served(make_gateway, project)
    path = f"/{project.name}"
    with RawPeer(running, path).opened() as peer:
        assert said(peer, b"Hi") == b"1: Hi"
        rebuilt(project, source, running)
        running.wait_for(rf"generation 2 is serving, {int(hands_over)} connections? moved")
        # Who was connected goes on counting: with the new build, or where nothing is handed over, with the old one.
        assert said(peer, b"Ho") == (b"2 - Ho" if hands_over else b"2: Ho")
        with RawPeer(running, path).opened() as other:
            assert said(other, b"Hi") == b"1 - Hi"


@pytest.mark.parametrize("language", ["c", "cpp", "rust"])
def test_a_new_handler(language, tmp_path, make_gateway):
    check(make_gateway, written(tmp_path, language), LANGUAGES[language])


def test_a_new_handler_in_swift(swift_project, make_gateway):
    check(make_gateway, swift_project, LANGUAGES["swift"])


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_other_flavours(flavour, swift_project, tmp_path, make_gateway):
    other = written(tmp_path, "swift", "--flavour", flavour)
    # Only the handler itself differs, so it can be built where the kit is compiled already.
    same, differ = [], []
    for path in sorted(other.rglob("*")):
        if path.is_file():
            name = path.relative_to(other)
            (same if filecmp.cmp(path, swift_project / name, shallow=False) else differ).append(str(name))
    assert differ == [LANGUAGES["swift"]] and len(same) > 10
    shutil.copy(other / LANGUAGES["swift"], swift_project / LANGUAGES["swift"])
    check(make_gateway, swift_project, LANGUAGES["swift"], hands_over=flavour == "functional")


@pytest.mark.parametrize(
    "words, status, sentence",
    [
        (["hello", "--language", "perl"], 2, "there are swift, c, cpp, rust"),
        (["hello", "--language", "rusty"], 2, 'did you mean "rust"'),
        (["hello", "--flavour", "vanilla"], 2, "there are reactive"),
        (["hello", "--language", "c", "--flavour", "fleck"], 2, "flavours are for Swift"),
        (["Hello"], 2, "lower-case"),
        (["../hello"], 2, "lower-case"),
        (["a/b"], 2, "nothing else"),
        (["test"], 2, "compiler"),
        ([], 2, "needs NAME"),
        (["hello", "there"], 2, "unexpected"),
        (["hello", "--language"], 2, "needs a value"),
        (["hello", "--langauge", "c"], 2, 'did you mean "--language"'),
        (["hello", "--into", "nowhere"], 1, "no folder nowhere"),
    ])
def test_is_refused(words, status, sentence, tmp_path):
    done = gateway_new(*words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (status, "")
    assert sentence in done.stderr
    assert not list(tmp_path.iterdir())


def test_never_overwrites(tmp_path):
    (tmp_path / "there").mkdir()
    for name, what in (("hello", "a file"), ("hullo", None)):
        place = tmp_path / "there" / name
        if what:
            place.write_text(what)
        else:
            place.mkdir()
        done = gateway_new(name, "--into", "there", cwd=tmp_path)
        assert done.returncode == 1 and "is there already" in done.stderr
    assert (tmp_path / "there/hello").read_text() == "a file"
    assert not list((tmp_path / "there/hullo").iterdir())

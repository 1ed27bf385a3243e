"""What the README shows compiles and does what it says."""
import re
import shutil
import subprocess

from gateway_process import BINARY, TOP
from kit import HEADER
from raw_peer import TEXT, RawPeer, frame
from swift_module import build_module, needs_kit

README = (TOP / "README.md").read_text()


def listing(language, word):
    """The one listing of that language that has the word in it."""
    found = [text for text in re.findall(rf"^```{language}\n(.*?)^```$", README, re.M | re.S) if word in text]
    assert len(found) == 1
    return found[0]


def run(*command):
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def said(running, path, text):
    with RawPeer(running, path).opened() as peer:
        peer.send(frame(TEXT, text))
        return peer.read_frame()[2]


def test_the_handler_in_c(make_gateway):
    source = listing("c", "gw_handler_entry_v1")
    assert len(source.splitlines()) <= 20
    running = make_gateway(routes=listing("nginx", "route /shout").splitlines()[0])
    (running.folder / "shout.c").write_text(source)
    run(shutil.which("cc") or "clang", "-shared", "-fPIC", "-I", HEADER, running.folder / "shout.c", "-o",
        running.plugins / "shout.so")
    running.start()
    assert said(running, "/shout", "Grüße".encode()) == "GRüßE".encode()
    with RawPeer(running, "/shout").opened() as peer:
        (running.folder / "shout.c").write_text(source.replace("c - 'a' + 'A'", "'?'"))
        # Beside it and then over it: the gateway must not see half a file.
        run(shutil.which("cc") or "clang", "-shared", "-fPIC", "-I", HEADER, running.folder / "shout.c", "-o",
            running.folder / "shout.so")
        (running.folder / "shout.so").rename(running.plugins / "shout.so")
        running.wait_for("generation 2 is serving, 1 connection moved")
        peer.send(frame(TEXT, b"abc"))
        assert peer.read_frame()[2] == b"???"


def test_a_handler_to_begin_with(tmp_path):
    """All but serving it, on the port that the page has: test_new.py does that, and replaces it."""
    block, = re.findall(r"^## Write, drop, reload\n\n```sh\n(.*?)^```$", README, re.M | re.S)
    *lines, last = block.splitlines()
    assert last.startswith("make -C hello run ")
    folder = tmp_path / ".build"
    folder.mkdir()
    (folder / "release").symlink_to(BINARY.parent)
    run("env", f"--chdir={tmp_path}", "bash", "-e", "-c", "\n".join([*lines, f'mv hello "{tmp_path}"']))
    assert '"%llu: "' in (tmp_path / "hello/handler.c").read_text() and (tmp_path / "hello/hello.so").exists()


@needs_kit
def test_the_handler_in_swift(make_gateway):
    source = listing("swift", "gw_handler_entry_v1")
    assert len(source.splitlines()) <= 20
    running = make_gateway(routes=listing("nginx", "route /hello").splitlines()[1])
    build_module(running, "hello", source)
    running.start()
    assert said(running, "/hello", b"Hi") == b"Hi, stranger!"
    with RawPeer(running, "/hello?name=Ada").opened() as peer:
        peer.send(frame(TEXT, b"Good morning"))
        assert peer.read_frame()[2] == b"Good morning, Ada!"
        # "Build it again, that is all": whoever is connected keeps the name.
        build_module(running, "hello", source.replace("(name)!", "(name)."))
        running.wait_for(r"generation 2 is serving, 1 connection moved")
        peer.send(frame(TEXT, b"Good night"))
        assert peer.read_frame()[2] == b"Good night, Ada."


@needs_kit
def test_a_package_of_handlers(tmp_path):
    sources = tmp_path / "Sources/hello"
    sources.mkdir(parents=True)
    (sources / "Hello.swift").write_text(listing("swift", "gw_handler_entry_v1"))
    manifest = listing("swift", "import PackageDescription")
    assert manifest.count('"../gateway"') == 1
    (tmp_path / "Package.swift").write_text(manifest.replace("../gateway", str(TOP)))
    run("swift", "build", "--package-path", tmp_path)
    run(BINARY, "test", tmp_path / ".build/debug/libhello.so")


def test_every_link_leads_somewhere():
    for link in re.findall(r"\]\((?!http)([^)]+)\)", README) + re.findall(r'src(?:set)?="([^"]+)"', README):
        if link.startswith("#"):
            assert re.search(rf"^## {link[1:].replace('-', ' ')}$", README, re.M | re.I), link
        else:
            assert (TOP / link).exists(), link


def test_the_map_names_every_target():
    text = README[README.index("## The map of the house"):]
    for folder in (TOP / "Sources").iterdir():
        assert re.search(rf"\b{folder.name}\b", text), folder.name

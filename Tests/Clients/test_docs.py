"""The pages of the Swift kit: docc has no warning for them, and what they show compiles and does what it says."""
import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway_process import BINARY, TOP
from raw_peer import TEXT, RawPeer, frame
from swift_module import BUILT, build_module, needs_kit, swiftc

CATALOGUE = TOP / "Sources/GatewayHandler/GatewayHandler.docc"
PAGES = {page.stem: page.read_text() for page in sorted(CATALOGUE.glob("*.md"))}
ENTRY = "gw_handler_entry_v1"
STRICT = ["-strict-memory-safety", "-enable-upcoming-feature", "ExistentialAny", "-enable-upcoming-feature",
          "MemberImportVisibility"]

# What clients of the whole files say, and what they hear.
TALKS = {
    "GatewayHandler": [(b"Hi", b"Hi, stranger!")],
    "MethodPerEvent": [(b"hello", b"HELLO!")],
    "ClosurePerEvent": [(b"", b"message 1"), (b"", b"message 2")],
    "FleckStyle": [(b"hello", b"Echo: hello")],
    "Tutorial": [(b"Hi", b"somebody: Hi")],
    "LoopPerConnection": [(None, b"Your name?"), (b"Ada", b"Hello Ada!"), (b"more", b"more")],
}


def listings():
    """Every listing in Swift with its page and number."""
    for page, text in PAGES.items():
        for number, source in enumerate(re.findall(r"^```swift\n(.*?)^```$", text, re.M | re.S), 1):
            yield page, number, source


def samples():
    """Every listing in the doc comments of the kit that is more than a line or a method, with its file."""
    for kit in ("GatewayHandler", "GatewayHandlerJSON"):
        for file in sorted((TOP / "Sources" / kit).glob("*.swift")):
            for block in re.findall(r"(?:^///(?:     .*)?\n)+", file.read_text(), re.M):
                source = re.sub(r"^///(?:     )?", "", block, flags=re.M).strip("\n")
                if re.match(r"import|@c|final class|struct", source):
                    yield file.stem, source + "\n"


def test_no_page_is_without_listing_and_no_file_without_talk():
    without = {"ComingFrom", "CommandLine", "Console", "Install", "LifeCycle", "Upgrading", "Isolation", "Monitoring", "Tracing", "Directives",
               "Runbook", "Changelog", "Operating", "Contributing", "HTTP2"}
    assert {page for page, _, _ in listings()} == set(PAGES) - without
    assert {page for page, _, source in listings() if ENTRY in source} == set(TALKS)


def test_the_page_of_directives_is_what_the_gateway_says():
    done = subprocess.run([TOP / ".ci/directives", "--check"], capture_output=True, text=True,
                          env={**os.environ, "GATEWAY": str(BINARY)})
    assert (done.returncode, done.stdout) == (0, "")
    assert re.findall(r"^#### (max_message|route|certificate|threshold)$", PAGES["Directives"], re.M)


def test_the_front_page_names_every_type():
    declared = set()
    for file in CATALOGUE.parent.glob("*.swift"):
        declared |= set(re.findall(r"^public (?:final )?(?:struct|class|enum|protocol|func) ([A-Za-z]\w*)",
                                   file.read_text(), re.M))
    named = set(re.findall(r"^- ``(\w+)", PAGES["GatewayHandler"], re.M))
    assert declared == named


@needs_kit
def test_every_listing_compiles(tmp_path):
    files = []
    for page, number, source in listings():
        if ENTRY not in source:
            files.append(tmp_path / f"{page}{number}.swift")
            files[-1].write_text("import GatewayHandler\n" + source)
    for place, source in samples():
        files.append(tmp_path / f"Sample{place}.swift")
        # Several have a class of the same name.
        begin, entry, end = source.removeprefix("import GatewayHandler\n").partition("@c @implementation\npublic func ")
        text = f"enum Sample{place} {{\n{begin}{'static func ' if entry else ''}{end}}}\n"
        files[-1].write_text("import GatewayHandler\nimport GatewayHandlerJSON\nimport Synchronization\n" + text)
    assert sum("Sample" in file.stem for file in files) >= 8
    swiftc("-typecheck", *STRICT, "-parse-as-library", "-module-name", "Listings", *files)


@needs_kit
def test_every_whole_file_serves(make_gateway):
    running = make_gateway(routes="\n".join(f"route /{page} {{ handler page_{page}; }}" for page in TALKS))
    files = [(f"page_{page}", source) for page, _, source in listings() if ENTRY in source]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda each: build_module(running, *each), files))
    running.start()
    for page, talk in TALKS.items():
        with RawPeer(running, f"/{page}").opened() as peer:
            for said, heard in talk:
                if said is not None:
                    peer.send(frame(TEXT, said))
                assert peer.read_frame()[2] == heard, page


@needs_kit
@pytest.mark.skipif(not shutil.which("swift"), reason="no toolchain here")
@pytest.mark.skipif(BUILT != (TOP / ".build/release").resolve(), reason="$GATEWAY is of another place")
def test_docc_has_nothing_to_say_against_them(tmp_path):
    done = subprocess.run([TOP / ".ci/docs", tmp_path / "pages"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0 and "warning" not in done.stdout, done.stdout
    for page in PAGES:
        name = "" if page == "GatewayHandler" else f"/{page.lower()}"
        assert (tmp_path / f"pages/documentation/gatewayhandler{name}/index.html").exists(), page
    assert {file.name for file in (tmp_path / "pages/images").rglob("*.png")} == {
        file.name for file in (CATALOGUE / "Resources").iterdir()}


@needs_kit
@pytest.mark.skipif(not shutil.which("swift"), reason="no toolchain here")
@pytest.mark.skipif(BUILT != (TOP / ".build/release").resolve(), reason="$GATEWAY is of another place")
@pytest.mark.parametrize("wrong", ["<doc:Nowhere>", "``Nothing``", "![A picture](nowhere)"])
def test_docc_finds_links_that_lead_nowhere(tmp_path, wrong):
    """In a copy of the tree, as far as `.ci/docs` needs one."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(TOP / ".ci/docs", tmp_path / ".ci")
    shutil.copytree(TOP / "Sources/CGatewayABI", tmp_path / "Sources/CGatewayABI")
    copied = shutil.copytree(CATALOGUE, tmp_path / "Sources/GatewayHandler/GatewayHandler.docc")
    (tmp_path / ".build").mkdir()
    (tmp_path / ".build/release").symlink_to(BUILT)
    page = copied / "Operating.md"
    page.write_text(page.read_text() + f"\n{wrong}\n")
    done = subprocess.run([tmp_path / ".ci/docs", tmp_path / "pages"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    assert done.returncode != 0 and "Operating.md" in done.stdout, done.stdout


def test_every_page_is_in_a_group_of_the_front_page():
    assert set(re.findall(r"^- <doc:(\w+)>$", PAGES["GatewayHandler"], re.M)) == set(PAGES) - {"GatewayHandler"}

"""The example of gw_handler.h does what it says there, and handlers compiled against the header of 1.1 go on working."""
import re
import shutil
import subprocess
from pathlib import Path

from raw_peer import TEXT, RawPeer, frame
from kit import HEADER

CC = shutil.which("cc") or "clang"
STRICT = ["-std=c11", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror"]
NEW = (HEADER / "gw_handler.h").read_text()
# As it was when handlers were compiled against it: never to be changed.
OLD = (Path(__file__).parent / "gw_handler-1.1.h").read_text()
ASSERTS = (HEADER.parent / "abi.c").read_text()


def example(header):
    """The listing behind the words AN EXAMPLE, without its stars."""
    block = header[header.index("AN EXAMPLE ") if header is OLD else header.index("AN EXAMPLE: "):]
    lines = [line[2:].removeprefix("   ") for line in block.splitlines()[1:] if line.startswith(" *")]
    first = next(n for n, line in enumerate(lines) if line.startswith("#include"))
    last = next(n for n, line in enumerate(lines) if "gw_handler_entry_v1(const gw_host *h)" in line)
    return "\n".join(lines[first:last + 1]) + "\n"


def build(running, name, text, include=HEADER):
    source = running.folder / f"{name}.c"
    source.write_text(text)
    fresh = running.folder / f"{name}.so"
    subprocess.run([CC, *STRICT, "-shared", "-fPIC", "-fvisibility=hidden", "-I", include, source, "-o", fresh],
                   check=True, stdin=subprocess.DEVNULL)
    fresh.rename(running.plugins / f"{name}.so")


def old_include(folder):
    """A folder that has the old header, and nothing else."""
    include = folder / "old"
    include.mkdir(exist_ok=True)
    (include / "gw_handler.h").write_text(OLD)
    return include


def said(peer):
    peer.send(frame(TEXT, b"count"))
    return peer.read_frame()[2]


def test_the_example_is_an_echo(make_gateway):
    running = make_gateway(routes="route /echo { handler echo; }")
    build(running, "echo", example(NEW))
    running.start()
    with RawPeer(running, "/echo").opened() as peer:
        assert said(peer) == b"count"


def test_a_handler_compiled_with_the_old_header_hands_over_to_one_with_the_new(make_gateway):
    running = make_gateway(routes="route /counter { handler counter; }")
    build(running, "counter", example(OLD), old_include(running.folder))
    running.start()
    with RawPeer(running, "/counter").opened() as one, RawPeer(running, "/counter").opened() as other:
        assert [said(one), said(one), said(other)] == [b"1 of 1", b"2 of 2", b"1 of 3"]
        # Sources written for the old header compile with the new one.
        build(running, "counter", example(OLD).replace(" of %llu", " out of %llu"))
        running.wait_for("generation 2 is serving, 2 connections moved")
        assert [said(one), said(other)] == [b"3 out of 4", b"2 out of 5"]
        build(running, "counter", example(OLD).replace(" of %llu", " in %llu"), old_include(running.folder))
        running.wait_for("generation 3 is serving, 2 connections moved")
        assert [said(one), said(other)] == [b"4 in 6", b"3 in 7"]


def body(struct):
    """What the old header has between the braces of a struct."""
    return re.search(rf"struct {struct}\s*\{{(.*?)\n?\s*\}}", OLD, re.S)[1]


def test_what_the_old_header_had_is_where_it_was(tmp_path):
    kept = [(struct, field) for struct, field in re.findall(r"^AT\((\w+), (\w+), \d+\);", ASSERTS, re.M)
            if re.search(rf"^\s+[\w *]+\(\*{field}\)|\b{field}(\[\d+\])?[;,]", body(struct), re.M)]
    assert len(kept) > 150 and ("gw_host", "release") not in kept
    enums = re.findall(r"^enum \{(.*?)\}", re.sub(r"/\*.*?\*/", "", OLD, flags=re.S), re.M | re.S)
    names = [name for block in enums for name in re.findall(r"\bGW_\w+", block)]
    assert len(names) == 48
    checks = [f"_Static_assert(offsetof(old_{struct}, {field}) == offsetof({struct}, {field}) && "
              f"sizeof(((old_{struct} *)0)->{field}) == sizeof((({struct} *)0)->{field}), \"{struct}.{field}\");"
              for struct, field in kept]
    checks += [f"_Static_assert(sizeof(old_{struct}) <= sizeof({struct}), \"{struct}\");"
               for struct in sorted({struct for struct, _ in kept})]
    checks += [f"_Static_assert((int)OLD_{name} == (int){name}, \"{name}\");" for name in names]
    (tmp_path / "old.h").write_text(OLD.replace("gw_", "old_gw_").replace("GW_", "OLD_GW_"))
    (tmp_path / "layout.c").write_text("#include \"old.h\"\n#include \"gw_extensions.h\"\n" + "\n".join(checks) + "\n")
    subprocess.run([CC, *STRICT, "-fsyntax-only", "-I", HEADER, tmp_path / "layout.c"], check=True,
                   stdin=subprocess.DEVNULL)

"""Handlers that are deployed by links: flips are seen, refusals say why, and no namesake steps in."""
import os

import pytest

from raw_peer import TEXT, RawPeer, frame
from test_control import ask, status
from test_handlers import SHOUT, compile_handler

ROUTES = "route /shout { handler shout; }"


def said(running, text=b"ab"):
    with RawPeer(running, "/shout").opened() as peer:
        peer.send(frame(TEXT, text))
        return peer.read_frame()[2]


def release(running, number, old="", new=""):
    """Builds a release of the handler in a folder of its own."""
    folder = running.folder / "releases" / str(number)
    folder.mkdir(parents=True)
    source = running.folder / f"shout{number}.c"
    source.write_text(SHOUT.read_text().replace(old, new) if old else SHOUT.read_text())
    compile_handler(running, "shout", source)
    (running.plugins / "shout.so").rename(folder / "shout.so")


def flip(link, target):
    """What `ln -sfn` does."""
    fresh = link.with_name("fresh link")
    fresh.symlink_to(target)
    fresh.rename(link)


def deployed(make_gateway, plugins):
    running = make_gateway(routes=ROUTES)
    text = running.file.read_text()
    running.file.write_text(text.replace("plugins ./Plugins;", f"plugins {plugins} {{ settle 50ms; }}"))
    release(running, 1)
    release(running, 2, "c - 'a' + 'A'", "'?'")
    return running


@pytest.mark.parametrize("plugins, link, first, second", [
    ("current", "current", "releases/1", "releases/2"),
    ("live/1", "live", "releases", "later"),
], ids=["the folder itself", "a folder above"])
def test_a_flipped_folder_is_reloaded(make_gateway, plugins, link, first, second):
    running = deployed(make_gateway, f"./{plugins}")
    (running.folder / "later").mkdir()
    (running.folder / "later" / "1").symlink_to("../releases/2")
    flip(running.folder / link, first)
    running.start()
    assert said(running) == b"AB"
    flip(running.folder / link, second)
    running.wait_for("generation 2 is serving")
    assert said(running) == b"??"


def test_reload_looks_where_the_link_leads_now(make_gateway):
    running = deployed(make_gateway, "./current")
    text = running.file.read_text()
    running.file.write_text(text.replace("settle 50ms", "watch off"))
    flip(running.folder / "current", "releases/1")
    running.start()
    flip(running.folder / "current", "releases/2")
    assert ask(running, "reload", "shout").returncode == 0
    assert said(running) == b"??"


def test_a_module_may_be_a_link_to_another_folder(make_gateway):
    running = deployed(make_gateway, "./Plugins")
    flip(running.plugins / "shout.so", "../releases/1/shout.so")
    running.start()
    assert said(running) == b"AB"
    flip(running.plugins / "shout.so", "../releases/2/shout.so")
    running.wait_for("generation 2 is serving")
    assert said(running) == b"??"


def test_a_refused_file_is_not_gone(make_gateway):
    running = deployed(make_gateway, "./Plugins")
    flip(running.plugins / "shout.so", "../releases/1/shout.so")
    running.start()
    os.chmod(running.folder / "releases/2/shout.so", 0o666)
    flip(running.plugins / "shout.so", "../releases/2/shout.so")
    running.wait_for(r"its module cannot be trusted: it can be written by every user \(mode 0666\)")
    assert "is gone" not in running.log()
    assert said(running) == b"AB"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a link away")
def test_a_link_of_somebody_else_is_refused(make_gateway):
    running = deployed(make_gateway, "./current")
    flip(running.folder / "current", "releases/1")
    running.start()
    fresh = running.folder / "fresh"
    fresh.symlink_to("releases/2")
    os.lchown(fresh, 65534, 65534)
    fresh.rename(running.folder / "current")
    running.wait_for(r"the link \S+/current belongs to user 65534")
    refused = ask(running, "reload", "shout")
    assert (refused.returncode, said(running)) == (75, b"AB")


def test_a_removed_file_is_not_replaced_by_a_namesake_beside_the_program(make_gateway):
    running = make_gateway(routes="route /echo { handler echo; }")
    compile_handler(running, "echo")
    running.start()
    source = status(running)["handlers"][0]["generations"][0]["digest"]
    (running.plugins / "echo.so").unlink()
    running.wait_for("its file is gone; generation 1 goes on serving")
    refused = ask(running, "reload", "echo")
    assert refused.returncode == 75 and "its file is gone" in refused.stdout
    live, = status(running)["handlers"][0]["generations"]
    assert (live["generation"], live["digest"]) == (1, source)

"""Handlers in Swift that tests bring along, for the kit as the release build left it beside the gateway."""
import pytest

import kit
from gateway_process import BINARY

BUILT = BINARY.parent

needs_kit = pytest.mark.skipif(not kit.is_beside(BUILT), reason="the kit was not built beside $GATEWAY")


def swiftc(*words):
    kit.swiftc(BUILT, "-warnings-as-errors", *words)


def build_module(running, name, source):
    """Makes lib<name>.so of one file, where the gateway looks for it."""
    file = running.folder / f"{name}.swift"
    file.write_text(source)
    kit.module(BUILT, name, file, running.plugins / f"lib{name}.so", "-warnings-as-errors")

"""Compiles Swift against the kit as the release build left it beside the gateway."""
import subprocess

import pytest

from gateway_process import BINARY, TOP

BUILT = BINARY.parent
HEADER = TOP / "Sources/CGatewayABI/include"
KIT = ["-I", BUILT / "Modules", "-I", HEADER, "-Xcc", f"-fmodule-map-file={BUILT}/CGatewayABI.build/module.modulemap"]
LANGUAGE = ["-swift-version", "6", "-warnings-as-errors"]

needs_kit = pytest.mark.skipif(not (BUILT / "GatewayHandler.build").is_dir(),
                               reason="the kit was not built beside $GATEWAY")


def swiftc(*words):
    done = subprocess.run(["swiftc", *LANGUAGE, *KIT, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout


def build_module(running, name, source):
    """Makes lib<name>.so of one file, where the gateway looks for it."""
    file = running.folder / f"{name}.swift"
    file.write_text(source)
    objects = [each for part in ("GatewayHandler", "CGatewayABI") for each in (BUILT / f"{part}.build").glob("*.o")]
    swiftc("-module-name", name, "-emit-library", file, *objects, "-o", running.plugins / f"lib{name}.so")

"""Compiles Swift against the kit as a build of the gateway left it beside it."""
import subprocess
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[2] / "Sources"
HEADER = SOURCES / "CGatewayABI/include"
# As in Package.swift, `fast`.
FAST = ["-O", "-wmo", "-cross-module-optimization", "-Xllvm", "-cmo-function-size-limit=1000"]


def is_beside(built):
    return (built / "GatewayHandler.build").is_dir()


def swiftc(built, *words):
    """Runs the compiler with the kit of a folder of builds; what it says is the exception."""
    command = ["swiftc", "-swift-version", "6", "-I", built / "Modules", "-I", HEADER,
               "-Xcc", f"-fmodule-map-file={built}/CGatewayABI.build/module.modulemap", *words]
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stdout)


def module(built, name, source, target, *options):
    """Makes a handler of one file, and answers where it is."""
    objects = [each for part in ("GatewayHandler", "CGatewayABI") for each in (built / f"{part}.build").glob("*.o")
               # Objects of sources that are gone stay in the folder.
               if not each.name.endswith(".swift.o") or (SOURCES / part / each.stem).exists()]
    swiftc(built, "-module-name", name, "-parse-as-library", "-emit-library", *options, source, *objects, "-o", target)
    return target

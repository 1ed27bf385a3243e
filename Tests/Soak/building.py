"""Builds what the soak runs: the handlers, each in several builds, and for a sanitizer also the gateway."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

import kit
import mortals
from kit import HEADER

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
BUILDS = ("1", "2", "3")
C_HANDLERS = ("plain", "pieces", "busy")


def run(words, **more):
    done = subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, **more)
    if done.returncode != 0:
        sys.exit(f"soak: {' '.join(str(word) for word in words)}\n{done.stdout}")
    return done.stdout


def c_compiler():
    """The toolchain's own, whose sanitizers are those of the gateway."""
    swift = shutil.which("swiftc")
    beside = Path(os.path.realpath(swift)).with_name("clang") if swift else None
    found = beside if beside and beside.exists() else shutil.which("clang") or shutil.which("cc")
    return found or sys.exit("soak: neither clang nor cc is in PATH; the handlers are built with one of them")


def gateway(given, sanitize):
    """The gateway to run: the one that was given, the release build, or a debug build with a sanitizer."""
    if given:
        return Path(given).resolve()
    if not sanitize:
        return TOP / ".build/release/gateway"
    scratch = TOP / f".build/soak-{sanitize}"
    print(f"soak: building the gateway with --sanitize={sanitize} in {scratch}", flush=True)
    words = ["swift", "build", "--package-path", TOP, "--scratch-path", scratch, f"--sanitize={sanitize}",
             # The handlers use the sanitizer of the gateway: two in one process know nothing of each other.
             "-Xlinker", "--export-dynamic"]
    run([*words, "--product", "gateway"])
    run([*words, "--target", "GatewayHandler"])
    return scratch / "debug/gateway"


def handlers(binary, folder, sanitize):
    """Every build of every handler: {name: [file, ...]}."""
    folder.mkdir(exist_ok=True)
    flags = ["-shared", "-fPIC", "-O1", "-g", "-pthread", "-std=gnu11", "-Wall", "-Werror", "-Wno-unused-function"]
    flags += [f"-fsanitize={sanitize}"] if sanitize else []
    made = {}
    for name in C_HANDLERS:
        made[name] = [folder / f"{name}-{build}.so" for build in BUILDS]
        for build, file in zip(BUILDS, made[name]):
            refuses = ["-DREFUSES"] if build == "3" else []
            run([c_compiler(), *flags, f'-DBUILD="{build}"', *refuses, "-I", HEADER, HERE / f"handlers/{name}.c", "-o", file])
    made.update(mortals.modules(made))
    made["looping"] = [folder / f"looping-{build}.so" for build in BUILDS[:2]]
    for build, file in zip(BUILDS, made["looping"]):
        swift_handler(binary.parent, build, file, sanitize)
    return made


def swift_handler(built, build, file, sanitize):
    """Compiled against the kit as the build of the gateway left it."""
    if not kit.is_beside(built):
        sys.exit(f"soak: {built} has no GatewayHandler.build: the handler in Swift needs the kit, built with the gateway")
    kit.module(built, f"looping{build}", HERE / "handlers/Looping.swift", file, "-O",
               *([f"-sanitize={sanitize}"] if sanitize else []))

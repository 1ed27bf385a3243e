"""Handlers in C that tests bring along: Tests/Clients/handlers, built into the folder of a gateway."""
from pathlib import Path

from kit import HEADER
from swarm import compile_c

HANDLERS = Path(__file__).parent / "handlers"


def build(gateway, name, *defines, under=None, put=True):
    """Builds handlers/NAME.c as NAME.so of the gateway; a file that is there is replaced as a whole."""
    fresh = gateway.folder / f"{under or name}.so.new"
    compile_c(fresh, HANDLERS / f"{name}.c", "-shared", "-fPIC", "-pthread", "-Wno-unused-parameter", f"-I{HEADER}",
              *[f"-D{define}" for define in defines])
    fresh.chmod(0o755)
    return fresh.rename(gateway.plugins / f"{under or name}.so") if put else fresh

"""One suite for each kind of engine. A third one is named by --engine FILE:CLASS, whose class is like those of engines.py
and has the path of its module in `module`; --engine nats or --engine redis runs that one alone."""
import importlib.util
import os
import sys
from pathlib import Path

import pytest

import backplane
import engines


def pytest_addoption(parser):
    parser.addoption("--engine", action="append", help="nats, redis, or FILE:CLASS of another kind; several are possible")


def kind(name):
    if name in engines.KNOWN:
        return engines.KNOWN[name]
    file, _, cls = name.rpartition(":")
    spec = importlib.util.spec_from_file_location(Path(file).stem, file)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return getattr(found, cls)


def module_of(cls):
    return str((Path(os.environ.get("BACKPLANES", engines.BUILT)) / cls.module).resolve())


def pytest_generate_tests(metafunc):
    names = metafunc.config.getoption("--engine") or list(engines.KNOWN)
    only = [name for name in names if name in getattr(metafunc.module, "KINDS", names)]
    kinds = [kind(name) for name in only]
    # Moments are those of a kind.
    for fixture, moments in (("at", "MOMENTS"), ("waiting", "WAITING")):
        if fixture in metafunc.fixturenames:
            pairs = [(one, moment) for one, name in zip(kinds, only) for moment in getattr(metafunc.module, moments)[name]]
            ids = [f"{one.scheme}-{moment}" for one, moment in pairs]
            metafunc.parametrize(["Kind", fixture], pairs, ids=ids, scope="module", indirect=["Kind"])
            return
    if "Kind" in metafunc.fixturenames:
        metafunc.parametrize("Kind", kinds, ids=only, scope="module", indirect=True)


@pytest.fixture(scope="module")
def Kind(request):
    path = Path(module_of(request.param))
    assert path.exists(), f"{path} is not there: build it, or name its folder in $BACKPLANES"
    return request.param


@pytest.fixture(scope="module")
def module(Kind):
    return module_of(Kind)


@pytest.fixture(scope="module")
def engine(Kind, tmp_path_factory):
    """An engine that nobody harms."""
    with Kind(tmp_path_factory.mktemp("engine")) as running:
        yield running


@pytest.fixture
def make_engine(Kind, tmp_path):
    made = []

    def make(**how):
        made.append(Kind(tmp_path / f"engine{len(made)}", **how))
        return made[-1]

    yield make
    for each in made:
        each.kill()


@pytest.fixture
def make_link(module):
    """Links that are closed, and must have kept to the contract."""
    made = []

    def make(urls, **how):
        made.append(backplane.Link(module, urls, **how))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def link(make_link, engine):
    return make_link(engine.url()).connected()


sys.path.insert(0, str(Path(__file__).parent))

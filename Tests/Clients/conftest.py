import pytest

from gateway_process import BINARY, Gateway


def pytest_sessionstart(session):
    if not BINARY.exists():
        pytest.exit(f"{BINARY} is not there: build the gateway first, or name it in $GATEWAY", returncode=2)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    """A gateway with the sample routes, shared by the tests of a file."""
    with Gateway(tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture
def make_gateway(tmp_path):
    """Starts gateways of the test's own making and stops what is left of them."""
    made = []

    def make(**how):
        folder = tmp_path / f"gateway{len(made)}"
        folder.mkdir()
        made.append(Gateway(folder, **how))
        return made[-1]

    yield make
    for each in made:
        each.stop()


@pytest.fixture
def isolated(make_gateway):
    """Makes gateways whose handlers run in processes of their own."""
    from isolation_rig import Isolated
    return lambda *words, **how: Isolated(make_gateway, *words, **how)


def pytest_configure(config):
    config.addinivalue_line("markers", "engine(kind): the only kind of engine that a test of several gateways is about")


def pytest_generate_tests(metafunc):
    if "rig" in metafunc.fixturenames:
        only = metafunc.definition.get_closest_marker("engine")
        metafunc.parametrize("rig", only.args if only else ["nats", "redis"], indirect=True)


@pytest.fixture
def rig(request, tmp_path):
    """Gateways that share topics; the parameter is the kind of their engine."""
    from cluster_rig import KNOWN, Rig
    with Rig(KNOWN[request.param], tmp_path) as made:
        yield made


@pytest.fixture
def wire():
    """A network of its own for somebody, and the wire to it."""
    from wire import Wire
    with Wire() as made:
        yield made

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

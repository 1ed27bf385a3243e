import os
import shutil

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from gateway_process import TOP, Gateway

ROUTES = """
route /echo         { handler echo; }
route /chat         { handler chat; }
route /rooms/:room  { handler chat; }
route /broken       { handler nowhere; }
"""
SCREENSHOTS = TOP / ".build/screenshots"


@pytest.fixture(scope="session")
def gateway(tmp_path_factory):
    with Gateway(tmp_path_factory.mktemp("browser"), main="console /;", routes=ROUTES) as running:
        yield running


@pytest.fixture(scope="session")
def start_chromium():
    """Starts headless browsers, with more in their environment where that is asked for."""
    drivers = []

    def start(**environment):
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or pytest.fail("no chromium")
        for switch in ["headless=new", "no-sandbox", "disable-dev-shm-usage", "disable-gpu", "no-proxy-server",
                       "disable-background-networking", "no-first-run", "window-size=1180,760"]:
            options.add_argument("--" + switch)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        # Otherwise the driver lets them pass every certificate.
        options.accept_insecure_certs = False
        program = shutil.which("chromedriver") or pytest.fail("no chromedriver")
        drivers.append(webdriver.Chrome(options=options, service=Service(program, env={**os.environ, **environment})))
        return drivers[-1]

    os.environ["no_proxy"] = "localhost,127.0.0.1"
    yield start
    for driver in drivers:
        driver.quit()


@pytest.fixture(scope="session")
def chromium(start_chromium):
    """One browser for all tests; each gets a page of its own."""
    return start_chromium()


@pytest.fixture
def page(chromium, gateway):
    """The console in a new tab; closed after the test, which fails on any script error."""
    chromium.switch_to.new_window("tab")
    chromium.set_window_size(1180, 760)
    chromium.get(gateway.url("/", "http"))
    chromium.get_log("browser")
    yield chromium
    errors = [entry for entry in chromium.get_log("browser") if entry["source"] in ("javascript", "security")]
    first, *others = chromium.window_handles
    for handle in others:
        chromium.switch_to.window(handle)
        chromium.close()
    chromium.switch_to.window(first)
    assert errors == []


@pytest.fixture
def screenshot(page):
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    return lambda name: page.save_screenshot(str(SCREENSHOTS / f"{name}.png"))

import contextlib
import os
import shutil

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from gateway_process import TOP, Gateway
from test_handlers import compile_handler

ROUTES = """
route /echo         { handler echo; }
route /chat         { handler chat; }
route /rooms/:room  { handler chat; }
route /fresh        { handler fresh; reload close; }
route /broken       { handler nowhere; }
"""
ECHO = TOP / "Plugins/echo/echo.c"
SIZES = [("phone", 390, 844), ("tablet", 768, 1024), ("desktop", 1280, 800)]
SCREENSHOTS = TOP / ".build/screenshots"


@pytest.fixture(scope="session")
def gateway(tmp_path_factory):
    made = Gateway(tmp_path_factory.mktemp("browser"), main="console /;", routes=ROUTES)
    for name in ("echo", "fresh"):
        build(made, name)
    with made as running:
        yield running


def build(running, name):
    """Puts another build of the echo into its folder, which the gateway notices."""
    build.number += 1
    compile_handler(running, name, ECHO, f"-Wl,--build-id=0x{build.number:08x}")


build.number = 0


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
    with new_tab(chromium, gateway.url("/", "http")):
        yield chromium


@contextlib.contextmanager
def new_tab(chromium, url):
    chromium.switch_to.new_window("tab")
    chromium.set_window_size(1180, 760)
    chromium.get(url)
    chromium.get_log("browser")
    yield
    errors = [entry for entry in chromium.get_log("browser") if entry["source"] in ("javascript", "security")]
    first, *others = chromium.window_handles
    for handle in others:
        chromium.switch_to.window(handle)
        chromium.close()
    chromium.switch_to.window(first)
    assert errors == []


@pytest.fixture
def screenshot(chromium):
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    return lambda name: chromium.save_screenshot(str(SCREENSHOTS / f"{name}.png"))


@pytest.fixture
def emulate(chromium):
    """Makes the tab that of another screen, in a light or a dark scheme."""
    def to(width, height, scheme, *, motion="no-preference"):
        chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500})
        features = {"prefers-color-scheme": scheme, "prefers-reduced-motion": motion}
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {
            "features": [{"name": name, "value": value} for name, value in features.items()]})

    yield to
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def nameless(driver):
    """Controls that assistive technology could not name."""
    return driver.execute_script("""
        return Array.from(document.querySelectorAll("input, select, textarea, button, summary, [role=log], [role=img]"))
          .filter(each => !(each.getAttribute("aria-label") || each.textContent.trim() || each.labels?.length))
          .map(each => each.outerHTML)""")


def overflow(driver):
    """Pixels that the page is wider than the screen."""
    return driver.execute_script("return document.documentElement.scrollWidth - window.innerWidth")

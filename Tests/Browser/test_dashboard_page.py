"""The dashboard as an operator uses it: figures that move, reloads that are seen, buttons that ask first."""
import contextlib

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from admin_client import admin_port
from conftest import SIZES, build, nameless, new_tab, overflow
from gateway_process import Gateway
from raw_peer import TEXT, RawPeer, frame

DEADLINE = 20
ROUTES = """
route /echo   { handler echo; }
route /fresh  { handler fresh; reload close; }
route /broken { handler nowhere; }
"""


class Dashboard:
    def __init__(self, driver, running):
        self.driver, self.running = driver, running

    def until(self, condition):
        return WebDriverWait(self.driver, DEADLINE, 0.05).until(lambda _: condition())

    def all(self, css):
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def one(self, css):
        return self.until(lambda: next(iter(self.all(css)), None))

    def text(self, css):
        """What all of a kind say, in one look: an element may leave between two."""
        return self.driver.execute_script(
            "return Array.from(document.querySelectorAll(arguments[0]), each => each.innerText)", css)

    def handler(self, name):
        return f"[aria-label='Handler {name}']"

    def is_now(self, view):
        self.until(lambda: self.one("body").get_attribute("data-view") == view)
        return self

    def tile(self, name):
        """Its lines: a name, a figure, and what is said beside it."""
        lines = next((text for text in self.text(".tile") if text.startswith(name)), "").split("\n")
        return [line for line in lines if line.strip()]

    def press(self, css):
        """A button, and the one in the dialog that it opens; answers what the dialog says then."""
        self.until(lambda: self.one(css).is_enabled())
        self.one(css).click()
        self.until(lambda: self.one("#confirm").get_property("open"))
        self.one("#confirmYes").click()
        self.until(lambda: self.one("#confirmOutcome").is_displayed())
        said = self.one("#confirmTitle").text, self.one("#confirmOutcome").text
        self.one("#confirmNo").click()
        return said


def made(folder, main="admin 127.0.0.1:0;"):
    running = Gateway(folder, main=main, routes=ROUTES)
    for name in ("echo", "fresh"):
        build(running, name)
    return running


@contextlib.contextmanager
def opened(chromium, running):
    with new_tab(chromium, f"http://127.0.0.1:{admin_port(running)}/"):
        yield Dashboard(chromium, running)


@pytest.fixture
def dashboard(chromium, tmp_path):
    with made(tmp_path) as running, opened(chromium, running) as page:
        yield page.is_now("live")


def test_figures_move(dashboard):
    assert dashboard.tile("Connections")[1].strip() == "0"
    with RawPeer(dashboard.running).opened() as peer:
        dashboard.until(lambda: dashboard.tile("Connections")[1].strip() == "1")
        for _ in range(50):
            peer.send(frame(TEXT, b"hello"))
            peer.read_frame()
        dashboard.until(lambda: float(dashboard.tile("Messages")[1].split()[0]) > 0)
        dashboard.until(lambda: "µs" in dashboard.tile("Callbacks")[1] or "ms" in dashboard.tile("Callbacks")[1])
        dashboard.until(lambda: any("message" in text for text in dashboard.text("#latency .name")))
        [row] = [text for text in dashboard.text(f"{dashboard.handler('echo')} tbody tr")]
        assert row.split()[:2] == ["/echo", "1"]
        label = dashboard.one(".tile svg").get_attribute("aria-label")
        assert label.startswith("Connections, the last 1 min. connections: now ") and "highest 1" in label
    dashboard.until(lambda: dashboard.tile("Connections")[1].strip() == "0")
    dashboard.until(lambda: any("1006 broken" in text for text in dashboard.text("#closes .name")))


def test_what_is_not_served_is_said_first(dashboard):
    assert dashboard.one("#health").text == "degraded"
    assert "route /broken" in dashboard.one("#bannerLines").text
    broken = dashboard.one(dashboard.handler("nowhere"))
    assert "not served" in broken.text and "nowhere.so" in broken.find_element(By.CLASS_NAME, "trouble").text
    RawPeer(dashboard.running, "/nothing").close()
    dashboard.until(lambda: "no-route" in dashboard.text("#refusals .name"))


def test_a_reload_is_seen_while_connections_move(dashboard, screenshot):
    with RawPeer(dashboard.running).opened() as first, RawPeer(dashboard.running).opened() as second:
        dashboard.until(lambda: dashboard.tile("Connections")[1].strip() == "2")
        build(dashboard.running, "echo")
        event = "#timeline li"
        dashboard.until(lambda: any("2 connections moved in" in text for text in dashboard.text(event)))
        # Below it is what could not start.
        said, _ = dashboard.text(event)
        assert "replaced" in said and "generation 1 → 2" in said and "by the file changed" in said
        dashboard.until(lambda: any("echo: generation 1 → 2" in text for text in dashboard.text(".toast")))
        echo = dashboard.handler("echo")
        dashboard.until(lambda: "Generation 2" in dashboard.text(f"{echo} .generations li")[0])
        share = f"{echo} .share"
        dashboard.until(lambda: dashboard.one(share).get_attribute("aria-label") == "echo: 2 with generation 2")
        screenshot("dashboard-reload")
        for peer in (first, second):
            peer.send(frame(TEXT, b"still here"))
            assert peer.read_frame()[2] == b"still here"


def test_buttons_ask_and_tell(dashboard, screenshot):
    echo = dashboard.handler("echo")
    title, said = dashboard.press(f"{echo} [data-part=reload]")
    assert title == "Reload echo: done" and "the file is identical to generation 1" in said
    # Whoever uses the keyboard goes on where he was.
    assert dashboard.driver.switch_to.active_element.get_attribute("data-part") == "reload"
    assert not dashboard.one(f"{echo} [data-part=rollback]").is_enabled()
    build(dashboard.running, "echo")
    title, said = dashboard.press(f"{echo} [data-part=rollback]")
    assert title == "Roll echo back: done" and "rolled back to the build of generation 1" in said
    dashboard.until(lambda: any("rolled back" in text for text in dashboard.text("#timeline li")))
    dashboard.running.file.write_text(dashboard.running.file.read_text() + "\nnonsense;\n")
    title, said = dashboard.press("#reloadAll")
    assert title == "Reload everything: refused" and 'unknown directive "nonsense"' in said
    dashboard.until(lambda: "gateway.conf as it is now was refused" in dashboard.one("#bannerLines").text)
    screenshot("dashboard-refused")


def test_whoever_cancels_has_done_nothing(dashboard, screenshot):
    dashboard.one("#drain").click()
    dashboard.until(lambda: dashboard.one("#confirm").get_property("open"))
    assert "This cannot be undone" in dashboard.one("#confirmText").text
    assert dashboard.driver.switch_to.active_element.get_attribute("id") == "confirmNo"
    screenshot("dashboard-drain")
    dashboard.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    dashboard.until(lambda: not dashboard.one("#confirm").get_property("open"))
    assert dashboard.driver.switch_to.active_element.get_attribute("id") == "drain"
    assert dashboard.one("#health").text == "degraded"


def test_drain_is_followed_to_the_end(dashboard, screenshot):
    with RawPeer(dashboard.running).opened():
        dashboard.until(lambda: dashboard.tile("Connections")[1].strip() == "1")
        title, said = dashboard.press("#drain")
        assert title == "Drain the gateway: done" and said.startswith("draining")
        dashboard.until(lambda: dashboard.one("#health").text == "draining")
        assert not dashboard.one("#drain").is_enabled()
    dashboard.is_now("stale")
    assert dashboard.one("#bannerTitle").text.startswith("Disconnected since ")
    assert "The figures below are the last ones" in dashboard.one("#bannerLines").text
    screenshot("dashboard-disconnected")
    # Nobody answers any more, which the browser says.
    dashboard.driver.get_log("browser")


@pytest.fixture
def guarded(chromium, tmp_path):
    running = made(tmp_path, "admin 127.0.0.1:0 { token_file admin.token; }")
    token = tmp_path / "admin.token"
    token.write_text("s3cret\n")
    token.chmod(0o600)
    with running, opened(chromium, running) as page:
        yield page.is_now("signed-out")


def test_signing_in_and_out(guarded, screenshot):
    token = guarded.one("#token")
    assert guarded.driver.switch_to.active_element == token
    screenshot("dashboard-sign-in")
    token.send_keys("wrong" + Keys.ENTER)
    guarded.until(lambda: guarded.one("#signInError").text == "This is not the token.")
    token.clear()
    token.send_keys("s3cret" + Keys.ENTER)
    guarded.is_now("live")
    # No script reads the cookie, and the page keeps nothing else.
    assert guarded.driver.execute_script("return document.cookie + JSON.stringify(localStorage)") == "{}"
    guarded.driver.refresh()
    guarded.is_now("live").one("#signOut").click()
    guarded.is_now("signed-out")
    guarded.driver.refresh()
    guarded.is_now("signed-out")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name, width, height", SIZES)
def test_it_fits_every_screen(dashboard, emulate, screenshot, name, width, height, scheme):
    emulate(width, height, scheme, motion="reduce")
    with RawPeer(dashboard.running).opened() as peer:
        build(dashboard.running, "echo")
        for _ in range(20):
            peer.send(frame(TEXT, b"hello"))
            peer.read_frame()
        dashboard.until(lambda: any("moved" in text for text in dashboard.text("#timeline li")))
        dashboard.until(lambda: any("message" in text for text in dashboard.text("#latency .name")))
        screenshot(f"dashboard-{name}-{scheme}")
        assert overflow(dashboard.driver) <= 0
        height = dashboard.driver.execute_script("return document.documentElement.scrollHeight")
        emulate(width, height, scheme, motion="reduce")
        screenshot(f"dashboard-whole-{name}-{scheme}")


def test_charts_are_read_by_keyboard(dashboard):
    chart = dashboard.one(".tile svg")
    dashboard.driver.execute_script("arguments[0].focus()", chart)
    dashboard.driver.switch_to.active_element.send_keys(Keys.ARROW_LEFT)
    dashboard.until(lambda: dashboard.one(".reading").is_displayed())
    assert dashboard.one(".reading").text.split()[-1] == "0"


def test_every_control_has_a_name(dashboard):
    assert nameless(dashboard.driver) == []
    assert dashboard.text("h1")[0].startswith("gateway")
    assert all(dashboard.all(f"#{each.get_attribute('aria-labelledby')}") for each in dashboard.all("section"))

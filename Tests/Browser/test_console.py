"""The console as a person uses it: real clicks and keys in a real browser."""
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

DEADLINE = 20


class Console:
    def __init__(self, driver):
        self.driver = driver

    def until(self, condition):
        return WebDriverWait(self.driver, DEADLINE, 0.05).until(lambda _: condition())

    def all(self, css):
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def one(self, css):
        return self.until(lambda: next(iter(self.all(css)), None))

    def part(self, role):
        """A part of the connection that is shown."""
        return self.one(f"[role=tabpanel]:not([hidden]) [data-role={role}]")

    def entries(self, direction, kind="*"):
        kind = "" if kind == "*" else f"[data-kind={kind}]"
        css = f"[role=tabpanel]:not([hidden]) .entry[data-direction={direction}]{kind} pre"
        return self.driver.execute_script(
            "return Array.from(document.querySelectorAll(arguments[0]), each => each.textContent)", css)

    def open(self, route):
        self.one(f"[data-route='{route}']").click()
        self.is_now("open")
        return self

    def is_now(self, state):
        self.until(lambda: self.part("status").get_attribute("data-state") == state)

    def fill(self, role, text):
        self.part(role).clear()
        self.part(role).send_keys(text)

    def mode(self, value):
        Select(self.part("mode")).select_by_value(value)

    def hears(self, text, direction="in", kind="*"):
        self.until(lambda: text in self.entries(direction, kind))


@pytest.fixture
def console(page):
    return Console(page)


def test_click_type_and_see_the_echo(console, screenshot):
    console.open("/echo")
    console.part("text").send_keys("Hello, gateway! ")
    # Some versions of chromedriver type nothing beyond the Basic Multilingual Plane.
    console.driver.execute_cdp_cmd("Input.insertText", {"text": "🎈"})
    console.part("text").send_keys(Keys.ENTER)
    console.hears("Hello, gateway! 🎈", "out", "text")
    console.hears("Hello, gateway! 🎈", "in", "text")
    console.until(lambda: "round trip" in console.part("stats").text)
    assert "sent 1 (20 bytes), received 1 (20 bytes)" in console.part("stats").text
    screenshot("console-echo")


def test_binary_is_shown_as_hex(console):
    console.open("/echo")
    console.mode("hex")
    console.part("text").send_keys("48 65 6c6c 0x6f,00")
    console.part("send").click()
    console.until(lambda: console.entries("in", "binary"))
    assert console.entries("in", "binary")[0].split("  ")[0] == "48 65 6c 6c 6f 00"
    console.fill("text", "4x" + Keys.ENTER)
    console.until(lambda: any("hex is 0-9 and a-f" in text for text in console.entries("error")))


def test_a_file_is_sent(console, tmp_path):
    file = tmp_path / "bytes"
    file.write_bytes(bytes(range(256)) * 400)
    console.open("/echo")
    console.mode("file")
    console.part("file").send_keys(str(file))
    console.part("send").click()
    console.until(lambda: "received 1 (102400 bytes)" in console.part("stats").text)


def test_send_many_times(console):
    console.open("/echo")
    console.fill("count", "1500")
    console.fill("text", "number {n}" + Keys.ENTER)
    console.until(lambda: "received 1500 " in console.part("stats").text)
    assert console.entries("in")[-1] == "number 1500"
    assert len(console.entries("in")) + len(console.entries("out")) <= 1000


def test_close_with_code_and_reason_and_connect_again(console):
    console.open("/echo")
    console.fill("code", "3001")
    console.part("reason").send_keys("that was all")
    console.part("close").click()
    console.is_now("closed")
    console.hears('closed 3001 "that was all", clean', "info", "close")
    assert not console.part("send").is_enabled()
    console.part("connect").click()
    console.is_now("open")


def test_a_code_that_pages_may_not_send_is_explained(console):
    console.open("/echo")
    console.fill("code", "1011")
    console.part("close").click()
    console.until(lambda: any("1000 or 3000 to 4999" in text for text in console.entries("error")))
    console.is_now("open")


def test_markup_stays_text(console):
    hostile = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
    console.open("/echo")
    console.part("text").send_keys(hostile + Keys.ENTER)
    console.hears(hostile)
    assert console.all("[data-role=log] img, [data-role=log] script") == []
    assert console.driver.title == "gateway console"


def test_several_connections_at_once(console, screenshot):
    console.open("/chat").open("/chat")
    assert len(console.all("[role=tab]")) == 2
    console.part("text").send_keys("to both" + Keys.ENTER)
    console.until(lambda: any(text.endswith(": to both") for text in console.entries("in")))
    first, second = console.all("[role=tab]")
    console.until(lambda: first.find_element(By.CLASS_NAME, "unread").text == "1")
    second.click()
    second.send_keys(Keys.ARROW_LEFT)
    assert first.get_attribute("aria-selected") == "true"
    assert any(text.endswith(": to both") for text in console.entries("in"))
    screenshot("console-two-connections")
    console.driver.switch_to.active_element.send_keys(Keys.DELETE)
    console.until(lambda: len(console.all("[role=tab]")) == 1)
    console.is_now("open")


def test_a_parameter_of_the_path_is_filled_in(console):
    room = console.one("[data-parameter=room]")
    room.clear()
    room.send_keys("blue & green" + Keys.ENTER)
    console.is_now("open")
    assert console.part("path").get_property("value") == "/rooms/blue%20%26%20green"


def test_a_route_that_is_not_served_says_why(console, screenshot):
    assert "nowhere" in console.one("[data-serving=false] small").text
    assert len(console.all("[data-serving=true]")) == 3
    console.one("[data-route='/broken']").click()
    console.until(lambda: any("closed 1006, not clean" == text for text in console.entries("error", "close")))
    console.until(lambda: any("answers 503" in t and "handler-unavailable" in t for t in console.entries("error")))
    screenshot("console-unavailable")


def test_what_was_sent_is_recalled(console):
    console.open("/echo")
    text = console.part("text")
    text.send_keys("first" + Keys.ENTER + "second" + Keys.ENTER)
    console.hears("second")
    text.send_keys(Keys.ARROW_UP + Keys.ARROW_UP)
    assert text.get_property("value") == "first"
    text.send_keys(Keys.ARROW_DOWN + Keys.ENTER)
    console.until(lambda: console.entries("in").count("second") == 2)


def test_everything_is_reached_by_keyboard(console):
    console.one("body").send_keys(Keys.TAB)
    seen = []
    for _ in range(12):
        focused = console.driver.switch_to.active_element
        seen.append(focused.get_attribute("data-route") or focused.get_attribute("id"))
        focused.send_keys(Keys.TAB)
    order = [name for name in dict.fromkeys(seen) if name and (name.startswith("/") or name in ("protocols", "blank"))]
    assert order == ["/echo", "/chat", "/rooms/:room", "/broken", "protocols", "blank"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name, width, height", [("phone", 390, 844), ("desktop", 1180, 760)])
def test_it_fits_every_screen(console, screenshot, name, width, height, scheme):
    emulate = console.driver.execute_cdp_cmd
    emulate("Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": name == "phone"})
    emulate("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    console.open("/echo")
    console.part("text").send_keys("A line that is long enough to wrap on a phone, " * 4 + Keys.ENTER)
    console.until(lambda: console.entries("in"))
    screenshot(f"console-{name}-{scheme}")
    wide = console.driver.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0
    emulate("Emulation.clearDeviceMetricsOverride", {})
    emulate("Emulation.setEmulatedMedia", {"features": []})


def test_every_control_has_a_name(console):
    console.open("/echo")
    nameless = console.driver.execute_script("""
        return Array.from(document.querySelectorAll("input, select, textarea, button, [role=log]"))
          .filter(each => !(each.getAttribute("aria-label") || each.textContent.trim() || each.labels?.length))
          .map(each => each.outerHTML)""")
    assert nameless == []

"""The console as a person uses it: real clicks and keys in a real browser."""
import json

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from conftest import SIZES, build, nameless, overflow

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

    def unfold(self, role):
        """Opens a menu of the connection that is shown."""
        self.part(role).find_element(By.TAG_NAME, "summary").click()
        return self

    def fact(self, name):
        facts = self.all(f"[role=tabpanel]:not([hidden]) [data-fact={name}]")
        return facts[0].text if facts else None

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
    console.until(lambda: "echo after" in console.part("stats").text)
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
    console.until(lambda: "received 1 (102,400 bytes)" in console.part("stats").text)


def test_send_many_times(console):
    console.open("/echo")
    console.fill("count", "1500")
    console.fill("text", "number {n}" + Keys.ENTER)
    console.until(lambda: "received 1500 " in console.part("stats").text)
    assert console.entries("in")[-1] == "number 1500"
    assert len(console.entries("in")) + len(console.entries("out")) <= 1000


def test_close_with_code_and_reason_and_connect_again(console):
    console.open("/echo")
    console.unfold("closing").fill("code", "3001")
    console.part("reason").send_keys("that was all")
    console.part("close").click()
    console.is_now("closed")
    console.until(lambda: console.entries("info", "close"))
    assert console.entries("info", "close")[0].startswith('closed 3001 "that was all", clean after ')
    assert not console.part("send").is_enabled() and console.part("connect").text == "Reconnect"
    console.part("connect").click()
    console.is_now("open")


def test_a_code_that_pages_may_not_send_is_explained(console):
    console.open("/echo")
    console.unfold("closing").fill("code", "1011")
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
    # Without it there is no such path.
    console.one("[data-route='/rooms/:room']").click()
    room = console.one("[data-parameter=room]")
    assert console.all("[role=tab]") == [] and room.get_property("validity")["valueMissing"]
    room.send_keys("blue & green" + Keys.ENTER)
    console.is_now("open")
    assert console.part("path").get_property("value") == "/rooms/blue%20%26%20green"


def test_a_route_that_is_not_served_says_why(console, screenshot):
    assert "nowhere" in console.one("#routes [data-serving=false]").text
    assert len(console.all("#routes [data-serving=true]")) == 4
    console.one("[data-route='/broken']").click()
    console.until(lambda: any("closed 1006 (broken, no Close came), not clean" == text for text in console.entries("error", "close")))
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
    for _ in range(9):
        focused = console.driver.switch_to.active_element
        seen.append(focused.get_attribute("data-route") or focused.get_attribute("data-parameter")
                    or focused.get_attribute("id") or focused.get_attribute("class"))
        focused.send_keys(Keys.TAB)
    assert seen[1:8] == ["/echo", "/chat", "/rooms/:room", "room", "/fresh", "/broken", "blank"]
    assert seen[0] == "skip"


# A reload, which the page must not hide.

def test_a_reload_moves_the_connection_and_says_so(console, gateway, screenshot):
    console.open("/echo").open("/echo")
    console.until(lambda: (console.fact("generation") or "").startswith("generation "))
    before = int(console.fact("generation").split()[1])
    build(gateway, "echo")
    step = f"generation {before} → {before + 1}"
    console.until(lambda: any(step in text for text in console.entries("reload", "moved")))
    console.until(lambda: any(step in each.text for each in console.all(".toast")))
    assert any("Your 2 connections moved along; nothing was closed" in each.text for each in console.all(".toast"))
    assert (console.fact("generation"), console.fact("moves")) == (f"generation {before + 1}", "survived 1 reload")
    console.part("text").send_keys("still here" + Keys.ENTER)
    console.hears("still here")
    screenshot("console-reload")
    assert len(console.entries("info", "close")) == 0


def test_a_connection_that_a_reload_closes_comes_back_by_itself(console, gateway):
    console.open("/fresh")
    console.until(lambda: console.fact("generation"))
    console.part("keep").click()
    build(gateway, "fresh")
    console.until(lambda: any(text.startswith("closed 1012 (service restart: its handler was replaced)")
                              for text in console.entries("info", "close")))
    console.is_now("open")
    # Who says goodbye himself stays away.
    console.part("disconnect").click()
    console.is_now("closed")
    assert console.fact("retry") is None


def test_routes_show_connections_as_they_come_and_go(console):
    card = console.one("[data-route='/fresh']")
    console.until(lambda: "0 connections" in card.text)
    console.open("/fresh")
    console.until(lambda: "1 connection" in card.text and "generation" in card.text)
    console.part("disconnect").click()
    console.until(lambda: "0 connections" in card.text)


# What was said, at hand.

def say(console, *texts):
    for text in texts:
        console.driver.execute_script("arguments[0].value = arguments[1]", console.part("text"), text)
        console.part("text").send_keys(Keys.ENTER)
        console.hears(text)


def test_json_folds(console, screenshot):
    console.open("/echo")
    say(console, json.dumps({"id": 42, "items": [{"sku": "A<b>"}], "none": None}))
    received = "[role=tabpanel]:not([hidden]) .entry[data-direction=in]"
    console.one(f"{received} [aria-pressed]").click()
    tree = console.one(f"{received} .json")
    assert "id: 42" in tree.text and "items: [ 1 ]" in tree.text and "none: null" in tree.text
    leaf = tree.find_elements(By.TAG_NAME, "summary")[-1]
    assert 'sku: "A<b>"' not in tree.text
    leaf.click()
    console.until(lambda: 'sku: "A<b>"' in tree.text)
    screenshot("console-json")
    console.one(f"{received} [aria-pressed]").click()
    assert console.all(f"{received} .json") == []


def shown(console):
    return [each.text for each in console.all("[role=tabpanel]:not([hidden]) .entry:not([hidden]) pre")]


def test_messages_are_searched_and_filtered(console):
    console.open("/echo")
    say(console, "apple", "pear", "Pineapple")
    console.part("search").send_keys("APPLE")
    assert shown(console) == ["apple", "apple", "Pineapple", "Pineapple"]
    Select(console.part("filter")).select_by_value("in")
    assert shown(console) == ["apple", "Pineapple"]
    console.until(lambda: console.part("shown").text.startswith("2 of "))
    # It goes on for what comes later.
    say(console, "grape", "apple pie")
    console.until(lambda: shown(console) == ["apple", "Pineapple", "apple pie"])
    console.part("search").send_keys(Keys.ESCAPE)
    Select(console.part("filter")).select_by_value("note")
    assert shown(console)[-1].startswith("open after")
    Select(console.part("filter")).select_by_value("all")
    console.part("clear").click()
    assert shown(console) == [] and not console.part("copy").is_enabled()


def test_messages_are_copied_and_exported(console):
    console.driver.execute_script("""
        navigator.clipboard.writeText = async text => { window.copied = text; };
        URL.createObjectURL = blob => { blob.text().then(text => { window.exported = text; }); return "data:,"; };""")
    console.open("/echo")
    say(console, "first")
    console.mode("hex")
    console.part("text").send_keys("00 ff" + Keys.ENTER)
    console.until(lambda: console.entries("in", "binary"))
    console.part("copy").click()
    copied = console.until(lambda: console.driver.execute_script("return window.copied"))
    assert "  ↓  first  text 5 bytes, echo after " in copied
    console.part("export").click()
    lines = [json.loads(line) for line in console.until(
        lambda: console.driver.execute_script("return window.exported")).splitlines()]
    assert [(each["event"], each.get("text"), each.get("hex")) for each in lines if each["kind"] != "note"] == [
        ("sent", "first", None), ("received", "first", None), ("sent", None, "00ff"), ("received", None, "00ff")]


def test_messages_are_saved_for_their_route(console):
    console.open("/echo").part("text").send_keys("ping me")
    console.unfold("saved").part("savedName").send_keys("ping" + Keys.ENTER)
    console.driver.refresh()
    # The tab is still there, and waits.
    console.is_now("closed")
    console.part("connect").click()
    console.is_now("open")
    console.unfold("saved")
    console.part("savedList").find_element(By.TAG_NAME, "button").click()
    assert console.part("text").get_property("value") == "ping me"
    console.open("/chat").unfold("saved")
    assert console.part("savedNone").is_displayed()
    console.all("[role=tab]")[0].click()
    console.unfold("saved")
    console.part("savedList").find_elements(By.TAG_NAME, "button")[1].click()
    assert console.part("savedNone").is_displayed()


def test_tabs_close_by_their_cross(console):
    console.open("/echo").open("/fresh")
    console.all(".tab [data-part=close]")[0].click()
    assert [each.text for each in console.all("[role=tab]")] == ["/fresh"]
    console.all(".tab [data-part=close]")[0].click()
    assert console.all("[role=tab]") == [] and console.one("#empty").is_displayed()


# Everywhere.

@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name, width, height", SIZES)
def test_it_fits_every_screen(console, emulate, screenshot, name, width, height, scheme):
    emulate(width, height, scheme)
    console.until(lambda: console.one("#feed").text == "live")
    if width < 500:
        screenshot(f"console-routes-{name}-{scheme}")
    console.open("/echo")
    console.part("text").send_keys("A line that is long enough to wrap on a phone, " * 4 + Keys.ENTER)
    console.until(lambda: console.entries("in"))
    say(console, json.dumps({"type": "order", "items": [1, 2, 3]}))
    screenshot(f"console-{name}-{scheme}")
    assert overflow(console.driver) <= 0


def test_a_phone_shows_routes_on_demand(console, emulate):
    emulate(390, 844, "light")
    console.open("/echo")
    assert not console.one("#side").is_displayed()
    console.one("#showRoutes").click()
    assert console.one("#side").is_displayed() and not console.part("text").is_displayed()
    console.open("/fresh")
    assert len(console.all("[role=tab]")) == 2


def test_every_control_has_a_name(console):
    console.open("/echo")
    say(console, "{}", "[]")
    assert nameless(console.driver) == []


def test_the_page_runs_under_a_strict_policy(console, gateway):
    console.driver.execute_script("""
        window.broken = [];
        document.addEventListener("securitypolicyviolation", event => window.broken.push(event.violatedDirective));
        document.body.append(Object.assign(document.createElement("script"), { textContent: "window.owned = 1" }));
        document.body.insertAdjacentHTML("beforeend", "<img src='http://127.0.0.1:1/x'>");""")
    console.until(lambda: len(console.driver.execute_script("return window.broken")) == 2)
    assert console.driver.execute_script("return window.owned") is None
    # These two were meant to be.
    console.driver.get_log("browser")

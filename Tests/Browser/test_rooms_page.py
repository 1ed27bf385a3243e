"""The page of the rooms: a name, lines, and the gateway that one is at; with an engine, a room over two gateways."""
import socket

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from cluster_rig import KNOWN, Rig
from gateway_process import Gateway

DEADLINE = 20
ROUTE = "route /rooms/:room { handler rooms; set history 50; }"


def until(driver, condition):
    return WebDriverWait(driver, DEADLINE, 0.05).until(lambda _: condition())


def text(driver, name):
    return driver.find_element(By.ID, name).text


def join(driver, gateway, path):
    """Opens a room in a new tab and answers its handle once it is joined."""
    driver.switch_to.new_window("tab")
    driver.get(gateway.url(path, "http"))
    until(driver, lambda: driver.find_element(By.ID, "status").get_attribute("data-state") == "open")
    return driver.current_window_handle


def say(driver, words):
    driver.find_element(By.ID, "sendText").send_keys(words + Keys.ENTER)


def test_a_room_says_whose_it_is_and_what_was_said(tmp_path, page, screenshot):
    with Gateway(tmp_path, routes=ROUTE) as gateway:
        first = join(page, gateway, "/rooms/tea%20%26%20cake?name=Ada")
        assert text(page, "room") == "tea & cake"
        assert text(page, "gateway") == f"at {socket.gethostname()}-{gateway.process.pid}"
        say(page, "milk <b>?")
        until(page, lambda: "Ada: milk <b>?" in text(page, "incoming"))
        join(page, gateway, "/rooms/tea%20%26%20cake")
        until(page, lambda: "Ada: milk <b>?" in text(page, "incoming"))
        # Another name is another connection, and the lines are there once.
        name = page.find_element(By.ID, "name")
        name.send_keys("Bob" + Keys.TAB)
        until(page, lambda: page.find_element(By.ID, "status").get_attribute("data-state") == "open")
        say(page, "no")
        until(page, lambda: text(page, "incoming").splitlines() == ["Ada: milk <b>?", "Bob: no"])
        screenshot("rooms")
        page.switch_to.window(first)
        until(page, lambda: "Bob: no" in text(page, "incoming"))


@pytest.mark.parametrize("kind", KNOWN)
def test_a_room_over_two_gateways(tmp_path, page, screenshot, kind):
    with Rig(KNOWN[kind], tmp_path) as rig:
        rig.engine()
        gateways = []
        for name in ("gw-left", "gw-right"):
            made = rig.prepared(routes=ROUTE)
            made.environment["GATEWAY_NAME"] = name
            gateways.append(rig.is_up(made.start()))
        left = join(page, gateways[0], "/rooms/tea?name=Ada")
        assert text(page, "gateway") == "at gw-left"
        right = join(page, gateways[1], "/rooms/tea?name=Bob")
        assert text(page, "gateway") == "at gw-right"

        # Until the engine knows of the room at the other gateway, lines stay here.
        def heard(speaker, listener, words):
            page.switch_to.window(speaker)
            say(page, words)
            page.switch_to.window(listener)
            return words in text(page, "incoming")

        until(page, lambda: heard(left, right, "Ada speaks"))
        until(page, lambda: heard(right, left, "Bob speaks"))
        page.switch_to.window(left)
        until(page, lambda: "Bob: Bob speaks" in text(page, "incoming"))
        screenshot("rooms-two-gateways")

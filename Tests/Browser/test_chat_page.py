"""The chat sample's page: two people in two tabs."""
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from gateway_process import Gateway

DEADLINE = 20


def until(driver, condition):
    return WebDriverWait(driver, DEADLINE, 0.05).until(lambda _: condition())


def incoming(driver):
    return driver.find_element(By.ID, "incoming").text


def join(driver, gateway):
    """Opens the page in a new tab and answers its handle once the room is joined."""
    driver.switch_to.new_window("tab")
    driver.get(gateway.url("/chat", "http"))
    until(driver, lambda: driver.find_element(By.ID, "status").get_attribute("data-state") == "open")
    return driver.current_window_handle


def say(driver, text):
    driver.find_element(By.ID, "sendText").send_keys(text + Keys.ENTER)


def test_two_tabs_talk(tmp_path, page, screenshot):
    with Gateway(tmp_path) as gateway:
        first = join(page, gateway)
        say(page, "hi")
        until(page, lambda: "[0]: hi" in incoming(page))
        second = join(page, gateway)
        say(page, "hello back <b>")
        until(page, lambda: "[1]: hello back <b>" in incoming(page))
        page.switch_to.window(first)
        until(page, lambda: "[1]: hello back <b>" in incoming(page))
        say(page, "hi both")
        until(page, lambda: "[0]: hi both" in incoming(page))
        screenshot("chat-first")
        page.switch_to.window(second)
        until(page, lambda: "[0]: hi both" in incoming(page))
        screenshot("chat-second")

"""wss:// in the browser, which takes the certificate because `gateway dev-cert` had it trust the authority, and for no
other reason: no switch lets certificates pass."""
import shutil

import pytest

from dev_cert import DevCert, needs_namespaces
from gateway_process import Gateway
from test_console import Console

pytestmark = [needs_namespaces,
              pytest.mark.skipif(not shutil.which("certutil"), reason="no certutil (libnss3-tools)")]


@pytest.fixture(scope="module")
def dev_cert(tmp_path_factory):
    """A user who has called `gateway dev-cert` once, and whose Chromium has never run before."""
    made = DevCert(tmp_path_factory.mktemp("dev_cert"))
    assert f"Chromium, Chrome, Edge ({made.home}/.pki/nssdb) trusts it now" in made()
    return made


@pytest.fixture(scope="module")
def gateway(dev_cert):
    running = Gateway(dev_cert.folder, routes="route /echo { handler echo; }\n", main=(
        "console /; listen 127.0.0.1:0 tls { certificate dev-cert.pem dev-key.pem; }"))
    # `start` waits for as many to be up.
    running.listen = ["plain", "tls"]
    with running.start():
        running.ports = [address.rpartition(":")[2] for address in running.addresses()]
        yield running


def test_wss_in_the_browser(start_chromium, dev_cert, gateway):
    driver = start_chromium(HOME=str(dev_cert.home))
    plain, secure = gateway.ports
    driver.get(f"http://localhost:{plain}/")
    console = Console(driver)
    assert console.one("#origin").text == f"ws://localhost:{plain}"
    console.until(lambda: console.one("#secure").text == f"wss://localhost:{secure}")
    console.one("#secure").click()
    console.until(lambda: driver.current_url == f"https://localhost:{secure}/")
    assert console.one("#origin").text == f"wss://localhost:{secure}"
    console.until(lambda: console.one("#feed").text == "live")
    assert not console.one("#secure").is_displayed()
    assert driver.execute_script("return isSecureContext")
    console.open("/echo").part("text").send_keys("through TLS")
    console.part("send").click()
    console.hears("through TLS")


def test_a_browser_of_somebody_else_does_not_trust_it(start_chromium, gateway, tmp_path):
    driver = start_chromium(HOME=str(tmp_path))
    driver.get(f"https://localhost:{gateway.ports[1]}/")
    assert "NET::ERR_CERT_AUTHORITY_INVALID" in Console(driver).one("body").text
    # The console's own policy would not let it ask.
    driver.get("data:text/html,<p>a page of nobody")
    closed = "return new Promise(tell => { new WebSocket(arguments[0]).onclose = event => tell(event.code) })"
    assert driver.execute_script(closed, f"wss://localhost:{gateway.ports[1]}/echo") == 1006

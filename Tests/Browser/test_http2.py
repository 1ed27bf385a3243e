"""A page over https and its WebSockets share one connection of HTTP/2 in the browser, which asks for that by itself (RFC 8441)."""
import json
import shutil

import pytest

from dev_cert import DevCert, needs_namespaces
from gateway_process import Gateway, eventually
from test_console import Console

pytestmark = [needs_namespaces,
              pytest.mark.skipif(not shutil.which("certutil"), reason="no certutil (libnss3-tools)")]
ROUTES = "route /echo { handler echo; }\nroute /chat { handler chat; }\n"


@pytest.fixture(scope="module")
def dev_cert(tmp_path_factory):
    made = DevCert(tmp_path_factory.mktemp("dev_cert"))
    made()
    return made


@pytest.fixture(params=["", "http2 off;"], ids=["h2", "http/1.1"])
def serving(request, dev_cert):
    """A gateway with TLS alone, whether it speaks HTTP/2, and what it has written into its access log."""
    made = Gateway(dev_cert.folder, listen=(f"127.0.0.1:0 tls {{ certificate dev-cert.pem dev-key.pem; {request.param} }}",),
                   main="console /;", routes=ROUTES)
    log = dev_cert.folder / "access.log"
    log.unlink(missing_ok=True)
    made.file.write_text(made.file.read_text().replace("access_log off;", "access_log access.log json;"))

    def records():
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    with made.start():
        yield made, not request.param, records


def test_a_page_and_its_sockets_share_a_connection(start_chromium, dev_cert, serving):
    gateway, is_http2, records = serving
    driver = start_chromium(HOME=str(dev_cert.home))
    driver.get(f"https://localhost:{gateway.port}/")
    console = Console(driver)
    console.until(lambda: console.one("#feed").text == "live")
    for number, route in enumerate(["/echo", "/echo", "/chat"]):
        console.open(route).part("text").send_keys(f"line {number}")
        console.part("send").click()
        console.until(lambda: any(f"line {number}" in text for text in console.entries("in")))
    opened = eventually("their lines", lambda: len(found := [each for each in records() if each["event"] == "open"
                                                             and each["route"] in ("/echo", "/chat")]) == 3 and found)
    page, = (each for each in records() if each["event"] == "request" and each["path"] == "/")
    assert {each["method"] for each in opened} == {"GET"}
    if is_http2:
        assert {each["peer"] for each in opened} == {page["peer"]}
        assert {str(each["http"]) for each in [page, *opened]} <= {"2", "2.0"}
    else:
        # Each has a connection of its own.
        assert len({page["peer"], *(each["peer"] for each in opened)}) == 4
        assert {str(each["http"]) for each in [page, *opened]} == {"1.1"}


def test_large_messages_and_the_end_of_a_tab(start_chromium, dev_cert, serving):
    gateway, _, records = serving
    driver = start_chromium(HOME=str(dev_cert.home))
    driver.get(f"https://localhost:{gateway.port}/")
    echo = """
        const tell = arguments[arguments.length - 1], sockets = [], size = 1 << 19
        const payload = new Uint8Array(size).map((_, at) => at * 31 + (at >> 8))
        let left = 4
        for (let number = 0; number < 4; number++) {
            const socket = new WebSocket(`wss://${location.host}/echo`)
            socket.binaryType = "arraybuffer"
            socket.onopen = () => socket.send(payload)
            socket.onerror = () => tell("error")
            socket.onmessage = event => {
                const heard = new Uint8Array(event.data)
                if (heard.length !== size || heard.some((octet, at) => octet !== payload[at])) tell("wrong")
                else if (--left === 0) tell("all")
            }
            sockets.push(socket)
        }
        window.sockets = sockets"""
    driver.set_script_timeout(30)
    assert driver.execute_async_script(echo) == "all"
    close = """
        const tell = arguments[0]
        sockets[0].onclose = event => tell([event.code, event.wasClean])
        sockets[0].close(4321, "bye")"""
    assert driver.execute_async_script(close) == [4321, True]
    driver.get("about:blank")
    closes = eventually("all have ended", lambda: len(found := [each["code"] for each in records() if each["event"] == "close"
                                                                and each["route"] == "/echo"]) == 4 and found)
    # A page that goes away says 1001, or lets go of its connection.
    assert closes[0] == 4321 and set(closes[1:]) <= {1001, 1006, 1005}

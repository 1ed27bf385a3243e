"""What gw_handler.h has no meaning for is refused (R8, R9), and named in `mode development`."""
import http.client

import pytest

import c_handler
from gateway_process import DEADLINE
from raw_peer import TEXT, RawPeer, frame

REFUSED = {
    "send": "send() got flags 0x40", "send_buf": "send_buf() got flags 0x40",
    "send_fragment": "send_fragment() got flags 0x41", "subscribe": "subscribe() got flags 0x40",
    "unsubscribe": "unsubscribe() got flags 0x80000000", "publish": "publish() got flags 0x50",
    "conn_info 0": "conn_info() got a gw_conn_info with struct_size 0, which was not set",
    "conn_info 55": "conn_info() got a gw_conn_info with struct_size 55",
}


@pytest.fixture(params=["production", "development"])
def running(request, make_gateway):
    gateway = make_gateway(main=f"mode {request.param};", routes="route /strict { handler strict; }")
    gateway.mode = request.param
    c_handler.build(gateway, "strict")
    return gateway.start()


def noticed(running):
    """What the log has of mistakes."""
    return [line for line in running.log().splitlines() if " was caught at a mistake (" in line]


@pytest.mark.parametrize("word", REFUSED)
def test_a_call_is_refused(running, word):
    with RawPeer(running, "/strict").opened() as peer:
        assert peer.ask(word) == "-4"
        # Nothing was sent, and no fragment stream is open.
        assert peer.ask("nothing") == "-8"
    running.stop()
    assert [REFUSED[word] in line for line in noticed(running)] == ([True] if running.mode == "development" else [])


def test_a_bit_that_has_a_name_is_taken(running):
    with RawPeer(running, "/strict").opened() as peer:
        peer.send(frame(TEXT, b"named"))
        assert [peer.read_message(), peer.read_message()] == [(TEXT, b"all"), (TEXT, b"0")]
    running.stop()
    assert noticed(running) == []


@pytest.mark.parametrize("query, said", [
    ("zero", "reply() got a gw_reply with struct_size 0, which was not set"),
    ("short", "reply() got a gw_reply with struct_size 63"), ("reserved", "reply() got a gw_reply whose reserved0 is not 0"),
])
def test_an_answer_is_refused_and_the_ticket_kept(running, query, said):
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=DEADLINE)
    connection.request("GET", f"/strict?{query}")
    assert connection.getresponse().status == 418
    connection.close()
    running.stop()
    assert [said in line for line in noticed(running)] == ([True] if running.mode == "development" else [])

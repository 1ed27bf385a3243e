"""What a soak has found of upgrades, each in its smallest form."""
import os
import shutil
import socket
import ssl

import pytest

import c_handler
from gateway_process import eventually
from h2_peer import H2Peer
from isolation_rig import LONG, Isolated, number, who
from raw_peer import CLOSE, frame
from test_tls import certificate
from upgrade_rig import Upgraded, asking, is_there


def shown(running):
    """The certificate that is shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(running.endpoint, LONG) as plain, context.wrap_socket(plain) as peer:
        return peer.getpeercert(True)


def test_a_certificate_that_is_replaced_behind_an_upgrade(make_gateway, tmp_path):
    for name in ("first", "second"):
        certificate(tmp_path, name, "localhost")
    running = make_gateway(routes="route /echo { handler echo; }", listen=("127.0.0.1:0 tls { certificate ../first.pem ../first.key; }",))
    line = Upgraded(running)
    before = shown(running)
    line.upgrade()
    for kind in ("pem", "key"):
        shutil.copy(tmp_path / f"second.{kind}", tmp_path / f"first.{kind}")
    eventually("the other certificate", lambda: shown(running) != before, 20)


@pytest.mark.parametrize("which", ["isolated", "relay2"])
def test_a_handlers_file_that_changes_while_the_new_program_comes_up(make_gateway, which):
    """It reloads when it has taken over, and the program before has handed everything over."""
    made = Isolated(make_gateway, defaults="start_timeout 60s;", routes="route /relay { handler relay; }\nroute /in { handler relay2; }",
                    start=False)
    text = made.running.file.read_text()
    made.running.file.write_text(text.replace("plugins ./Plugins { watch off; }", "plugins ./Plugins { watch on; }"))
    mark = made.folder / "mark"
    c_handler.build(made.running, "relay", "WAITS", f'MARK="{mark}"')
    c_handler.build(made.running, "relay", under="relay2")
    made.running.start()
    with made.peer() as peer:
        number(peer, 0)
        old = made.process()
        os.mkfifo(mark)
        begun = asking(made.running, "upgrade")
        made.running.wait_for(r'upgrade: process \d+ of .* starts its handlers')
        seen = made.running.log().count(f'"{which}": generation 2 loaded')
        eventually("it has the handler", lambda: made.running.log().count(f'"{which}": generation 2 loaded') > seen, LONG)
        if which == "isolated":
            made.build(2)
        else:
            c_handler.build(made.running, "relay", "OTHER", under="relay2")
        mark.write_text("")
        mark.unlink()
        said, error = begun.communicate(timeout=3 * LONG)
        assert begun.returncode == 0, (said, error)
        number(peer, 1)
        # Not only at the end of drain_timeout, when it is told 1012.
        assert who(peer)["pid"] != old
        made.running.wait_for("has nothing left, and ends")
        eventually("the end of its process", lambda: not is_there(old))
        made.running.wait_for(f'handler "{which}": reloading .the file changed.', LONG)
        if which == "isolated":
            made.running.wait_for(f'"{which}": generation 3 loaded', LONG)


def test_every_stream_of_a_connection_that_stays_hears_1012(make_gateway):
    """Each at its own random moment; the connection is there until the last one has."""
    running = make_gateway(main="threads 2; defaults { ping_interval off; drain_timeout 10s; }", routes="route /echo { handler echo; }",
                           listen=("127.0.0.1:0 { http2 on; }",))
    line = Upgraded(running)
    with H2Peer(running, timeout=LONG) as peer:
        streams = [peer.open("/echo").opened() for _ in range(30)]
        line.ask()
        codes = {}
        while not peer.has_closed and len(codes) < len(streams):
            try:
                peer.pump()
            except EOFError:
                break
            for each in streams:
                if each.pending and each.number not in codes:
                    codes[each.number] = each.read_close()
                    each.send(frame(CLOSE, b"\x03\xf4"), end=True)
        assert list(codes.values()) == [1012] * len(streams), f"{len(codes)} of {len(streams)} were told"

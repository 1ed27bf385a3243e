"""What NATS alone has: seeds, tokens, TLS, rights, a limit of its operator's choice."""
import socket
import subprocess

from backplane import E_AWAY, E_REFUSED, E_TOO_LARGE, OK, SEEDS, VERSION, alone, load

KINDS = ["nats"]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def test_seeds(module, engine, make_link):
    assert load(module)(VERSION).contents.flags & SEEDS
    dead = f"nats://127.0.0.1:{free_port()}"
    for urls in ([dead, engine.url()], [engine.url(), dead], [dead, dead, engine.url(), dead]):
        link = make_link(urls).connected()
        assert str(engine.port) in link.text


def test_seeds_that_refuse_say_more_than_silence(make_engine, make_link):
    shut = make_engine(user="a", password="b")
    dead = f"nats://127.0.0.1:{free_port()}"
    for urls in ([dead, shut.url(), dead], [shut.url(), dead], [dead, shut.url()]):
        status, text = make_link(urls).connect()
        assert status == E_REFUSED and str(shut.port) in text, text


def test_seeds_that_stand_still_share_the_time(engine, make_engine, make_link):
    still = make_engine()
    still.pause()
    for _ in range(3):
        link = make_link([still.url(), engine.url()], timeout=4000).connected()
        link.disconnect()
    still.go_on()


def test_tokens(make_engine, make_link):
    engine = make_engine(more=["--auth", 'to"ken'])
    assert make_link(engine.url()).connect()[0] == E_REFUSED
    assert make_link(engine.url("wrong")).connect()[0] == E_REFUSED
    make_link(engine.url("to%22ken")).connected()
    make_link(engine.url(), password=b'to"ken').connected()


def test_a_limit_of_its_own(make_engine, make_link):
    engine = make_engine(config="max_payload: 2000")
    link = make_link(engine.url()).connected()
    assert link.max_data == 2000 and link.subscribe(b"a") == OK
    assert link.publish((b"a", bytes(2001))) == (E_TOO_LARGE, 0)
    link.published((b"a", bytes(2000)))
    link.hears(1)


def test_rights(make_engine, make_link):
    rights = "authorization { users = [ {user: u, password: p, permissions: {publish: \"gw.a%s\", subscribe: \"gw.a%s\"}} ] }"
    engine = make_engine(config=rights % ("", ""))
    link = make_link(engine.url("u:p")).connected()
    assert link.subscribe(b"a") == OK
    link.published((b"a", b"x"))
    link.hears(1)
    assert link.subscribe(b"b") == OK
    assert "Permissions Violation" in link.loses()
    link.disconnect()
    link.connected()
    assert link.publish((b"b", b"x"))[0] == E_REFUSED


def test_rights_for_all_names(make_engine, make_link):
    """gw.> is all that a gateway needs."""
    engine = make_engine(config='authorization { users = [ {user: u, password: p, permissions: '
                                '{publish: "gw.>", subscribe: "gw.>"}} ] }')
    link = make_link(engine.url("u:p")).connected()
    names = [bytes([octet]) for octet in range(256)]
    assert link.subscribe(*names) == OK
    link.published(*[(name, b"") for name in names])
    assert len(link.hears(256)) == 256 and not link.losses


TLS = """
with Link(module, url) as link:
    print(*link.connect())
    if "(server" in link.text:
        link.subscribe(b"a")
        link.published((b"a", bytes(300000)))
        print(len(link.hears(1)[0][1]))
"""


def trial(module, url, trusted):
    """In a process of its own: whom it trusts is read once."""
    return alone(TLS, {"SSL_CERT_FILE": str(trusted)}, module=module, url=url)


def test_tls(module, make_engine, tmp_path):
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=here", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    engine = make_engine(more=["--tls", "--tlscert", str(cert), "--tlskey", str(key)])
    there = f"tls://localhost:{engine.port}"
    assert trial(module, there, cert).split("\n")[1:] == ["300000", ""]
    # Nobody has signed it that is trusted; it is somebody else's; nobody has asked for TLS.
    for url, trusted in ((there, "/dev/null"), (engine.url(scheme="tls"), cert), (engine.url(), cert)):
        assert trial(module, url, trusted).startswith(f"{E_REFUSED} "), url
    plain = make_engine()
    said = trial(module, plain.url(scheme="tls"), cert)
    assert said.startswith(f"{E_REFUSED} ") and "no TLS" in said


def test_foreign_subjects_are_nobodys(engine, make_link):
    """Only what a gateway would have written is delivered: another publisher may use the same server."""
    link = make_link(engine.url()).connected()
    assert link.subscribe(b"a") == OK
    link.probe()
    with socket.create_connection(("127.0.0.1", engine.port)) as other:
        other.sendall(b"CONNECT {\"verbose\":false}\r\nPUB gw.a 1\r\nx\r\nPUB gw.%61 1\r\ny\r\nPUB a 1\r\nz\r\nPUB gw.a 1\r\nw\r\nPING\r\n")
        while b"PONG" not in other.recv(4096):
            pass
    assert link.hears(2) == [(b"a", b"x"), (b"a", b"w")]
    assert make_link("nats://127.0.0.1:1", timeout=1000).connect()[0] == E_AWAY

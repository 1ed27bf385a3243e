"""wss: certificates, versions, resumption, data of all sizes, what is no TLS, and reloads, with the TLS of Python and of
openssl s_client."""
import asyncio
import contextlib
import datetime
import http.client
import ipaddress
import os
import re
import signal
import socket
import ssl
import subprocess

import pytest
import websockets
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from websockets.sync.client import connect

import tls_socket
from gateway_process import DEADLINE, eventually
from samples import run
from swarm import counter_in_c, put
from test_control import ask, status
from test_handlers import compile_handler

# Tells a client what the gateway says of its TLS.
TELLING = r"""
#include "gw_handler.h"
static const gw_host *host;
static void open(void *self, gw_conn conn, void *state, const gw_request *request) {
    (void)self, (void)state;
    gw_str texts[] = {request->tls_version, request->tls_cipher, request->tls_sni, request->tls_client_name};
    host->send(host, conn, GW_TEXT, 0, request->flags & GW_REQ_TLS ? "yes" : "no", request->flags & GW_REQ_TLS ? 3 : 2);
    for (int i = 0; i < 4; i++) host->send(host, conn, GW_TEXT, 0, texts[i].ptr, texts[i].len);
}
static gw_status start(const gw_host *h, const gw_config *config, void **self) {
    (void)h, (void)config, (void)self;
    return GW_OK;
}
static void message(void *self, gw_conn conn, void *state, const gw_message *m) {
    (void)self, (void)conn, (void)state, (void)m;
}
static const gw_handler table = {
    .struct_size = sizeof table, .abi_version = GW_ABI_VERSION, .min_host_abi = 0x10000,
    .name = "telling", .version = "1.0", .start = start, .open = open, .message = message,
};
const gw_handler *gw_handler_entry_v1(const gw_host *h) { host = h; return &table; }
"""
DAY = datetime.timedelta(days=1)
# In TLS 1.3 a client hears that its certificate is refused when it takes itself for connected.
REFUSED = (ssl.SSLError, ConnectionError, websockets.exceptions.WebSocketException)


def certificate(folder, name, *hosts, begin=-DAY, end=30 * DAY, by=None):
    """Files of a certificate for hosts that signs itself, or that another one of the folder signs, and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.timezone.utc)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    issuer, signer = subject, key
    if by:
        issuer = x509.load_pem_x509_certificate((folder / f"{by}.pem").read_bytes()).subject
        signer = serialization.load_pem_private_key((folder / f"{by}.key").read_bytes(), None)
    names = [x509.DNSName(host) for host in hosts] + [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now + begin).not_valid_after(now + end)
            .add_extension(x509.SubjectAlternativeName(names), False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), True).sign(signer, hashes.SHA256()))
    (folder / f"{name}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return folder / f"{name}.pem"


def listen(*names, more=""):
    lines = "".join(f"certificate ../{name}.pem ../{name}.key; " for name in names)
    return f"listen 127.0.0.1:0 tls {{ {lines}{more} }}\n"


@pytest.fixture
def make(make_gateway, tmp_path):
    """A gateway whose only listener speaks TLS, with a certificate for localhost."""
    certificate(tmp_path, "first", "localhost", "first.example")

    def make(names=("first",), *, more="", main="", **how):
        running = make_gateway(listen=(), main=listen(*names, more=more) + "error_log stderr debug;" + main, **how)
        text = running.file.read_text()
        running.file.write_text(text.replace("error_log stderr info;", "", 1))
        # `start` waits for as many to be up.
        running.listen = ["tls"]
        return running

    return make


def trust(folder, *names, least=None, most=None):
    context = tls_socket.context()
    for name in names:
        context.load_verify_locations(folder / f"{name}.pem")
    context.minimum_version = least or context.minimum_version
    context.maximum_version = most or context.maximum_version
    return context


def wss(running, context, path="/echo", host="localhost", **how):
    return connect(f"wss://{host}:{running.port}{path}", ssl=context, sock=running.connect(), server_hostname=host,
                   compression=None, max_size=None, proxy=None, **how)


def tls(running, context, host="localhost", session=None):
    return context.wrap_socket(running.connect(), server_hostname=host, session=session)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_messages_of_all_sizes_come_back(make, tmp_path, version):
    running = make(routes="route /echo { handler echo; max_message 8m; max_frame 8m; }").start()
    with wss(running, trust(tmp_path, "first", least=version, most=version)) as peer:
        for size in (0, 1, 125, 126, 16_000, 16_384, 16_385, 65_536, 300_000, 5_000_000):
            message = os.urandom(size)
            peer.send(message)
            assert peer.recv(DEADLINE) == message
        for number in range(300):
            peer.send(f"burst {number}")
        assert [peer.recv(DEADLINE) for _ in range(300)] == [f"burst {number}" for number in range(300)]
        peer.close()
        assert (peer.protocol.close_code, peer.protocol.close_rcvd.code) == (1000, 1000)


def test_the_host_chooses_the_certificate(make, tmp_path):
    certificate(tmp_path, "second", "*.second.example")
    running = make(["first", "second"]).start()
    for host, name in [("first.example", "first"), ("a.second.example", "second"), ("second.example", "first")]:
        context = trust(tmp_path, "first", "second")
        context.check_hostname = host != "second.example"
        with tls(running, context, host) as peer:
            assert dict(pair for row in peer.getpeercert()["subject"] for pair in row) == {"commonName": name}
    with wss(running, trust(tmp_path, "second"), host="a.second.example") as peer:
        peer.send("hello")
        assert peer.recv(DEADLINE) == "hello"


def test_versions_that_are_not_spoken(make, tmp_path):
    running = make(more="protocols 1.3;").start()
    with pytest.raises(ssl.SSLError, match="(?i)protocol.version"):
        tls(running, trust(tmp_path, "first", most=ssl.TLSVersion.TLSv1_2))
    running.wait_for(r"info: 127\.0\.0\.1:\d+: TLS: unsupported protocol")
    with tls(running, trust(tmp_path, "first")) as peer:
        assert peer.version() == "TLSv1.3"


def s_client(running, *options, text=b""):
    found = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{running.port}", *options], input=text,
                           capture_output=True, timeout=DEADLINE)
    return found.stdout.decode(errors="replace") + found.stderr.decode(errors="replace")


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_sessions_are_resumed_by_any_worker_and_after_a_reload(make, tmp_path, version):
    running = make(main="threads 4;").start()
    file = tmp_path / "session"
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    first = s_client(running, version, "-ign_eof", "-sess_out", file, text=request)
    assert "New, TLS" in first and "HTTP/1.1 404" in first
    certificate(tmp_path, "first", "localhost")
    assert ask(running, "reload").returncode == 0
    for _ in range(4):
        again = s_client(running, version, "-ign_eof", "-sess_in", file, text=request)
        assert "Reused, TLS" in again and "HTTP/1.1 404" in again


def test_no_ticket_allows_early_data(make, tmp_path):
    running = make().start()
    session, early = tmp_path / "session", tmp_path / "early"
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    first = s_client(running, "-tls1_3", "-ign_eof", "-sess_out", session, text=request)
    assert "Max Early Data: 0" in first and not re.search("Max Early Data: [1-9]", first)
    # It could be sent again by somebody else, and would be another handshake's request by then.
    early.write_bytes(request)
    again = s_client(running, "-tls1_3", "-ign_eof", "-sess_in", session, "-early_data", early, text=request)
    assert "Reused, TLS" in again and "Early data was not sent" in again
    assert again.count("HTTP/1.1 404") == 1


def test_a_handler_is_told_what_was_agreed_on(make, tmp_path):
    running = make(routes="route /telling { handler telling; }")
    source = tmp_path / "telling.c"
    source.write_text(TELLING)
    compile_handler(running, "telling", source)
    running.start()
    with wss(running, trust(tmp_path, "first"), "/telling") as peer:
        heard = [peer.recv(DEADLINE) for _ in range(5)]
        assert heard == ["yes", peer.socket.version(), peer.socket.cipher()[0], "localhost", ""]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_handler_is_told_the_name_of_the_client(make, tmp_path, version):
    certificate(tmp_path, "authority")
    certificate(tmp_path, "Ada", by="authority")
    certificate(tmp_path, "stranger")
    running = make(routes="route /telling { handler telling; }", more="client_ca ../authority.pem optional;")
    source = tmp_path / "telling.c"
    source.write_text(TELLING)
    compile_handler(running, "telling", source)
    running.start()

    def name(context, session=None):
        with tls(running, context, session=session) as secure, connect(
                "ws://localhost/telling", sock=secure, compression=None, proxy=None) as peer:
            told = [peer.recv(DEADLINE) for _ in range(5)][4]
            return told, secure.session, secure.session_reused

    context = trust(tmp_path, "first", least=version, most=version)
    assert name(context)[0] == ""
    context = trust(tmp_path, "first", least=version, most=version)
    context.load_cert_chain(tmp_path / "Ada.pem", tmp_path / "Ada.key")
    told, session, _ = name(context)
    assert told == "CN=Ada"
    told, _, isResumed = name(context, session)
    assert (told, isResumed) == ("CN=Ada", True)
    context = trust(tmp_path, "first", least=version, most=version)
    context.load_cert_chain(tmp_path / "stranger.pem", tmp_path / "stranger.key")
    with pytest.raises(REFUSED):
        name(context)
    running.wait_for(r"TLS for localhost: the certificate of the client does not hold: self.signed certificate")


def test_clients_without_a_certificate_where_one_is_required(make, tmp_path):
    certificate(tmp_path, "authority")
    certificate(tmp_path, "Ada", by="authority")
    running = make(more="client_ca ../authority.pem required;").start()
    context = trust(tmp_path, "first")
    with pytest.raises(REFUSED), wss(running, context):
        pass
    running.wait_for(r"info: 127\.0\.0\.1:\d+: TLS for localhost: peer did not return a certificate")
    context.load_cert_chain(tmp_path / "Ada.pem", tmp_path / "Ada.key")
    with wss(running, context) as peer:
        peer.send("hello")
        assert peer.recv(DEADLINE) == "hello"
        # Another authority, in the same file: who is here stays, who comes is measured by the new one.
        certificate(tmp_path, "authority")
        running.wait_for("other settings of TLS, its files have changed")
        with pytest.raises(REFUSED), wss(running, context):
            pass
        peer.send("still here")
        assert peer.recv(DEADLINE) == "still here"


@pytest.mark.parametrize("more, why", [
    ("client_ca ../nowhere.pem required;", "cannot read .*/nowhere.pem: No such file or directory"),
    ("client_ca ../first.key optional;", "there is no certificate in .*/first.key"),
    ('ciphers "ECDHE+AESGCM:NONSENSE";', 'ciphers: "NONSENSE": no cipher match'),
], ids=["missing", "empty", "ciphers"])
def test_settings_of_tls_that_do_not_work(make, more, why):
    running = make(more=more)
    checked = ask(running, "check")
    assert checked.returncode == 78
    assert re.search(rf"gateway.conf:4: error: {why}", checked.stderr), checked.stderr


def test_ciphers_are_those_of_the_configuration(make, tmp_path):
    running = make(more='ciphers "TLS_CHACHA20_POLY1305_SHA256:ECDHE+AES256";').start()
    for version, name in ((ssl.TLSVersion.TLSv1_3, "TLS_CHACHA20_POLY1305_SHA256"), (ssl.TLSVersion.TLSv1_2, "AES256")):
        with tls(running, trust(tmp_path, "first", least=version, most=version)) as peer:
            assert name in peer.cipher()[0]


def test_http_is_agreed_on(make):
    running = make().start()
    assert "ALPN protocol: h2" in s_client(running, "-alpn", "http/1.1,h2")
    assert "ALPN protocol: http/1.1" in s_client(running, "-alpn", "http/1.1")
    assert "ALPN protocol: http/1.1" in s_client(make(more="http2 off;").start(), "-alpn", "h2,http/1.1")


def test_https_and_its_end(make, tmp_path):
    running = make().start()
    context = trust(tmp_path, "first")
    client = http.client.HTTPSConnection("localhost", running.port, timeout=DEADLINE, context=context)
    client.sock = tls(running, context)
    client.request("GET", "/nothing")
    answer = client.getresponse()
    assert (answer.status, b"no-route" in answer.read()) == (404, True)
    client.close()
    # Without close_notify Python says that the stream was cut off.
    with tls(running, context) as peer:
        peer.sendall(b"GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        heard = b""
        while more := peer.recv(65536):
            heard += more
        assert heard.startswith(b"HTTP/1.1 404 ")


def test_http_without_tls_is_told_so(make):
    running = make().start()
    with running.connect() as peer:
        peer.sendall(b"GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n")
        heard = b""
        while more := peer.recv(65536):
            heard += more
    assert heard.startswith(b"HTTP/1.1 400 ") and b"plain-http-on-tls-port" in heard


@pytest.mark.parametrize("first", [b"", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"], ids=["nothing", "half"])
def test_a_handshake_has_an_end(make, first):
    running = make(main="defaults { handshake_timeout 300ms; }").start()
    with running.connect() as peer:
        peer.sendall(first)
        assert peer.recv(100) == b""
    running.wait_for(r"127\.0\.0\.1:\d+: TLS: the handshake was not finished")


def test_handshakes_over_the_limit_wait_their_turn(make, tmp_path):
    running = make(more="handshake_limit 1;", main="threads 1;").start()
    with running.connect() as first, running.connect() as silent, running.connect() as second:
        first.sendall(b"\x16\x03\x01\x02\x00\x01")
        waiting = trust(tmp_path, "first").wrap_socket(second, server_hostname="localhost", do_handshake_on_connect=False)
        waiting.settimeout(0.5)
        with pytest.raises(TimeoutError):
            waiting.do_handshake()
        first.close()
        waiting.settimeout(DEADLINE)
        waiting.do_handshake()
        assert waiting.version()
        # One that has not begun its handshake keeps nobody from his.
        assert silent.getpeername()
        waiting.close()


def test_what_peers_do_wrong_does_not_fill_the_log(make):
    running = make(main="threads 1;").start()
    with running.connect():
        pass
    for number in range(30):
        with running.connect() as peer:
            peer.sendall(b"SSH-2.0-OpenSSH\r\n")
            while peer.recv(100):
                pass
    running.signal(signal.SIGHUP)
    running.wait_for("configuration: nothing changed")
    assert 1 <= len(re.findall(r"127\.0\.0\.1:\d+: TLS: ", running.log())) <= 20
    assert "left in the handshake" not in running.log()


def test_a_request_head_has_the_same_end(make, tmp_path):
    running = make(main="defaults { handshake_timeout 500ms; }").start()
    with tls(running, trust(tmp_path, "first")) as peer:
        peer.sendall(b"GET / HTTP/1.1\r\n")
        assert peer.recv(100).startswith(b"HTTP/1.1 408 ")


def test_garbage_ends_a_connection_and_no_other(make, tmp_path):
    running = make().start()
    with wss(running, trust(tmp_path, "first")) as other, running.connect() as peer:
        session = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = trust(tmp_path, "first").wrap_bio(*session, server_hostname="localhost")
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                peer.sendall(session[1].read())
                session[0].write(peer.recv(65536))
        peer.sendall(session[1].read() + b"\x17\x03\x03\x00\x40" + b"x" * 64)
        while peer.recv(65536):
            pass
        other.send("still here")
        assert other.recv(DEADLINE) == "still here"
    running.wait_for("TLS for localhost: decryption failed or bad record mac")


def test_a_slow_reader_is_waited_for(make, tmp_path):
    running = make(routes="route /echo { handler echo; send_buffer 64k; }").start()
    messages = [os.urandom(200_000) for _ in range(200)]

    def peak():
        return int(re.search(r"VmHWM:\s+(\d+)", (running.proc / "status").read_text())[1]) * 1024

    async def scenario():
        # With so short a queue it reads only while somebody asks for messages.
        async with websockets.connect(
                f"wss://localhost:{running.port}/echo", host="127.0.0.1", ssl=trust(tmp_path, "first"), max_queue=1,
                compression=None, proxy=None) as peer:
            before = peak()

            async def send():
                for message in messages:
                    await peer.send(message)

            sender = asyncio.create_task(send())
            for message in messages:
                assert await peer.recv() == message
            await sender
            assert peak() - before < sum(map(len, messages)) / 2

    run(scenario())


def test_a_handler_is_replaced_under_connections_that_keep_their_state(make, tmp_path):
    versions = [counter_in_c(tmp_path, version) for version in (1, 2)]
    running = make(routes="route /counter { handler counter; }")
    put(versions[0], running.plugins / "counter.so", in_place=False)
    running.start()
    with wss(running, trust(tmp_path, "first"), "/counter") as peer:
        peer.send("a")
        assert peer.recv(DEADLINE) == "1 1 a"
        put(versions[1], running.plugins / "counter.so", in_place=False)
        running.signal(signal.SIGHUP)
        running.wait_for("generation 2 is serving, 1 connection moved")
        peer.send("b")
        assert peer.recv(DEADLINE) == "2 2 b"


def test_certificates_are_read_again(make, tmp_path):
    running = make().start()
    old = trust(tmp_path, "first")
    with wss(running, old) as peer:
        certificate(tmp_path, "first", "localhost")
        told = ask(running, "reload")
        assert told.returncode == 0 and "other certificates" in told.stdout
        with pytest.raises(ssl.SSLCertVerificationError):
            tls(running, old)
        tls(running, trust(tmp_path, "first")).close()
        running.wait_for("TLS for localhost: .*unknown ca")
        (tmp_path / "first.key").write_text("nothing")
        refused = ask(running, "reload")
        assert refused.returncode == 75 and "no private key can be read from" in refused.stdout
        tls(running, trust(tmp_path, "first")).close()
        peer.send("still here")
        assert peer.recv(DEADLINE) == "still here"


def address(running, n=0):
    return int(running.addresses()[n].rpartition(":")[2])


def fingerprint(running, number=0):
    """That of the certificate which new clients of a listener are shown."""
    with socket.create_connection(("127.0.0.1", address(running, number)), DEADLINE) as peer:
        shown = ssl._create_unverified_context().wrap_socket(peer, server_hostname="localhost").getpeercert(True)
        return x509.load_der_x509_certificate(shown).fingerprint(hashes.SHA256())


def fingerprint_of(file):
    return x509.load_pem_x509_certificate(file.read_bytes()).fingerprint(hashes.SHA256())


@pytest.mark.parametrize("cause", ["files", "SIGHUP"])
def test_new_certificates_are_shown_to_new_clients(make, tmp_path, cause):
    running = make().start()
    with wss(running, trust(tmp_path, "first")) as peer:
        certificate(tmp_path, "first", "localhost")
        if cause == "SIGHUP":
            running.signal(signal.SIGHUP)
        eventually("the new one", lambda: fingerprint(running) == fingerprint_of(tmp_path / "first.pem"))
        peer.send("still here")
        assert peer.recv(DEADLINE) == "still here"


def test_certificates_that_are_deployed_by_links(make, tmp_path):
    """certbot's live folder, and the swapped folder of Kubernetes, on two listeners."""
    for number in (1, 2):
        for folder in (tmp_path / "archive", tmp_path / f"..{number}"):
            folder.mkdir(exist_ok=True)
            certificate(folder, f"tls{number}" if folder.name == "archive" else "tls", "localhost")
    (tmp_path / "live").mkdir()
    for end in ("pem", "key"):
        (tmp_path / f"live/tls.{end}").symlink_to(f"../archive/tls1.{end}")
        (tmp_path / f"tls.{end}").symlink_to(f"..data/tls.{end}")
    (tmp_path / "..data").symlink_to("..1")
    running = make(["live/tls"], main=listen("tls"))
    running.listen = ["tls", "tls"]
    running.start()
    assert fingerprint(running) == fingerprint_of(tmp_path / "archive/tls1.pem")
    for end in ("pem", "key"):
        (tmp_path / "live/next").symlink_to(f"../archive/tls2.{end}")
        (tmp_path / "live/next").rename(tmp_path / f"live/tls.{end}")
    eventually("certbot's", lambda: fingerprint(running) == fingerprint_of(tmp_path / "archive/tls2.pem"))
    assert fingerprint(running, 1) == fingerprint_of(tmp_path / "..1/tls.pem")
    (tmp_path / "..next").symlink_to("..2")
    (tmp_path / "..next").rename(tmp_path / "..data")
    eventually("Kubernetes's", lambda: fingerprint(running, 1) == fingerprint_of(tmp_path / "..2/tls.pem"))


def test_a_bad_certificate_changes_nothing_and_is_said_once(make, tmp_path):
    running = make(main="plugins ./Plugins { settle 20ms; }")
    running.file.write_text(running.file.read_text().replace("plugins ./Plugins;", "", 1))
    running.start()
    shown = fingerprint(running)
    for text in ("nothing", "nothing at all"):
        (tmp_path / "first.key").write_text(text)
        running.wait_for("error: certificates have changed, those before serve on: .*no private key can be read")
    # The next line is that of another cause; it comes behind whatever else was said of the same one.
    (tmp_path / "first.pem").unlink()
    running.wait_for("error: certificates have changed.*cannot read .*first.pem: No such file")
    assert running.log().count("no private key can be read") == 1
    assert fingerprint(running) == shown
    certificate(tmp_path, "first", "localhost")
    running.wait_for("other certificates, its files have changed")
    assert fingerprint(running) == fingerprint_of(tmp_path / "first.pem") != shown


def test_the_end_of_a_certificate_is_told(make, tmp_path):
    certificate(tmp_path, "second", "second.example", end=10.5 * DAY)
    running = make(["first", "second"])
    notice = "the certificate for second.example in .*/second.pem expires in 10 days"
    checked = ask(running, "check")
    assert checked.returncode == 0
    assert re.search(rf"gateway.conf:4: warning: {notice}$", checked.stderr, re.M), checked.stderr
    assert "first" not in checked.stderr
    running.start()
    running.wait_for(f" warning: {notice}")
    told = status(running)["certificates"]
    assert [each["certificate"] for each in told] == ["localhost", "second.example"]
    ends = x509.load_pem_x509_certificate((tmp_path / "second.pem").read_bytes()).not_valid_after_utc
    assert told[1]["expiry_seconds"] == int(ends.timestamp())
    assert told[1]["listeners"] == running.addresses() and told[1]["file"].endswith("/second.pem")
    assert re.search(r"certificate  localhost until .* UTC, in (29|30) days  .*/first.pem\n"
                     r"             second.example until .* UTC, in 10 days  .*/second.pem\n", ask(running, "status").stdout)
    assert ask(running, "reload").returncode == 0
    eventually("said again", lambda: len(re.findall(notice, running.log())) == 2)


def test_what_a_full_gateway_says_it_says_through_tls(make, tmp_path):
    running = make(main="defaults { max_connections 1; }").start()
    context = trust(tmp_path, "first")
    with wss(running, context):
        with tls(running, context) as peer:
            peer.sendall(b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n")
            assert peer.recv(1000).startswith(b"HTTP/1.1 503 ")


def test_a_peer_beyond_those_that_are_told_hears_an_alert(make, tmp_path):
    running = make(main="defaults { max_connections 1; }").start()
    context = trust(tmp_path, "first")
    with contextlib.ExitStack() as stack:
        stack.enter_context(wss(running, context))
        # So many may come and ask, to be told why they are not served.
        for _ in range(16):
            stack.enter_context(tls(running, context))
        with pytest.raises(ssl.SSLError, match="(?i)alert.internal.error"):
            tls(running, context)


def test_a_listener_begins_and_ceases_to_speak_tls(make, tmp_path):
    running = make().start()
    context, text = trust(tmp_path, "first"), running.file.read_text()
    plain = text.replace(listen("first").strip(), "listen 127.0.0.1:0;")
    assert plain != text
    with wss(running, context) as old:
        running.file.write_text(plain)
        told = ask(running, "reload")
        assert told.returncode == 0 and "no TLS from now on" in told.stdout, told.stdout
        with connect(running.url(), proxy=None) as new:
            running.file.write_text(text)
            told = ask(running, "reload")
            assert told.returncode == 0 and ": TLS from now on" in told.stdout, told.stdout
            with wss(running, context) as third:
                for number, peer in enumerate((old, new, third)):
                    peer.send(f"still here {number}")
                    assert peer.recv(DEADLINE) == f"still here {number}"
    assert len(running.addresses()) == 1


def test_two_listeners_on_any_port_keep_their_own_certificates(make, tmp_path):
    certificate(tmp_path, "second", "localhost")
    running = make(main=listen("second"))
    running.listen = ["tls", "tls"]
    running.start()
    for _ in range(2):
        for number, name in enumerate(("first", "second")):
            with socket.create_connection(("127.0.0.1", address(running, number)), DEADLINE) as peer:
                trust(tmp_path, name).wrap_socket(peer, server_hostname="localhost").close()
        told = ask(running, "reload")
        assert told.returncode == 0 and "listening" not in told.stdout, told.stdout


def test_a_gateway_that_ends_says_so(make, tmp_path):
    running = make().start()
    with wss(running, trust(tmp_path, "first")) as peer:
        running.signal()
        with pytest.raises(Exception) as ended:
            peer.recv(DEADLINE)
        assert ended.value.rcvd.code == 1001
    assert running.exit_status() == 0


@pytest.mark.parametrize("spoil, why", [
    (lambda folder: (folder / "first.pem").unlink(), "cannot read .*/first.pem: No such file or directory"),
    (lambda folder: (folder / "first.key").write_text(""), "no private key can be read from .*/first.key"),
    (lambda folder: certificate(folder, "first", end=-DAY / 2), "the certificate in .*/first.pem expired at "),
    (lambda folder: certificate(folder, "first", begin=DAY), "the certificate in .*/first.pem is not valid before "),
    (lambda folder: (folder / "first.key").write_bytes(certificate(folder, "other").with_suffix(".key").read_bytes()),
     "the private key in .*/first.key does not belong to the certificate in .*/first.pem"),
], ids=["missing", "no key", "expired", "not yet", "foreign key"])
def test_certificates_that_are_not_fit(make, tmp_path, spoil, why):
    running = make()
    spoil(tmp_path)
    checked = ask(running, "check")
    assert checked.returncode == 78
    assert re.search(rf"gateway.conf:4: error: {why}", checked.stderr), checked.stderr
    running.launch()
    assert running.exit_status() == 78
    assert re.search(rf"gateway.conf:4: {why}", running.log()), running.log()


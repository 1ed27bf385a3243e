"""`gateway dev-cert`: what it writes, who trusts it then, and that nothing of it is left after `--remove`."""
import datetime
import os
import re
import shutil
import ssl
import stat
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from websockets.sync.client import connect

import tls_socket
from dev_cert import LIST, DevCert, needs_namespaces
from gateway_process import BINARY, DEADLINE, TOP, eventually
from test_control import ask
from test_tls import certificate as foreign_certificate

pytestmark = needs_namespaces
NODE_CLIENT = TOP / "Tests/Clients/node_client.js"
SHIPPED = next(line for line in (TOP / "gateway.conf").read_text().splitlines() if line.startswith("# listen 8443 tls"))


@pytest.fixture
def dev_cert(tmp_path):
    return DevCert(tmp_path)


@pytest.fixture
def serve(make_gateway, dev_cert):
    """A gateway with the line for TLS that gateway.conf has, in the folder where `gateway dev-cert` is called."""
    def serve():
        line = SHIPPED.removeprefix("# ").replace("8443", "127.0.0.1:0")
        running = make_gateway(listen=(), main=line)
        running.listen = ["tls"]
        for path in (dev_cert.certificate, dev_cert.key):
            shutil.copy(path, running.folder / path.name)
        return running.start()

    return serve


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def loaded(path):
    return x509.load_pem_x509_certificate(path.read_bytes())


def names(path):
    found = loaded(path).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(name.value) for name in found]


def tag(dev_cert):
    """What the authority is called by in the lists of others."""
    return re.search(r"gateway development CA ([0-9a-f]{8}) of ", loaded(dev_cert.authority).subject.rfc4514_string())[1]


def reissue(dev_cert, days):
    """The certificate again, by the same authority, with so many days to go."""
    folder = dev_cert.authority.parent
    key = serialization.load_pem_private_key((folder / "dev-ca-key.pem").read_bytes(), None)
    old, now = loaded(dev_cert.certificate), datetime.datetime.now(datetime.timezone.utc)
    builder = (x509.CertificateBuilder().subject_name(old.subject).issuer_name(old.issuer).public_key(old.public_key())
               .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=300))
               .not_valid_after(now + datetime.timedelta(days=days, hours=1)))
    for extension in old.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    made = builder.sign(key, hashes.SHA256())
    dev_cert.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))


# ---- what it writes

def test_files_and_who_may_read_them(dev_cert):
    # With nothing taken away by the umask, what the program asks for is what there is.
    done = dev_cert.within("sh", "-c", f"umask 0; exec {BINARY} dev-cert")
    assert done.returncode == 0, done.stderr
    folder = dev_cert.authority.parent
    assert {path.name for path in dev_cert.folder.iterdir()} == {"dev-cert.pem", "dev-key.pem"}
    assert {path.name for path in folder.iterdir()} == {"dev-ca.pem", "dev-ca-key.pem"}
    assert (mode(dev_cert.key), mode(folder), mode(folder / "dev-ca-key.pem")) == (0o600, 0o700, 0o600)
    assert names(dev_cert.certificate) == ["localhost", "127.0.0.1", "::1"]
    made = loaded(dev_cert.certificate)
    assert made.not_valid_after_utc - made.not_valid_before_utc < datetime.timedelta(days=397)
    assert made.public_key().curve.name == "secp256r1"


@pytest.mark.parametrize("host, fine", [
    ("localhost", True), ("127.0.0.1", True), ("::1", True), ("app.test", True), ("a.app.test", True),
    ("192.168.1.20", True), ("other.test", False), ("a.b.app.test", False), ("192.168.1.21", False)])
def test_openssl_verifies_it_for_the_names(dev_cert, host, fine):
    dev_cert("app.test", "*.app.test", "192.168.1.20")
    kind = "-verify_ip" if re.fullmatch(r"[\d.]+|.*:.*", host) else "-verify_hostname"
    done = subprocess.run(["openssl", "verify", "-x509_strict", "-purpose", "sslserver", kind, host, "-no-CApath",
                           "-CAfile", dev_cert.authority, dev_cert.certificate], capture_output=True, text=True)
    assert (done.returncode == 0) == fine, done.stdout + done.stderr


def test_a_second_time_changes_nothing(dev_cert):
    dev_cert("app.test")
    before = dev_cert.files()
    times = {path: path.stat().st_mtime_ns for path in before}
    for words in [(), ("localhost",), ("APP.test", "0:0:0:0:0:0:0:1")]:
        assert "nothing had to be changed" in dev_cert(*words)
    assert dev_cert.files() == before and {path: path.stat().st_mtime_ns for path in before} == times


def test_a_new_name_is_added_by_the_same_authority(dev_cert):
    dev_cert("app.test")
    before = dev_cert.files()
    assert "renewed dev-cert.pem: for localhost, 127.0.0.1, ::1, b.test, app.test, until" in dev_cert("b.test")
    assert names(dev_cert.certificate) == ["localhost", "127.0.0.1", "::1", "b.test", "app.test"]
    changed = {path for path, text in dev_cert.files().items() if before.get(path) != text}
    assert changed == {dev_cert.certificate}


@pytest.mark.parametrize("days, said", [(29, "renewed dev-cert.pem"), (30, "nothing had to be changed"),
                                        (-1, "renewed dev-cert.pem")])
def test_it_is_renewed_in_time(dev_cert, days, said):
    dev_cert("app.test")
    reissue(dev_cert, days)
    assert said in dev_cert()
    assert names(dev_cert.certificate)[-1] == "app.test"


def test_a_certificate_of_an_authority_that_is_gone_is_made_anew(dev_cert):
    dev_cert()
    shutil.rmtree(dev_cert.authority.parent)
    assert "renewed dev-cert.pem" in dev_cert()
    loaded(dev_cert.certificate).verify_directly_issued_by(loaded(dev_cert.authority))


def test_xdg_data_home(dev_cert, tmp_path):
    dev_cert(XDG_DATA_HOME=tmp_path / "data")
    assert mode(tmp_path / "data/gateway/dev-ca-key.pem") == 0o600 and not (dev_cert.home / ".local").exists()
    # The specification has a relative one ignored.
    dev_cert(XDG_DATA_HOME="data")
    assert dev_cert.authority.exists()


# ---- what it refuses

def test_names_that_are_none(dev_cert):
    for name, why in [("*.test", "would be matched by no client"), ("https://a.test", "neither scheme nor port"),
                      ("300.1.1.1", "looks like an IPv4 address"), ("a b", "'a b' is no host")]:
        assert why in dev_cert(name, status=2)
    assert "--remove takes everything away, not only a.test" in dev_cert("--remove", "a.test", status=2)
    assert dev_cert.files() == {}


@pytest.mark.parametrize("name, text", [("dev-cert.pem", "foreign"), ("dev-cert.pem", "nothing"), ("dev-key.pem", "nothing")])
def test_files_of_others_are_never_touched(dev_cert, tmp_path, name, text):
    if text == "foreign":
        text = foreign_certificate(tmp_path, "first", "localhost").read_text()
    (dev_cert.folder / name).write_text(text)
    before = dev_cert.files()
    said = dev_cert(status=1)
    assert f"{name} is here already" in said and "left alone" in said
    assert "left alone" in dev_cert("--remove")
    assert dev_cert.files() == before


def test_a_key_of_others_is_never_touched(dev_cert, tmp_path):
    dev_cert()
    foreign_certificate(tmp_path, "first")
    dev_cert.key.write_bytes((tmp_path / "first.key").read_bytes())
    before = dev_cert.files()
    assert "dev-key.pem is here already, and is not the key" in dev_cert("new.test", status=1)
    assert dev_cert.files() == before


def test_no_place_to_write_to(dev_cert):
    said = dev_cert(status=1, HOME=None)
    assert "HOME is not set" in said and "XDG_DATA_HOME" in said
    said = dev_cert(status=1, read_only=[dev_cert.folder])
    assert "cannot write into this folder: Read-only file system" in said
    assert not dev_cert.authority.exists()
    said = dev_cert(status=1, read_only=[dev_cert.home])
    assert f"cannot make the folder {dev_cert.home}/.local: Read-only file system" in said
    assert dev_cert.files() == {}


def test_an_authority_that_cannot_be_used(dev_cert):
    dev_cert()
    before = dev_cert.files()
    (dev_cert.authority.parent / "dev-ca-key.pem").unlink()
    said = dev_cert("new.test", status=1)
    assert "has no key any more" in said and "gateway dev-cert --remove" in said
    assert dev_cert.certificate.read_bytes() == before[dev_cert.certificate]
    dev_cert("--remove")
    assert "made dev-cert.pem" in dev_cert()


# ---- who trusts it

def test_curl_python_and_node_trust_it(dev_cert, serve):
    said = dev_cert("app.test")
    running = serve()
    # The commands that it prints, with another port and other clients.
    assert f"curl --cacert {dev_cert.authority} https://localhost:8443/" in said
    for host in ("localhost", "app.test"):
        done = subprocess.run(["curl", "--silent", "--show-error", "--http1.1", "--noproxy", "*", "--resolve",
                               f"{host}:{running.port}:127.0.0.1", "--cacert", dev_cert.authority,
                               f"https://{host}:{running.port}/nothing"], capture_output=True, text=True, timeout=DEADLINE)
        assert (done.returncode, "no-route" in done.stdout) == (0, True), done.stderr
    context = tls_socket.context(cafile=dev_cert.authority)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    with connect(f"wss://127.0.0.1:{running.port}/echo", ssl=context, proxy=None) as peer:
        peer.send("Python")
        assert peer.recv(DEADLINE) == "Python"
    variable, program = "NODE_EXTRA_CA_CERTS", shutil.which("node")
    assert f"{variable}={dev_cert.authority} node client.js" in said
    command = [program, NODE_CLIENT, f"wss://localhost:{running.port}/echo"]
    for value, heard in [(dev_cert.authority, "open\nNode\n"), ("", "UNABLE_TO_VERIFY_LEAF_SIGNATURE\n")]:
        done = subprocess.run(command, input="Node\n", capture_output=True, text=True, timeout=DEADLINE,
                              env={**dev_cert.environment, variable: str(value)})
        assert done.stdout == heard, done.stderr


needs_list = pytest.mark.skipif(not os.path.isdir(LIST) or not shutil.which("update-ca-certificates", path="/usr/sbin:/sbin"),
                                reason="the system has no list that is kept as Debian's")


def asked_by_the_system(dev_cert, running):
    """The exit status of a client that trusts whom the system trusts; 60 is that of a certificate it does not."""
    return dev_cert.within("curl", "--silent", "--output", "/dev/null", "--noproxy", "*", "--resolve",
                           f"localhost:{running.port}:127.0.0.1", f"https://localhost:{running.port}/").returncode


@needs_list
def test_the_system_trusts_it_and_no_longer(dev_cert, serve):
    said = dev_cert()
    assert f"the system ({LIST}) trusts it now" in said and "sudo" not in said
    running = serve()
    assert asked_by_the_system(dev_cert, running) == 0
    assert f"the system ({LIST}) trusts it already" in dev_cert()
    assert f"the system ({LIST}) trusts it no longer" in dev_cert("--remove")
    assert asked_by_the_system(dev_cert, running) == 60


@needs_list
def test_who_may_not_change_the_system_is_told_what_to_do(dev_cert, serve):
    said = dev_cert(read_only=[LIST])
    assert f"the system ({LIST}) does not trust it: only an administrator may write there" in said
    for program in ("Debian", "Fedora", "macOS", "Chromium", "Firefox", "curl", "Python", "Node"):
        assert re.search(rf"^  {program}.*\n      \S", said, re.M), program
    running = serve()
    assert asked_by_the_system(dev_cert, running) == 60
    command = re.search(r"sudo cp .*ca-certificates$", said, re.M)[0].replace("sudo ", "")
    assert dev_cert.within("sh", "-c", f"PATH=$PATH:/usr/sbin; {command}").returncode == 0
    assert asked_by_the_system(dev_cert, running) == 0
    assert "trusts it already" in dev_cert(read_only=[LIST])
    # Now it cannot take away what it did not bring; the key is gone all the same, and it can be asked again.
    said = dev_cert("--remove", read_only=[LIST], status=1)
    assert "trusts it still" in said and not (dev_cert.authority.parent / "dev-ca-key.pem").exists()
    command = re.search(r"sudo rm .*ca-certificates$", said, re.M)[0].replace("sudo ", "")
    assert dev_cert.within("sh", "-c", f"PATH=$PATH:/usr/sbin; {command}").returncode == 0
    assert asked_by_the_system(dev_cert, running) == 60
    dev_cert("--remove", read_only=[LIST])
    assert not dev_cert.authority.parent.exists()


def listed(database):
    return subprocess.run(["certutil", "-L", "-d", f"sql:{database}"], capture_output=True, text=True).stdout


@pytest.mark.skipif(not shutil.which("certutil"), reason="no certutil (libnss3-tools)")
def test_browsers_trust_it_and_no_longer(dev_cert):
    chromium, firefox = dev_cert.home / ".pki/nssdb", dev_cert.home / ".mozilla/firefox/x1.default"
    for database in (chromium, firefox):
        database.mkdir(parents=True)
        subprocess.run(["certutil", "-N", "-d", f"sql:{database}", "--empty-password"], check=True)
    # A Chromium of today has it here, and would overlook it beside one in the place of old.
    newer = dev_cert.home / ".local/share/pki/nssdb"
    shutil.copytree(chromium, newer)
    shutil.rmtree(dev_cert.home / ".pki")
    assert f"Chromium, Chrome, Edge ({newer}) trusts it now" in dev_cert()
    assert not chromium.exists() and "gateway dev-cert" in listed(newer)
    shutil.copytree(newer, chromium)
    assert dev_cert("--remove").count("trusts it no longer") >= 3
    said = dev_cert()
    assert f"Chromium, Chrome, Edge ({chromium}) trusts it now" in said
    assert f"Firefox, profile x1.default ({firefox}) trusts it now" in said
    for database in (chromium, firefox):
        assert re.search(rf"^gateway dev-cert {tag(dev_cert)} +C,,", listed(database), re.M)
    assert dev_cert().count("trusts it already") >= 2
    dev_cert("--remove")
    for database in (chromium, firefox):
        assert "gateway" not in listed(database)


@pytest.mark.skipif(not shutil.which("certutil"), reason="no certutil (libnss3-tools)")
def test_a_database_with_a_password_is_not_waited_for(dev_cert):
    """Without a terminal, and with nobody there to be asked."""
    firefox, password = dev_cert.home / ".mozilla/firefox/locked", dev_cert.home / "password"
    firefox.mkdir(parents=True)
    password.write_text("secret\n")
    subprocess.run(["certutil", "-N", "-d", f"sql:{firefox}", "-f", password], check=True)
    assert "Firefox, profile locked" in dev_cert(status=1) + dev_cert("--remove")


# ---- and nothing of it is left

def test_all_of_it_can_be_undone(dev_cert):
    before = dev_cert.files()
    dev_cert("app.test")
    said = dev_cert("--remove")
    for what in ("removed dev-cert.pem", "removed dev-key.pem", "removed the authority in "):
        assert what in said
    assert dev_cert.files() == before and not dev_cert.authority.parent.exists()
    assert "there is nothing to remove" in dev_cert("--remove")


def test_a_gateway_shows_the_new_one_after_a_reload(dev_cert, serve):
    dev_cert()
    running = serve()
    context = ssl.create_default_context(cafile=dev_cert.authority)
    dev_cert("app.test")
    shutil.copy(dev_cert.certificate, running.folder)
    assert ask(running, "reload").returncode == 0

    def shown():
        with context.wrap_socket(running.connect(), server_hostname="localhost") as peer:
            return "app.test" in str(peer.getpeercert()["subjectAltName"])

    eventually("the certificate for app.test", shown)

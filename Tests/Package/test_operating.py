"""An operator's machine: nothing but the package and what it depends on. In the order of a package's life."""
import gzip
import os
import re
import shutil
from pathlib import Path

import pytest
from websockets.sync.client import connect

from gateway_process import eventually
from service import SYSTEMCTL, Service, mounted_proc, other_package

PACKAGE = Path(os.environ["GATEWAY_PACKAGE"])
PLACE = Path(os.environ["GATEWAY_PACKAGE_PLACE"])
ROOT = PLACE / "debian"
CONFIGURATION = ROOT / "etc/gateway/gateway.conf"
VERSION = PACKAGE.name.split("_")[1]


@pytest.fixture(scope="module")
def service():
    mounted_proc(ROOT)
    systemctl = ROOT / "usr/local/sbin/systemctl"
    systemctl.write_text(SYSTEMCTL)
    systemctl.chmod(0o755)
    running = Service(ROOT)
    yield running
    running.stop()


@pytest.fixture
def serving(service):
    if service.process is None:
        service.start().wait_for("READY=1")
    return service


def echoes(path="/echo", text="over and out"):
    with connect(f"ws://127.0.0.1:8080{path}", open_timeout=20) as client:
        client.send(text)
        return client.recv(timeout=20) == text


def asked(service):
    """What maintainer scripts asked of systemd."""
    log = ROOT / "run/systemctl.log"
    words = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return [line for line in words if re.search(r"\b(start|restart|reload|stop) .*gateway", line)]


def install(service, package, check=True):
    """As on a machine with systemd, whose policy lets services be started."""
    target = ROOT / "next.deb"
    shutil.copy(package, target)
    (ROOT / "run/systemd/system").mkdir(parents=True, exist_ok=True)
    (ROOT / "usr/sbin/policy-rc.d").unlink(missing_ok=True)
    answer = service.inside("dpkg", "--force-confold", "-i", "/next.deb", check=check)
    return answer.stdout + answer.stderr


def test_the_program_is_installed_with_what_it_needs(service):
    assert service.inside("gateway", "-v").stdout == f"gateway {VERSION}\n"
    libraries = service.inside("ldd", "/usr/bin/gateway").stdout
    assert "not found" not in libraries
    assert "libswiftCore.so => /usr/lib/gateway/libswiftCore.so" in libraries
    assert "/opt/" not in service.inside("sh", "-c", "cat /usr/bin/gateway | grep -ac RUNPATH || true").stdout


def test_its_user_and_its_folders_are_there(service):
    assert service.inside("id", "-un", "gateway").stdout == "gateway\n"
    shadow = service.inside("getent", "passwd", "gateway").stdout
    assert shadow.strip().endswith("nologin") and ":/var/lib/gateway:" in shadow
    assert service.inside("sh", "-c", "find /usr/lib/gateway /etc/gateway ! -user root -o -perm /022 ! -type l").stdout == ""


def test_its_configuration_is_right_and_for_production(service):
    assert "mode production;" in service.inside("gateway", "-T", "-c", "/etc/gateway/gateway.conf").stdout
    service.inside("gateway", "check", "-c", "/etc/gateway/gateway.conf")


def test_every_sample_can_be_served(service):
    """Their handlers find the runtime, although nobody here has a toolchain."""
    routes = "".join(f"route /{file.stem} {{ handler {file.stem}; }}\n"
                     for file in sorted((ROOT / "usr/lib/gateway/handlers").glob("*.so")))
    routes = routes.replace("handler auth;", "handler auth; set tokens /usr/share/doc/gateway/examples/Plugins/auth/tokens;")
    routes = routes.replace("handler upload;", "handler upload; set directory /tmp/uploads;")
    file = ROOT / "tmp/all.conf"
    file.write_text(f"listen 127.0.0.1:0;\nplugins /usr/lib/gateway/handlers;\n{routes}")
    (ROOT / "tmp/uploads").mkdir(exist_ok=True)
    assert routes.count("route") >= 14
    service.inside("gateway", "check", "-c", "/tmp/all.conf")


def test_it_serves_as_the_unit_starts_it(serving):
    assert echoes()
    status = Path(f"/proc/{serving.process.pid}/status").read_text()
    assert re.search(rf"^Uid:\t{serving.number('u')}\t", status, re.M)
    assert re.search(r"^NoNewPrivs:\t1$", status, re.M)
    access = ROOT / "var/log/gateway/access.log"
    assert '"path":"/echo"' in access.read_text()
    assert "gateway" in serving.inside("gateway", "status", "-c", "/etc/gateway/gateway.conf").stdout


def test_a_file_of_conf_d_is_taken_by_a_reload(serving):
    more = ROOT / "etc/gateway/conf.d/chat.conf"
    more.write_text("route /again { handler counter; }\n")
    answer = serving.reload()
    assert answer.returncode == 0, answer.stdout + answer.stderr
    with connect("ws://127.0.0.1:8080/again", open_timeout=20):
        pass
    more.write_text("route /again { handler nobody-has-this; }\n")
    assert serving.reload().returncode == 75
    assert echoes()
    more.unlink()
    assert serving.reload().returncode == 0


@pytest.mark.parametrize("name", ["c", "cmake", "swift"])
def test_handlers_that_were_built_elsewhere_are_dropped_in(serving, name):
    """By test_developing, on a machine with compilers."""
    shutil.copy(PLACE / f"built/by-{name}.so", ROOT / f"usr/lib/gateway/handlers/by-{name}.so")
    more = ROOT / "etc/gateway/conf.d/built.conf"
    more.write_text(f"route /built {{ handler by-{name}; }}\n")
    answer = serving.reload()
    assert answer.returncode == 0, answer.stdout + answer.stderr
    with connect("ws://127.0.0.1:8080/built", open_timeout=20) as client:
        client.send('{"text":"shout"}' if name == "swift" else "shout")
        assert "shout" in client.recv(timeout=20).lower()
    more.unlink()
    assert serving.reload().returncode == 0
    (ROOT / f"usr/lib/gateway/handlers/by-{name}.so").unlink()


def test_logs_are_rotated(serving):
    rules = Path("/etc/logrotate.d/gateway")
    # As systemd would send it.
    script = ROOT / "tmp/rotate"
    script.write_text((ROOT / str(rules)[1:]).read_text().replace(
        "[ ! -d /run/systemd/system ] || systemctl kill --kill-whom=main --signal=USR1 gateway.service",
        f"kill -USR1 {serving.process.pid}"))
    assert f"kill -USR1 {serving.process.pid}" in script.read_text()
    serving.inside("logrotate", "-f", "-s", "/tmp/rotated", "/tmp/rotate")
    assert (ROOT / "var/log/gateway/access.log.1").exists()
    assert echoes()
    eventually("a line in the new file", lambda: '"path":"/echo"' in (ROOT / "var/log/gateway/access.log").read_text())


def test_an_upgrade_with_the_same_program_reloads_it(serving, tmp_path):
    asked(serving)
    install(serving, other_package(PACKAGE, tmp_path, f"{VERSION}+1"))
    assert any("reload gateway.service" in line for line in asked(serving))
    assert echoes()


def test_an_upgrade_with_another_program_restarts_it_and_keeps_what_was_edited(serving, tmp_path):
    edited = CONFIGURATION.read_text() + "route /mine { handler echo; }\n"
    CONFIGURATION.write_text(edited)

    def change(files):
        with open(files / "usr/bin/gateway", "ab") as program:
            program.write(b"\0")
        file = files / "etc/gateway/gateway.conf"
        file.write_text(file.read_text() + "# of the next version\n")

    asked(serving)
    install(serving, other_package(PACKAGE, tmp_path, f"{VERSION}+2", change))
    told = asked(serving)
    assert any("restart gateway.service" in line for line in told), told
    assert not any("stop" in line for line in told)
    assert CONFIGURATION.read_text() == edited
    assert "# of the next version" in (ROOT / "etc/gateway/gateway.conf.dpkg-dist").read_text()
    # The stand-in does not restart anything: the old program, whose file is gone, serves on.
    assert echoes()
    assert serving.stop() == 0
    serving.start().wait_for("READY=1")
    assert echoes("/mine")


def test_an_upgrade_whose_program_does_not_take_the_configuration_leaves_the_old_one_alone(serving, tmp_path):
    right = CONFIGURATION.read_text()
    CONFIGURATION.write_text(right + "no_such_directive on;\n")
    try:
        asked(serving)
        said = install(serving, other_package(PACKAGE, tmp_path, f"{VERSION}+3"))
        told = asked(serving)
    finally:
        CONFIGURATION.write_text(right)
    assert "no_such_directive" in said and "the old one runs on" in said
    assert not any("restart" in line or "reload gateway" in line for line in told), told
    assert echoes()


def test_it_can_be_installed_twice(serving, tmp_path):
    install(serving, other_package(PACKAGE, tmp_path, f"{VERSION}+4"))
    install(serving, tmp_path / f"gateway_{VERSION}+4.deb")
    assert echoes()


def test_it_ends_when_it_is_told_to(serving):
    with connect("ws://127.0.0.1:8080/echo", open_timeout=20) as client:
        assert serving.stop() == 0
        with pytest.raises(Exception) as ended:
            client.recv(timeout=20)
    assert "1001" in str(ended.value)


def test_its_documents_are_there(service):
    pages = {"usr/share/man/man1/gateway.1.gz": ".TH", "usr/share/man/man5/gateway.conf.5.gz": ".TH"}
    for name, word in pages.items():
        assert word in gzip.open(ROOT / name, "rt").read()
    for name in ["copyright", "changelog.gz", "README.md.gz", "examples/samples.conf", "examples/Plugins/echo/echo.c"]:
        assert (ROOT / "usr/share/doc/gateway" / name).exists(), name
    for name in ["bash-completion/completions/gateway", "zsh/vendor-completions/_gateway",
                 "fish/vendor_completions.d/gateway.fish", "gateway/monitoring/alerts.yml"]:
        assert (ROOT / "usr/share" / name).exists(), name


def test_a_removal_keeps_what_was_configured(service):
    service.stop()
    service.inside("dpkg", "-r", "gateway")
    assert not (ROOT / "usr/bin/gateway").exists() and not (ROOT / "usr/lib/gateway").exists()
    assert "route /mine" in CONFIGURATION.read_text()


def test_a_purge_leaves_nothing(service):
    service.inside("dpkg", "-P", "gateway")
    left = service.inside("sh", "-c", "find / -xdev -path /proc -prune -o -name '*gateway*' -print").stdout.split()
    ours = [name for name in left if not re.match(r"/(proc|gateway\.deb|tmp/|run/(notify|gateway\.pid))", name)]
    # Whose files may be anywhere stays; what apt and systemd keep of it is theirs.
    assert [name for name in ours if not re.match(r"/var/(lib/systemd/deb-systemd|cache|log/apt)", name)] == []
    assert service.inside("id", "-un", "gateway").stdout == "gateway\n"

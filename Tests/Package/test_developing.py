"""The machine of somebody who writes handlers: this one, with the package installed over it and nothing of it changed."""
import os
import shutil
import subprocess
from pathlib import Path

import pytest

PACKAGE = Path(os.environ["GATEWAY_PACKAGE"])
PLACE = Path(os.environ["GATEWAY_PACKAGE_PLACE"])
SHOUT = Path(__file__).resolve().parents[1] / "Clients/shout.c"
TOOLCHAIN = Path(shutil.which("swift") or "/swift").resolve().parent
CMAKE = """cmake_minimum_required(VERSION 3.16)
project(shout C)
find_package(Gateway 1 CONFIG REQUIRED)
gateway_add_handler(by-cmake shout.c)
"""
MANIFEST = """// swift-tools-version: 6.3
import PackageDescription
let package = Package(
    name: "by-swift",
    products: [.library(name: "by-swift", type: .dynamic, targets: ["Hello"])],
    dependencies: [.package(path: "/usr/share/gateway/kit")],
    targets: [
        .target(
            name: "Hello",
            dependencies: [
                .product(name: "GatewayHandler", package: "kit"), .product(name: "GatewayHandlerJSON", package: "kit"),
            ])
    ])
"""
# JSON, so that it takes more of the runtime than the gateway itself.
HELLO = """import GatewayHandler
import GatewayHandlerJSON

final class Hello: JSONHandler {
    struct Said: Codable { var text: String }
    init(_ context: borrowing StartContext) {}
    func upgrade(_ request: borrowing Request) -> Upgrade<Void> { .accept() }
    func received(_ said: Said, _ connection: Connection, _ state: inout Void) throws {
        try connection.send(json: Said(text: said.text.uppercased()))
    }
}

@c @implementation
public func gw_handler_entry_v1(_ host: UnsafePointer<gw_host>?) -> UnsafePointer<gw_handler>? {
    Module.export(Hello.self, to: host)
}
"""


class Machine:
    """This machine, written to in memory only."""

    def __init__(self, place):
        self.root = place / "root"
        self.layers = place / "layers"
        for folder in (self.root, self.layers):
            folder.mkdir()
        self.mount("-t", "tmpfs", "-o", "size=2g", "tmpfs", self.layers)
        for folder in ("up", "work"):
            (self.layers / folder).mkdir()
        self.mount("-t", "overlay", "-o", f"lowerdir=/,upperdir={self.layers}/up,workdir={self.layers}/work", "overlay",
                   self.root)
        self.mount("--rbind", "/dev", self.root / "dev")
        self.mount("-t", "proc", "proc", self.root / "proc")

    def mount(self, *words):
        subprocess.run(["mount", *words], check=True)

    def run(self, command, folder="/root"):
        path = f"{TOOLCHAIN}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        answer = subprocess.run(["chroot", self.root, "sh", "-ec", f"cd {folder}; {command}"], capture_output=True,
                                text=True, timeout=600, env={"PATH": path, "HOME": "/root", "LC_ALL": "C.UTF-8"})
        assert answer.returncode == 0, f"{command}\n{answer.stdout}{answer.stderr}"
        return answer.stdout

    def write(self, name, text):
        file = self.root / name.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def keep(self, file):
        """For the machine of an operator, where there is no compiler."""
        (PLACE / "built").mkdir(exist_ok=True)
        shutil.copy(self.root / file.lstrip("/"), PLACE / "built")


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    made = Machine(tmp_path_factory.mktemp("machine"))
    shutil.copy(PACKAGE, made.root / "gateway.deb")
    made.run("dpkg -i /gateway.deb")
    made.write("/root/shout/shout.c", SHOUT.read_text())
    return made


def test_a_handler_in_c_by_pkg_config(machine):
    machine.run("cc -shared -fPIC $(pkg-config --cflags gateway) shout.c -o by-c.so", "/root/shout")
    machine.run("gateway test by-c.so", "/root/shout")
    assert machine.run("pkg-config --variable=handlersdir gateway").strip() == "/usr/lib/gateway/handlers"
    assert machine.run("pkg-config --modversion gateway").strip() == machine.run("gateway -v").split()[1]
    machine.keep("/root/shout/by-c.so")


def test_a_handler_by_cmake(machine):
    machine.write("/root/shout/CMakeLists.txt", CMAKE)
    machine.run("cmake -B build . && cmake --build build && cmake --install build", "/root/shout")
    machine.run("gateway test /usr/lib/gateway/handlers/by-cmake.so")
    machine.keep("/usr/lib/gateway/handlers/by-cmake.so")


def test_cmake_refuses_another_major_version(machine):
    machine.write("/root/other/CMakeLists.txt", CMAKE.replace("Gateway 1 CONFIG", "Gateway 2 CONFIG"))
    with pytest.raises(AssertionError, match="not compatible|compatible with requested version"):
        machine.run("cmake -B build .", "/root/other")


def test_a_handler_in_swift_with_the_installed_kit(machine):
    if not (TOOLCHAIN / "swift-build").exists():
        pytest.skip("there is no Swift toolchain")
    machine.write("/root/hello/Package.swift", MANIFEST)
    machine.write("/root/hello/Sources/Hello/Hello.swift", HELLO)
    machine.run("swift build -c release --disable-sandbox", "/root/hello")
    machine.run("cp .build/release/libby-swift.so by-swift.so && gateway test by-swift.so", "/root/hello")
    machine.keep("/root/hello/by-swift.so")


def test_a_handler_by_the_template_of_the_installed_gateway(machine):
    machine.run("gateway new fresh --language c && make -C fresh CFLAGS=-O1 fresh.so && gateway test fresh/fresh.so")


@pytest.mark.parametrize("shell, command, word", [
    ("bash", ". /usr/share/bash-completion/completions/gateway; complete -p gateway", "complete -F _gateway gateway"),
    ("fish", "complete -C 'gateway reloa'", "reload"),
    ("zsh", "autoload -Uz compinit; compinit -u -D; print $_comps[gateway]", "_gateway"),
])
def test_completions_are_found_where_they_lie(machine, shell, command, word):
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    machine.write("/root/complete", command)
    assert word in machine.run(f"{shell} /root/complete")


def test_man_finds_the_pages(machine):
    assert "max_message" in machine.run("man -P cat 5 gateway.conf")
    assert "rollback" in machine.run("man -P cat gateway")


def test_the_unit_is_right(machine):
    assert machine.run("systemd-analyze verify /lib/systemd/system/gateway.service 2>&1").strip() == ""
    exposure = machine.run("systemd-analyze security --offline=true --no-pager gateway.service 2>&1")
    score = float(exposure.split("gateway.service: ")[1].split()[0])
    assert score < 2.5, exposure

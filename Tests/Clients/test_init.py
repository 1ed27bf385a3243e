"""gateway init, and the environment in gateway.conf: what a newcomer begins with works as it says."""
import os
import subprocess

from gateway_process import BINARY


def run(*words, cwd, **environment):
    return subprocess.run([BINARY, *words], cwd=cwd, capture_output=True, text=True, timeout=60,
                          env={**os.environ, **environment})


def test_what_it_writes_is_right_and_nothing_is_written_over(tmp_path):
    answer = run("init", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("gateway.conf\nPlugins/\n\nnext:\n")
    assert (tmp_path / "Plugins").is_dir()
    checked = run("check", cwd=tmp_path)
    assert checked.returncode == 0, checked.stderr
    (tmp_path / "gateway.conf").write_text("mine")
    again = run("init", cwd=tmp_path)
    assert again.returncode == 1 and "is there already" in again.stderr and "--force" in again.stderr
    assert (tmp_path / "gateway.conf").read_text() == "mine"
    assert run("init", "--force", cwd=tmp_path).returncode == 0
    assert "listen 127.0.0.1" in (tmp_path / "gateway.conf").read_text()
    assert run("init", "inner", cwd=tmp_path).stdout.count("cd inner && ") == 1
    assert (tmp_path / "inner/gateway.conf").is_file()
    assert run("init", "no/such/place", cwd=tmp_path).returncode == 1


def test_the_environment_is_part_of_the_configuration(tmp_path):
    assert run("init", cwd=tmp_path).returncode == 0
    shown = run("-T", cwd=tmp_path, PORT="4321").stdout
    assert "listen 127.0.0.1:4321;" in shown and "gateway.conf:" in shown and ", $PORT" in shown
    assert "listen 127.0.0.1:8080;" in run("-T", cwd=tmp_path, PORT="").stdout
    (tmp_path / "gateway.conf").write_text("listen 127.0.0.1:0;\nroute /x { handler ${MY_HANDLER}; }\n")
    answer = run("check", cwd=tmp_path)
    assert answer.returncode == 78
    assert answer.stderr.removeprefix("./") == (
        'gateway.conf:2:20: error: the environment variable "MY_HANDLER" is not set\n'
        "    2 | route /x { handler ${MY_HANDLER}; }\n"
        "      |                    ^~~~~~~~~~~~~\n"
        "   Set it where the gateway is started, or give it a default: ${MY_HANDLER:-VALUE}\n")
    assert "MY_HANDLER" in run("explain", "/x", cwd=tmp_path).stderr
    shown = run("explain", "/x", cwd=tmp_path, MY_HANDLER="echo").stdout
    assert "handler  echo" in shown

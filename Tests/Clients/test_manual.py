"""gateway man and gateway completion: what man, mandoc, bash, zsh and fish make of them."""
import os
import re
import shutil
import subprocess

import pytest

from gateway_process import BINARY

PAGES = ["gateway", "gateway.conf"]
CONFIGURATION = """listen 127.0.0.1:0;
route /echo { handler echo; }
route /rooms/:room { handler rooms; }
route /feed/live { handler echo; }
"""


def said(*words):
    answer = subprocess.run([BINARY, *words], capture_output=True, text=True, timeout=30)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


@pytest.mark.parametrize("page", PAGES)
def test_man_shows_a_page_without_a_word_of_complaint(page, tmp_path):
    file = tmp_path / f"{page}.1"
    file.write_text(said("man", page))
    shown = subprocess.run(["man", "--warnings=all", "-E", "UTF-8", "-l", "-Tutf8", file], capture_output=True, text=True,
                           env={**os.environ, "MANWIDTH": "80", "LC_ALL": "C.UTF-8"}, timeout=30)
    assert shown.stderr == ""
    assert page.upper() in shown.stdout
    # Nothing was swallowed as a request or an escape.
    for words in {"gateway": ["reload [HANDLER]", "--language LANGUAGE", "./gateway.conf", "'Host: api.example.com'"],
                  "gateway.conf": ["max_message", "1024g", "\\\\ \\\" \\'"]}[page]:
        assert words in shown.stdout.replace("‐", "-"), words


@pytest.mark.parametrize("page", PAGES)
def test_mandoc_finds_nothing_wrong_with_a_page(page):
    answer = subprocess.run(["mandoc", "-T", "lint"], input=said("man", page), capture_output=True, text=True, timeout=30)
    # A name of a page that is not installed is no fault of this one.
    found = [line for line in answer.stdout.splitlines() if "referenced manual not found" not in line]
    assert found == []


def test_words_that_mean_nothing_are_refused():
    for words in (["man", "gatewy"], ["completion", "tcsh"], ["completion"], ["man", "gateway", "gateway.conf"]):
        answer = subprocess.run([BINARY, *words], capture_output=True, text=True, timeout=30)
        assert answer.returncode == 2, words
        assert answer.stdout == "" and "--help" in answer.stderr


# ---- completions: what a shell offers at the end of a line

BASH = """
source "$1"
complete -p gateway >/dev/null || exit 3
eval "COMP_WORDS=($2)"
[[ $2 == *' ' ]] && COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_LINE=$2 COMP_POINT=${#2}
compopt() { :; }
_gateway
printf '%s\\n' "${COMPREPLY[@]}"
"""
FISH = 'source "$argv[1]"; complete -C "$argv[2]" | string replace -r "\\t.*" ""; true'
# A real zsh behind a terminal: it lists what it would insert, unless more is typed before it has.
ZSH = """
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "PROMPT='>'; fpath=($1:h \\$fpath); autoload -Uz compinit; compinit -u -D; LISTMAX=1000; stty cols 200"
zpty -w shell "zstyle ':completion:*' list-colors ''; tell() { zle list-choices; zle -R; print -n DO; print NE; }"
zpty -w shell "zle -N tell; bindkey '^I' tell; print -n RE; print ADY"
zpty -r shell seen '*READY*'
zpty -w -n shell "$2"$'\\t'
zpty -r shell seen '*DONE*'
print -r -- "$seen"
"""


def offers(shell, line, folder):
    """What is offered for the last word of a line, in a folder with a configuration and a `gateway` in PATH."""
    script = folder / ("_gateway" if shell == "zsh" else "gateway." + shell)
    script.write_text(said("completion", shell))
    (folder / "gateway.conf").write_text(CONFIGURATION)
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    if not (programs / "gateway").exists():
        (programs / "gateway").symlink_to(BINARY)
    text = {"bash": BASH, "fish": FISH, "zsh": ZSH}[shell]
    command = [shell, "-c", text] + (["--"] if shell == "fish" else [shell]) + [str(script), line]
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(folder), "TERM": "dumb",
                   "XDG_CONFIG_HOME": str(folder / "config"), "XDG_DATA_HOME": str(folder / "data")}
    answer = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, timeout=60)
    assert answer.returncode == 0, answer.stderr
    # A terminal hears of more than words.
    return re.sub("\x1b\\[[0-9;?]*[a-zA-Z]", "", answer.stdout).split()


@pytest.mark.parametrize("shell", ["bash", "fish", "zsh"])
@pytest.mark.parametrize("line, wanted, unwanted", [
    ("gateway re", ["reload"], ["check"]),
    ("gateway ", ["run", "reload", "bench", "completion"], ["echo"]),
    ("gateway status --", ["--json"], ["--tls"]),
    ("gateway new x --language ", ["swift", "c", "cpp", "rust"], ["functional"]),
    ("gateway new x --flavour f", ["functional", "fleck"], ["reactive"]),
    ("gateway completion ", ["bash", "zsh", "fish"], ["gateway.conf"]),
    ("gateway man gateway", ["gateway.conf"], ["reload"]),
    ("gateway reload ", ["echo", "rooms"], ["/echo"]),
    ("gateway reload -c gateway.conf ec", ["echo"], ["rooms"]),
    ("gateway explain /", ["/echo", "/feed/live"], ["/rooms/", "/rooms/:room"]),
    ("gateway -c gate", ["gateway.conf"], ["status"]),
    ("gateway bench --re", ["--resume", "--records"], ["--deflate"]),
])
def test_a_line_is_completed(shell, line, wanted, unwanted, tmp_path):
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    offered = offers(shell, line, tmp_path)
    for word in wanted:
        assert word in offered or f"'{word}'" in offered, offered
    for word in unwanted:
        assert word not in offered, offered

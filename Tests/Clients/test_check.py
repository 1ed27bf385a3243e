"""gateway check judges what lies in the folder, in a process of its own, and leaves nothing behind."""
import re

import pytest

from gateway_process import eventually
from test_control import ask
from test_handlers import SHOUT, compile_handler

MARKING = r"""
#include "gw_handler.h"
#include <fcntl.h>
static const gw_host *host;
static gw_status start(const gw_host *h, const gw_config *config, void **self) {
    (void)self;
    gw_str mark;
    if (h->config_get(h, config, "mark", &mark) == GW_OK && !(config->flags & GW_CFG_PROBE)) {
        char name[1024] = {0};
        for (size_t i = 0; i < mark.len && i < sizeof name - 1; i++) name[i] = mark.ptr[i];
        open(name, O_CREAT | O_WRONLY, 0600);
    }
    return GW_OK;
}
static void message(void *self, gw_conn conn, void *state, const gw_message *m) {
    (void)self, (void)state;
    host->send(host, conn, m->kind, 0, m->data.ptr, m->data.len);
}
static const gw_handler table = {
    .struct_size = sizeof table, .abi_version = GW_ABI_VERSION, .min_host_abi = 0x10000,
    .name = "shout", .version = "1.0", .start = start, .message = message,
};
const gw_handler *gw_handler_entry_v1(const gw_host *h) { host = h; return &table; }
"""


def files(folder):
    return sorted((str(path), path.lstat().st_mtime_ns) for path in folder.rglob("*"))


def remembered(make_gateway):
    """A gateway that has served once, so that a copy of what was good lies there."""
    main = "defaults { probation 20ms; }"
    running = make_gateway(main=main, routes="route /shout { handler shout; }\nroute /loud { handler shout; }")
    compile_handler(running, "shout")
    running.start()
    eventually("a copy of what proved good", lambda: (running.plugins / ".last-good" / "shout.so").exists())
    running.stop()
    running.lines.clear()
    return running


@pytest.mark.parametrize("source, said", [
    (SHOUT.read_text().replace("static gw_status start(", "#include <stdlib.h>\nstatic gw_status start(", 1)
     .replace("voice *v = calloc", "abort(); voice *v = calloc"), r"SIGABRT"),
    ("#define REFUSE_TO_START\n" + SHOUT.read_text(), r"the voice is gone"),
    ("int nothing;", r"gw_handler_entry_v1"),
    (None, r"cannot be loaded"),
], ids=["aborts", "refuses", "no entry", "garbage"])
def test_the_file_in_the_folder_is_judged_whatever_was_good_before(make_gateway, source, said):
    running = remembered(make_gateway)
    if source is None:
        (running.plugins / "shout.so").write_bytes(b"not a library")
    else:
        (running.folder / "bad.c").write_text(source)
        compile_handler(running, "shout", running.folder / "bad.c", "-Wno-error")
    before = files(running.folder)
    checked = ask(running, "check")
    assert checked.returncode == 78, checked.stdout
    assert re.search(said, checked.stderr)
    assert re.search(r"^\S*gateway\.conf:\d+: error: handler \"shout\": ", checked.stderr, re.M)
    assert "Still serving" not in checked.stderr and "answer 503" not in checked.stderr
    assert files(running.folder) == before


def test_nothing_is_started_but_as_a_probe_and_nothing_is_written(make_gateway):
    running = make_gateway()
    running.file.write_text(running.file.read_text().replace(
        "route /echo { handler echo; }\nroute /chat { handler chat; }",
        f'route /shout {{ handler shout; set mark "{running.folder}/started"; }}'))
    (running.folder / "marking.c").write_text(MARKING)
    compile_handler(running, "shout", running.folder / "marking.c")
    before = files(running.folder)
    checked = ask(running, "check")
    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout.endswith("gateway.conf: fine, 1 route\n")
    assert files(running.folder) == before
    running.start()
    assert (running.folder / "started").exists(), "the handler does tell a start from a probe"


def test_each_route_that_does_not_start_is_named(make_gateway):
    text = SHOUT.read_text().replace("*self = v;", 'if (!v->length) return GW_E_INVALID;\n    *self = v;')
    running = make_gateway(routes='route /a { handler shout; }\nroute /b { handler shout; set mark "!"; }\n'
                                  "route /c { handler shout; }\nroute /echo { handler echo; }")
    (running.folder / "picky.c").write_text(text)
    compile_handler(running, "shout", running.folder / "picky.c")
    checked = ask(running, "check")
    assert checked.returncode == 78
    assert re.findall(r"Route: (/\w+)", checked.stderr) == ["/a", "/c"]
    assert checked.stderr.endswith("gateway.conf: 2 problems\n")


def test_a_handler_that_is_not_there_is_said_with_its_line(make_gateway):
    running = make_gateway(routes="route /nobody { handler nobody; }\nroute /echo { handler echo; }")
    line = running.file.read_text().splitlines().index("route /nobody { handler nobody; }") + 1
    said = rf"{re.escape(str(running.file))}:{line}: (error: )?handler \"nobody\": there is no module of this name"
    assert re.search(said, ask(running, "check").stderr)
    running.start()
    running.wait_for(said)


def test_beside_a_running_gateway_it_disturbs_nothing(make_gateway):
    running = remembered(make_gateway)
    running.start()
    before = files(running.folder)
    assert ask(running, "check").returncode == 0
    assert files(running.folder) == before
    assert ask(running, "status").returncode == 0

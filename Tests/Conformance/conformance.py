"""Starts the gateway, runs Autobahn's cases through /echo and holds the verdicts against expected.json."""
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from fnmatch import fnmatchcase
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "Clients"))
from bridge import Bridge  # noqa: E402  (the path above comes first)
from gateway_process import TOP, Gateway  # noqa: E402

GROUPS = "1.*,2.*,3.*,4.*,5.*,6.*,7.*,9.*,10.*,12.*,13.*"
# Over TLS what belongs to frames, once more: records cut them elsewhere.
TLS_GROUPS = "1.*,2.*,3.*,4.*,5.*,6.*,7.*,10.*"
# Over HTTP/2 the same, by a bridge from HTTP/1.1: frames of DATA cut them elsewhere, and streams end otherwise.
STREAM_GROUPS = "1.*,2.*,3.*,4.*,5.*,6.*,7.*,10.*"
RESULTS = TOP / ".build/autobahn"
# Groups 12 and 13 offer compression, which the others do not. Groups 9.1 and 9.2 send messages of up to 16 MiB.
LIMITS = "defaults { max_message 32m; max_frame 32m; send_buffer 64m; compression on; }"
WORSE_FIRST = ["FAILED", "UNIMPLEMENTED", "NON-STRICT", "INFORMATIONAL", "OK"]


def drive(url, cases, folder=RESULTS, *more):
    """Runs the cases and answers {id: result}."""
    ported = RESULTS / "ported"
    site = sysconfig.get_paths()["purelib"]
    subprocess.run([sys.executable, HERE / "port_cases.py", site, ported], check=True)
    environment = dict(os.environ, PYTHONPATH=str(ported), PYTHONDONTWRITEBYTECODE="1")
    jobs = ["--light-jobs", "8", "--heavy-jobs", str(min(os.cpu_count() or 1, 4))]
    done = subprocess.run([sys.executable, HERE / "fuzz.py", url, folder, "--cases", cases, *jobs, *more],
                          env=environment, stdin=subprocess.DEVNULL)
    if done.returncode not in (0, 1):
        sys.exit(done.returncode)
    index = json.loads((folder / "index.json").read_text())
    return {case["id"]: case for case in index["cases"]}


def differences(results, cases):
    """Yields a line for each case that is worse, or better, than the file says."""
    expected = json.loads((HERE / "expected.json").read_text())
    patterns = cases.split(",")
    for name, result in results.items():
        wanted = expected["cases"].get(name, {"verdict": expected["default"]})["verdict"]
        got = result["verdict"]
        if got != wanted:
            word = "worse" if WORSE_FIRST.index(got) < WORSE_FIRST.index(wanted) else "better"
            yield f"{name}: {got}, {word} than expected ({wanted}): {result['result']}"
    for name in expected["cases"]:
        if name not in results and any(fnmatchcase(name, pattern) for pattern in patterns):
            yield f"{name}: listed in expected.json, but there is no such case"


def identity(folder):
    """A certificate of a day for this machine; nobody looks at it."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                    "1", "-subj", "/CN=localhost", "-out", "cert.pem", "-keyout", "key.pem"], cwd=folder, check=True,
                   capture_output=True)


def runs(cases):
    """Each run of the cases: its patterns and {id: result}."""
    if url := os.environ.get("AUTOBAHN_URL"):
        yield cases or GROUPS, drive(url, cases or GROUPS)
        return
    with tempfile.TemporaryDirectory() as folder:
        identity(folder)
        with Gateway(folder, listen=("127.0.0.1:0 { http2 on; }", "127.0.0.1:0 tls { certificate cert.pem key.pem; }"), main=LIMITS,
                     routes="route /echo { handler echo; }") as gateway:
            yield cases or GROUPS, drive(gateway.url(), cases or GROUPS)
            port = gateway.addresses()[1].rpartition(":")[2]
            if not cases:
                yield TLS_GROUPS, drive(f"wss://127.0.0.1:{port}/echo", TLS_GROUPS, RESULTS / "tls", "--insecure")
                with Bridge(gateway.port) as bridge:
                    yield STREAM_GROUPS, drive(f"ws://127.0.0.1:{bridge.port}/echo", STREAM_GROUPS, RESULTS / "http2")
                    print(f"conformance: {bridge.count} streams on one connection of HTTP/2")


def main():
    RESULTS.mkdir(parents=True, exist_ok=True)
    count, lines = 0, []
    for cases, results in runs(sys.argv[1] if len(sys.argv) > 1 else None):
        count += len(results)
        lines += differences(results, cases)
    for line in lines:
        print("conformance:", line)
    print(f"conformance: {count} cases, {len(lines)} not as expected")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())

"""What the dashboard makes of the counters of one second and the next, without a browser."""
import json
import shutil
import subprocess

from gateway_process import TOP

SAMPLES = TOP / "Sources/CPages/files/dashboard/samples.js"
BOUNDS = [0.001, 0.01]


def snapshot(seconds, *generations):
    """A generation is its number, how many messages came, and how long they took, by bucket."""
    labels = [{"route": "/r", "handler": "h", "generation": str(number)} for number, *_ in generations]
    return {
        "status": {"process": {"uptime_ms": seconds * 1000, "connections": 3}},
        "metrics": {
            "gateway_messages_received": [
                {**of, "type": kind, "value": count} for of, (_, count, _) in zip(labels, generations)
                for kind in ("text", "binary")],
            "gateway_messages_sent": [],
            "gateway_callback_duration_seconds": [
                {**of, "callback": "message", "count": sum(counts), "sum": 1, "bounds": BOUNDS, "counts": counts}
                for of, (_, _, counts) in zip(labels, generations)],
        },
    }


def seen(tmp_path, *snapshots):
    """The points, and what is known of the route and of the callback."""
    module = tmp_path / "samples.mjs"
    shutil.copy(SAMPLES, module)
    text = (f"import {{ Samples }} from {json.dumps(str(module))};\nconst samples = new Samples();\n"
            f"for (const each of {json.dumps(snapshots)}) samples.add(each);\n"
            "console.log(JSON.stringify([samples.points, samples.routes.get('/r'), samples.callbacks.get('message')]));")
    done = subprocess.run(["node", "--input-type=module", "-e", text], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_first_reading_has_no_rates(tmp_path):
    (point,), route, callback = seen(tmp_path, snapshot(10, (1, 100, [1, 1, 0])))
    assert point["received"] is None and point["connections"] == 3
    assert route == {"received": None, "sent": None, "p99": callback["p99"]}
    assert callback["seen"] == 2


def test_rates_are_of_a_second(tmp_path):
    points, route, _ = seen(tmp_path, snapshot(10, (1, 100, [0, 0, 0])), snapshot(12, (1, 160, [0, 0, 0])))
    assert points[-1]["received"] == route["received"] == 60


def test_what_leaves_with_an_old_generation_is_no_loss(tmp_path):
    points, route, callback = seen(
        tmp_path, snapshot(10, (1, 9000, [900, 0, 0]), (2, 10, [10, 0, 0])),
        snapshot(11, (2, 15, [10, 7, 0]), (3, 20, [0, 1, 0])))
    assert points[-1]["received"] == route["received"] == 50
    assert callback["seen"] == 8 and 0.001 < callback["p50"] <= 0.01


def test_news_within_a_moment_is_no_point_of_its_own(tmp_path):
    points, _, _ = seen(tmp_path, snapshot(10, (1, 1, [0, 0, 0])), snapshot(10.1, (1, 2, [0, 0, 0])))
    assert len(points) == 1

"""``analyze`` against a real Prometheus server, on a free port, that is ended with the test."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import leakhunt
from leakhunt.cli.main import main
from leakhunt.errors import UsageError
from leakhunt.model.fleet import Course
from leakhunt.storage.schema_files import schema_text

PROMETHEUS, PROMTOOL = shutil.which("prometheus"), shutil.which("promtool")
pytestmark = pytest.mark.skipif(
    PROMETHEUS is None or PROMTOOL is None, reason="needs the Debian package prometheus"
)
MIB = 1 << 20
STARTING_SECONDS = 60
WATCHED_SECONDS = 200

SERVICE = """
import http.server, sys, threading, time
kind, port = sys.argv[1], int(sys.argv[2])
held = []
def work():
    started = time.monotonic()
    while True:
        time.sleep(0.2)
        if kind == "leaks" or (kind == "fills" and time.monotonic() - started < 40):
            held.append(b"x" * (200 << 10))
def rss():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"process_resident_memory_bytes {rss()}\\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *arguments):
        pass
threading.Thread(target=work, daemon=True).start()
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def ended(command: Sequence[str]) -> Iterator[None]:
    """A process that is ended with the block."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def prometheus(folder: Path, targets: Sequence[str] = ()) -> Iterator[str]:
    """A server with the data of that folder; its address."""
    config = folder / "prometheus.yml"
    config.write_text(
        textwrap.dedent(f"""\
        global: {{scrape_interval: 1s}}
        scrape_configs:
        - job_name: vad
          static_configs: [{{targets: {json.dumps(list(targets))}}}]
        """),
        encoding="utf-8",
    )
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        str(PROMETHEUS), f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}", "--storage.tsdb.retention.time=30d",
    ]  # fmt: skip
    with ended(command):
        deadline = time.monotonic() + STARTING_SECONDS
        while True:
            try:
                urllib.request.urlopen(f"{url}/-/ready", timeout=2)  # noqa: S310 - our own server
                break
            except (urllib.error.URLError, OSError):
                assert time.monotonic() < deadline, "prometheus did not start"
                time.sleep(0.2)
        yield url


def backfilled(folder: Path, days: float = 4) -> None:
    """Days of three instances in the server's own storage: a leak, a cache, flat with a tide."""
    seconds = np.arange(time.time() - days * 86_400, time.time() - 60, 60)
    ages = seconds - seconds[0]
    noise = np.random.default_rng(1).normal(0, MIB, (3, len(seconds)))
    curves = {
        "leaks": 300 * MIB + 2000 * ages,
        "fills": 300 * MIB + 200 * MIB * (1 - np.exp(-ages / 20_000)),
        "flat": 300 * MIB + 20 * MIB * np.sin(2 * np.pi * seconds / 86_400),
    }
    lines = ["# TYPE process_resident_memory_bytes gauge"]
    for (name, curve), own in zip(curves.items(), noise, strict=True):
        lines += [
            f'process_resident_memory_bytes{{instance="{name}",job="vad"}} {size:.0f} {when:.0f}'
            for when, size in zip(seconds, curve + own, strict=True)
        ]
    lines += [
        f'memory_limit_bytes{{instance="{name}"}} {2048 * MIB} {seconds[-1]:.0f}' for name in curves
    ]
    source = folder / "metrics.txt"
    source.write_text("\n".join(lines) + "\n# EOF\n", encoding="utf-8")
    subprocess.run(
        [str(PROMTOOL), "tsdb", "create-blocks-from", "openmetrics", source, folder / "data"],
        check=True,
        capture_output=True,
    )


def test_days_of_a_fleet_are_judged_one_line_per_instance(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    backfilled(tmp_path)
    limits = "last_over_time(memory_limit_bytes[1h])"
    with prometheus(tmp_path) as url:
        code = main([
            "analyze", "--prometheus", url, "--query", "process_resident_memory_bytes",
            "--since", "4d", "--step", "1m", "--limit-query", limits,
            "--out", str(tmp_path / "out"), "--json",
        ])  # fmt: skip
        document = json.loads(capsys.readouterr().out)
        with pytest.raises(UsageError, match="parse error"):
            leakhunt.analyze(prometheus=url, query="rate(", out=tmp_path / "none")
    assert code == 0
    jsonschema.validate(document, json.loads(schema_text("analyze")))
    found = {each["instance"]: each for each in document["instances"]}
    assert document["instances"][0]["instance"] == "leaks"
    assert found["leaks"]["course"] == Course.GROWS
    assert found["leaks"]["bytes_per_second"] == pytest.approx(2000, rel=0.05)
    assert found["leaks"]["limit_bytes"] == 2048 * MIB
    left = (2048 * MIB - found["leaks"]["last_bytes"]) / 2000
    assert found["leaks"]["seconds_left"] == pytest.approx(left, rel=0.1)
    assert found["fills"]["course"] in (Course.LEVELLED, Course.SLOWING)
    assert found["flat"]["course"] == Course.LEVEL
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "analyze.html", "analyze.md", "analyze.json",
    }  # fmt: skip


@pytest.mark.long
def test_three_real_processes_that_are_scraped(tmp_path: Path) -> None:
    script = tmp_path / "service.py"
    script.write_text(SERVICE, encoding="utf-8")
    ports = {kind: free_port() for kind in ("leaks", "fills", "flat")}
    with ExitStack() as stack:
        for kind, port in ports.items():
            stack.enter_context(ended([sys.executable, str(script), kind, str(port)]))
        targets = [f"127.0.0.1:{port}" for port in ports.values()]
        url = stack.enter_context(prometheus(tmp_path, targets))
        time.sleep(WATCHED_SECONDS)
        result = leakhunt.analyze(
            prometheus=url,
            query='process_resident_memory_bytes{job="vad"}',
            since=WATCHED_SECONDS - 5,
            step=1,
            limit="2 GiB",
            out=tmp_path / "out",
        )
    names = {f"127.0.0.1:{port}": kind for kind, port in ports.items()}
    found = {names[each.instance]: each for each in result.report.instances}
    assert found["leaks"].course is Course.GROWS
    assert found["leaks"].rate == pytest.approx(5 * (200 << 10), rel=0.1)
    assert found["fills"].course in (Course.LEVELLED, Course.LEVEL, Course.SLOWING)
    assert found["flat"].course in (Course.LEVEL, Course.UNDECIDED)

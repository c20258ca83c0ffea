"""`/metrics` of several workers behind one port: every scrape tells all that live, and no other."""

from __future__ import annotations

import http.client
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from guarded_servers import NEEDED, PATIENCE_SECONDS, SERVERS, running

pytestmark = [
    pytest.mark.skipif(
        any(find_spec(name) is None for name in NEEDED),
        reason="uvicorn, gunicorn or flask is missing",
    ),
    pytest.mark.skipif(sys.platform != "linux", reason="workers are told by Linux's sockets"),
]
SAMPLE = re.compile(r"^(\w+)\{(.*)\} (\S+)$", re.MULTILINE)
REQUESTS = 12


def get(port: int, path: str = "/") -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET" if path == "/metrics" else "POST", path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def told(port: int, name: str, label: str = "pid") -> dict[str, float]:
    """The samples of a metric by a label: one scrape."""
    found = {}
    for each, labels, value in SAMPLE.findall(get(port, "/metrics")):
        if each == name and 'outcome="failed"' not in labels:
            found[re.findall(rf'{label}="([^"]*)"', labels)[0]] = float(value)
    return found


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("name", ["uvicorn", "gunicorn-sync", "gunicorn preloaded"])
def test_each_scrape_tells_every_worker_that_lives(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    preloaded = [*SERVERS["gunicorn-sync"][:-1], "--preload", SERVERS["gunicorn-sync"][-1]]
    monkeypatch.setitem(SERVERS, "gunicorn preloaded", preloaded)
    with running(name, tmp_path / "log") as port:
        until(lambda: len(told(port, "leakhunt_guard_rss_bytes")) == 2)
        answered = [get(port).partition(" ")[0] for _ in range(REQUESTS)]
        # A request is counted when its worker has ended it, just after its answer is here.
        until(lambda: sum(told(port, "leakhunt_guard_requests_total").values()) == REQUESTS)
        scrapes = [told(port, "leakhunt_guard_requests_total") for _ in range(8)]
        for scrape in scrapes:  # whoever was asked
            assert scrape == {pid: answered.count(pid) for pid in scrape}
            assert len(scrape) == 2 and sum(scrape.values()) == REQUESTS
        started = told(port, "process_start_time_seconds")
        assert all(0 <= time.time() - at < PATIENCE_SECONDS for at in started.values())

        (dead, *_) = scrapes[0]
        os.kill(int(dead), signal.SIGKILL)
        until(lambda: len({*told(port, "leakhunt_guard_rss_bytes")} - {dead}) == 2)
        assert dead not in told(port, "process_start_time_seconds")
        files = [*Path("/dev/shm").glob(f"leakhunt-guard-*/*-{dead}-*")]
        assert files == []

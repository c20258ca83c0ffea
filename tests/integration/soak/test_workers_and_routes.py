"""Services of several workers: which one grows, by which route, and by what."""

from __future__ import annotations

import json
import shlex
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import Leakhunt, wait_until

from leakhunt.service.load_generator import LoadProcess, RequestedLoad

HERE = Path(__file__).parent


class _Counting(BaseHTTPRequestHandler):
    """Answers, and knows how many connections are open."""

    protocol_version = "HTTP/1.1"
    open_now = 0
    lock = threading.Lock()

    def setup(self) -> None:
        super().setup()
        with self.lock:
            _Counting.open_now += 1

    def finish(self) -> None:
        super().finish()
        with self.lock:
            _Counting.open_now -= 1

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, *words: object) -> None:
        """Nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Counting)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_connections_are_closed_while_an_instrument_counts(address: str, tmp_path: Path) -> None:
    """What a server keeps for a connection grows with nothing, and is gone then."""
    demand = RequestedLoad(HERE / "six_routes.py", address, users=3)
    with LoadProcess(demand, tmp_path, tmp_path / "load.log") as load:
        load.wait_until_it_runs()
        counters = load.counters
        wait_until(lambda: counters.done > 30)
        counters.pause_requested = True
        wait_until(lambda: counters.paused_users == counters.users == 3)
        assert not counters.connections_unwanted
        counters.pause_requested = False
        wait_until(lambda: counters.paused_users == 0)
        counters.pause_without_connections()
        assert counters.pause_requested
        wait_until(lambda: counters.paused_users == 3 and _Counting.open_now == 0)
        done = counters.done
        counters.pause_requested = False
        wait_until(lambda: counters.done > done + 30)
        assert counters.failed == 0


@pytest.mark.long
def test_the_one_worker_and_the_one_route_that_leak_are_named(
    leakhunt: Leakhunt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GIVEN uvicorn with four workers and six routes, of which one leaks in one worker."""
    monkeypatch.setenv("LEAKING_WORKER", str(tmp_path / "lock"))
    command = shlex.join(
        [
            *(sys.executable, "-m", "uvicorn", "--app-dir", str(HERE), "four_workers:app"),
            *("--workers", "4", "--no-access-log", "--port", "{port}"),
        ]
    )
    ended = leakhunt(
        *("soak", "--command", command, "--ready", "/health", "--users", "8"),
        *("--locustfile", str(HERE / "six_routes.py"), "--requests", "9000"),
        *("--hunt", "--out", "out", "--format", "json"),
    )
    assert ended.returncode in (0, 1), ended.stderr
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    (entry,) = report["runs"]
    assert entry["kind"] == "leak in Python"
    first = entry["attribution"]["suspects"][0]
    assert first["chain"][:2] == ["four_workers.KEPT", "list"]
    assert "orders" in json.dumps(first["where"])
    (growing,) = [each for each in entry["processes"] if each["status"] == "leak"]
    assert growing["process"]["role"] == "worker"
    assert entry["routes"][0]["routes"][0]["name"] == "/orders"

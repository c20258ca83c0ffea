"""Workers that are replaced by their memory, under load on kept and on fresh connections."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).parent
GUNICORN = [sys.executable, "-m", "gunicorn", "--bind", "127.0.0.1:{port}", "--workers", "2"]
SERVERS = {
    "uvicorn": [sys.executable, "-m", "uvicorn", "small_guarded:app", "--workers", "2",
                "--port", "{port}", "--log-level", "warning"],
    "gunicorn-uvicorn": [*GUNICORN, "-k", "uvicorn.workers.UvicornWorker", "small_guarded:app"],
    "gunicorn-gthread": [*GUNICORN, "-k", "gthread", "--threads", "4", "--keep-alive", "5",
                         "-c", "python:leakhunt.guard.gunicorn_hooks",
                         "small_guarded:make_flask()"],
    "gunicorn-sync": [*GUNICORN, "small_guarded:make_flask()"],
}  # fmt: skip
NEEDED = ("uvicorn", "gunicorn", "flask")
PATIENCE_SECONDS = 120.0
CLIENTS = 4

pytestmark = pytest.mark.skipif(
    any(find_spec(name) is None for name in NEEDED), reason="uvicorn, gunicorn or flask is missing"
)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def running(name: str, log: Path) -> Iterator[int]:
    port = free_port()
    command = [word.format(port=port) for word in SERVERS[name]]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=HERE, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield port
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@dataclass
class Load:
    """Clients that ask one request after the other until so many workers have answered."""

    port: int
    workers: int
    answers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    is_over: bool = False

    def run(self) -> None:
        clients = [threading.Thread(target=self._ask, args=(n % 2 == 0,)) for n in range(CLIENTS)]
        for each in clients:
            each.start()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(self.answers) < self.workers and time.monotonic() < deadline:
            time.sleep(0.05)
        self.is_over = True
        for each in clients:
            each.join()

    def _ask(self, is_kept: bool) -> None:
        connection: http.client.HTTPConnection | None = None
        while not self.is_over:
            if connection is None:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            try:
                connection.request("POST", "/", body=b"x" * 1000)
                answer = connection.getresponse()
                body = answer.read().decode()
                is_well = answer.status == 200 and body.endswith(" done")
                told = body.partition(" ")[0] if is_well else f"{answer.status} {body}"
            except (OSError, http.client.HTTPException) as error:
                is_well, told = False, repr(error)
                connection.close()
            with self.lock:
                if is_well:
                    self.answers[told] += 1
                else:
                    self.failures.append(told)
            if not is_kept or connection.sock is None:
                connection.close()
                connection = None


@pytest.mark.parametrize(
    "name",
    [
        "uvicorn",
        "gunicorn-gthread",
        pytest.param("gunicorn-uvicorn", marks=pytest.mark.long),
        pytest.param("gunicorn-sync", marks=pytest.mark.long),
    ],
)
def test_no_request_is_lost_when_workers_are_replaced(name: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with running(name, log) as port:
        load = Load(port, workers=6)
        load.run()
    assert load.failures == [], log.read_text()[-3000:]
    assert len(load.answers) >= 6, log.read_text()[-3000:]
    assert sum(load.answers.values()) > 60

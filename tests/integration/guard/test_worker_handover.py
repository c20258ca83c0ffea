"""Workers that are replaced by their memory, under load on kept and on fresh connections."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import pytest
from guarded_servers import NEEDED, PATIENCE_SECONDS, running

CLIENTS = 4

pytestmark = pytest.mark.skipif(
    any(find_spec(name) is None for name in NEEDED), reason="uvicorn, gunicorn or flask is missing"
)


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

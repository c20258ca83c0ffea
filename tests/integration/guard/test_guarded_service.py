"""A real uvicorn with a guarded FastAPI app: what clients do to it, and what is left after them."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
PATIENCE_SECONDS = 60.0
pytestmark = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("uvicorn", "fastapi", "websockets")),
    reason="uvicorn, fastapi or websockets is missing",
)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        number = int(taken.getsockname()[1])
    log = tmp_path_factory.mktemp("uvicorn") / "log"
    command = [sys.executable, "-m", "uvicorn", "small_app:app", "--port", str(number)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=HERE, stdout=output, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", number), 1):
                break
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield number
        process.terminate()
        assert process.wait(30) in (0, -15), log.read_text()
    finally:
        process.kill()
        process.wait()


def ask(port: int, path: str, method: str = "GET", body: bytes | None = None) -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.read()


def health(port: int) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(ask(port, "/health")[1])
    return told


def wait_for_in_flight(port: int, count: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while health(port)["requests"]["in_flight"] != count:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def held(port: int, path: str) -> socket.socket:
    """A request whose answer nobody reads yet."""
    connection = socket.create_connection(("127.0.0.1", port), 30)
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    return connection


def test_the_lifespan_of_the_app_runs(port: int) -> None:
    assert health(port)["lifespan"] == "started"


def test_two_at_a_time_and_the_third_is_refused(port: int) -> None:
    first, second = held(port, "/slow?seconds=2"), held(port, "/slow?seconds=2")
    wait_for_in_flight(port, 2)
    status, body = ask(port, "/slow?seconds=0")
    assert (status, json.loads(body)) == (503, {"detail": "concurrency"})
    # Neither of the two waits for its answer: uvicorn tells the app, which goes on sleeping.
    first.close()
    second.close()
    assert health(port)["status"] == "ok"


def test_a_client_that_leaves_a_stream_gives_its_place_back(port: int) -> None:
    wait_for_in_flight(port, 0)
    with held(port, "/stream") as connection:
        assert connection.recv(10)
        wait_for_in_flight(port, 1)
    wait_for_in_flight(port, 0)


def test_a_refused_upload_gets_its_answer_and_no_broken_pipe(port: int) -> None:
    with held(port, "/stream"), held(port, "/stream"):
        wait_for_in_flight(port, 2)
        status, body = ask(port, "/upload", "POST", bytes(16 << 20))
        assert (status, json.loads(body)) == (503, {"detail": "concurrency"})


def test_uploads_arrive_whole(port: int) -> None:
    wait_for_in_flight(port, 0)
    assert ask(port, "/upload", "POST", bytes(5 << 20)) == (200, str(5 << 20).encode())


def test_a_websocket_is_served(port: int) -> None:
    import websockets

    async def talk() -> Any:
        async with websockets.connect(f"ws://127.0.0.1:{port}/echo") as connection:
            await connection.send("hello")
            return await connection.recv()

    assert asyncio.run(talk()) == "hello"


def test_many_clients_at_once_lose_no_answer(port: int) -> None:
    wait_for_in_flight(port, 0)
    statuses: list[int] = []
    lock = threading.Lock()

    def client() -> None:
        for _ in range(20):
            status, _ = ask(port, "/slow?seconds=0.002")
            with lock:
                statuses.append(status)

    threads = [threading.Thread(target=client) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(statuses) == 160
    assert set(statuses) <= {200, 503} and 200 in statuses
    assert health(port)["requests"]["in_flight"] == 0


def test_metrics_are_scraped(port: int) -> None:
    status, body = ask(port, "/metrics")
    assert status == 200
    assert b"leakhunt_guard_headroom_bytes" in body and b"leakhunt_guard_refused_total" in body


def test_out_of_memory_in_a_handler_opens_the_breaker(port: int) -> None:
    wait_for_in_flight(port, 0)
    assert ask(port, "/busy")[0] == 500
    assert ask(port, "/health/ready")[0] == 503
    assert ask(port, "/health/live")[0] == 200
    assert ask(port, "/slow?seconds=0")[0] == 503
    deadline = time.monotonic() + PATIENCE_SECONDS
    while ask(port, "/slow?seconds=0")[0] != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert health(port)["status"] == "ok"

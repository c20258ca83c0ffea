"""Servers with two workers each, which serve the small guarded service."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

HERE = Path(__file__).parent / "integration" / "guard"
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

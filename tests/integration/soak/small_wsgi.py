"""A service for Gunicorn that keeps what it gets: ``gunicorn small_wsgi:app``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from leakhunt import agent

agent.listen()
KEPT: list[bytearray] = []


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    KEPT.append(bytearray(100_000))
    start_response("200 OK", [("Content-Type", "application/json")])
    return [b'{"segments": []}']

"""The WSGI middleware: a response that is streamed, broken or never read gives its place back."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from leakhunt.guard import Guard, GuardConfig, GuardWsgiMiddleware, RequestLog, Ticket
from leakhunt.guard.wsgi import WsgiApp


class Started:
    def __init__(self) -> None:
        self.status = ""
        self.headers: dict[str, str] = {}

    def __call__(self, status: str, headers: list[tuple[str, str]], *rest: Any) -> None:
        self.status, self.headers = status, dict(headers)


def answering(body: Iterable[bytes], status: str = "200 OK") -> WsgiApp:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response(status, [])
        return body

    return app


def guard_of(**config: Any) -> Guard:
    return Guard(GuardConfig(**({"queue_seconds": 0, "request_bytes": 1} | config)))


def environ(path: str = "/work", body: bytes = b"") -> dict[str, Any]:
    return {
        "PATH_INFO": path,
        "REQUEST_METHOD": "POST",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
    }


def ask(app: GuardWsgiMiddleware, given: dict[str, Any] | None = None) -> tuple[Started, bytes]:
    """As a server does: iterate, then close."""
    started = Started()
    response = app(given or environ(), started)
    try:
        body = b"".join(response)
    finally:
        close = getattr(response, "close", None)
        if close:
            close()
    return started, body


def test_a_request_is_handed_on_and_counted() -> None:
    guard = guard_of()
    started, body = ask(GuardWsgiMiddleware(answering([b"fi", b"ne"]), guard))
    assert (started.status, body) == ("200 OK", b"fine")
    assert (guard.served, guard.in_flight) == (1, 0)


def test_a_refused_client_is_told_why_and_its_body_is_read() -> None:
    guard = guard_of(max_concurrency=1)
    assert isinstance(guard.try_admit(), Ticket)
    given = environ(body=bytes(200_000))
    started, body = ask(GuardWsgiMiddleware(answering([]), guard), given)
    assert started.status == "503 Service Unavailable"
    assert json.loads(body) == {"detail": "concurrency"}
    assert int(started.headers["Retry-After"]) >= 1
    assert given["wsgi.input"].tell() == 200_000


def test_a_stream_holds_its_place_until_it_is_closed() -> None:
    guard = guard_of(max_concurrency=1)
    response = GuardWsgiMiddleware(answering(iter([b"a", b"b"])), guard)(environ(), Started())
    parts = iter(response)
    assert next(parts) == b"a"
    assert guard.in_flight == 1
    response.close()  # type: ignore[attr-defined]  # the client has gone
    assert guard.in_flight == 0
    response.close()  # type: ignore[attr-defined]
    assert guard.status().served == 1


def test_the_body_of_the_app_is_closed_once() -> None:
    class Body:
        closed = 0

        def __iter__(self) -> Iterator[bytes]:
            return iter([b"x"])

        def close(self) -> None:
            self.closed += 1

    body = Body()
    ask(GuardWsgiMiddleware(answering(body), guard_of()))
    assert body.closed == 1


def test_an_app_that_raises_gives_its_place_back() -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        raise ZeroDivisionError

    guard = guard_of(max_concurrency=1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            ask(GuardWsgiMiddleware(app, guard))
    assert guard.in_flight == 0
    assert guard.status().failed == 3


def test_a_stream_that_breaks_gives_its_place_back() -> None:
    def broken() -> Iterator[bytes]:
        yield b"a"
        raise MemoryError

    guard = guard_of(max_concurrency=1)
    with pytest.raises(MemoryError):
        ask(GuardWsgiMiddleware(answering(broken()), guard))
    assert guard.in_flight == 0
    started, _ = ask(GuardWsgiMiddleware(answering([]), guard))
    assert started.status.startswith("503")  # the breaker is open


def test_health_and_metrics_are_answered_while_all_places_are_taken() -> None:
    guard = guard_of(max_concurrency=1)
    assert isinstance(guard.try_admit(), Ticket)
    app = GuardWsgiMiddleware(answering([]), guard, RequestLog())
    started, body = ask(app, environ("/health/live"))
    assert started.status == "200 OK" and json.loads(body)["alive"]
    started, body = ask(app, environ("/metrics"))
    assert b"leakhunt_guard_rss_bytes" in body


def test_exempt_paths_are_never_refused() -> None:
    guard = guard_of(max_concurrency=1, exempt=("/static",))
    assert isinstance(guard.try_admit(), Ticket)
    started, _ = ask(GuardWsgiMiddleware(answering([b"js"]), guard), environ("/static/a.js"))
    assert started.status == "200 OK"

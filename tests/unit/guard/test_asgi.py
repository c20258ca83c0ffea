"""The ASGI middleware before small apps: each way that a request may end gives its place back."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from leakhunt.guard import Guard, GuardConfig, GuardMiddleware, JsonFormatter, RequestLog, Ticket
from leakhunt.guard.asgi import AsgiApp

Event = dict[str, Any]


def http(path: str = "/work", **headers: str) -> Event:
    told = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "method": "POST", "path": path, "headers": told}


class Client:
    """One connection: what the app is sent, and what it answers."""

    def __init__(self, *events: Event) -> None:
        self.events = list(events) or [{"type": "http.request", "body": b"", "more_body": False}]
        self.received = 0
        self.sent: list[Event] = []

    async def receive(self) -> Event:
        self.received += 1
        return self.events.pop(0) if self.events else {"type": "http.disconnect"}

    async def send(self, event: Any) -> None:
        self.sent.append(dict(event))

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(event.get("body", b"") for event in self.sent[1:])


def answering(status: int = 200, body: bytes = b"fine") -> AsgiApp:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": body})

    return app


def guard_of(**config: Any) -> Guard:
    return Guard(GuardConfig(**({"queue_seconds": 0, "request_bytes": 1} | config)))


def ask(app: GuardMiddleware, scope: Event, client: Client | None = None) -> Client:
    client = client or Client()
    asyncio.run(app(scope, client.receive, client.send))
    return client


def full(guard: Guard) -> Ticket:
    ticket = guard.try_admit()
    assert isinstance(ticket, Ticket)
    return ticket


def test_a_request_is_handed_on_and_counted() -> None:
    guard = guard_of()
    client = ask(GuardMiddleware(answering(), guard), http())
    assert (client.status, client.body) == (200, b"fine")
    assert (guard.served, guard.in_flight) == (1, 0)


def test_a_refused_client_is_told_why_and_when_to_come_again() -> None:
    guard = guard_of(max_concurrency=1)
    full(guard)
    client = ask(GuardMiddleware(answering(), guard), http())
    assert client.status == 503
    assert json.loads(client.body) == {"detail": "concurrency"}
    assert int(client.headers[b"retry-after"]) >= 1
    assert client.headers[b"content-type"] == b"application/json"


def test_the_body_of_a_refused_request_is_read_up_to_a_bound() -> None:
    guard = guard_of(max_concurrency=1, drain_bytes=250)
    full(guard)
    chunk = {"type": "http.request", "body": bytes(100), "more_body": True}
    short = Client(chunk, chunk | {"more_body": False})
    ask(GuardMiddleware(answering(), guard), http(), short)
    assert short.received == 2
    endless = Client(*[chunk] * 100)
    ask(GuardMiddleware(answering(), guard), http(), endless)
    assert endless.received == 3
    gone = Client({"type": "http.disconnect"})
    ask(GuardMiddleware(answering(), guard), http(), gone)
    assert gone.received == 1


def test_a_handler_that_raises_gives_its_place_back() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise ZeroDivisionError

    guard = guard_of(max_concurrency=1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            ask(GuardMiddleware(app, guard), http())
    assert guard.in_flight == 0
    assert guard.status().failed == 3


def test_a_status_of_500_is_a_failure_and_404_is_none() -> None:
    guard = guard_of()
    ask(GuardMiddleware(answering(500), guard), http())
    ask(GuardMiddleware(answering(404), guard), http())
    status = guard.status()
    assert (status.served, status.failed) == (1, 1)


def test_a_client_that_goes_away_gives_its_place_back() -> None:
    guard = guard_of(max_concurrency=1)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(1000)

    async def aborted() -> None:
        client = Client()
        task = asyncio.ensure_future(
            GuardMiddleware(app, guard)(http(), client.receive, client.send)
        )
        await asyncio.sleep(0.01)
        assert guard.in_flight == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(aborted())
    assert guard.in_flight == 0


def test_a_stream_holds_its_place_to_its_end() -> None:
    guard = guard_of(max_concurrency=1)
    held: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(3):
            held.append(guard.in_flight)
            await send({"type": "http.response.body", "body": b"x", "more_body": number < 2})

    client = ask(GuardMiddleware(app, guard), http())
    assert client.body == b"xxx"
    assert held == [1, 1, 1]
    assert guard.in_flight == 0


def test_a_handler_out_of_memory_opens_the_breaker() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise MemoryError

    guard = guard_of()
    with pytest.raises(MemoryError):
        ask(GuardMiddleware(app, guard), http())
    assert ask(GuardMiddleware(answering(), guard), http()).status == 503


def test_health_tells_liveness_and_readiness_apart() -> None:
    guard = guard_of(hard=0.000_002, soft=0.000_001)  # any process is above it
    app = GuardMiddleware(answering(), guard, facts=lambda: {"weights": "made"})
    ready, live = ask(app, http("/health/ready")), ask(app, http("/health/live"))
    assert (ready.status, live.status) == (503, 200)
    body = json.loads(ask(app, http("/health")).body)
    assert body["status"] == "unready" and body["reasons"] == ["memory"]
    assert body["weights"] == "made"
    assert body["memory"]["headroom_bytes"] is not None
    assert ask(app, http("/healthy")).status == 503  # of the service, and refused


def test_health_is_answered_while_all_places_are_taken() -> None:
    guard = guard_of(max_concurrency=1)
    full(guard)
    app = GuardMiddleware(answering(), guard)
    assert ask(app, http("/health")).status == 200
    assert b"leakhunt_guard_in_flight_requests" in ask(app, http("/metrics")).body


def test_paths_may_be_the_services_own() -> None:
    guard = guard_of(health_path="", metrics_path="")
    app = GuardMiddleware(answering(), guard)
    assert ask(app, http("/health")).body == b"fine"
    assert ask(app, http("/metrics")).body == b"fine"


def test_exempt_paths_are_never_refused() -> None:
    guard = guard_of(max_concurrency=1, exempt=("/static",))
    full(guard)
    app = GuardMiddleware(answering(), guard)
    statuses = [ask(app, http(path)).status for path in ("/static", "/static/a.js", "/statics")]
    assert statuses == [200, 200, 503]


def test_lifespan_is_handed_on() -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    guard = guard_of(max_concurrency=1)
    full(guard)
    ask(GuardMiddleware(app, guard), {"type": "lifespan"})
    assert seen == ["lifespan"]


@pytest.mark.parametrize(
    ("hard", "expected"), [(0.9, "websocket.accept"), (2e-6, "websocket.close")]
)
def test_a_websocket_is_refused_while_unready(hard: float, expected: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})

    guard = guard_of(hard=hard, soft=1e-6)
    client = Client({"type": "websocket.connect"})
    ask(GuardMiddleware(app, guard), {"type": "websocket", "path": "/ws"}, client)
    assert client.sent[0]["type"] == expected
    assert guard.in_flight == 0


def test_a_draining_worker_closes_each_connection() -> None:
    guard = guard_of()
    app = GuardMiddleware(answering(), guard)
    assert b"connection" not in ask(app, http()).headers
    guard.draining = True
    client = ask(app, http())
    assert (client.status, client.headers[b"connection"]) == (200, b"close")
    health = ask(app, http("/health"))
    assert (health.status, health.headers[b"connection"]) == (503, b"close")
    assert json.loads(health.body)["reasons"] == ["draining"]


def test_the_length_of_the_body_is_told_to_the_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    guard = guard_of()
    told: list[int] = []
    admit = guard.try_admit

    def noting(body: int = 0) -> Any:
        told.append(body)
        return admit(body)

    monkeypatch.setattr(guard, "try_admit", noting)
    app = GuardMiddleware(answering(), guard)
    ask(app, http(content_length="1234"))
    ask(app, http(content_length="a lot"))
    ask(app, http())
    assert told == [1234, 0, 0]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[dict[str, Any]]]:
    caplog.set_level(logging.INFO, "leakhunt.guard.requests")
    formatter = JsonFormatter()
    return lambda: [json.loads(formatter.format(record)) for record in caplog.records]


def test_a_line_of_json_for_each_request(lines: Callable[[], list[dict[str, Any]]]) -> None:
    guard = guard_of(max_concurrency=1)
    app = GuardMiddleware(answering(), guard, RequestLog())
    ask(app, http(x_request_id="abc"))
    full(guard)
    ask(app, http("/记 \n录"))
    well, refused = lines()
    assert well["status"] == 200 and well["request_id"] == "abc" and well["refused"] == ""
    assert well["rss_before"] > 0 and well["rss_after"] > 0 and well["level"] == "info"
    assert refused["status"] == 503 and refused["refused"] == "concurrency"
    assert refused["path"] == "/记 \n录" and refused["level"] == "info"


def test_a_sampled_log_has_all_that_failed(lines: Callable[[], list[dict[str, Any]]]) -> None:
    guard = guard_of()
    for _ in range(50):
        ask(GuardMiddleware(answering(), guard, RequestLog(sample=0)), http())
    ask(GuardMiddleware(answering(500), guard, RequestLog(sample=0)), http())
    (failed,) = lines()
    assert failed["status"] == 500 and failed["level"] == "error"

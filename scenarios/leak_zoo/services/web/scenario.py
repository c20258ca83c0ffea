"""Web services on real frameworks: requests, routes, sessions, clients kept; and clean."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx
from fastapi import FastAPI, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve

from leakhunt import Context, variant

EXTRA = "fsmn-vad-service"
REQUIRES = ("fastapi", "httpx", "websockets")
OK = 200


class KeepsRequests:
    """Middleware that keeps every request, to look at later."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.seen: list[Request] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Keep the request and hand it on."""
        if scope["type"] == "http":
            self.seen.append(Request(scope))
        await self.app(scope, receive, send)


class CountsRequests:
    """Middleware that keeps a number."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.seen = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the request and hand it on."""
        self.seen += scope["type"] == "http"
        await self.app(scope, receive, send)


@dataclass
class State:
    """What the service keeps from call to call."""

    loop: asyncio.AbstractEventLoop
    keeping: FastAPI
    counting: FastAPI
    sessions: dict[Any, ServerConnection] = field(default_factory=dict)
    forgetful_url: str = ""
    tidy_url: str = ""
    clients: list[ClientConnection] = field(default_factory=list)
    http: list[httpx.Client] = field(default_factory=list)

    def serve(self, request: Coroutine[Any, Any, None]) -> None:
        """One request, on the service's event loop."""
        self.loop.run_until_complete(request)


async def recognise(request: Request) -> dict[str, int]:
    """How long the body is."""
    return {"bytes": len(await request.body())}


async def job(number: int) -> dict[str, int]:
    """The state of a job."""
    return {"job": number}


def _app(middleware: type[KeepsRequests] | type[CountsRequests]) -> FastAPI:
    app = FastAPI()
    app.add_api_route("/recognise", recognise, methods=["POST"])
    app.add_api_route("/jobs/{number}", job)
    app.add_middleware(middleware)
    return app


def setup(context: Context) -> State:
    """Two applications, and two websocket servers on ports of their own."""
    state = State(asyncio.new_event_loop(), _app(KeepsRequests), _app(CountsRequests))
    state.forgetful_url = state.loop.run_until_complete(_listen(partial(_forgetful, state)))
    state.tidy_url = state.loop.run_until_complete(_listen(partial(_tidy, state)))
    return state


async def _listen(session: Callable[[ServerConnection], Awaitable[None]]) -> str:
    server = await serve(session, "127.0.0.1", 0, compression=None)
    return f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/"


async def _echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def _forgetful(state: State, connection: ServerConnection) -> None:
    """Registers a session, for good."""
    state.sessions[connection.id] = connection
    await _echo(connection)


async def _tidy(state: State, connection: ServerConnection) -> None:
    """Registers a session for as long as it lasts."""
    state.sessions[connection.id] = connection
    try:
        await _echo(connection)
    finally:
        del state.sessions[connection.id]


async def _ask(app: FastAPI, method: str, path: str, body: bytes = b"") -> None:
    """One request through the application's ASGI interface.

    Raises:
        RuntimeError: the answer is another than 200.
    """
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost"), (b"content-length", str(len(body)).encode())],
        "client": ("127.0.0.1", 40000),
        "server": ("127.0.0.1", 80),
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        if message.get("status", OK) != OK:
            raise RuntimeError(f"{method} {path}: {message['status']}")

    await app(scope, receive, send)


@variant(expect="leak in Python", rate=3780, culprit=".seen", cause="requests-kept")
def middleware_that_keeps_requests(state: State, item: int) -> None:
    """FastAPI with a middleware that keeps each request, and so its whole scope."""
    state.serve(_ask(state.keeping, "POST", "/recognise", bytes(1000)))


@variant(expect=("clean", "cyclic garbage only"))
def middleware_that_counts(state: State, item: int) -> None:
    """FastAPI with a middleware that keeps a number."""
    state.serve(_ask(state.counting, "POST", "/recognise", bytes(1000)))


@variant(expect="leak in Python", rate=8340, culprit=".routes", cause="routes-per-request")
def route_for_each_job(state: State, item: int) -> None:
    """Each job gets a route of its own."""
    state.counting.add_api_route(f"/job-{item}", partial(job, item))


@variant(expect=("clean", "cyclic garbage only"))
def route_with_a_parameter(state: State, item: int) -> None:
    """One route for all jobs."""
    state.serve(_ask(state.counting, "GET", f"/jobs/{item}"))


async def _talk(url: str) -> None:
    async with connect(url, compression=None, proxy=None) as connection:
        await connection.send("hello")
        await connection.recv()


@variant(expect="leak in Python", rate=8850, culprit="State.sessions", cause="sessions-kept")
def sessions_registered_for_ever(state: State, item: int) -> None:
    """A websocket session over loopback ends, and the server's registry keeps it."""
    state.serve(_talk(state.forgetful_url))


@variant(expect=("clean", "cyclic garbage only"))
def sessions_removed(state: State, item: int) -> None:
    """The session takes itself out of the registry when it ends."""
    state.serve(_talk(state.tidy_url))


@variant(
    expect="descriptors, threads or children growing",
    rate=2,
    culprit="connect(",
    cause="sockets-not-closed",
)
def sessions_never_closed(state: State, item: int) -> None:
    """A websocket session per request stays open: a socket at each end, both of this process."""

    async def request() -> None:
        connection = await connect(state.tidy_url, compression=None, proxy=None)
        await connection.send("hello")
        await connection.recv()
        state.clients.append(connection)

    state.serve(request())


@variant(
    expect="leak in Python", rate=850_000, culprit="httpx.Client", cause="http-client-per-call"
)
def http_clients_kept(state: State, item: int) -> None:
    """An httpx client per request, which is not closed and kept."""
    state.http.append(httpx.Client())


@variant(expect=("clean", "cyclic garbage only", "allocator retention"))
def http_clients_closed(state: State, item: int) -> None:
    """An httpx client per request, closed."""
    with httpx.Client():
        pass

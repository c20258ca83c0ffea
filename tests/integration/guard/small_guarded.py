"""A small leaking service behind a guard that replaces its workers, as ASGI and as WSGI.

Every request leaves 2 MiB; a worker is replaced after it has grown by some 30 MiB.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

from leakhunt.guard import (
    Guard,
    GuardConfig,
    GuardMiddleware,
    GuardWsgiMiddleware,
    Recycler,
    RecyclingConfig,
)

LEFT_BYTES = 2 << 20
LEAK: list[bytearray] = []

guard = Guard(GuardConfig(max_concurrency=8, queue_seconds=30.0, request_bytes=LEFT_BYTES))
Recycler(
    guard,
    RecyclingConfig(
        "+30 MiB", settled_requests=3, drain_seconds=1.0, settle_seconds=0.3, turn_seconds=1.0
    ),
)


async def leaking(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        while (event := (await receive())["type"]) != "lifespan.shutdown":
            await send({"type": f"{event}.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    while (await receive()).get("more_body"):
        pass
    LEAK.append(bytearray(LEFT_BYTES))
    await asyncio.sleep(0.02)
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for part in (str(os.getpid()).encode(), b" done"):
        await send({"type": "http.response.body", "body": part, "more_body": part != b" done"})


app = GuardMiddleware(leaking, guard)


def make_flask() -> Any:
    """The same as a Flask app."""
    from flask import Flask

    flask_app = Flask(__name__)

    @flask_app.route("/", methods=["GET", "POST"])
    def work() -> str:
        LEAK.append(bytearray(LEFT_BYTES))
        time.sleep(0.02)
        return f"{os.getpid()} done"

    flask_app.wsgi_app = GuardWsgiMiddleware(flask_app.wsgi_app, guard)  # type: ignore[method-assign]
    return flask_app

"""A service of several workers and six routes: one worker leaks, in one route."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from typing import IO

from fastapi import FastAPI

app = FastAPI()
KEPT: list[list[bytes]] = []
# Whose it is leaks: the first worker that starts.
LOCK: IO[str] = open(os.environ["LEAKING_WORKER"], "w", encoding="utf-8")  # noqa: SIM115


def _is_first() -> bool:
    try:
        fcntl.flock(LOCK, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


LEAKS = _is_first()


@app.get("/health")
def health() -> dict[str, bool]:
    """It is up."""
    return {"ok": True}


def plain(name: str) -> Callable[[int], dict[str, int]]:
    """A route that keeps nothing."""

    def route(number: int) -> dict[str, int]:
        return {name: number}

    return route


for each in ("carts", "items", "offers", "prices", "users"):
    app.get(f"/{each}/{{number}}")(plain(each))


@app.get("/orders/{number}")
def orders(number: int) -> dict[str, int]:
    """Keeps what it answers, in one worker."""
    if LEAKS:
        KEPT.append([bytes(200) for _ in range(100)])
    return {"order": number}

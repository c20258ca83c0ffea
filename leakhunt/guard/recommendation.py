"""When to replace workers, and at which size, from measured figures."""

from __future__ import annotations

from dataclasses import dataclass

import psutil

from leakhunt.errors import UsageError
from leakhunt.text.message import message


@dataclass(frozen=True, slots=True)
class Recommendation:
    """Settings of recycling from measured figures.

    `max_requests` and its `jitter` are for gunicorn's ``--max-requests`` and
    ``--max-requests-jitter`` (uvicorn: ``--limit-max-requests``); None: nothing grows, recycle not
    at all. `max_memory_per_child_bytes` is for `RecyclingConfig`. `seconds` is how long a worker
    lives then, None without a rate of requests.
    """

    max_requests: int | None
    max_requests_jitter: int
    max_memory_per_child_bytes: int
    seconds: float | None


def recommend(  # noqa: PLR0913 - each is a figure of its own
    *,
    limit_bytes: int,
    workers: int,
    fresh_bytes: int,
    growth_bytes_per_request: float,
    request_bytes: int = 0,
    concurrency: int = 1,
    shared_bytes: int = 0,
    jitter: float = 0.10,
    reserve: float = 0.10,
    requests_per_second: float = 0.0,
) -> Recommendation:
    """When to replace workers, so that all of them at their largest fit below the limit.

    `limit_bytes` is that of the container. Of it go: `reserve`, `shared_bytes` (what the parent
    loaded before the fork and children only read, counted once), one fresh worker more (a
    hand-over starts one while the old one ends), and what requests take at their peak.
    `fresh_bytes` is what a child holds for itself after its first requests: pages of the parent
    become its own as reference counts change them, so read it then (`private_bytes`) and not just
    after the fork. The growth is that of the upper bound of a measured rate, to be safe.

    Raises:
        UsageError: a fresh worker does not fit.
    """
    peaks_bytes = request_bytes * concurrency
    room = limit_bytes * (1 - reserve) - shared_bytes - fresh_bytes
    per_worker = room / workers - peaks_bytes
    if per_worker <= fresh_bytes:
        raise UsageError(
            message(
                "guard.workers-do-not-fit",
                "guard: {workers} workers do not fit: expected more than {fresh:,.0f} bytes for"
                " each, got {room:,.0f}. Use fewer workers or a larger limit",
                workers=workers,
                fresh=fresh_bytes,
                room=max(per_worker, 0),
            )
        )
    most = round(per_worker)
    if growth_bytes_per_request <= 0:
        return Recommendation(None, 0, most, None)
    # gunicorn adds its jitter to max_requests: the latest worker must still fit.
    latest = int((per_worker - fresh_bytes) / growth_bytes_per_request)
    spread = int(latest * jitter)
    requests = max(latest - spread, 1)
    seconds = requests * workers / requests_per_second if requests_per_second else None
    return Recommendation(requests, spread, most, seconds)


def private_bytes(pid: int | None = None) -> int:
    """What a process holds for itself, in bytes: its USS, without what it shares by a fork."""
    return int(psutil.Process(pid).memory_full_info().uss)

"""What `/health` answers: liveness and readiness apart, and the figures behind them.

Liveness fails only where a restart is all that helps; readiness fails as long as requests would be
refused, so that an orchestrator sends them elsewhere and restarts nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from leakhunt.guard.guard import Guard
from leakhunt.guard.metrics import CONTENT_TYPE, exposition
from leakhunt.guard.status import GuardStatus

_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class OwnAnswer:
    """An answer of the guard itself."""

    status: int
    content_type: str
    body: bytes
    retry_after_seconds: int = 0


def own_paths(guard: Guard) -> tuple[str, ...]:
    """What the paths of the guard begin with; none, where it has none."""
    return tuple(filter(None, (guard.config.health_path, guard.config.metrics_path)))


def own_answer(guard: Guard, path: str, facts: Mapping[str, Any] | None = None) -> OwnAnswer | None:
    """The answer to a path of the guard; None: it is one of the service.

    `facts` are added to the body of `/health`.
    """
    config = guard.config
    health = config.health_path
    if health and path.startswith(health):
        if path in (health, f"{health}/ready"):
            status = guard.status()
            return _health(status, facts, is_well=status.is_ready)
        if path == f"{health}/live":
            status = guard.status()
            return _health(status, facts, is_well=status.is_alive)
    if config.metrics_path and path == config.metrics_path:
        return OwnAnswer(200, CONTENT_TYPE, exposition(guard))
    return None


def health_body(status: GuardStatus) -> dict[str, Any]:
    """What `/health` tells: ``ok`` or ``unready`` and why, and the figures.

    Sizes are bytes, None where not known.
    """
    memory, growth = status.memory, status.growth
    return {
        "status": "ok" if status.is_ready else "unready",
        "alive": status.is_alive,
        "reasons": list(status.reasons),
        "memory": {
            "rss_bytes": status.rss_bytes,
            "live_heap_bytes": status.live_heap_bytes,
            "used_bytes": memory.used_bytes if memory else None,
            "limit_bytes": memory.limit_bytes if memory else None,
            "limit_source": str(memory.source) if memory else None,
            "headroom_bytes": status.headroom_bytes,
            "growth_bytes_per_second": round(growth.bytes_per_second, 1) if growth else None,
            "seconds_to_out_of_memory": status.seconds_to_out_of_memory,
            "gpu_free_bytes": status.gpu_free_bytes,
        },
        "requests": {
            "pid": status.pid,
            "breaker": str(status.breaker),
            "in_flight": status.in_flight,
            "served": status.served,
            "failed": status.failed,
            "refused": status.refused,
        },
    }


def _health(status: GuardStatus, facts: Mapping[str, Any] | None, *, is_well: bool) -> OwnAnswer:
    body = json.dumps({**(facts or {}), **health_body(status)}).encode()
    return OwnAnswer(200 if is_well else 503, _JSON, body)

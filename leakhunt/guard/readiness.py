"""Whether a worker is ready for requests, and why not."""

from __future__ import annotations

from dataclasses import replace

from leakhunt.guard.breaker import BreakerState
from leakhunt.guard.config import GuardConfig
from leakhunt.guard.gpu_memory import is_gpu_short
from leakhunt.guard.status import GuardStatus, Reason


def with_readiness(status: GuardStatus, config: GuardConfig) -> GuardStatus:
    """The same status, with `is_ready` and the reasons against it."""
    reasons = []
    if status.draining:
        reasons.append("draining")
    if status.breaker is BreakerState.OPEN:
        reasons.append(str(Reason.BREAKER))
    unready = config.unready or config.hard
    if status.memory is not None and status.memory.share >= unready:
        reasons.append(str(Reason.MEMORY))
    if is_gpu_short(status.gpu_free_bytes, config):
        reasons.append(str(Reason.GPU_MEMORY))
    return replace(status, is_ready=not reasons, reasons=tuple(reasons))

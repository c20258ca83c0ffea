"""The status of a worker from what it has counted: of this one, and of those behind its port."""

from __future__ import annotations

from dataclasses import replace

from leakhunt.guard.breaker import BreakerState
from leakhunt.guard.counts import Counts
from leakhunt.guard.growth import GrowthRate, rate_of
from leakhunt.guard.limits import LimitSource, MemoryUse
from leakhunt.guard.release import ReleaseCount
from leakhunt.guard.status import GuardStatus
from leakhunt.guard.workers import PeerWorker

# Readings of RSS that end earlier than this say nothing of its growth now.
_LATE_SECONDS = 150.0


def status_of(  # noqa: PLR0913 - what is not in the counts
    counts: Counts,
    *,
    pid: int,
    rss_bytes: int,
    memory: MemoryUse | None,
    growth: GrowthRate | None,
    breaker: BreakerState,
    is_alive: bool,
    releases: tuple[ReleaseCount, ...],
    gpu_free_bytes: int | None,
    started_seconds: float,
) -> GuardStatus:
    """The status of a worker, without its readiness."""
    return GuardStatus(
        pid=pid,
        rss_bytes=rss_bytes,
        live_heap_bytes=counts.live_heap_bytes,
        memory=memory,
        growth=growth,
        in_flight=counts.in_flight,
        waiting=counts.waiting,
        expected_request_bytes=counts.expected_bytes,
        breaker=breaker,
        draining=counts.draining,
        is_ready=False,
        is_alive=is_alive,
        reasons=(),
        served=counts.served,
        failed=counts.failed,
        refused=counts.refused,
        releases=releases,
        request_seconds=counts.seconds,
        request_buckets=counts.buckets,
        gpu_free_bytes=gpu_free_bytes,
        started_seconds=started_seconds,
    )


def status_of_peer(peer: PeerWorker, own: GuardStatus, now: float) -> GuardStatus:
    """That of another worker, by its counts and the kernel; `own` is that of this one, at `now`."""
    counts = peer.counts
    points = counts.points()[1] if peer.points_are_whole else []
    is_late = not points or now - points[-1][0] > _LATE_SECONDS
    return status_of(
        counts,
        pid=peer.pid,
        rss_bytes=peer.rss_bytes,
        memory=_memory_of(peer, own.memory),
        growth=None if is_late else rate_of(points),
        breaker=counts.breaker(now),
        is_alive=True,
        releases=counts.releases(peer.steps),
        gpu_free_bytes=own.gpu_free_bytes,
        started_seconds=peer.started_seconds,
    )


def _memory_of(peer: PeerWorker, own: MemoryUse | None) -> MemoryUse | None:
    memory = peer.counts.memory or own  # one that has had no request has read none
    if memory is not None and memory.source is LimitSource.GIVEN:
        return replace(memory, used_bytes=peer.rss_bytes)
    if memory is not None and memory.source is LimitSource.ADDRESS_SPACE:
        return replace(memory, used_bytes=peer.address_space_bytes)
    if own is None or (memory is not None and memory.source is own.source):
        return own  # of the container or the machine: what we have just read ourselves
    return memory

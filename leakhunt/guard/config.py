"""How a guard behaves: one frozen noun, checked when it is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from leakhunt.amounts import parse_size
from leakhunt.errors import UsageError
from leakhunt.text.message import message

# Shares of the limit. The hard one leaves room for what is allocated between two readings.
SOFT_SHARE = 0.75
HARD_SHARE = 0.90


@dataclass(frozen=True, slots=True)
class GuardConfig:
    """Watermarks, bounds and paths of a guard. Sizes are bytes, or texts like ``"1.5 GiB"``.

    Args:
        limit: the most RSS of this process, beside what the cgroup and RLIMIT_AS allow. None: only
            those, or the memory of the machine.
        soft: share of the limit from which memory is released.
        hard: share of the limit from which new requests are refused.
        unready: share of the limit from which `/health` is unready; None: `hard`.
        request_bytes: what a request takes at its peak; None: it is measured.
        min_gpu_free: under so much free memory of the GPU it is unready, and refuses.
        releases: further ways to release memory, called with the built-in ones.
        max_concurrency: requests at work at a time; None: as many as fit into memory.
        queue_seconds: how long a request waits for a place before it is refused.
        max_waiting: requests that may wait; the next is refused at once.
        retry_seconds: the first ``Retry-After``, and how long the breaker stays open; it doubles
            up to `most_retry_seconds` while probes find the memory still full.
        drain_bytes: of a refused request's body, so much is read, so that the client gets its
            answer and not a broken connection.
        health_path: readiness; with ``/live`` and ``/ready`` below it. Empty: none.
        metrics_path: Prometheus text. Empty: none.
        metrics_folder: where workers share their figures, so that a scrape of one tells all of
            them; every process that has it counts as a worker. None: that of the variable
            ``PROMETHEUS_MULTIPROC_DIR``, or those behind the same port (Linux).
        exempt: paths (and what is below them) that are never refused or counted.
        read_seconds: memory is read again at most so often, for requests that are shorter.
        stuck_seconds: no longer alive when nothing was at work and memory was over the hard
            watermark for so long: only a restart helps then.
    """

    limit: int | str | None = None
    soft: float = SOFT_SHARE
    hard: float = HARD_SHARE
    unready: float | None = None
    request_bytes: int | str | None = None
    min_gpu_free: int | str = 0
    releases: tuple[Callable[[], object], ...] = ()
    max_concurrency: int | None = None
    queue_seconds: float = 1.0
    max_waiting: int = 64
    retry_seconds: float = 1.0
    most_retry_seconds: float = 8.0
    drain_bytes: int | str = 8 << 20
    health_path: str = "/health"
    metrics_path: str = "/metrics"
    metrics_folder: Path | str | None = None
    exempt: tuple[str, ...] = ()
    stuck_seconds: float = 60.0
    read_seconds: float = 0.010

    def __post_init__(self) -> None:
        """Check shares, and that sizes are sizes.

        Raises:
            UsageError: one is none, or the soft share is not below the hard one.
        """
        if not 0 < self.soft < self.hard <= 1:
            raise UsageError(
                message(
                    "guard.invalid-shares",
                    "guard: expected 0 < soft < hard <= 1, got soft {soft} and hard {hard}",
                    soft=self.soft,
                    hard=self.hard,
                )
            )
        if self.max_concurrency is not None and self.max_concurrency < 1:
            raise UsageError(
                message(
                    "guard.invalid-concurrency",
                    "guard: max_concurrency: expected 1 or more, got {got}",
                    got=self.max_concurrency,
                )
            )
        for name in ("limit", "request_bytes", "min_gpu_free", "drain_bytes"):
            object.__setattr__(self, name, size_of_setting(getattr(self, name)))


def size_of_setting(size: int | str | None) -> int | None:
    """The bytes of a size that is a number or a text.

    Raises:
        UsageError: the text is no size.
    """
    return parse_size(size) if isinstance(size, str) else size

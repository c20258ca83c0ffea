"""The soft watermark: release memory, measure what came back, and stop while nothing does."""

from __future__ import annotations

import gc
import itertools
import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from leakhunt.probes.allocator import serving
from leakhunt.probes.cuda import empty_framework_caches

_LOG = logging.getLogger("leakhunt.guard")
# Of the time, at most so much goes into releasing: a step is not tried again for 20 times as long.
_REST = 20.0
_MIN_WAIT_SECONDS = 1.0
_MAX_WAIT_SECONDS = 600.0
# What came back is worth a further try from here on.
_USEFUL_BYTES = 1 << 20
# After so many futile tries in a row a step rests until so much more of the limit is used.
_FUTILE_TRIES = 3
_AGAIN_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Released:
    """What a step of releasing gave back, as measured around it; below 0: others allocated."""

    step: str
    freed_bytes: int
    seconds: float


@dataclass(slots=True)
class _Step:
    name: str
    release: Callable[[], object]
    wait: float = _MIN_WAIT_SECONDS
    next_at: float = 0.0
    futile: int = 0
    rests_until_bytes: int = 0
    count: int = 0
    freed: int = 0


@dataclass(frozen=True, slots=True)
class ReleaseCount:
    """How often a step was tried, and what it gave back in all."""

    step: str
    count: int
    freed_bytes: int


def _name_apart(steps: Iterable[_Step]) -> None:
    """``clear`` and ``clear 2``: metrics with the same labels would be one."""
    taken: set[str] = set()
    for each in steps:
        names = itertools.chain([each.name], (f"{each.name} {n}" for n in itertools.count(2)))
        each.name = next(name for name in names if name not in taken)
        taken.add(each.name)


class Releaser:
    """Garbage, framework caches and free memory of malloc, each given back while it helps.

    `used_bytes` measures around each step. A step that gives back less than 1 MiB waits twice as
    long before the next try; after three such tries it rests until use has grown by 5 % of the
    limit. All steps together take at most 5 % of the time.
    """

    def __init__(
        self,
        used_bytes: Callable[[], int],
        clock: Callable[[], float],
        further: Sequence[Callable[[], object]] = (),
    ) -> None:
        self._used = used_bytes
        self._clock = clock
        self._steps = [
            _Step("gc", gc.collect),
            _Step("framework", empty_framework_caches),
            *(_Step(getattr(call, "__name__", "custom"), call) for call in further),
            _Step("malloc_trim", lambda: serving().trim()),
        ]
        _name_apart(self._steps)
        self.reset()

    def reset(self) -> None:
        """No step is at work: also in a forked child."""
        self._at_work = threading.Lock()

    @property
    def counts(self) -> tuple[ReleaseCount, ...]:
        """What was tried so far."""
        return tuple(ReleaseCount(each.name, each.count, each.freed) for each in self._steps)

    def is_due(self, used_bytes: int) -> bool:
        """Whether a step would be tried at this use."""
        now = self._clock()
        return any(_is_due(step, used_bytes, now) for step in self._steps)

    def run(self, used_bytes: int, limit_bytes: int) -> tuple[Released, ...]:
        """Try the steps that are due; empty where another thread is at it."""
        if not self._at_work.acquire(blocking=False):
            return ()
        try:
            due = [step for step in self._steps if _is_due(step, used_bytes, self._clock())]
            return tuple(self._tried(step, limit_bytes) for step in due)
        finally:
            self._at_work.release()

    def start(self, used_bytes: int, limit_bytes: int, then: Callable[[], object]) -> bool:
        """`run` in a thread of its own, then call `then`; False if there is nothing to do."""
        if self._at_work.locked() or not self.is_due(used_bytes):
            return False

        def work() -> None:
            self.run(used_bytes, limit_bytes)
            then()

        try:
            threading.Thread(target=work, name="leakhunt-guard-release", daemon=True).start()
        except RuntimeError as error:  # out of threads, or the interpreter ends
            _LOG.warning("leakhunt.guard: no thread to release memory in (%s)", error)
            return False
        return True

    def _tried(self, step: _Step, limit_bytes: int) -> Released:
        before, started = self._used(), self._clock()
        try:
            step.release()
        except Exception:
            _LOG.exception("leakhunt.guard: release step %s failed", step.name)
        ended, after = self._clock(), self._used()
        freed, taken = before - after, ended - started
        step.count += 1
        step.freed += max(freed, 0)
        if freed >= _USEFUL_BYTES:
            step.wait, step.futile = _MIN_WAIT_SECONDS, 0
        else:
            step.wait, step.futile = min(step.wait * 2, _MAX_WAIT_SECONDS), step.futile + 1
        if step.futile >= _FUTILE_TRIES:
            step.rests_until_bytes = after + round(_AGAIN_SHARE * limit_bytes)
            step.futile = 0
        step.next_at = ended + max(step.wait, _REST * taken)
        return Released(step.name, freed, taken)


def _is_due(step: _Step, used_bytes: int, now: float) -> bool:
    if step.rests_until_bytes:
        if used_bytes < step.rests_until_bytes:
            return False
        step.rests_until_bytes = 0
    return now >= step.next_at

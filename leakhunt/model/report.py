"""What renderers get: runs with all that follows from them."""

from __future__ import annotations

from dataclasses import dataclass

from leakhunt.errors import UsageError
from leakhunt.model.attribution import (
    AllocatorBoard,
    Attribution,
    Ceiling,
    Interval,
    RemedyTrial,
)
from leakhunt.model.claims import JudgedClaim
from leakhunt.model.flame import Flame
from leakhunt.model.peaks import Peak, RecommendedLimit
from leakhunt.model.processes import JudgedProcess
from leakhunt.model.routes import JudgedRoute
from leakhunt.model.run import Run
from leakhunt.model.series import ANONYMOUS, LIVE_HEAP
from leakhunt.model.verdict import Verdict
from leakhunt.text.message import Text, message


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """Part of the growth in RSS: bytes (may be negative) and what kind of memory it is."""

    name: str
    title: Text
    size_bytes: int
    explanation: Text


@dataclass(frozen=True, slots=True)
class Ledger:
    """Where the growth in RSS from before the first call to after the last one went.

    The sizes of `lines` add up to `growth_bytes` exactly; the last line is the unexplained rest.
    `complete` is False when the worker did not live to settle, so that fewer lines can be told
    apart. `peak_bytes` is the highest RSS of the worker's life; `anonymous_bytes` is the memory
    that no file backs, before the first call and after the last.
    """

    growth_bytes: int
    lines: tuple[LedgerLine, ...]
    complete: bool
    peak_bytes: int | None
    anonymous_bytes: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """A variant's results against the reference's, call by call.

    `worst` and `total` are milliseconds for results of kind ``intervals`` (time that one of the two
    counts as speech and the other does not), else None. `reference_total` is the reference's own
    time inside intervals.
    """

    compared: int
    differing: int
    worst: float | None = None
    total: float | None = None
    reference_total: float | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds per call after the warm-up: median and quartiles, and the ratio to the reference."""

    median_seconds: float
    lower_quartile_seconds: float
    upper_quartile_seconds: float
    ratio: float | None


@dataclass(frozen=True, slots=True)
class LoadSummary:
    """The load on a service over the measured part of a soak.

    `failed` of `requests` got no answer, or a wrong one. Throughput (requests per second) in the
    first and in the last third; p50, p95 and p99 of the request times. `errors`: messages of failed
    requests with their counts, most frequent first.
    """

    requests: int
    failed: int
    throughput_first_third: float
    throughput_last_third: float
    median_seconds: float
    p95_seconds: float
    p99_seconds: float
    errors: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class JudgedRun:
    """A run with all that follows from it. None: it cannot be told from what was recorded.

    `flames` are the graphs of what stays, as far as instruments saw it. `processes` are those of a
    service that has several, `routes` the kinds of requests that it got.
    """

    run: Run
    verdict: Verdict
    ledger: Ledger | None
    difference: Difference | None
    cost: Cost | None
    attribution: Attribution | None = None
    ceiling: Ceiling | None = None
    load_summary: LoadSummary | None = None
    peak: Peak | None = None
    recommended_limit: RecommendedLimit | None = None
    flames: tuple[Flame, ...] = ()
    processes: tuple[JudgedProcess, ...] = ()
    routes: tuple[JudgedRoute, ...] = ()

    @property
    def variant(self) -> str:
        """The variant's name."""
        return self.run.plan.variant


@dataclass(frozen=True, slots=True)
class Report:
    """What a renderer gets. The first of `entries` is the reference if it was run.

    `trials` are the remedies that were tried, before against after; `allocators` the boards of
    those that were. `claims` are those that were checked on these runs (`leakhunt claims`).
    `conclusion` says what several variants mean for a service, a sentence each; `files` are the
    names of those that are written side by side.
    """

    title: Text
    entries: tuple[JudgedRun, ...]
    command: str
    generator: str
    trials: tuple[RemedyTrial, ...] = ()
    claims: tuple[JudgedClaim, ...] = ()
    allocators: tuple[AllocatorBoard, ...] = ()
    conclusion: tuple[Text, ...] = ()
    files: tuple[str, ...] = ()

    @property
    def saved_series(self) -> str:
        """By which series variants are compared: live memory, or of services what is seen of it."""
        read = self.entries[0].verdict.trends if self.entries else {}
        return ANONYMOUS if LIVE_HEAP not in read and ANONYMOUS in read else LIVE_HEAP

    def saved(self, entry: JudgedRun) -> Interval | None:
        """Growth per call that `entry` saves against the first, with the bounds of two trends.

        Those are at 99 % each. None where either of the rates is not known.
        """
        base = self.entries[0].verdict.trends.get(self.saved_series)
        trend = entry.verdict.trends.get(self.saved_series)
        if base is None or trend is None or base.rate is None or trend.rate is None:
            return None
        assert base.rate_low is not None and base.rate_high is not None
        assert trend.rate_low is not None and trend.rate_high is not None
        return Interval(
            base.rate - trend.rate, base.rate_low - trend.rate_high, base.rate_high - trend.rate_low
        )

    def verdict(self, variant: str = "") -> Verdict:
        """The verdict on a variant (its first run); without a name, on the only one.

        Raises:
            UsageError: there is no such variant, or more than one to choose from.
        """
        found = {entry.variant: entry.verdict for entry in reversed(self.entries)}
        if not variant and len(found) == 1:
            return next(iter(found.values()))
        if variant not in found:
            raise UsageError(
                message(
                    "report.no-such-variant",
                    "variant {variant!r} was not measured. Measured variants: {names}",
                    variant=variant,
                    names=", ".join(dict.fromkeys(entry.variant for entry in self.entries)),
                )
            )
        return found[variant]

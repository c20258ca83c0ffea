"""Whether the load on a service landed: what failed, how fast it went, and whether it kept pace.

A service that answers with errors keeps nothing of what it was not asked, and its flat memory says
nothing. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from leakhunt.analysis.verdict.resampling import resampled
from leakhunt.analysis.verdict.series import MIN_SAMPLES
from leakhunt.model.report import LoadSummary
from leakhunt.model.run import RESPONSE_TIMES_NOTE, Run
from leakhunt.model.series import ELAPSED, FAILURES, P50, P95, P99
from leakhunt.text.message import Message, message

_NANOSECONDS = 1e9
# Above this share of failed requests a soak is about a service that mostly failed.
MOSTLY_FAILED_SHARE = 0.5
# Below this one a few failures need no word beside the verdict.
_WORTH_A_WORD_SHARE = 0.01
# Slower by less is what a busy machine does.
_FELL_BELOW = 0.75
# The share of the requests from which on their quantiles stand for those of all.
_NEARLY_ALL = 0.95
_QUANTILES = ((P50, 0.50), (P95, 0.95), (P99, 0.99))
# Each of so many blocks of the last third must be slower than each of the first: by chance once in
# 70 times, and by so much besides.
_BLOCKS = 4


def load_summary(run: Run) -> LoadSummary | None:
    """How the load of a soak's judged part landed; None where nothing says so.

    The quantiles are those of all its requests. A file of an earlier version has them sample by
    sample: then they are the medians over the samples, each counted as often as it stands for
    requests.
    """
    judged = _judged(run)
    if run.plan.load is None or judged is None or not judged.requests:
        return None
    first, last = judged.throughput_of_thirds()
    failed = sum(_column(run, FAILURES))
    times = _response_times(run)
    if times.total() < _NEARLY_ALL * sum(judged.requests):  # its last part was not noted
        times.clear()
    half, p95, p99 = (
        _quantile(times.items(), share)
        if times
        else _quantile(zip(_column(run, name), judged.requests, strict=False), 0.5)
        for name, share in _QUANTILES
    )
    return LoadSummary(
        requests=sum(judged.requests),
        failed=failed,
        throughput_first_third=first,
        throughput_last_third=last,
        median_seconds=half / _NANOSECONDS,
        p95_seconds=p95 / _NANOSECONDS,
        p99_seconds=p99 / _NANOSECONDS,
        errors=_errors(run),
    )


def mostly_failed(summary: LoadSummary | None) -> bool:
    """Whether most requests failed, so that the service's memory says nothing."""
    return summary is not None and summary.failed > MOSTLY_FAILED_SHARE * summary.requests


def load_statements(run: Run, summary: LoadSummary | None) -> list[Message]:
    """What a verdict has to say beside the memory: failed requests, and a pace that fell."""
    if summary is None:
        return []
    statements = []
    if summary.failed > _WORTH_A_WORD_SHARE * summary.requests:
        statements.append(_failed_requests(summary))
    if fell(run):
        statements.append(
            message(
                "verdict.throughput_fell",
                "Throughput fell from {first:.3g} to {last:.3g} requests per second",
                first=summary.throughput_first_third,
                last=summary.throughput_last_third,
            )
        )
    return statements


def fell(run: Run) -> bool:
    """Whether the service got slower by more than a quarter, and by more than its own noise.

    Every block of the last third has to be slower than every one of the first.
    """
    judged = _judged(resampled(run))
    if judged is None or len(judged.requests) < MIN_SAMPLES:
        return False
    first, last = judged.throughput_of_thirds()
    third = len(judged.requests) // 3
    early = judged.paces(0, third)
    late = judged.paces(len(judged.requests) - third, len(judged.requests))
    return last < _FELL_BELOW * first and max(late) < min(early)


@dataclass(frozen=True, slots=True)
class _Judged:
    """Requests and nanoseconds of wall time, sample by sample."""

    requests: Sequence[int]
    elapsed: Sequence[int]

    def throughput(self, begin: int, end: int) -> float:
        """Requests a second over the samples from `begin` to before `end`; 0 where none passed."""
        spent = sum(self.elapsed[begin:end])
        return sum(self.requests[begin:end]) * _NANOSECONDS / spent if spent > 0 else 0.0

    def paces(self, begin: int, end: int) -> list[float]:
        """The pace of each block of that stretch."""
        ends = [begin + round(at * (end - begin) / _BLOCKS) for at in range(_BLOCKS + 1)]
        return [self.throughput(*each) for each in pairwise(ends)]

    def throughput_of_thirds(self) -> tuple[float, float]:
        """The pace in the first and in the last third of the time."""
        passed = list(accumulate(self.elapsed))
        begin = next(place for place, at in enumerate(passed, 1) if 3 * at >= passed[-1])
        end = next(place for place, at in enumerate(passed) if 3 * at >= 2 * passed[-1])
        count = len(passed)
        return self.throughput(0, begin), self.throughput(min(end + 1, count - 1), count)


def _judged(run: Run) -> _Judged | None:
    elapsed = _column(run, ELAPSED)
    if not elapsed or min(elapsed) < 0 or not sum(elapsed):
        return None
    first = _first(run)
    calls = [run.calls[first - 1] if first else 0, *run.calls[first : run.samples_done]]
    return _Judged([later - sooner for sooner, later in pairwise(calls)], elapsed)


def _column(run: Run, name: str) -> Sequence[int]:
    return run.samples.get(name, ())[_first(run) : run.samples_done]


def _first(run: Run) -> int:
    """The first judged sample; of a soak that ended while it warmed up, the first of all."""
    return run.judged_from if run.judged_from < run.samples_done else 0


def _response_times(run: Run) -> Counter[int]:
    """Nanoseconds that the requests of the judged part took at most, with their number."""
    found: Counter[int] = Counter()
    latest: Counter[int] = Counter()
    for note in run.notes:
        if note.get("kind") == "resumed":  # a load that began anew
            latest.clear()
        if note.get("kind") == RESPONSE_TIMES_NOTE:
            times = Counter({int(time): int(count) for time, count in note["times"]})
            if int(note["sample"]) > _first(run):
                found += times - latest
            latest = times
    return found


def _quantile(times: Iterable[tuple[int, int]], share: float) -> int:
    """The value that this share of the weight does not exceed; 0 without weight."""
    pairs = sorted(times)
    wanted, cumulative = sum(weight for _, weight in pairs) * share, 0
    for value, weight in pairs:
        cumulative += weight
        if cumulative >= wanted:
            return value
    return 0


def _errors(run: Run) -> tuple[tuple[str, int], ...]:
    """What failed requests said, most first.

    A later note has counted since the start as well, but for a soak that was gone on with: its load
    began anew.
    """
    total: Counter[str] = Counter()
    latest: Counter[str] = Counter()
    for note in run.notes:
        if note.get("kind") == "resumed":
            total += latest
            latest.clear()
        if note.get("kind") == "errors":
            latest = Counter({str(text): int(count) for text, count in note.get("errors", ())})
    return tuple((total + latest).most_common())


def _failed_requests(summary: LoadSummary) -> Message:
    """How many failed, and what most of them said."""
    values = {"share": 100 * summary.failed / summary.requests, "requests": summary.requests}
    if not summary.errors:
        if mostly_failed(summary):
            return message(
                "verdict.requests_mostly_failed",
                "{share:.0f} % of {requests:,} requests failed; memory growth is not meaningful",
                **values,
            )
        return message(
            "verdict.requests_failed", "{share:.2g} % of {requests:,} requests failed", **values
        )
    error, _ = summary.errors[0]
    if mostly_failed(summary):
        return message(
            "verdict.requests_mostly_failed_with",
            "{share:.0f} % of {requests:,} requests failed ({error}); memory growth is not"
            " meaningful",
            error=error,
            **values,
        )
    return message(
        "verdict.requests_failed_with",
        "{share:.2g} % of {requests:,} requests failed ({error})",
        error=error,
        **values,
    )

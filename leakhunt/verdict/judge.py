"""The verdict on a run: its series judged one by one, then put together into a class.

No single series sees every leak, so several are judged, each at its part of alpha. RSS and CUDA
reserved are what the OOM killer and the driver see, but they also hold what is free; live heap,
Python blocks and CUDA allocated say what is in use. Where the two disagree, the sentence says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from leakhunt.language import retold, tr
from leakhunt.model import Ending, Kind, Run, Shape, Status, Trend, Unit, Verdict
from leakhunt.units import format_amount, format_rate
from leakhunt.verdict.collections import garbage_matters, remains, without_garbage
from leakhunt.verdict.forecast import forecast
from leakhunt.verdict.sentences import (
    calls_ahead,
    capitalized,
    told_all,
    told_bound,
    told_once,
    with_ending,
)
from leakhunt.verdict.series import FEWEST_SAMPLES, default_tolerance, judge_series
from leakhunt.verdict.trend import ALPHA

# In these, growth is live memory, or something that holds it.
LIVE_SERIES = ("live_heap", "python_blocks", "cuda_allocated", "threads", "descriptors", "children")
_MEMORY_SERIES = ("live_heap", "python_blocks", "cuda_allocated")
_RESOURCE_SERIES = ("threads", "descriptors", "children")
# RSS and CUDA reserved only say what is kept.
KEPT_SERIES = ("rss", "cuda_reserved")
JUDGED_SERIES = (*LIVE_SERIES, *KEPT_SERIES)
# RSS moves in pages and keeps what malloc keeps: a quarter of a page a sample.
_KEPT_TOLERANCE_BYTES = 1024.0
# Live memory that grew by more than this since the start, and then stopped, is a cache.
_CACHE_BYTES = 256 << 10
# RSS that grew by more than this without live memory, and is given back by a trim, is retention.
_RETAINED_BYTES = 8 << 20
# Growth in RSS of which no heap and no arena accounts for this share is mapped outside of both.
_OUTSIDE_SHARE = 0.5
# RSS that grows for certain by so many times as much as the live heap needs a word.
_FASTER = 1.5
# A leak of malloc memory is Python's if about one block comes with each leaking call.
_BLOCKS_PER_LEAK = 0.75
# ... and they come as fast at the end as this share of their pace after the first samples: torch
# and funasr make ever fewer objects for hundreds of calls.
_LASTING_SHARE = 0.4
# The first looks leave so many blocks of their own, and no more.
_BLOCKS_OF_LOOKING = 32


def judge(run: Run, power: bool = True) -> Verdict:
    """The verdict on a run; `power`: work out what each clean series would have shown."""
    names = [series.name for series in run.series if series.name in JUDGED_SERIES]
    alpha = ALPHA / max(len(names), 1)
    trends = {
        series.name: _trend(run, series.name, series.unit, alpha, power)
        for series in run.series
        if series.name in JUDGED_SERIES
    }
    if not run.samples_done:
        sentence = tr("Nothing was measured.")
        return Verdict(
            Status.INCONCLUSIVE, Kind.INCONCLUSIVE, (), with_ending(sentence, run), trends
        )
    verdict = _leak(run, trends) or _unclear(run, trends) or _clean(run, trends)
    if run.outcome.ending is Ending.KILLED and _was_growing(trends):
        also = tuple(
            kind for kind in (verdict.kind, *verdict.also) if kind is not Kind.INCONCLUSIVE
        )
        verdict = replace(verdict, kind=Kind.KILLED, also=also)
    return replace(verdict, sentence=with_ending(verdict.sentence, run))


def tolerance_of(series: str, unit: Unit, calls_per_sample: int) -> float:
    """Growth per call that is no leak, for a series of a run."""
    if series in KEPT_SERIES:
        return _KEPT_TOLERANCE_BYTES / calls_per_sample
    return default_tolerance(unit, calls_per_sample)


def _trend(run: Run, name: str, unit: Unit, alpha: float, power: bool) -> Trend:
    trend = judge_series(
        run.samples[name][run.judged_from : run.samples_done],
        unit=unit,
        tolerance=tolerance_of(name, unit, run.calls_per_sample),
        calls_per_sample=run.calls_per_sample,
        alpha=alpha,
        name=name,
        power=power,
    )
    return without_garbage(trend, run)


def _leak(run: Run, trends: Mapping[str, Trend]) -> Verdict | None:
    leaking = [trend for trend in trends.values() if trend.status is Status.LEAK]
    live = [trend for trend in leaking if trend.series in LIVE_SERIES]
    kinds = list(_leak_kinds(run, trends, {trend.series for trend in live}))
    told = (
        [tr("{kind}: {told}", kind=capitalized(tr(kinds[0])), told=told_all(live))] if kinds else []
    )
    if not kinds and trends.get("rss") in leaking and _outside(run, trends):
        kinds = [Kind.MAPPING_GROWTH]
        told = [
            tr(
                "Memory grows outside malloc and Python: {told_all}",
                told_all=told_all([trends["rss"]]),
            )
        ]
        told += _mapping_evidence(run)
    if not kinds:
        return None
    told += _contradictions(run, trends)
    slowest = max((trend.slowest_warm_up or 0 for trend in live), default=0)
    if slowest:
        told.append(
            tr(
                "Only a warm-up with a time constant above {slowest:,.0f} calls would"
                " look the same",
                slowest=slowest,
            )
        )
    ahead = forecast(run, trends)
    if ahead is not None:
        room = format_amount(ahead.limit_bytes, Unit.BYTES)
        told.append(
            tr(
                "At this rate {limit} ({room}) is reached in {calls_ahead}",
                limit=retold(ahead.limit),
                room=room,
                calls_ahead=calls_ahead(ahead),
            )
        )
    sentence = tr(". ").join(told) + tr(".")
    return Verdict(Status.LEAK, kinds[0], tuple(kinds[1:]), sentence, trends, forecast=ahead)


def _leak_kinds(run: Run, trends: Mapping[str, Trend], live: set[str]) -> Iterator[Kind]:
    """The gravest first: what holds memory before the memory it holds."""
    if live & set(_RESOURCE_SERIES):
        yield Kind.RESOURCE_GROWTH
    if "cuda_allocated" in live:
        yield Kind.CUDA_LEAK
    if "python_blocks" in live or ("live_heap" in live and _blocks_follow(run, trends)):
        yield Kind.PYTHON_LEAK
    elif "live_heap" in live:
        yield Kind.NATIVE_LEAK


def _blocks_follow(run: Run, trends: Mapping[str, Trend]) -> bool:
    """Whether Python objects come with the leaking calls, though less than one a call.

    A leak of a megabyte in one call of ten adds a tenth of a block a call: far below the tolerance
    of blocks, but as many as there are leaking calls.
    """
    if "python_blocks" not in trends:
        return False
    heap = run.samples["live_heap"][run.judged_from : run.samples_done]
    rate = trends["live_heap"].rate or 0.0
    moves = [later - earlier for earlier, later in pairwise(heap)]
    events = sum(move > rate * run.calls_per_sample for move in moves) / max(len(moves), 1)
    least = _BLOCKS_PER_LEAK * events / run.calls_per_sample
    left = remains(run, "python_blocks")
    if left is not None:
        ever = remains(run, "python_blocks", first_sample=1) or left
        early = ever.pieces[0] - _BLOCKS_OF_LOOKING / ever.spans[0]
        lasts = left.pieces[-1] >= _LASTING_SHARE * early
        return lasts and min(left.pieces) >= least > 0
    low = trends["python_blocks"].rate_low
    return low is not None and low >= least > 0


def _unclear(run: Run, trends: Mapping[str, Trend]) -> Verdict | None:
    """Inconclusive, if a series that shows live memory is, or if what RSS does is not yet clear."""
    memory = [trends[name] for name in _MEMORY_SERIES if name in trends]
    live = [trends[name] for name in LIVE_SERIES if name in trends]
    unsure = [trend for trend in live if trend.status is Status.INCONCLUSIVE]
    rss = trends.get("rss")
    if rss is not None and rss.status is not Status.NO_LEAK and not unsure:
        growth = _growth_outside(run)
        if growth is None or growth > rss.tolerance * _calls_judged(run):
            unsure = [rss]
    if memory and not unsure:
        return None
    if not memory:
        sentence = tr("No series that shows live memory can be read on this system.")
        return Verdict(Status.INCONCLUSIVE, Kind.INCONCLUSIVE, (), sentence, trends)
    needed = max((trend.calls_needed or 0 for trend in unsure), default=0) or None
    lead = tr("Too short to say") if unsure[0].samples < FEWEST_SAMPLES else tr("Inconclusive")
    told = [
        tr("{lead} ({reason})", lead=lead, reason=told_once(unsure)),
        *_contradictions(run, trends),
    ]
    sentence = tr(". ").join(told) + tr(".")
    return Verdict(Status.INCONCLUSIVE, Kind.INCONCLUSIVE, (), sentence, trends, needed)


def _clean(run: Run, trends: Mapping[str, Trend]) -> Verdict:
    kinds = list(_clean_kinds(run, trends)) or [Kind.CLEAN]
    seen = tr("; ").join(told_bound(trends[name]) for name in _MEMORY_SERIES if name in trends)
    lead = (
        tr("No leak")
        if kinds[0] is Kind.CLEAN
        else tr("No leak, {kinds}", kinds=tr(" and ").join(map(tr, kinds)))
    )
    told = [
        tr("{kind}: {told}", kind=lead, told=seen),
        *(_contradictions(run, trends) or _retained(run, kinds)),
    ]
    retained = {"rss": Kind.ALLOCATOR_RETENTION, "cuda_reserved": Kind.CUDA_RETENTION}
    shown = {
        name: replace(trend, shape=Shape.RETENTION) if retained.get(name) in kinds else trend
        for name, trend in trends.items()
    }
    return Verdict(Status.NO_LEAK, kinds[0], tuple(kinds[1:]), tr(". ").join(told) + tr("."), shown)


def _retained(run: Run, kinds: Sequence[Kind]) -> list[str]:
    """How much of RSS is kept though it is free, where that is what there is to say."""
    if Kind.ALLOCATOR_RETENTION not in kinds:
        return []
    live = _gain(run, "live_heap", "trimmed") + _gain(run, "python_live", "trimmed")
    grown = format_amount(_gain(run, "rss", "end"), Unit.BYTES)
    kept = format_amount(_gain(run, "rss", "end") - live, Unit.BYTES)
    return [
        tr(
            "Of {grown} that RSS grew by since the start, {kept} are not in use any more",
            grown=grown,
            kept=kept,
        )
    ]


def _clean_kinds(run: Run, trends: Mapping[str, Trend]) -> Iterator[Kind]:
    reserved = trends.get("cuda_reserved")
    if reserved is not None and reserved.status is not Status.NO_LEAK:
        yield Kind.CUDA_RETENTION
    live = _gain(run, "live_heap", "trimmed") + _gain(run, "python_live", "trimmed")
    retained = _gain(run, "rss", "emptied") - _gain(run, "rss", "trimmed")
    rss = trends.get("rss")
    if max(retained, _gain(run, "rss", "end") - live) > _RETAINED_BYTES or (
        rss is not None and rss.status is Status.LEAK
    ):
        yield Kind.ALLOCATOR_RETENTION
    if live > _CACHE_BYTES:
        yield Kind.BOUNDED_CACHE
    teeth = any(trends[name].shape is Shape.SAWTOOTH for name in _MEMORY_SERIES if name in trends)
    if (teeth or run.collects) and garbage_matters(run):
        yield Kind.GARBAGE


def _gain(run: Run, name: str, step: str) -> int:
    """Growth of a full reading since the start; 0 where it was not taken."""
    start, end = run.reading("start"), run.reading(step)
    if start is None or end is None:
        return 0
    return end.values.get(name, 0) - start.values.get(name, 0)


def _growth_outside(run: Run) -> int | None:
    """Growth of RSS that a trim does not give back, and no heap and no arena accounts for.

    From the end of the warm-up to the end, in bytes; None without settling.
    """
    first = next((r for r in run.readings if r.step == "look_collected" and r.sample), None)
    before = first or run.reading("start")
    after = run.reading("trimmed")
    if before is None or after is None:
        return None
    grown = {
        name: after.values.get(name, 0) - before.values.get(name, 0)
        for name in ("rss", "live_heap", "python_arenas")
    }
    return grown["rss"] - max(grown["live_heap"], 0) - max(grown["python_arenas"], 0)


def _outside(run: Run, trends: Mapping[str, Trend]) -> bool:
    growth = _growth_outside(run)
    rss = trends["rss"]
    if growth is None or rss.rate is None:
        return False
    return growth > _OUTSIDE_SHARE * rss.rate * _calls_judged(run)


def _calls_judged(run: Run) -> int:
    return (run.samples_done - run.judged_from) * run.calls_per_sample


def _mapping_evidence(run: Run) -> list[str]:
    """The mappings that grew most, as the worker compared them."""
    for note in run.notes:
        if note.get("kind") == "mappings" and note.get("growth"):
            name, count, size = note["growth"][0]
            grown = format_amount(size, Unit.BYTES)
            return [
                tr(
                    "Most of it in {name} mappings: {grown} more, {count:+d} mappings",
                    name=name,
                    grown=grown,
                    count=count,
                )
            ]
    return []


def _contradictions(run: Run, trends: Mapping[str, Trend]) -> list[str]:
    """Where RSS and live memory disagree, in words."""
    rss = trends.get("rss")
    heap = trends.get("live_heap")
    if rss is None or heap is None or rss.rate is None:
        return []
    if any(trends[name].status is Status.LEAK for name in _MEMORY_SERIES if name in trends):
        return _beside_a_leak(rss, heap)
    if rss.status is not Status.LEAK or _outside(run, trends):
        return []
    grows = tr("RSS grows by {rate} while nothing live", rate=format_rate(rss.rate, rss.unit))
    if run.reading("trimmed") is None:
        return [tr("{grows} is seen to", grows=grows)]
    return [tr("{grows} does: freed memory that the allocators keep", grows=grows)]


def _beside_a_leak(rss: Trend, heap: Trend) -> list[str]:
    """What RSS does while live memory leaks."""
    if heap.status is not Status.LEAK:
        return []
    if rss.status is Status.NO_LEAK:
        return [tr("RSS does not show it: the leak still fits into freed or untouched pages")]
    if (rss.rate_low or 0.0) > _FASTER * (heap.rate_high or 0.0):
        return [
            tr(
                "RSS grows faster still, by {rate}: freed memory that the allocators"
                " keep comes on top",
                rate=format_rate(rss.rate or 0.0, rss.unit),
            )
        ]
    return []


def _was_growing(trends: Mapping[str, Trend]) -> bool:
    """Whether memory grew for certain up to the end, leak or not."""
    return any(
        trend.status is Status.LEAK or (trend.rate_low or 0.0) > trend.tolerance
        for trend in trends.values()
        if trend.unit is Unit.BYTES
    )

"""What the container of a service adds to its verdict: page cache, and shared memory. Pure."""

from __future__ import annotations

from dataclasses import replace
from statistics import median

from leakhunt.amounts import Amount
from leakhunt.analysis.verdict.resampling import distance
from leakhunt.analysis.verdict.series import MIN_SAMPLES, judge_series
from leakhunt.analysis.verdict.statements import growth
from leakhunt.model.kinds import Kind
from leakhunt.model.run import Run
from leakhunt.model.series import CGROUP_ANON, CGROUP_FILE, SHARED_FILES, Unit
from leakhunt.model.verdict import Status, Verdict
from leakhunt.text.message import Text, message, sentences

# The page cache is worth a word where it grew by so much, and by so many times as much as the
# anonymous memory of the container.
_CACHE_BYTES = 32 << 20
_CACHE_TIMES = 4
_ENDS = 5


def with_container(run: Run, verdict: Verdict) -> Verdict:
    """The verdict on a service, with what only its container shows; `run` is even."""
    return _with_page_cache(run, _with_shared_memory(run, verdict))


def _with_shared_memory(run: Run, verdict: Verdict) -> Verdict:
    values = run.samples.get(SHARED_FILES, ())[run.judged_from : run.samples_done]
    if len(values) < MIN_SAMPLES:
        return verdict
    trend = judge_series(
        values,
        unit=Unit.BYTES,
        calls_per_sample=distance(run),
        name=SHARED_FILES,
        power=False,
        work=run.plan.work,
    )
    if trend.status is not Status.LEAK:
        return verdict
    lead = message("verdict.leak_in_shared_memory", "Leak (shared memory left behind)")
    parts: list[Text] = [lead, growth(trend, run.plan.work), *_files(run)]
    kinds = tuple(kind for kind in (verdict.kind, *verdict.also) if kind.is_leak)
    return replace(
        verdict,
        status=Status.LEAK,
        kind=kinds[0] if kinds else Kind.SHARED_MEMORY,
        also=(*kinds[1:], Kind.SHARED_MEMORY) if kinds else (),
        calls_needed=None,
        trends={**verdict.trends, SHARED_FILES: trend},
        sentence=sentences([verdict.sentence, *parts] if kinds else [*parts, verdict.sentence]),
    )


def _files(run: Run) -> list[Text]:
    """The largest of those that grew, and who has them, as the soak has noted them."""
    noted = [note["text"] for note in run.notes if note.get("kind") == "shared-files"]
    return [
        message("verdict.shared_files", "Files in /dev/shm that grew: {files}", files=text)
        for text in noted[-1:]
    ]


def _with_page_cache(run: Run, verdict: Verdict) -> Verdict:
    """The cache of files counts against a container, and is given back when it is needed."""
    cache, taken = _rise(run, CGROUP_FILE), _rise(run, CGROUP_ANON)
    if cache < _CACHE_BYTES or cache < _CACHE_TIMES * taken:
        return verdict
    note = message(
        "verdict.page_cache",
        "The page cache of the container grew by {size}: the kernel drops it when memory is"
        " needed. It is not a leak",
        size=Amount(cache),
    )
    is_clean = verdict.status is Status.NO_LEAK and verdict.kind is Kind.CLEAN
    return replace(
        verdict,
        kind=Kind.PAGE_CACHE if is_clean else verdict.kind,
        also=verdict.also if is_clean else (*verdict.also, Kind.PAGE_CACHE),
        sentence=sentences([verdict.sentence, note]),
    )


def _rise(run: Run, name: str) -> float:
    """What a series rose by in the judged part."""
    values = run.samples.get(name, ())[run.judged_from : run.samples_done]
    if len(values) < 2 * _ENDS:
        return 0.0
    return float(median(values[-_ENDS:]) - median(values[:_ENDS]))

"""The memory limit that a process needs, from its parts. Pure."""

from __future__ import annotations

from statistics import median
from typing import Any

from leakhunt.amounts import Amount, Count
from leakhunt.model.peaks import Peak, RecommendedLimit
from leakhunt.model.run import Ending, Run
from leakhunt.model.series import RSS, live_bytes
from leakhunt.model.verdict import Status, Verdict
from leakhunt.text.message import Message, Text, message, sentences

# Over what was seen and projected: allocators and schedulers are never the same twice.
_MARGIN = 0.10
# The end of a run, in which RSS is what it has come to.
_LAST_SHARE = 4


def recommended_limit(
    run: Run,
    verdict: Verdict,
    peak: Peak | None,
    ceiling_bytes: float = 0.0,
    concurrency: int | None = None,
) -> RecommendedLimit | None:
    """The limit that lasts, from base, ceiling, retention and peak; None without peaks.

    `ceiling_bytes` is what bounded caches come to when full. `concurrency` is how many calls run at
    the same time; None: as planned, else in a soak the users of the load, and of calls 1.
    """
    start, end = run.reading("start"), run.reading("end")
    rss = run.samples.get(RSS, ())
    if peak is None or start is None or RSS not in start.values or not rss:
        return None
    if end is None or run.outcome.ending is not Ending.OK:
        return None
    users = 1 if run.plan.load is None else run.plan.load.users
    at_once = concurrency or run.plan.concurrency or users
    base = start.values[RSS]
    live = _live_growth(run)
    highest = max(peak.highest_bytes, *rss)
    if run.plan.load is None:
        each = peak.call_bytes
        retained = max(highest - base - live - each, 0)
    else:
        level = median(rss[-max(len(rss) // _LAST_SHARE, 1) :])
        grown = max(round(level) - base, 0)
        live = min(live, grown)  # what is above it fills what was free when the load began
        retained = grown - live
        each = max(highest - base - grown, 0) // users
    full = max(live, round(ceiling_bytes))
    parts = (base, full, retained, each, at_once)
    needed = base + full + retained + each * at_once
    starting = peak_of_start if (peak_of_start := _start_peak(run)) > needed else 0
    needed = max(needed, starting)
    margin = round(needed * _MARGIN)
    leaks = verdict.status is Status.LEAK
    return RecommendedLimit(
        base_bytes=base,
        ceiling_bytes=full,
        retained_bytes=retained,
        peak_bytes=each,
        concurrency=at_once,
        margin_bytes=margin,
        limit_bytes=None if leaks else needed + margin,
        work=run.plan.work,
        starting_bytes=starting,
        sentence=_sentence(run, verdict, needed + margin, parts, starting),
    )


def _live_growth(run: Run) -> int:
    """Live memory that came since the start and was not let go; 0 where it was not read."""
    start, end = run.reading("start"), run.reading("trimmed")
    if start is None or end is None:
        return 0
    names = [facts.name for facts in live_bytes() if not facts.is_on_gpu]
    return max(sum(end.values.get(n, 0) - start.values.get(n, 0) for n in names), 0)


def _start_peak(run: Run) -> int:
    """The highest RSS before the first call, such as while a model was loaded."""
    start = run.reading("start")
    return 0 if start is None else start.values.get("rss_peak", 0)


def _sentence(
    run: Run,
    verdict: Verdict,
    limit: int,
    parts: tuple[int, int, int, int, int],
    starting: int,
) -> Text:
    if verdict.status is Status.LEAK:
        return message("limit.none", "No memory limit is enough: the process leaks")
    sentence = _of_the_start(limit, starting, parts) if starting else _of_the_calls(limit, parts)
    grows = _still_grows(run, verdict, limit)
    return sentences([sentence, grows]) if grows is not None else sentence


def _of_the_calls(limit: int, parts: tuple[int, int, int, int, int]) -> Message:
    return message(
        "limit.recommended",
        "Recommended memory limit: {limit} = base {base} + live growth {full} + retained"
        " {retained} + peak {each} × {at_once:d} + {margin:.0f} %",
        limit=Amount(limit),
        **_values(parts),
    )


def _of_the_start(limit: int, starting: int, parts: tuple[int, int, int, int, int]) -> Message:
    return message(
        "limit.for_the_start",
        "Recommended memory limit: {limit} = {starting} while it starts + {margin:.0f} %; calls"
        " take less: base {base} + live growth {full} + retained {retained} + peak {each} ×"
        " {at_once:d}",
        limit=Amount(limit),
        starting=Amount(starting),
        **_values(parts),
    )


def _values(parts: tuple[int, int, int, int, int]) -> dict[str, Any]:
    base, full, retained, each, at_once = parts
    return {
        "base": Amount(base),
        "full": Amount(full),
        "retained": Amount(retained),
        "each": Amount(each),
        "at_once": at_once,
        "margin": 100 * _MARGIN,
    }


def _still_grows(run: Run, verdict: Verdict, limit: int) -> Message | None:
    """How long the margin lasts, where RSS rises though nothing leaks."""
    trend = verdict.trends.get(RSS)
    if trend is None or trend.status is Status.NO_LEAK or not (trend.rate_low or 0.0) > 0.0:
        return None
    assert trend.rate is not None
    room = limit - max(run.samples[RSS])
    calls = Count(room / trend.rate, run.plan.work)
    return message(
        "limit.still_grows",
        "RSS still rises: at this pace the margin lasts {calls}",
        calls=calls,
    )

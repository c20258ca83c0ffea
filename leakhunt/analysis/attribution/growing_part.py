"""The part of a run in which a cache filled, where the run went on until it was level. Pure."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace

from leakhunt.analysis.attribution.growth import is_growing
from leakhunt.analysis.verdict.judge import judge
from leakhunt.analysis.verdict.no_leak import level_after, live_growth
from leakhunt.model.kinds import Kind
from leakhunt.model.run import Run
from leakhunt.model.verdict import Status, Verdict

# A cache of fewer bytes is not worth another run.
MIN_FILLED_BYTES = 4 << 20
# So much of the calls until it was level is looked at: it fills more slowly towards the end.
_FILLING_SHARE = 0.5


def growing_part(run: Run, verdict: Verdict) -> tuple[Run, Verdict] | None:
    """The calls of `run` in which it filled, and the verdict on those; None: nothing did."""
    if verdict.status is not Status.NO_LEAK or run.plan.load is not None:
        return None
    after = level_after(verdict.trends)
    if after is None or live_growth(run) < MIN_FILLED_BYTES:
        return None
    before = run.calls[run.judged_from - 1] if run.judged_from else 0
    part = _until(run, bisect_right(run.calls, _FILLING_SHARE * (before + after)))
    then = judge(part, power=False)
    if Kind.GARBAGE in (verdict.kind, *verdict.also):
        then = replace(then, also=(*then.also, Kind.GARBAGE))
    return (part, then) if is_growing(then) else None


def _until(run: Run, samples: int) -> Run:
    """`run` as it was after that number of samples."""
    return replace(
        run,
        samples={name: values[:samples] for name, values in run.samples.items()},
        calls=run.calls[:samples],
        phases=tuple(each for each in run.phases if each.first_sample < samples),
        readings=tuple(
            each for each in run.readings if each.sample <= samples and each.step in _ON_THE_WAY
        ),
    )


_ON_THE_WAY = ("start", "look", "look_collected")

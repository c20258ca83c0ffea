"""Which instrument watches next: the one that sees what grows, then what is still open. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from leakhunt.analysis.attribution.attribute import attribute
from leakhunt.analysis.attribution.coverage import is_explained
from leakhunt.analysis.attribution.garbage import leaves_garbage
from leakhunt.analysis.attribution.growth import rss_alone
from leakhunt.model.attribution import GROWTH_INSTRUMENTS, Attribution, Instrument
from leakhunt.model.kinds import Kind
from leakhunt.model.run import Run
from leakhunt.model.series import CUDA_ALLOCATED, LIVE_HEAP, PYTHON_BLOCKS
from leakhunt.model.verdict import Verdict

# What sees it, the first that can be used here.
_INSTRUMENTS: Mapping[Kind, tuple[Instrument, ...]] = {
    Kind.RESOURCE_GROWTH: (Instrument.RESOURCES,),
    Kind.PYTHON_LEAK: (Instrument.MEMRAY, Instrument.TRACEMALLOC),
    Kind.NATIVE_LEAK: (Instrument.MEMRAY,),
    Kind.MAPPING_GROWTH: (Instrument.MEMRAY,),
    Kind.CUDA_LEAK: (Instrument.CUDA,),
}
# For a series that is not decided yet but rises for certain.
_BY_SERIES: Mapping[str, tuple[Instrument, ...]] = {
    CUDA_ALLOCATED: (Instrument.CUDA,),
    PYTHON_BLOCKS: (Instrument.MEMRAY, Instrument.TRACEMALLOC),
    LIVE_HEAP: (Instrument.MEMRAY,),
}
# When the first does not explain the growth, in this order: what sees most before what sees little.
_FURTHER: tuple[Instrument, ...] = (
    Instrument.MEMRAY,
    Instrument.TRACEMALLOC,
    Instrument.CUDA,
    Instrument.LINES,
    Instrument.RESOURCES,
)


def instruments_for(
    verdict: Verdict,
    usable: Collection[Instrument] = GROWTH_INSTRUMENTS,
    used: Collection[Instrument | None] = (),
) -> tuple[Instrument, ...]:
    """Those of `usable` that see what grows, the first to be used first; none: nothing does.

    What one of those `used` has seen is left out.
    """
    kinds = [_INSTRUMENTS[kind] for kind in (verdict.kind, *verdict.also) if kind in _INSTRUMENTS]
    rising = [
        instruments
        for name, instruments in _BY_SERIES.items()
        if (trend := verdict.trends.get(name)) is not None and trend.rises_undecided
    ]
    if rss_alone(verdict) is not None:
        rising.append((Instrument.MEMRAY,))
    unseen = [one for one in kinds or rising if not any(each in used for each in one)]
    first = (next((each for each in one if each in usable), None) for one in unseen)
    return tuple(dict.fromkeys(each for each in first if each is not None))


def next_instrument(
    run: Run,
    verdict: Verdict,
    instrumented: Sequence[Run],
    usable: Collection[Instrument] = GROWTH_INSTRUMENTS,
) -> Instrument | None:
    """The one of `usable` to use after those of `instrumented`; None: nothing is open.

    What grows comes first, then what the calls leave to the collector.
    """
    used = {each.plan.instrument for each in instrumented}
    following = _next_for_growth(run, verdict, instrumented, usable)
    if following is None and leaves_garbage(run, verdict):
        open_still = {Instrument.GARBAGE} & set(usable) - used
        following = next(iter(open_still), None)
    return following


def _next_for_growth(
    run: Run, verdict: Verdict, instrumented: Sequence[Run], usable: Collection[Instrument]
) -> Instrument | None:
    used = {each.plan.instrument for each in instrumented}
    if not instruments_for(verdict) and not used - {Instrument.GARBAGE}:
        return None
    open_still = [*instruments_for(verdict, usable, used)]
    if not open_still:
        attribution = attribute(run, verdict, instrumented)
        if not is_explained(attribution):
            further = _FURTHER
        else:
            further = (Instrument.TRACEMALLOC,) if _is_pythons(attribution, used) else ()
        open_still = [each for each in further if each not in used and each in usable]
    return next(iter(open_still), None)


def _is_pythons(attribution: Attribution, used: Collection[Instrument | None]) -> bool:
    """Whether the first suspect is memory that Python asked for, and nobody looked who holds it."""
    if not attribution.growing or Instrument.MEMRAY in used:
        return False
    first = attribution.growing[0]
    innermost = next(iter(first.stack), None)
    return not first.chain and innermost is not None and innermost.is_python

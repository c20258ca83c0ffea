"""Which instrument watches next: the one that sees what grows, then what is still open. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from leakhunt.analysis.attribution.attribute import attribute, is_explained, rss_alone
from leakhunt.model.attribution import Attribution, Instrument
from leakhunt.model.kinds import Kind
from leakhunt.model.run import Run
from leakhunt.model.series import CUDA_ALLOCATED, LIVE_HEAP, PYTHON_BLOCKS
from leakhunt.model.verdict import Verdict

_INSTRUMENTS: Mapping[Kind, Instrument] = {
    Kind.RESOURCE_GROWTH: Instrument.RESOURCES,
    Kind.PYTHON_LEAK: Instrument.TRACEMALLOC,
    Kind.NATIVE_LEAK: Instrument.MEMRAY,
    Kind.MAPPING_GROWTH: Instrument.MEMRAY,
    Kind.CUDA_LEAK: Instrument.CUDA,
}
# For a series that is not decided yet but rises for certain.
_BY_SERIES: Mapping[str, Instrument] = {
    CUDA_ALLOCATED: Instrument.CUDA,
    PYTHON_BLOCKS: Instrument.TRACEMALLOC,
    LIVE_HEAP: Instrument.MEMRAY,
}
# When the first does not explain the growth.
_FURTHER: tuple[Instrument, ...] = (Instrument.MEMRAY, Instrument.TRACEMALLOC, Instrument.LINES)


def instruments_for(verdict: Verdict) -> tuple[Instrument, ...]:
    """The instruments that see what grows, the first to be used first; none where nothing does."""
    kinds = [_INSTRUMENTS[kind] for kind in (verdict.kind, *verdict.also) if kind in _INSTRUMENTS]
    rising = [
        instrument
        for name, instrument in _BY_SERIES.items()
        if (trend := verdict.trends.get(name)) is not None and trend.rises_undecided
    ]
    if rss_alone(verdict) is not None:
        rising.append(Instrument.MEMRAY)
    return tuple(dict.fromkeys((*kinds, *(rising if not kinds else ()))))


def next_instrument(
    run: Run,
    verdict: Verdict,
    instrumented: Sequence[Run],
    usable: Collection[Instrument] = tuple(Instrument),
) -> Instrument | None:
    """The one of `usable` to use after those of `instrumented`; None: nothing is open."""
    used = {each.plan.instrument for each in instrumented}
    fitting = instruments_for(verdict)
    if not fitting and not instrumented:
        return None
    open_still = [each for each in fitting if each not in used and each in usable]
    if not open_still:
        attribution = attribute(run, verdict, instrumented)
        if not is_explained(attribution):
            further = _FURTHER
        else:
            further = (Instrument.TRACEMALLOC,) if _is_pythons(attribution) else ()
        open_still = [each for each in further if each not in used and each in usable]
    return next(iter(open_still), None)


def _is_pythons(attribution: Attribution) -> bool:
    """Whether memray's first suspect is memory that Python asked for: an object, held by others."""
    if not attribution.suspects:
        return False
    first = attribution.suspects[0]
    innermost = next(iter(first.stack), None)
    return not first.chain and innermost is not None and innermost.is_python

"""The verdict on a service that is only seen from outside: what its processes take, not what lives.

From outside nobody can tell memory in use from memory that was freed and that malloc keeps: RSS of
clean convolutions over inputs of many lengths rises by 100 KiB a call for thousands of calls. So
growth is said, with its rate, and not called a leak. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from leakhunt.analysis.verdict.statements import bounds, growths, undecided
from leakhunt.model.kinds import Kind
from leakhunt.model.run import Run
from leakhunt.model.series import ANONYMOUS, CUDA_PROCESS, MEMORY, RSS
from leakhunt.model.verdict import Status, Trend, Verdict
from leakhunt.text.message import Text, message, sentences

# What no file backs is the service's own; pages of libraries come and go with the page cache.
_HOST_SERIES = (ANONYMOUS, RSS, MEMORY)
_DEVICE_SERIES = CUDA_PROCESS
_LISTEN = "from leakhunt import agent; agent.listen()"


def is_external_only(run: Run, trends: Mapping[str, Trend], live: tuple[str, ...]) -> bool:
    """Whether a service told nothing of its live memory; `live` are the series that do."""
    return run.plan.is_of_a_service and not trends.keys() & set(live)


def external_verdict(run: Run, trends: Mapping[str, Trend], resources: tuple[str, ...]) -> Verdict:
    """Growth, no leak, or inconclusive, by what the processes take; `resources` do not leak."""
    shown = external_trends(trends)
    if not shown:
        unreadable = message("verdict.no_outside_series", "No external memory metric can be read")
        sentence = sentences([unreadable])
        return Verdict(Status.INCONCLUSIVE, Kind.INCONCLUSIVE, (), sentence, trends)
    growing = [trend for trend in shown if trend.status is Status.LEAK]
    if growing:
        return _growing(run, trends, growing)
    counted = [trends[name] for name in resources if name in trends]
    unsure = [trend for trend in (*shown, *counted) if trend.status is Status.INCONCLUSIVE]
    return _unsure(trends, unsure) if unsure else _flat(run, trends, shown)


def external_trends(trends: Mapping[str, Trend]) -> list[Trend]:
    """The trends of what the processes take: anonymous memory (RSS if it was not read), the GPU."""
    host = next((trends[name] for name in _HOST_SERIES if name in trends), None)
    return [trend for trend in (host, trends.get(_DEVICE_SERIES)) if trend is not None]


def _growing(run: Run, trends: Mapping[str, Trend], growing: list[Trend]) -> Verdict:
    statements: list[Text] = [
        message(
            "verdict.outside_growth",
            "Memory grows (external metrics only): {growth}",
            growth=growths(growing, run.plan.work),
        ),
        message(
            "verdict.outside_is_unsure",
            "External metrics cannot separate live memory from freed memory that malloc"
            " retains. To measure live memory, add to the service: {listen}",
            listen=_LISTEN,
        ),
    ]
    sentence = sentences(statements)
    return Verdict(Status.INCONCLUSIVE, Kind.OUTSIDE_GROWTH, (), sentence, trends)


def _unsure(trends: Mapping[str, Trend], unsure: list[Trend]) -> Verdict:
    needed = max((trend.calls_needed or 0 for trend in unsure), default=0) or None
    sentence = sentences([undecided(unsure)])
    return Verdict(Status.INCONCLUSIVE, Kind.INCONCLUSIVE, (), sentence, trends, needed)


def _flat(run: Run, trends: Mapping[str, Trend], shown: list[Trend]) -> Verdict:
    sentence = sentences(
        [
            message(
                "verdict.no_leak_outside",
                "No leak (external metrics only): {bounds}",
                bounds=bounds(shown, run.plan.work),
            ),
            message(
                "verdict.blind_outside",
                "A leak that reuses free pages is not visible in external metrics",
            ),
        ]
    )
    return Verdict(Status.NO_LEAK, Kind.CLEAN, (), sentence, trends)

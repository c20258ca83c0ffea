"""A process ended by the memory of one call: level until then, the limit met in one gulp. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from leakhunt.amounts import Amount
from leakhunt.model.run import Ending, Run
from leakhunt.model.series import ANONYMOUS, CGROUP, PEAK_RSS, RSS
from leakhunt.model.verdict import Status, Trend
from leakhunt.text.message import Message, Text, english, message

# What a memory limit counts, the most fitting first.
_COUNTED = (CGROUP, ANONYMOUS, RSS)
# Of the room below the limit, samples of a level process have taken less than this.
_LEVEL_SHARE = 0.5
# A kill of unknown origin was for memory where the process was last seen this near its limit.
_NEAR = 0.8
# How allocations fail: in Python, C++, PyTorch on the CPU and on CUDA.
_FAILED_ALLOCATIONS = (
    "MemoryError",
    "bad_alloc",
    "can't allocate memory",
    "OutOfMemoryError",
    "CUDA out of memory",
)


def spike_statements(run: Run, trends: Mapping[str, Trend]) -> list[Text]:
    """What ended it, where that was the memory of one call; empty: it was something else."""
    if not _ended_for_memory(run) or _grows(trends) or not _is_level(run):
        return []
    return [_lead(run), *_evidence(run)]


def _ended_for_memory(run: Run) -> bool:
    outcome = run.outcome
    if outcome.ending is Ending.CRASHED:
        reason = english(outcome.reason)
        return any(words in reason for words in _FAILED_ALLOCATIONS)
    if outcome.ending is not Ending.KILLED:
        return False
    if outcome.kernel is not None:
        return True
    limit, last_rss = _limit(run), outcome.last_rss_bytes
    near = limit is not None and last_rss is not None and last_rss >= _NEAR * limit
    return outcome.signal == "SIGKILL" and near


def _limit(run: Run) -> int | None:
    if run.plan.memory_limit_bytes is not None:
        return run.plan.memory_limit_bytes
    return min(run.limits.values(), default=None)


def _grows(trends: Mapping[str, Trend]) -> bool:
    return any(trend.status is Status.LEAK for trend in trends.values())


def _is_level(run: Run) -> bool:
    """Whether the samples had taken little of the room that there was."""
    limit, values = _limit(run), _counted(run)
    if limit is None or not values:
        return True
    return values[-1] - values[0] < _LEVEL_SHARE * max(limit - values[0], 1)


def _counted(run: Run) -> list[int]:
    """What the limit counts, sample by sample; before the first, the reading at the start."""
    start = run.reading("start")
    first = [start.values[RSS]] if start is not None and RSS in start.values else []
    name = next((each for each in _COUNTED if run.samples.get(each)), None)
    return list(run.samples[name][: run.samples_done]) if name is not None else first


def _lead(run: Run) -> Message:
    values = _counted(run)
    level = Amount(values[-1]) if values else Amount(0)
    limit = _limit(run)
    if limit is None:
        return message(
            "verdict.spike_of_unknown_limit",
            "Killed by the peak of one call: memory was level at {level}",
            level=level,
        )
    return message(
        "verdict.spike",
        "Killed by the peak of one call: memory was level at {level}, the limit is {limit}",
        level=level,
        limit=Amount(limit),
    )


def _evidence(run: Run) -> list[Text]:
    parts: list[Text] = []
    peaks = run.samples.get(PEAK_RSS, ())[: run.samples_done]
    if peaks:
        parts.append(
            message(
                "verdict.spike_before",
                "Calls before reached at most {highest}",
                highest=Amount(max(peaks)),
            )
        )
    last_rss = run.outcome.last_rss_bytes
    values = _counted(run)
    if last_rss is not None and values and last_rss > values[-1]:
        parts.append(
            message("verdict.spike_seen", "RSS was {seen} when last seen", seen=Amount(last_rss))
        )
    return parts

"""The processes of a service as runs of their own: each is judged by the rule for all. Pure.

Of a place whose holders were replaced, the lives are put one after the other: the first half of
each is left out, in which a process warms up, and the next begins at the height at which the one
before it ended. So a slope shows that every replacement takes back.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from leakhunt.analysis.verdict.resampling import distance
from leakhunt.analysis.verdict.series import MIN_SAMPLES
from leakhunt.model.processes import PROCESS_SERIES, ServiceProcess
from leakhunt.model.run import Ending, Outcome, Phase, Purpose, Reading, ReadProcess, Run
from leakhunt.model.series import SERIES

# Of each life of a place that was recycled, so much is warm-up; shorter lives say nothing.
_WARM_UP_SHARE = 0.5
_SHORTEST_LIFE = 8
# A series that so many of the samples lack is not judged.
_MAX_MISSING_SHARE = 0.05


def runs_of_processes(run: Run) -> list[tuple[ServiceProcess, Run]]:
    """Each process of a service that was read for long enough, as a run; none of a single one.

    `run` is even.
    """
    found = []
    for each in run.processes:
        lives = list(_lives(each))
        part = _of_one_life(run, each) if len(lives) == 1 else _of_lives(run, each, lives)
        if part is not None and part.samples_done - part.judged_from >= MIN_SAMPLES:
            found.append((each.samples.process, part))
    return found if len(run.processes) > 1 else []


@dataclass(frozen=True, slots=True)
class _Life:
    """One process at a place: from its first row to before `end`."""

    begin: int
    end: int

    @property
    def warm(self) -> int:
        """The first row after its warm-up."""
        return self.begin + int((self.end - self.begin) * _WARM_UP_SHARE)


def _lives(each: ReadProcess) -> Iterator[_Life]:
    at = 0
    for _, rows in groupby(each.samples.lives):
        count = sum(1 for _ in rows)
        yield _Life(at, at + count)
        at += count


def _of_one_life(run: Run, each: ReadProcess) -> Run | None:
    places = each.samples.places
    columns = _columns(each, range(len(places)))
    if not columns:
        return None
    warm = sum(place < run.judged_from for place in places)
    order = {place: row for row, place in enumerate(places)}
    readings = tuple(
        replace(reading, sample=order[reading.sample - 1] + 1)
        for reading in each.readings
        if reading.sample - 1 in order
    )
    calls = array("q", (run.calls[place] for place in places))
    return _as_run(run, columns, calls, warm, readings)


def _of_lives(run: Run, each: ReadProcess, lives: Sequence[_Life]) -> Run | None:
    """The later halves of the lives, each lifted to the end of the one before."""
    long = [life for life in lives if life.end - life.begin >= _SHORTEST_LIFE]
    rows = [row for life in long for row in range(life.warm, life.end)]
    columns = _columns(each, rows)
    if not columns:
        return None
    lifted: dict[str, list[int]] = {}
    offsets: dict[tuple[str, int], int] = {}
    for name, values in columns.items():
        heights: list[int] = []
        lifted[name] = heights
        at = 0
        for life in long:
            count = life.end - life.warm
            part = values[at : at + count]
            offsets[name, life.begin] = offset = heights[-1] - part[0] if heights else 0
            heights.extend(value + offset for value in part)
            at += count
    apart = max(round(distance(run)), 1)
    calls = array("q", (apart * (row + 1) for row in range(len(rows))))
    readings = tuple(_lifted(each, long, offsets))
    series = {name: array("q", values) for name, values in lifted.items()}
    return _as_run(run, series, calls, 0, readings)


def _lifted(
    each: ReadProcess, lives: Sequence[_Life], offsets: Mapping[tuple[str, int], int]
) -> Iterator[Reading]:
    """The full readings that fall into the later halves of lives, lifted as their samples are."""
    order: dict[int, tuple[int, _Life]] = {}
    for life in lives:
        for row in range(life.warm, life.end):
            order[each.samples.places[row]] = len(order), life
    for reading in each.readings:
        if reading.sample - 1 in order:
            row, life = order[reading.sample - 1]
            values = {
                name: value + offsets[name, life.begin]
                for name, value in reading.values.items()
                if (name, life.begin) in offsets
            }
            yield Reading(reading.step, values, row + 1)


def _columns(each: ReadProcess, rows: Sequence[int]) -> dict[str, Sequence[int]]:
    """The series that (nearly) all of these rows have; what one lacks is as before."""
    found: dict[str, Sequence[int]] = {}
    for name in PROCESS_SERIES:
        values = each.samples.samples.get(name, ())
        known = [row for row in rows if row < len(values) and values[row] is not None]
        if not known or len(rows) - len(known) > _MAX_MISSING_SHARE * len(rows):
            continue
        last = values[known[0]] or 0
        filled = array("q")
        for row in rows:
            value = values[row]
            last = last if value is None else value
            filled.append(last)
        found[name] = filled
    return found


def _as_run(
    run: Run,
    columns: Mapping[str, Sequence[int]],
    calls: Sequence[int],
    warm: int,
    readings: tuple[Reading, ...],
) -> Run:
    count = len(calls)
    each = run.calls_per_sample
    judged = Phase(warm, count - warm, Purpose.JUDGED, each, run.collects, run.pauses)
    warm_up = [Phase(0, warm, Purpose.WARM_UP, each, collects=False)] if warm else []
    return replace(
        run,
        outcome=Outcome(Ending.OK),
        series=tuple(SERIES[name].series for name in columns),
        samples=dict(columns),
        calls=calls,
        phases=(*warm_up, judged),
        readings=readings,
        findings=(),
        limits={},
        notes=(),
        processes=(),
        routes=(),
    )

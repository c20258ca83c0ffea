"""Soaks of services that were never started: runs built from a rate, from noise and from a seed.

A sample holds what is in flight when it is read; how much, nobody decides. The counts of requests
are not exactly a number apart, as with many users they are not.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from conftest import plan
from numpy.typing import NDArray

from leakhunt.model.plan import Plan, PlannedLoad
from leakhunt.model.processes import (
    PROCESS_SERIES,
    ProcessRole,
    ProcessSamples,
    ServiceProcess,
)
from leakhunt.model.run import Ending, Outcome, Phase, Purpose, Reading, ReadProcess, Run
from leakhunt.model.series import Series, Unit
from leakhunt.storage import run_writer

MIB = 1 << 20
INSIDE = ("live_heap", "python_blocks")
OUTSIDE = ("rss", "pss", "anonymous", "threads", "descriptors", "children")
OF_LOAD = ("failures", "p50", "p95", "p99", "elapsed", "duration")
_UNITS = {
    "python_blocks": Unit.BLOCKS,
    "threads": Unit.COUNT,
    "descriptors": Unit.COUNT,
    "children": Unit.COUNT,
    "failures": Unit.COUNT,
    **dict.fromkeys(("p50", "p95", "p99", "elapsed", "duration"), Unit.NANOSECONDS),
}
WARM_UP = 60
Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Made:
    """What a made service does: bytes it keeps a request, and how its load goes.

    `extra`: of a series' name, values by requests made, added to what it would be.
    """

    samples: int = 300
    per_sample: int = 5
    retained: float = 0.0
    users: int = 4
    in_flight: int = 0
    seed: int = 0
    inside: bool = True
    doublings: int = 0
    milliseconds: float = 20.0
    failing: float = 0.0
    slowing: float = 0.0
    extra: Mapping[str, Callable[[Numbers], Numbers]] = field(default_factory=dict)
    load: Mapping[str, Any] = field(default_factory=dict)
    plan: Mapping[str, Any] = field(default_factory=dict)


def soak_plan(made: Made) -> Plan:
    """The plan of such a soak."""
    load = {
        "target": "http://127.0.0.1:8000",
        "service": "uvicorn service:app --port {port}",
        "requests_from": "upload",
        "users": made.users,
    }
    fields = {"calls": None, "warmup": None, "calls_per_sample": None, "collect": "auto"}
    return plan(**{**fields, "load": PlannedLoad(**{**load, **made.load}), **made.plan})


def soak(made: Made) -> Run:
    """The run of such a soak, to its end. A doubling: so many more samples, half as dense."""
    source = np.random.default_rng(made.seed)
    phases, spacing = _phases(made)
    jitter = source.integers(0, made.users, len(spacing)) if made.users > 1 else 0
    order = np.arange(len(spacing))  # a sample comes at least a request after the one before
    calls = np.maximum.accumulate(np.cumsum(spacing) + jitter - order) + order
    columns = _columns(made, calls.astype(float), source)
    inside = INSIDE if made.inside else ()
    names = tuple(
        dict.fromkeys((*OUTSIDE, *inside, *sorted(made.extra.keys() - set(OF_LOAD)), *OF_LOAD))
    )
    return Run(
        plan=soak_plan(made),
        outcome=Outcome(Ending.OK, exit_code=0),
        series=tuple(
            Series(name, _UNITS.get(name, Unit.BYTES), name.replace("_", " "), "much")
            for name in names
        ),
        samples={name: array("q", columns[name].astype("int64").tolist()) for name in names},
        calls=array("q", calls.tolist()),
        phases=phases,
        readings=_readings(made, columns, phases),
        facts={"requests": "made up"},
        environment={"python": "CPython 3.11"},
        limits={"the memory limit": 4096 * MIB},
        notes=_notes(columns),
        started_at="2026-11-21T14:58:04.930+00:00",
        file="soak.run.jsonl",
    )


Heights = Callable[[Numbers], Numbers]


@dataclass(frozen=True, slots=True)
class MadeProcess:
    """A worker: its series by requests made; `life` is after how many samples it is replaced."""

    heights: Mapping[str, Heights] = field(default_factory=dict)
    life: int = 0
    noise: int = 0


def with_workers(run: Run, *workers: MadeProcess, parent_bytes: int = 60 * MIB) -> Run:
    """`run`, of a main process and these workers, one process each after the other.

    The heights of a worker that is replaced are those of the requests of one life.
    """
    main = MadeProcess({name: (lambda calls: 0 * calls + parent_bytes) for name in PROCESS_SERIES})
    source = np.random.default_rng(1)
    parts = [_process(run, each, number, source) for number, each in enumerate((main, *workers))]
    return replace(run, processes=tuple(parts))


def _level(calls: Numbers) -> Numbers:
    return np.full(len(calls), 40.0 * MIB)


def _process(run: Run, made: MadeProcess, number: int, source: np.random.Generator) -> ReadProcess:
    calls = np.array(run.calls, dtype=float)
    places = np.arange(len(calls))
    lives = [int(place) // made.life if made.life else 0 for place in places]
    began = np.array([calls[life * made.life - 1] if life else 0.0 for life in lives])
    columns: dict[str, list[int | None]] = {}
    for name in PROCESS_SERIES:
        height = made.heights.get(name, _level)(calls - began)
        noise = source.integers(0, made.noise + 1, len(calls))
        columns[name] = [int(value) for value in height + noise]
    process = ServiceProcess(
        number=number,
        role=ProcessRole.WORKER if number else ProcessRole.MAIN,
        worker=number,
        parent=0 if number else None,
        command="gunicorn app:app",
        pids=tuple(1000 + 10 * number + life for life in range(lives[-1] + 1)),
    )
    samples = ProcessSamples(process, places.tolist(), lives, columns)
    return ReadProcess(samples)


def _phases(made: Made) -> tuple[tuple[Phase, ...], NDArray[np.int64]]:
    phases = [Phase(0, WARM_UP, Purpose.WARM_UP, made.per_sample, collects=False)]
    spacing = [made.per_sample] * WARM_UP
    for step in range(made.doublings + 1):
        each = made.per_sample << step
        phases.append(Phase(len(spacing), made.samples, Purpose.JUDGED, each, collects=False))
        spacing += [each] * made.samples
    return tuple(phases), np.array(spacing, dtype="int64")


def _columns(made: Made, calls: Numbers, source: np.random.Generator) -> dict[str, Numbers]:
    count = len(calls)
    requests = np.diff(calls, prepend=0.0)
    flying = source.integers(0, made.users + 1, count) * float(made.in_flight)
    live = 40 * MIB + made.retained * calls + flying
    rss = 160 * MIB + 1.1 * made.retained * calls + flying
    seconds = made.milliseconds / 1e3 * (1 + made.slowing * calls / calls[-1])
    times = seconds * source.uniform(0.9, 1.1, count) * 1e9
    columns = {
        "rss": rss,
        "pss": rss - 12 * MIB,
        "anonymous": rss - 50 * MIB,
        "threads": np.full(count, 9.0),
        "descriptors": 20 + source.integers(0, made.users + 1, count).astype(float),
        "children": np.full(count, 2.0),
        "live_heap": live,
        "python_blocks": 400_000 + flying // 1000,
        "failures": source.binomial(requests.astype(int), made.failing).astype(float),
        "p50": times,
        "p95": 1.6 * times,
        "p99": 2.1 * times,
        "elapsed": times * requests / made.users,
        "duration": times * requests,
    }
    for name, extra in made.extra.items():
        columns[name] = columns.get(name, np.zeros(count)) + extra(calls)
    return columns


def _readings(
    made: Made, columns: Mapping[str, Numbers], phases: Sequence[Phase]
) -> tuple[Reading, ...]:
    def at(step: str, sample: int) -> Reading:
        place = max(sample - 1, 0)
        values = {"rss": columns["rss"][place], "rss_anonymous": columns["anonymous"][place]}
        if made.inside:
            values |= {"live_heap": columns["live_heap"][place], "python_live": 20 * MIB}
        return Reading(step, {name: int(value) for name, value in values.items()}, sample)

    pauses = [phase.first_sample + phase.samples for phase in phases]
    looks = ("look", "look_collected") if made.inside else ("look",)
    ends = ("end", "collected", "emptied", "trimmed") if made.inside else ("end",)
    return (
        at("start", 0),
        *(at(step, pause) for pause in pauses for step in looks),
        *(at(step, pauses[-1]) for step in ends),
    )


def _notes(columns: Mapping[str, Numbers]) -> tuple[Mapping[str, Any], ...]:
    failed = int(columns["failures"].sum())
    if not failed:
        return ()
    texts = [["500 Internal Server Error", failed]]
    return ({"record": "note", "kind": "errors", "text": "requests failed", "errors": texts},)


def write_soak(file: Path, run: Run) -> Path:
    """`run` as a run file."""
    header = {
        "started_at": run.started_at,
        "plan": asdict(run.plan),
        "facts": dict(run.facts),
        "environment": dict(run.environment),
        "series": [asdict(series) for series in run.series],
        "unavailable": dict(run.unavailable),
        "limits": dict(run.limits),
        "process_series": PROCESS_SERIES,
    }
    run_writer.create(file, header)
    appender = run_writer.Appender(file)
    for line in _lines(run):
        appender.append(run_writer.encode(line))
    appender.close()
    run_writer.finish(file, run.outcome, 1.0)
    return file


def _lines(run: Run) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    readings = list(run.readings)
    columns = list(run.samples.values())
    starts = {phase.first_sample: phase for phase in run.phases}
    for sample in range(run.samples_done + 1):
        while readings and readings[0].sample <= sample:
            lines.append({"record": "settle", **asdict(readings.pop(0))})
        if sample in starts:
            lines.append({"record": "phase", **asdict(starts[sample])})
        if sample < run.samples_done:
            values = [column[sample] for column in columns]
            lines += _holders(run, sample)
            rows: dict[str, Any] = {"processes": _rows(run, sample)} if run.processes else {}
            if run.routes:
                lines += [] if sample else _routes(run)
                rows["routes"] = [
                    (number, each.counts[sample] - (each.counts[sample - 1] if sample else 0))
                    for number, each in enumerate(run.routes)
                ]
            call = run.calls[sample] - 1
            lines.append({"record": "sample", "call": call, "values": values, **rows})
    return lines + [dict(note) for note in run.notes]


def _routes(run: Run) -> list[dict[str, Any]]:
    return [
        {"record": "route", "number": number, **asdict(each.route)}
        for number, each in enumerate(run.routes)
    ]


def _holders(run: Run, sample: int) -> list[dict[str, Any]]:
    """Who takes a place before this sample."""
    found = []
    for each in run.processes:
        life = each.samples.lives[sample]
        if sample and each.samples.lives[sample - 1] == life:
            continue
        process = asdict(each.samples.process)
        pid = process.pop("pids")[life]
        found.append({"record": "process", **process, "pid": pid})
    return found


def _rows(run: Run, sample: int) -> list[list[int | None]]:
    return [
        [each.samples.process.number, *(values[sample] for values in each.samples.samples.values())]
        for each in run.processes
    ]


def ended(run: Run, ending: Ending, reason: str = "SIGKILL") -> Run:
    """`run`, ended early."""
    return replace(run, outcome=Outcome(ending, reason, "SIGKILL", None, -9))

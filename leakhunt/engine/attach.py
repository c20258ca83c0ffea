"""``attach``: a process that runs already is visited, looked at, and left as it was."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, replace
from datetime import datetime
from functools import partial
from math import isfinite
from pathlib import Path

from leakhunt.amounts import Amount, parse_duration
from leakhunt.analysis.attached import attach_report
from leakhunt.analysis.attached_difference import difference
from leakhunt.engine.attach_run import AttachRun, Watched, limits_of
from leakhunt.engine.container_limit import limit_bytes
from leakhunt.engine.events import SILENT, Events
from leakhunt.engine.report import GENERATOR, rendered, report_of, write_files
from leakhunt.engine.run import FolderResult
from leakhunt.environment import available_cores
from leakhunt.errors import INTERRUPTED, MissingRequirement, ScenarioFailed, UsageError
from leakhunt.injection.target import VisitTarget, command, examine, find
from leakhunt.injection.visit import attached
from leakhunt.instruments.graph_library import require_rustworkx
from leakhunt.model.attached import AttachReport, LookDifference
from leakhunt.model.attribution import Instrument
from leakhunt.model.plan import Plan, PlannedVisit
from leakhunt.model.report import Report
from leakhunt.model.run import Ending, Outcome, Run
from leakhunt.reporting.registry import ATTACH_RENDERERS, AttachRenderer, RunRenderer
from leakhunt.storage import run_file as store
from leakhunt.storage.folders import new_folder
from leakhunt.storage.report_files import write_file
from leakhunt.text.message import Text, joined, message

VARIANT = "attached"
# Where the two looks of a difference are, below the folder of both.
BEFORE, AFTER = "before", "after"
_LONGEST_COMMAND = 200


@dataclass(frozen=True, slots=True)
class AttachRequest:
    """Which process is visited, and how; every door builds one.

    `process` is a PID, a name, or a part of a command line. `duration`: it is watched for so long
    (seconds, or ``"10m"``), for a verdict; None: it is looked at once. `touch`: garbage is
    collected in it and malloc trimmed, to see what that gives back. `trace`: allocations are traced
    for so long at the end; by memray, where that can be loaded in the process and `memray` allows
    it. `limit` is the memory of a container to come. `diff`: it is looked at twice, so long apart,
    and what changed is told. `deep`: all objects are listed in one call in which the process waits,
    also where there are many.
    """

    process: str
    _: KW_ONLY
    duration: float | str | None = None
    touch: bool = True
    trace: float | str | None = None
    limit: int | str | None = None
    diff: float | str | None = None
    memray: bool = True
    deep: bool = False


@dataclass(frozen=True, slots=True)
class AttachResult(FolderResult):
    """What the visit found; `judged` is the report on its run, which `compare` can compare."""

    report: AttachReport
    judged: Report


def attach(
    request: AttachRequest,
    renderers: Sequence[AttachRenderer] = ATTACH_RENDERERS,
    run_renderers: Sequence[RunRenderer] = (),
    events: Events = SILENT,
    *,
    out: Path | None = None,
) -> AttachResult:
    """Bring an agent into a running process, look at its memory, and leave it as it was.

    Files of `run_renderers`, the report on the run, are written where it was watched.

    Raises:
        LeakhuntError: the request makes no sense, the process cannot be attached, or it ended
            before anything was read.
        KeyboardInterrupt: the user ended it before anything was read.
    """
    if sys.platform != "linux":
        raise MissingRequirement(message("attach.needs-linux", "attach needs Linux"))
    require_rustworkx(Instrument.RETAINED)
    watched = Watched(
        _seconds(request.duration),
        request.touch,
        _seconds(request.trace),
        by_memray=request.memray,
        lists_all=request.deep,
    )
    apart = _seconds(request.diff)
    if apart and watched.seconds:
        raise UsageError(
            message(
                "attach.diff-or-for",
                "--diff and --for: choose one. --diff compares two looks, --for gives a verdict",
            )
        )
    target = examine(find(request.process))
    plan = _plan(target, watched, limit_bytes(request.limit))
    fresh = partial(new_folder, out, f"attach-{plan.scenario}")
    look = partial(_look, target, plan, events)
    looks = list(_twice(look, watched, apart, fresh, events)) if apart else [look(watched, fresh)]
    folder = looks[0].folder.parent if apart else looks[0].folder
    report = attach_report(looks[-1].runs, GENERATOR)
    if len(looks) > 1:
        report = replace(report, difference=looks_apart(looks[0].runs, looks[1].runs))
    judged = report_of(looks[-1].runs, str(looks[-1].folder))
    files = [
        write_file(folder / each.file_name, rendered(report, each.render, each.language), folder)
        for each in renderers
    ]
    if watched.seconds:
        files += write_files(judged, folder, run_renderers)
    code = {Ending.INTERRUPTED: INTERRUPTED, Ending.CRASHED: ScenarioFailed.exit_code}
    return AttachResult(
        folder=folder,
        outcomes=tuple(each.outcome for each in looks),
        files=tuple(files),
        exit_code=code.get(looks[-1].outcome.ending, 0),
        report=report,
        judged=judged,
    )


def looks_apart(first: Sequence[Run], second: Sequence[Run]) -> LookDifference:
    """What changed between two looks, by the runs of each."""
    before, after = (attach_report(runs, GENERATOR) for runs in (first, second))
    is_same = before.pid == after.pid
    seconds = (_began(second) - _began(first)).total_seconds() if is_same else None
    return difference(before, after, seconds)


def _began(runs: Sequence[Run]) -> datetime:
    return min(datetime.fromisoformat(each.started_at) for each in runs)


@dataclass(frozen=True, slots=True)
class _Look:
    """One visit: where it is written, and what is written there."""

    folder: Path
    runs: Sequence[Run]
    outcome: Outcome


def _look(
    target: VisitTarget,
    plan: Plan,
    events: Events,
    watched: Watched,
    made: Callable[[], Path],
) -> _Look:
    """Visit the process once; the folder is `made` once the agent is there."""
    before = _open_things(target.pid)
    started = time.monotonic()
    events.noted(message("attach.attaching", "attaching to process {pid}", pid=target.pid))
    with attached(target) as visit:
        entered = time.monotonic() - started
        folder = made()
        run = AttachRun(visit, plan, folder, events)
        outcome = run.carry_out(watched, limits_of(target.pid))
    facts = {
        "way": visit.way.value,
        "seconds_to_enter": round(entered, 3),
        "seconds": round(time.monotonic() - started, 3),
        "longest_pause_ns": run.cost.longest_ns,
        "objects": run.cost.objects,
        "lost_references": run.cost.lost,
        "walked": bool(run.cost.walked),
        "text": _left(target, before, run.cost.memray_bytes),
    }
    run.note(facts)
    runs = [store.load(each) for each in store.find_run_files([str(folder)])]
    return _Look(folder, runs, outcome)


def _twice(
    look: Callable[[Watched, Callable[[], Path]], _Look],
    watched: Watched,
    apart: float,
    fresh: Callable[[], Path],
    events: Events,
) -> Iterator[_Look]:
    """Two looks, so many seconds apart, between which nothing of ours is in the process.

    One, where that did not come to its end. Ctrl-C while it waits makes the second come at once.
    """
    first = look(replace(watched, trace_seconds=0.0), lambda: _part(fresh(), BEFORE))
    yield first
    if first.outcome.ending is not Ending.OK:
        return
    events.noted(
        message("attach.waiting", "next look in {seconds:g} s (Ctrl-C: look now)", seconds=apart)
    )
    with suppress(KeyboardInterrupt):
        time.sleep(apart)
    yield look(watched, lambda: _part(first.folder.parent, AFTER))


def _part(folder: Path, name: str) -> Path:
    part = folder / name
    part.mkdir()
    return part


def _seconds(given: float | str | None) -> float:
    seconds = parse_duration(given) if isinstance(given, str) else given
    if seconds is None:
        return 0.0
    if not (isfinite(seconds) and seconds > 0):
        raise UsageError(
            message(
                "argument.duration",
                "duration={duration}: expected a number of seconds above 0",
                duration=seconds,
            )
        )
    return float(seconds)


def _plan(target: VisitTarget, watched: Watched, size: int | None) -> Plan:
    line = command(target.pid)
    return Plan(
        scenario=_scenario(line),
        variant=VARIANT,
        calls=None,
        warmup=None,
        seed=0,
        threads=available_cores(),
        device="cpu",
        options={},
        result_kind="equal",
        reference=VARIANT,
        calls_per_sample=None,
        limit_bytes=size,
        visit=PlannedVisit(
            pid=target.pid,
            process=line[:_LONGEST_COMMAND],
            duration_seconds=watched.seconds,
            touches=watched.touches,
        ),
    )


def _scenario(line: str) -> str:
    """A name for a process by its command line: that of its script, module or program."""
    words = line.split()
    for before, word in zip(("", *words), words, strict=False):
        if before == "-m":
            return _plain(word)
        if word.endswith(".py"):
            return _plain(Path(word).stem)
    scripts = [word for word in words[1:2] if not word.startswith("-")]
    return _plain(Path((scripts or words or ["process"])[0]).name)


def _plain(name: str) -> str:
    kept = "".join(each if each.isalnum() or each in "-_." else "-" for each in name)
    return kept.strip("-.") or "process"


@dataclass(frozen=True, slots=True)
class _OpenThings:
    descriptors: Mapping[str, str]
    threads: frozenset[str]


def _open_things(pid: int) -> _OpenThings:
    folder = Path("/proc", str(pid))
    descriptors: dict[str, str] = {}
    threads: frozenset[str] = frozenset()
    with suppress(OSError):
        threads = frozenset(each.name for each in (folder / "task").iterdir())
        for each in (folder / "fd").iterdir():
            with suppress(OSError):
                descriptors[each.name] = os.fspath(each.readlink())
    return _OpenThings(descriptors, threads)


def _left(target: VisitTarget, before: _OpenThings, memray_bytes: int) -> Text:
    """What of the visit is still there, apart from what the process opened itself meanwhile."""
    now = _open_things(target.pid)
    new = set(now.descriptors.values()) - set(before.descriptors.values())
    found: list[Text] = []
    if any("libffi" in each for each in new):
        found.append(
            message(
                "attach.left-libffi",
                "one descriptor: libffi keeps its own file open from the first use of ctypes on",
            )
        )
    if memray_bytes:
        found.append(
            message(
                "attach.left-memray",
                "the module memray, which cannot be unloaded ({size} of RSS, and a pipe)",
                size=Amount(memray_bytes),
            )
        )
    return joined(found, "; ", "") if found else message("attach.left-nothing", "nothing")

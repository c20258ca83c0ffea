"""``run``: the variants of a scenario measured and explained, and the report on them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from queue import PriorityQueue
from threading import Event
from typing import Any

from leakhunt.analysis.verdict.cost import cost
from leakhunt.engine.argument_checks import refuse_too_small
from leakhunt.engine.events import SILENT, Events
from leakhunt.engine.executors import Executor
from leakhunt.engine.executors.local import LOCAL
from leakhunt.engine.explain import explained
from leakhunt.engine.parallel import in_parallel
from leakhunt.engine.report import report_of_folder, write_files
from leakhunt.engine.session import Session, session
from leakhunt.engine.settings import RunRequest, plan_of, settings_of
from leakhunt.environment import available_cores, sees_gpu
from leakhunt.errors import INTERRUPTED, LeakhuntError, NothingMeasured, ScenarioFailed
from leakhunt.model.options import JOBS, Settings
from leakhunt.model.report import Report
from leakhunt.model.run import Ending, Outcome, Run
from leakhunt.model.scenario import Variant
from leakhunt.model.verdict import Verdict
from leakhunt.reporting.registry import RunRenderer
from leakhunt.storage.folders import new_folder


@dataclass(frozen=True, slots=True)
class FolderResult:
    """What every verb leaves that runs variants: the folder of run files, and how each run ended.

    `files` are those of the report, the first of which is the one for people. `exit_code` is that
    of the verb: 0, or 4 (nothing measured), 8 (the scenario's own code failed), 130 (interrupted).
    """

    folder: Path
    outcomes: tuple[Outcome, ...]
    files: tuple[Path, ...]
    exit_code: int

    @property
    def interrupted(self) -> bool:
        """Whether the user ended it; what was measured by then is in the report."""
        return self.exit_code == INTERRUPTED


@dataclass(frozen=True, slots=True)
class RunResult(FolderResult):
    """What was measured, and the report on it."""

    report: Report

    def verdict(self, variant: str = "") -> Verdict:
        """The verdict on a variant; without a name, on the only one.

        Raises:
            UsageError: there is no such variant, or more than one to choose from.
        """
        return self.report.verdict(variant)

    def _repr_html_(self) -> str:
        from leakhunt.reporting.run.notebook import cards

        return cards(self.report)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What IPython shows where there is no HTML."""
        del cycle
        said = (f"{each.variant}: {each.verdict.sentence}" for each in self.report.entries)
        printer.text("\n".join(said))


def run(
    request: RunRequest,
    renderers: Sequence[RunRenderer] = (),
    events: Events = SILENT,
    *,
    out: Path | None = None,
    executor: Executor = LOCAL,
    hunt: bool = True,
    jobs: int | None = None,
) -> RunResult:
    """Measure the variants of a scenario, one fresh process each, and report on them.

    Where something grows, `hunt` runs the variant again to find out who keeps it. `jobs` variants
    are measured at the same time (None: as many as the scenario says): bytes stay as they are,
    times do not.

    Run files and the files of `renderers` go to the new or empty folder `out`; None: one below
    ``reports``. An interrupt ends it early; what was measured by then is reported.

    Raises:
        LeakhuntError: the request makes no sense, the scenario cannot start here, or the disk does
            not take the results.
        KeyboardInterrupt: the user ended it before anything was measured.
    """
    refuse_too_small(jobs=jobs)
    settings = settings_of(request)
    jobs = jobs or _usual_jobs(settings)
    if jobs > 1 and request.threads is None:
        settings = replace(settings, threads=max(available_cores() // jobs, 1))
    return run_as(settings, renderers, events, out=out, executor=executor, hunt=hunt, jobs=jobs)


def _usual_jobs(settings: Settings) -> int:
    """As many as the scenario says, if there are as many cores: those on a GPU share its memory."""
    if settings.device != "cpu" and "cuda" in settings.scenario.devices and sees_gpu(os.environ):
        return JOBS
    return min(settings.scenario.default_jobs, available_cores(), len(settings.variants))


def run_as(
    settings: Settings,
    renderers: Sequence[RunRenderer] = (),
    events: Events = SILENT,
    *,
    out: Path | None = None,
    executor: Executor = LOCAL,
    hunt: bool = True,
    jobs: int = JOBS,
) -> RunResult:
    """The same for settings that are checked already."""
    folder = new_folder(out, settings.scenario.name)
    with session(settings, folder, events, executor) as prepared:
        groups = _measured(prepared, hunt, jobs)
    measured = tuple(runs[0] for runs in groups)
    return result_of(folder, list(chain.from_iterable(groups)), measured, renderers)


def _measured(prepared: Session, hunt: bool, jobs: int) -> list[list[Run]]:
    """The runs of each variant: the measured one, and those of the `hunt` that explain it.

    What explains comes once all are measured or under way, side by side the dearest calls first.
    Variants of a scenario have the same caches, and often the same growth, as its first.
    """
    group = tuple(each.name for each in prepared.variants)
    groups: list[list[Run]] = [[] for _ in group]
    measured: PriorityQueue[tuple[float, int]] = PriorityQueue()
    first_is_over, stop = Event(), Event()

    def measure(number: int, variant: Variant) -> None:
        runs = groups[number]
        try:
            if not stop.is_set():
                plan = plan_of(prepared.settings, variant, prepared.workplace.device)
                runs.append(prepared.carry_out(plan, variant.name, group, stop))
        finally:
            if not runs or runs[0].is_interrupted:
                stop.set()
            measured.put((-_seconds_a_call(runs) if jobs > 1 else 0.0, number))
            if number == 0:
                first_is_over.set()

    def explain_next() -> None:
        _, number = measured.get()
        first_is_over.wait()
        runs, first = groups[number], next(iter(groups[0]), None)
        if stop.is_set() or first is None:
            return
        for each in explained(prepared, runs[0], first=first if number else None, stop=stop):
            runs.append(each)
            if each.is_interrupted:
                stop.set()
                return

    tasks: list[Callable[[], None]]
    tasks = [partial(measure, *each) for each in enumerate(prepared.variants)]
    tasks += [explain_next] * len(tasks) if hunt else []
    in_parallel(lambda task: task(), tasks, jobs, stop)
    return [runs for runs in groups if runs]


def _seconds_a_call(runs: Sequence[Run]) -> float:
    spent = cost(runs[0], None) if runs else None
    return spent.median_seconds if spent else 0.0


def measure_variants(prepared: Session) -> list[Run]:
    """Measure every variant of a session, until one is interrupted."""
    return [runs[0] for runs in _measured(prepared, hunt=False, jobs=1)]


def result_of(
    folder: Path, runs: Sequence[Run], measured: Sequence[Run], renderers: Sequence[RunRenderer]
) -> RunResult:
    """The result of `runs`, of which those are `measured` that are to be judged.

    Raises:
        CannotWrite: the disk does not take the files; the run files are untouched.
    """
    report = report_of_folder(folder)
    outcomes = tuple(run.outcome for run in runs)
    return RunResult(
        report=report,
        folder=folder,
        outcomes=outcomes,
        files=tuple(write_files(report, folder, renderers)),
        exit_code=exit_code(outcomes, [run.calls_done for run in measured]),
    )


def exit_code(outcomes: Sequence[Outcome], calls_done: Sequence[int]) -> int:
    """A killed worker is a result; one that failed by itself, or measured nothing, is not."""
    if any(outcome.ending is Ending.INTERRUPTED for outcome in outcomes):
        return INTERRUPTED
    failures: list[type[LeakhuntError]] = []
    if any(outcome.ending is Ending.CRASHED for outcome in outcomes):
        failures.append(ScenarioFailed)
    if not all(calls_done):
        failures.append(NothingMeasured)
    return failures[0].exit_code if failures else 0

"""``run``: the variants of a scenario measured one after the other, and the report on them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from threading import Event

from leakhunt.engine.events import SILENT, Events
from leakhunt.engine.executors import Executor
from leakhunt.engine.executors.local import LOCAL
from leakhunt.engine.explain import explained
from leakhunt.engine.report import report_of_folder, write_files
from leakhunt.engine.session import Session, session
from leakhunt.engine.settings import RunRequest, plan_of, settings_of
from leakhunt.environment import available_cores
from leakhunt.errors import INTERRUPTED, LeakhuntError, NothingMeasured, ScenarioFailed, UsageError
from leakhunt.model.options import Settings
from leakhunt.model.report import Report
from leakhunt.model.run import Ending, Outcome, Run
from leakhunt.model.scenario import Variant
from leakhunt.model.verdict import Verdict
from leakhunt.reporting.registry import RunRenderer
from leakhunt.storage.folders import new_folder
from leakhunt.text.message import message


@dataclass(frozen=True, slots=True)
class RunResult:
    """What was measured: the report, the folder of its run files, and how each run ended.

    `files` are those of the report, the first of which is the one for people. `exit_code` is that
    of the verb: 0, or 4 (nothing measured), 8 (the scenario's own code failed), 130 (interrupted).
    """

    report: Report
    folder: Path
    outcomes: tuple[Outcome, ...]
    files: tuple[Path, ...]
    exit_code: int

    @property
    def interrupted(self) -> bool:
        """Whether the user ended it; what was measured by then is in the report."""
        return self.exit_code == INTERRUPTED

    def verdict(self, variant: str = "") -> Verdict:
        """The verdict on a variant; without a name, on the only one.

        Raises:
            UsageError: there is no such variant, or more than one to choose from.
        """
        return self.report.verdict(variant)

    def _repr_html_(self) -> str:
        from leakhunt.reporting.run.notebook import cards

        return cards(self.report)


def run(
    request: RunRequest,
    renderers: Sequence[RunRenderer] = (),
    events: Events = SILENT,
    *,
    out: Path | None = None,
    executor: Executor = LOCAL,
    hunt: bool = True,
    jobs: int = 1,
) -> RunResult:
    """Measure the variants of a scenario, one fresh process each, and report on them.

    Where something grows, `hunt` runs the variant again to find out who keeps it. `jobs` variants
    are measured at the same time: bytes stay as they are, times do not.

    Run files and the files of `renderers` go to the new or empty folder `out`; None: one below
    ``reports``. An interrupt ends it early; what was measured by then is reported.

    Raises:
        LeakhuntError: the request makes no sense, the scenario cannot start here, or the disk does
            not take the results.
        KeyboardInterrupt: the user ended it before anything was measured.
    """
    if jobs < 1:
        raise UsageError(
            message(
                "argument.too-small", "{name}={value}: expected {least} or more",
                name="jobs", value=jobs, least=1,
            )
        )  # fmt: skip
    if jobs > 1 and request.threads is None:
        request = replace(request, threads=max(available_cores() // jobs, 1))
    settings = settings_of(request)
    return run_as(settings, renderers, events, out=out, executor=executor, hunt=hunt, jobs=jobs)


def run_as(
    settings: Settings,
    renderers: Sequence[RunRenderer] = (),
    events: Events = SILENT,
    *,
    out: Path | None = None,
    executor: Executor = LOCAL,
    hunt: bool = True,
    jobs: int = 1,
) -> RunResult:
    """The same for settings that are checked already."""
    folder = new_folder(out, settings.scenario.name)
    with session(settings, folder, events, executor) as prepared:
        runs = measure_variants(prepared, jobs)
        measured = tuple(runs)
        hunted = measured if hunt else ()
        # Variants of a scenario have the same caches, and often the same growth: once is enough.
        further = (
            explained(prepared, each, first=measured[0] if each is not measured[0] else None)
            for each in hunted
        )
        for each in chain.from_iterable(further):
            runs.append(each)
            if each.is_interrupted:
                break
    return result_of(folder, runs, measured, renderers)


def measure_variants(prepared: Session, jobs: int = 1) -> list[Run]:
    """Measure every variant of a session, `jobs` at the same time, until one is interrupted."""
    group = tuple(each.name for each in prepared.variants)
    stop = Event()

    def measured(variant: Variant) -> Run | None:
        if stop.is_set():
            return None
        plan = plan_of(prepared.settings, variant, prepared.workplace.device)
        run = prepared.carry_out(plan, variant.name, group, stop)
        if run.is_interrupted:
            stop.set()
        return run

    if jobs == 1:
        runs = [measured(each) for each in prepared.variants]
        return [run for run in runs if run is not None]
    with ThreadPoolExecutor(jobs) as pool:
        # Each in a context of its own, which has the language.
        ahead = [pool.submit(copy_context().run, measured, each) for each in prepared.variants]
        try:
            wait(ahead, return_when=FIRST_EXCEPTION)
        except KeyboardInterrupt:
            stop.set()
        if any(each.done() and each.exception() is not None for each in ahead):
            stop.set()
        return [run for each in ahead if (run := each.result()) is not None]


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

"""Measuring the variants of a scenario one after the other, and reporting on them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from leakhunt.cli.display import Display, Displays
from leakhunt.cli.summary import show
from leakhunt.engine.report import report_on, write_report
from leakhunt.engine.settings import plan_of
from leakhunt.errors import (
    INTERRUPTED,
    LeakhuntError,
    NothingMeasured,
    ScenarioFailed,
)
from leakhunt.model.options import Settings
from leakhunt.model.plan import Plan
from leakhunt.model.run import Ending, Outcome
from leakhunt.model.scenario import Variant
from leakhunt.reporting.registry import Renderer
from leakhunt.runner.prepared import (
    PREPARE_LOG,
    Bench,
    needs_preparing,
    prepared_for,
    variants_for,
)
from leakhunt.runner.supervisor import Prepared
from leakhunt.storage import run_file
from leakhunt.text.language import tr


@dataclass(frozen=True, slots=True, kw_only=True)
class Session(Bench):
    """A scenario that is prepared, with what shows its runs."""

    variants: tuple[Variant, ...]
    displays: Displays


@contextmanager
def session(
    settings: Settings, folder: Path, console: Console, displays: Displays
) -> Iterator[Session]:
    """Prepare the scenario; its scratch folder lasts as long as the session.

    Raises:
        LeakhuntError: the scenario cannot start here.
    """
    with tempfile.TemporaryDirectory(prefix="leakhunt-", ignore_cleanup_errors=True) as scratch:
        try:
            prepared = prepared_and_told(settings, folder, Path(scratch), console)
            variants = tuple(variants_for(settings, prepared.device))
        except ScenarioFailed:
            raise  # the log in the folder tells more
        except BaseException:
            (folder / PREPARE_LOG).unlink(missing_ok=True)
            folder.rmdir()
            raise
        yield Session(
            settings=settings,
            prepared=prepared,
            folder=folder,
            scratch=Path(scratch),
            variants=variants,
            displays=displays,
        )


def measure_all(
    settings: Settings,
    folder: Path,
    renderers: Sequence[Renderer],
    console: Console,
    displays: Displays,
) -> int:
    """Measure every variant into `folder`, report, and return the exit code.

    Raises:
        LeakhuntError: the scenario cannot start here, or the disk does not take the results.
    """
    with session(settings, folder, console, displays) as prepared:
        outcomes = measure_variants(prepared)
    runs = [run_file.load(file) for file in run_file.find_run_files([str(folder)])]
    report = report_on(runs, str(folder))
    show(console, report, write_report(report, folder, renderers))
    return exit_code(outcomes, [run.calls_done for run in runs])


def measure_variants(prepared: Session) -> list[Outcome]:
    """Measure every variant of a session, until one is interrupted."""
    outcomes: list[Outcome] = []
    with prepared.displays(max(len(each.name) for each in prepared.variants)) as display:
        for variant in prepared.variants:
            plan = plan_of(prepared.settings, variant, prepared.prepared.device)
            outcomes.append(shown(display, prepared, plan, variant.name))
            if outcomes[-1].ending is Ending.INTERRUPTED:
                break
    return outcomes


def shown(display: Display, prepared: Session, plan: Plan, name: str) -> Outcome:
    """Carry out a plan with a line on the display, into the run file `name`."""
    afterwards = tr("looking through what was seen") if plan.instrument else ""
    follower = display.variant(name, plan.calls, afterwards)
    outcome = prepared.carry_out(plan, name, follower)
    display.ended(name, outcome)
    return outcome


def prepared_and_told(
    settings: Settings, folder: Path, scratch: Path, console: Console
) -> Prepared:
    """What the scenario's ``prepare`` settled, told on the console."""
    if not needs_preparing(settings):
        return prepared_for(settings, folder, scratch)
    console.print(
        tr("preparing {name} ...", name=settings.scenario.name), markup=False, highlight=False
    )
    prepared = prepared_for(settings, folder, scratch)
    for name, fact in prepared.facts.items():
        console.print(f"  {name}: {fact}", markup=False, highlight=False, soft_wrap=True)
    return prepared


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

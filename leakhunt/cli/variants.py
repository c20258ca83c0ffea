"""Measuring the variants of a scenario one after the other, and reporting on them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.console import Console

from leakhunt import scenario, store
from leakhunt.cli.output import report_on, show, write_report
from leakhunt.cli.progress import Display, Displays
from leakhunt.errors import (
    INTERRUPTED,
    LeakhuntError,
    MissingRequirement,
    NothingMeasured,
    ScenarioFailed,
)
from leakhunt.language import tr
from leakhunt.measurement.order import Order
from leakhunt.measurement.supervisor import Prepared, Progress, measure, prepare
from leakhunt.model import Ending, Outcome, Plan, Run, Scenario, Variant
from leakhunt.reporting import Renderer
from leakhunt.scenario import Context

PREPARE_LOG = "prepare.log"


@dataclass(frozen=True, slots=True)
class Sampling:
    """How many calls, and how they are sampled, as in `Plan`."""

    calls: int | None
    warmup: int | None
    calls_per_sample: int | None
    collect: str
    resolve: bool


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user asked for, checked."""

    scenario: Scenario
    variants: tuple[Variant, ...]
    named: bool
    sampling: Sampling
    seed: int
    threads: int
    device: str
    options: Mapping[str, str]
    memory_limit_bytes: int | None
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class Session:
    """A scenario that is prepared, where its runs go, and what shows them."""

    settings: Settings
    prepared: Prepared
    variants: tuple[Variant, ...]
    folder: Path
    scratch: Path
    displays: Displays

    def carry_out(self, plan: Plan, name: str, progress: Progress) -> Outcome:
        """Carry out a plan of one of the scenario's variants into the run file `name`."""
        run_file = self.folder / f"{name}{store.SUFFIX}"
        variant = next(v for v in self.settings.scenario.variants if v.name == plan.variant)
        settings = replace(self.settings, options=plan.options)
        order = replace(
            _order(settings, variant, self.prepared.device, self.scratch, run_file),
            instrument=plan.instrument,
            environment=plan.environment,
        )
        return measure(plan, order, self.folder / f"{name}.log", self.prepared.facts, progress)

    def load(self, name: str) -> Run:
        """The run that was carried out under this name."""
        return store.load(self.folder / f"{name}{store.SUFFIX}")


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
            prepared = prepared_for(settings, folder, Path(scratch), console)
            variants = tuple(_variants_for(settings, prepared.device))
        except ScenarioFailed:
            raise  # the log in the folder tells more
        except BaseException:
            (folder / PREPARE_LOG).unlink(missing_ok=True)
            folder.rmdir()
            raise
        yield Session(settings, prepared, variants, folder, Path(scratch), displays)


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
    runs = [store.load(file) for file in store.find_run_files([str(folder)])]
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


def prepared_for(settings: Settings, folder: Path, scratch: Path, console: Console) -> Prepared:
    """What the scenario's ``prepare`` settled, or nothing where there is nothing to settle."""
    choosable = "cuda" in settings.scenario.devices and settings.device != "cpu"
    if not settings.scenario.prepares and not choosable:
        return Prepared("cpu", {})
    console.print(
        tr("preparing {name} ...", name=settings.scenario.name), markup=False, highlight=False
    )
    answer = scratch / "prepared.json"
    log = folder / PREPARE_LOG
    order = _order(settings, settings.variants[0], settings.device, scratch, answer)
    prepared = prepare(replace(order, prepare=True), answer, log, settings.timeout_seconds)
    for name, fact in prepared.facts.items():
        console.print(f"  {name}: {fact}", markup=False, highlight=False, soft_wrap=True)
    return prepared


def _variants_for(settings: Settings, device: str) -> list[Variant]:
    fit = [variant for variant in settings.variants if device in variant.devices]
    unfit = [variant.name for variant in settings.variants if device not in variant.devices]
    if unfit and (settings.named or not fit):
        raise MissingRequirement(
            tr(
                "variant {unfit} makes no sense on {device}; it needs a machine with a CUDA GPU",
                unfit=unfit[0],
                device=device,
            )
        )
    return fit


def plan_of(settings: Settings, variant: Variant, device: str) -> Plan:
    """What measuring a variant means."""
    return Plan(
        scenario=settings.scenario.name,
        variant=variant.name,
        **asdict(settings.sampling),
        seed=settings.seed,
        threads=settings.threads,
        device=device,
        options=settings.options,
        result_kind=settings.scenario.result_kind,
        reference=settings.scenario.variants[0].name,
        source=_source(settings.scenario),
        memory_limit_bytes=settings.memory_limit_bytes,
        timeout_seconds=settings.timeout_seconds,
    )


def _source(described: Scenario) -> str:
    file = Path(described.file)
    if scenario.builtin_folder() in file.parents:
        return described.name
    return file.name if file.name != "scenario.py" else f"{file.parent.name}/{file.name}"


def _order(
    settings: Settings, variant: Variant, device: str, scratch: Path, run_file: Path
) -> Order:
    own = scratch / variant.name
    own.mkdir(exist_ok=True)
    context = Context(
        variant=variant.name,
        calls=settings.sampling.calls,
        seed=settings.seed,
        threads=settings.threads,
        device=device,
        options=settings.options,
        scratch=scratch,
        folder=own,
    )
    return Order(
        prepare=False,
        supervisor=os.getpid(),
        scenario_file=settings.scenario.file,
        function=variant.function,
        devices=settings.scenario.devices,
        tells_audio=settings.scenario.tells_audio,
        run_file=run_file,
        context=context,
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

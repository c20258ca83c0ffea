"""``leakhunt run``: measure the variants of a scenario, one fresh process each, and report."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click
from rich.console import Console

from leakhunt import scenario, store
from leakhunt.cli.list import install_hint, missing_modules
from leakhunt.cli.output import report_on, show, write_report
from leakhunt.cli.progress import Display
from leakhunt.environment import available_cores
from leakhunt.errors import (
    CannotWrite,
    LeakhuntError,
    MissingRequirement,
    NothingMeasured,
    ScenarioFailed,
    UsageError,
)
from leakhunt.measurement.order import Order
from leakhunt.measurement.supervisor import Prepared, measure, prepare
from leakhunt.model import Ending, Outcome, Plan, Scenario, Variant
from leakhunt.scenario import Context
from leakhunt.units import parse_size

INTERRUPTED = 130
DEFAULT_TIMEOUT_SECONDS = 600.0
# The verdict drops this part of the samples: warm-up (see the study in ARCHITECTURE.md).
WARMUP_SHARE = 0.25
PREPARE_LOG = "prepare.log"


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user asked for, checked."""

    scenario: Scenario
    variants: tuple[Variant, ...]
    named: bool
    calls: int
    warmup: int
    seed: int
    threads: int
    device: str
    options: Mapping[str, str]
    memory_limit_bytes: int | None
    timeout_seconds: float


@click.command("run")
@click.argument("target", metavar="NAME_OR_FILE[:VARIANT,...]")
@click.option("--calls", type=click.IntRange(min=1), help="Calls per variant.")
@click.option("--warmup", type=click.IntRange(min=0), help="Calls not judged; default: a quarter.")
@click.option("--device", type=click.Choice(["cpu", "cuda", "auto"]), default="auto")
@click.option("--lengths", help="Clip lengths, where the scenario has them: fixed or varied.")
@click.option("--audio", help="Your own recordings: a file or a folder (wav, flac, mp3).")
@click.option("--option", "pairs", multiple=True, metavar="NAME=VALUE", help="See 'leakhunt list'.")
@click.option("--threads", type=click.IntRange(min=1), help="Default: the cores there are.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--memory-limit", metavar="SIZE", help="End a worker above this, such as '2 GiB'.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=DEFAULT_TIMEOUT_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="A worker without a new sample for so long has hung.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder; default: reports/<when>-...")
def command(
    target: str,
    calls: int | None,
    warmup: int | None,
    device: str,
    lengths: str | None,
    audio: str | None,
    pairs: tuple[str, ...],
    threads: int | None,
    seed: int,
    memory_limit: str | None,
    timeout: float,
    out: Path | None,
) -> int:
    """Measure the variants of a scenario, one fresh process each, and write a report.

    NAME_OR_FILE is a built-in scenario ('leakhunt list') or the path of your own file.
    """
    found, variants = scenario.find(target)
    planned = calls or found.default_calls
    unjudged = int(planned * WARMUP_SHARE) if warmup is None else warmup
    if unjudged >= planned:
        raise UsageError(f"--warmup {unjudged} leaves none of {planned} calls; use a smaller one")
    given = _given_options(pairs, {"lengths": lengths, "audio": audio})
    settings = Settings(
        scenario=found,
        variants=variants,
        named=len(variants) < len(found.variants),
        calls=planned,
        warmup=unjudged,
        seed=seed,
        threads=threads or available_cores(),
        device=device,
        options=scenario.settle_options(found, given),
        memory_limit_bytes=parse_size(memory_limit) if memory_limit else None,
        timeout_seconds=timeout,
    )
    _refuse_what_cannot_be(settings)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _as_interrupt)
    return _run(settings, _new_folder(out, found.name), Console())


def _given_options(pairs: Sequence[str], named: Mapping[str, str | None]) -> dict[str, str]:
    given = {name: value for name, value in named.items() if value is not None}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"--option {pair!r}: write it as NAME=VALUE")
        given[name] = value
    return given


def _refuse_what_cannot_be(settings: Settings) -> None:
    if os.name != "posix":
        raise MissingRequirement("measuring needs Linux or macOS; 'report' and 'gate' work here")
    missing = missing_modules(settings.scenario)
    if missing:
        raise MissingRequirement(
            f"scenario {settings.scenario.name} needs {', '.join(missing)};"
            f" {install_hint(settings.scenario)}"
        )
    if settings.device not in (*settings.scenario.devices, "auto"):
        raise UsageError(
            f"scenario {settings.scenario.name} runs on {', '.join(settings.scenario.devices)},"
            f" not on {settings.device}"
        )


def _as_interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _new_folder(out: Path | None, name: str) -> Path:
    """An empty folder of our own.

    Raises:
        CannotWrite: it cannot be made, or holds something already.
    """
    try:
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            if any(out.iterdir()):
                raise CannotWrite(
                    f"{out}: holds files already; nothing is overwritten, name another"
                )
            return out
        base = Path("reports") / f"{datetime.now():%Y-%m-%d-%H%M%S}-{name}"
        base.parent.mkdir(exist_ok=True)
        for folder in (base, *(base.with_name(f"{base.name}-{count}") for count in range(2, 100))):
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            return folder
    except OSError as error:
        where = out or Path("reports")
        raise CannotWrite(f"{where}: {error.strerror}; name another with --out") from error
    raise CannotWrite(f"{base}: too many runs in one second; name a folder with --out")


def _run(settings: Settings, folder: Path, console: Console) -> int:
    with tempfile.TemporaryDirectory(prefix="leakhunt-", ignore_cleanup_errors=True) as scratch:
        try:
            prepared = _prepare(settings, folder, Path(scratch), console)
            variants = _variants_for(settings, prepared.device)
        except ScenarioFailed:
            raise  # the log in the folder tells more
        except BaseException:
            (folder / PREPARE_LOG).unlink(missing_ok=True)
            folder.rmdir()
            raise
        width = max(len(variant.name) for variant in variants)
        outcomes: list[Outcome] = []
        with Display(console, width) as display:
            for variant in variants:
                outcomes.append(
                    _measure(settings, variant, prepared, folder, Path(scratch), display)
                )
                if outcomes[-1].ending is Ending.INTERRUPTED:
                    break
    runs = [store.load(file) for file in store.find_run_files([str(folder)])]
    report = report_on(runs, str(folder))
    show(console, report, write_report(report, folder))
    return _exit_code(outcomes, [run.calls_done for run in runs])


def _prepare(settings: Settings, folder: Path, scratch: Path, console: Console) -> Prepared:
    choosable = "cuda" in settings.scenario.devices and settings.device != "cpu"
    if not settings.scenario.prepares and not choosable:
        return Prepared("cpu", {})
    console.print(f"preparing {settings.scenario.name} ...", markup=False, highlight=False)
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
            f"variant {unfit[0]} makes no sense on {device}; it needs a machine with a CUDA GPU"
        )
    return fit


def _measure(
    settings: Settings,
    variant: Variant,
    prepared: Prepared,
    folder: Path,
    scratch: Path,
    display: Display,
) -> Outcome:
    run_file = folder / f"{variant.name}{store.SUFFIX}"
    plan = Plan(
        scenario=settings.scenario.name,
        variant=variant.name,
        calls=settings.calls,
        warmup=settings.warmup,
        seed=settings.seed,
        threads=settings.threads,
        device=prepared.device,
        options=settings.options,
        result_kind=settings.scenario.result_kind,
        reference=settings.scenario.variants[0].name,
        source=_source(settings.scenario),
        memory_limit_bytes=settings.memory_limit_bytes,
        timeout_seconds=settings.timeout_seconds,
    )
    order = _order(settings, variant, prepared.device, scratch, run_file)
    follower = display.variant(variant.name, settings.calls)
    log = folder / f"{variant.name}.log"
    outcome = measure(plan, order, log, prepared.facts, follower)
    display.ended(variant.name, follower, outcome)
    return outcome


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
        calls=settings.calls,
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
        run_file=run_file,
        warmup=settings.warmup,
        context=context,
    )


def _exit_code(outcomes: Sequence[Outcome], calls_done: Sequence[int]) -> int:
    """A killed worker is a result; one that failed by itself, or measured nothing, is not."""
    if any(outcome.ending is Ending.INTERRUPTED for outcome in outcomes):
        return INTERRUPTED
    failures: list[type[LeakhuntError]] = []
    if any(outcome.ending is Ending.CRASHED for outcome in outcomes):
        failures.append(ScenarioFailed)
    if not all(calls_done):
        failures.append(NothingMeasured)
    return failures[0].exit_code if failures else 0

"""``leakhunt truth``: the verdict held against workloads whose truth is known."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click
from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from leakhunt import __version__
from leakhunt.analysis.attribution.attribute import attribute
from leakhunt.analysis.evaluation import confusion, hunted, score, trial
from leakhunt.analysis.verdict import judge
from leakhunt.cli.verb import Verb
from leakhunt.engine.settings import plan_of
from leakhunt.engine.watching import Carrier, watch
from leakhunt.environment import available_cores, describe_environment
from leakhunt.errors import CannotWrite, LeakhuntError, UsageError
from leakhunt.model.evaluation import Hunted, Trial
from leakhunt.model.options import Sampling, Settings
from leakhunt.model.plan import Plan
from leakhunt.model.run import Run
from leakhunt.model.scenario import Scenario, Variant
from leakhunt.model.verdict import Verdict
from leakhunt.reporting.evaluation import tables
from leakhunt.runner.prepared import Bench, prepared_for
from leakhunt.scenario import find
from leakhunt.scenario.requirements import missing_modules
from leakhunt.storage.follow import Tail
from leakhunt.text.language import tr

ZOO = "leak-zoo-"
TIMEOUT_SECONDS = 300.0

_Job = tuple[Settings, Variant, int]


@click.command("truth", cls=Verb)
@click.argument("targets", nargs=-1, metavar="[NAME_OR_FILE[:VARIANT,...]]...")
@click.option(
    "--repeats",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Runs of each leaking workload, each with a seed of its own.",
)
@click.option(
    "--clean-repeats",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Runs of each workload that does not leak.",
)
@click.option(
    "--hunt",
    "hunts",
    is_flag=True,
    help="Also hunt: the first suspect must be the culprit, and nobody suspected where none is.",
)
@click.option("--jobs", type=click.IntRange(min=1), help="At a time; default: the cores there are.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the trials to this new JSON file.",
)
def command(
    targets: tuple[str, ...],
    repeats: int,
    clean_repeats: int,
    hunts: bool,
    jobs: int | None,
    out: Path | None,
) -> int:
    """Run workloads whose truth is known, and print how often the verdict is right.

    Without NAME_OR_FILE: the built-in leak zoo. Any scenario takes part whose variants say what to
    expect: @variant(expect="leak in Python", rate=320).

    Exit code 0: all right. 1: a false alarm, a leak not found or put in the wrong class.
    """
    if out is not None and out.exists():
        raise CannotWrite(
            tr("{out}: exists already; nothing is overwritten, name another", out=out)
        )
    console = Console()
    with tempfile.TemporaryDirectory(prefix="leakhunt-", ignore_cleanup_errors=True) as scratch:
        planned = list(_jobs(_chosen(targets), repeats, clean_repeats, Path(scratch), console))
        if not planned:
            raise UsageError(
                tr("no workload that says what to expect runs here; see 'leakhunt truth -h'")
            )
        trials = _carried_out(planned, jobs or available_cores(), hunts, Path(scratch), console)
    _show(console, trials)
    if out is not None:
        _write(out, trials)
    return int(bool(tables.wrong(trials)))


def _chosen(targets: tuple[str, ...]) -> Iterator[tuple[Scenario, tuple[Variant, ...]]]:
    if targets:
        yield from map(find.find, targets)
        return
    for found in find.builtin():
        if found.name.startswith(ZOO):
            yield found, found.variants


def _jobs(
    chosen: Iterator[tuple[Scenario, tuple[Variant, ...]]],
    repeats: int,
    clean_repeats: int,
    scratch: Path,
    console: Console,
) -> Iterator[_Job]:
    for found, variants in chosen:
        told = [variant for variant in variants if variant.expect]
        settings = _settings(found, tuple(told))
        missing = missing_modules(found)
        if missing:
            console.print(
                tr("left out: {name} needs {missing}", name=found.name, missing=", ".join(missing)),
                markup=False,
            )
            continue
        try:
            prepared_for(settings, scratch, scratch)
        except LeakhuntError as error:
            console.print(
                tr("left out: {name}: {error}", name=found.name, error=error), markup=False
            )
            continue
        for variant in told:
            for seed in range(repeats if variant.expect[0].is_leak else clean_repeats):
                yield replace(settings, seed=seed), variant, seed


def _settings(found: Scenario, variants: tuple[Variant, ...]) -> Settings:
    return Settings(
        scenario=found,
        variants=variants,
        named=True,
        sampling=Sampling(None, None, None, "auto", resolve=False),
        seed=0,
        threads=1,
        device="cuda" if found.devices == ("cuda",) else "cpu",
        options=find.settle_options(found, {}),
        memory_limit_bytes=None,
        timeout_seconds=TIMEOUT_SECONDS,
    )


def _carried_out(
    planned: list[_Job], jobs: int, hunts: bool, scratch: Path, console: Console
) -> list[Trial]:
    stop = threading.Event()

    def go_on(tail: Tail) -> None:
        if stop.is_set():
            raise KeyboardInterrupt

    def carry_out(job: _Job) -> Trial:
        settings, variant, seed = job
        folder = scratch / f"{settings.scenario.name}-{variant.name}-{seed}"
        folder.mkdir()
        prepared = prepared_for(settings, folder, scratch)
        one = Bench(settings, prepared, folder, folder)

        def run_of(plan: Plan, name: str) -> Run:
            one.carry_out(plan, name, go_on)
            return one.load(name)

        run = run_of(plan_of(settings, variant, prepared.device), variant.name)
        verdict = judge(run, power=False)
        found = _hunted(run, verdict, variant, run_of) if hunts else None
        return trial(run, verdict, variant, found)

    trials: list[Trial] = []
    with Progress(console=console, disable=not console.is_terminal) as bars:
        task = bars.add_task(tr("measuring"), total=len(planned))
        with ThreadPoolExecutor(jobs) as pool:
            running: list[Future[Trial]] = [pool.submit(carry_out, job) for job in planned]
            try:
                for done in as_completed(running):
                    trials.append(done.result())
                    bars.advance(task)
            except BaseException:
                stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    return trials


def _hunted(run: Run, verdict: Verdict, variant: Variant, run_of: Carrier) -> Hunted:
    """The hunt that follows a verdict."""
    watched = watch(run, verdict, variant.name, run_of)
    return hunted(attribute(run, verdict, watched), variant)


def _show(console: Console, trials: list[Trial]) -> None:
    # Without the truth: where it is another, a line below says so.
    narrow = [tuple(row[:1] + row[2:]) for row in (tables.HEADINGS, *tables.rows(trials))]
    table = _table(map(tr, narrow[0]), narrow[1:])
    table.columns[0].no_wrap = True
    console.print(table)
    if hunts := tables.hunt_rows(trials):
        # Without the cause: the suspect's title begins with it.
        told = [row[:3] + row[4:] for row in (tables.HUNT_HEADINGS, *hunts)]
        console.print(_table(map(tr, told[0]), told[1:]))
    headings, body = tables.confusion_rows(confusion(trials))
    console.print(_table(headings, body))
    for each in tables.wrong(trials):
        console.print(
            tr(
                "wrong: {scenario}:{variant} seed {seed}: expected {expect}, found"
                " {status}, {kind}{suspected}",
                scenario=each.scenario,
                variant=each.variant,
                seed=each.seed,
                expect=tr(" or ").join(map(tr, each.expect)),
                status=tr(each.status),
                kind=tr(each.kind),
                suspected=_suspected(each),
            ),
            markup=False,
            soft_wrap=True,
        )
    for line in tables.summary(score(trials)):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _suspected(each: Trial) -> str:
    """Where a hunt went wrong: what it should have found, and did."""
    hunt = each.hunted
    if hunt is None or hunt.is_right:
        return ""
    cause = hunt.cause or tr("no known cause")
    wanted = f"{hunt.culprit} ({cause})" if hunt.culprit else tr("nobody")
    return tr(
        "; expected {wanted}, suspected {first}", wanted=wanted, first=hunt.first or tr("nobody")
    )


def _table(headings: Iterable[str], body: Iterable[tuple[str, ...]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for cells in body:
        table.add_row(*cells)
    return table


def _write(out: Path, trials: list[Trial]) -> None:
    facts = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "leakhunt": __version__,
        **describe_environment(os.environ),
    }
    try:
        with open(out, "xb") as stream:
            stream.write(tables.to_json(trials, facts, score(trials)))
    except OSError as error:
        raise CannotWrite(
            tr(
                "{out}: {strerror}; name another with --out",
                out=out,
                strerror=tr(str(error.strerror)),
            )
        ) from error

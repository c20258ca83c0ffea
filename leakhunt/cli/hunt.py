"""``leakhunt hunt``: measure, then run again under the instruments that see who keeps memory."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from leakhunt.analysis.attribution import attribute
from leakhunt.analysis.attribution.attribute import is_growing
from leakhunt.analysis.attribution.ceiling import ceiling_plan
from leakhunt.analysis.attribution.instrument_choice import next_instrument
from leakhunt.analysis.attribution.windows import watched_plan
from leakhunt.analysis.verdict import judge
from leakhunt.analysis.verdict.cost import cost
from leakhunt.cli.display import Bars, SteadyConsole
from leakhunt.cli.live_display import live_displays
from leakhunt.cli.options import measuring_options, settings_for
from leakhunt.cli.summary import show
from leakhunt.cli.verb import Verb
from leakhunt.engine.remedies import remedies_asked, try_remedies
from leakhunt.engine.report import report_on, write_report
from leakhunt.engine.run import (
    Session,
    exit_code,
    measure_variants,
    session,
    shown,
)
from leakhunt.engine.watching import usable_on, why_not
from leakhunt.errors import MissingRequirement, UsageError
from leakhunt.model.attribution import Attribution, Instrument
from leakhunt.model.run import Ending, Outcome, Run
from leakhunt.model.verdict import Verdict
from leakhunt.reporting.registry import Renderer
from leakhunt.storage import run_file
from leakhunt.storage.folders import new_folder
from leakhunt.text.language import tr

# A run past a ceiling that would be longer is not begun.
MOST_CEILING_CALLS = 200_000
MOST_CEILING_HOURS = 4.0


@click.command("hunt", cls=Verb)
@measuring_options
@click.option(
    "--with",
    "named",
    metavar="INSTRUMENT,...",
    help=f"Use these, also where nothing grows: {', '.join(Instrument)}.",
)
@click.option(
    "--try",
    "tried",
    multiple=True,
    metavar="REMEDY",
    help="Run before and after, interleaved: NAME=VALUE,... (environment), option:NAME=VALUE,"
    " variant:NAME, or the id of a known cause.",
)
@click.option(
    "--pairs",
    "rounds",
    type=click.IntRange(min=2),
    default=3,
    show_default=True,
    help="Of --try, so many pairs of runs.",
)
@click.option(
    "--until-ceiling", is_flag=True, help="Verify a bounded cache by a run past its ceiling."
)
def command(
    target: str,
    out: Path | None,
    renderers: tuple[Renderer, ...],
    live: bool,
    named: str | None,
    tried: tuple[str, ...],
    rounds: int,
    until_ceiling: bool,
    **asked: Any,
) -> int:
    """Find out who keeps the memory, with evidence, and whether a remedy helps.

    Measures as 'run' does; where something grows, runs the same plan again under the instrument
    that sees it, and names the suspects. Exit codes as for 'run'.
    """
    wanted = _instruments_named(named)
    if Instrument.CUDA in wanted and asked["device"] == "auto":
        asked["device"] = "cuda"
    settings = settings_for(target, **asked)
    for instrument in wanted:
        if (reason := why_not(instrument, settings.device)) is not None:
            raise MissingRequirement(
                tr("--with {instrument}: {reason}", instrument=instrument, reason=reason)
            )
    remedies = remedies_asked(tried, settings)
    folder = new_folder(out, settings.scenario.name)
    console = SteadyConsole()
    displays = live_displays(console) if live else partial(Bars, console)
    with session(settings, folder, console, displays) as prepared:
        outcomes = measure_variants(prepared)
        measured = [prepared.load(each.name) for each in prepared.variants[: len(outcomes)]]
        hunts = (_watch(prepared, run, wanted, until_ceiling, console) for run in measured)
        tries = (try_remedies(prepared, run, remedies, rounds) for run in measured)
        for further in chain(hunts, tries):
            with closing(further):  # an interrupted one still has its bars on the terminal
                outcomes += _until_interrupted(outcomes[-1], further)
    runs = [run_file.load(file) for file in run_file.find_run_files([str(folder)])]
    report = report_on(runs, str(folder))
    show(console, report, write_report(report, folder, renderers))
    return exit_code(outcomes, [run.calls_done for run in measured])


def _until_interrupted(last: Outcome, further: Iterator[Outcome]) -> Iterator[Outcome]:
    while last.ending is not Ending.INTERRUPTED:
        following = next(further, None)
        if following is None:
            return
        last = following
        yield last


def _instruments_named(named: str | None) -> tuple[Instrument, ...]:
    try:
        words = dict.fromkeys(named.split(",")) if named else ()
        return tuple(map(Instrument, words))
    except ValueError:
        raise UsageError(
            tr(
                "--with {named}: use some of {instrument}",
                named=named,
                instrument=", ".join(Instrument),
            )
        ) from None


def _watch(
    prepared: Session,
    run: Run,
    wanted: tuple[Instrument, ...],
    until_ceiling: bool,
    console: Console,
) -> Generator[Outcome]:
    """Run a measured variant again, under one instrument after the other."""
    verdict = judge(run)
    if not run.calls_done or not (wanted or is_growing(verdict)):
        return
    variant = run.plan.variant
    usable = usable_on(run.plan.device)
    watched: list[Run] = []
    with prepared.displays(len(f"{variant}.under-tracemalloc")) as display:
        while instrument := (
            next(iter(wanted[len(watched) :]), None)
            if wanted
            else next_instrument(run, verdict, watched, usable)
        ):
            name = f"{variant}.under-{instrument}"
            yield shown(display, prepared, watched_plan(run, instrument), name)
            watched.append(prepared.load(name))
        told = attribute(run, verdict, watched)
    if until_ceiling and told.ceiling_calls is not None:
        too_far = _too_far(run, verdict, told)
        if too_far:
            console.print(
                tr(
                    "{variant}: not run until the ceiling: {too_far}",
                    variant=variant,
                    too_far=too_far,
                ),
                soft_wrap=True,
            )
            return
        plan = ceiling_plan(run.plan, told.ceiling_calls)
        name = f"{variant}.until-ceiling"
        with prepared.displays(len(name)) as display:
            yield shown(display, prepared, plan, name)


def _too_far(run: Run, verdict: Verdict, told: Attribution) -> str:
    """Why a ceiling cannot be verified by a run past it; empty: it can."""
    assert told.ceiling_calls is not None
    if verdict.forecast is not None and verdict.forecast.calls_soonest < told.ceiling_calls:
        return tr(
            "it comes after {ceiling_calls:,} calls, and the memory is used up before",
            ceiling_calls=told.ceiling_calls,
        )
    spent = cost(run, None)
    hours = told.ceiling_calls * (spent.median_seconds if spent else 0.0) / 3600
    if told.ceiling_calls > MOST_CEILING_CALLS or hours > MOST_CEILING_HOURS:
        return tr(
            "it comes after {ceiling_calls:,} calls, some {hours:,.1f} hours",
            ceiling_calls=told.ceiling_calls,
            hours=hours,
        )
    return ""

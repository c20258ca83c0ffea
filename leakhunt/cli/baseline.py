"""``leakhunt baseline``: what is kept of measured runs, for new ones to be held against."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text as RichText

from leakhunt.analysis.gate.baseline import environment_of, kept, unfit
from leakhunt.analysis.gate.baseline_diff import against_baseline, no_baseline
from leakhunt.analysis.report import assemble
from leakhunt.engine.baselines import baselines_in, variant_in
from leakhunt.engine.report import GENERATOR
from leakhunt.engine.select_runs import refuse_one_run_twice, runs_in
from leakhunt.errors import NothingMeasured, UsageError
from leakhunt.model.baseline import Baseline, KeptVariant
from leakhunt.model.comparison import Metric, Mismatch
from leakhunt.model.kinds import Kind
from leakhunt.model.report import JudgedRun
from leakhunt.reporting.baseline.rows import row_of
from leakhunt.reporting.baseline.terminal import kept_table
from leakhunt.reporting.comparison.sentences import against
from leakhunt.reporting.comparison.terminal import lines_table
from leakhunt.reporting.run.terminal import visible_line
from leakhunt.storage.baseline_folder import (
    DEFAULT_PLACE,
    path_of,
    write_kept,
)
from leakhunt.text.language import tr
from leakhunt.text.message import Text

_RUNS = click.argument("runs", nargs=-1, required=True, metavar="RUN_OR_FOLDER...")
_INTO = click.option(
    "--into",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_PLACE,
    show_default=True,
    help="The folder of baselines, in your repository.",
)
_DESPITE_LEAK = click.option(
    "--despite-leak",
    is_flag=True,
    help="Keep what leaks for certain too: new runs may then leak as much. The file says so.",
)


@dataclass(frozen=True, slots=True)
class _Measured:
    """The runs of one variant in one environment, and what is kept of them."""

    entries: tuple[JudgedRun, ...]
    kept: KeptVariant


@click.group("baseline")
def command() -> None:
    """Keep what runs measured, as small files in your repository, for 'leakhunt gate'.

    There is a folder for each environment (system, Python, libc, device and settings of memory) and
    in it a file for each variant, so that branches merge.
    """


@command.command("save")
@_RUNS
@_INTO
@_DESPITE_LEAK
def save(runs: tuple[str, ...], into: Path, despite_leak: bool) -> None:
    """Keep measured runs; several runs of a variant are repeats, whose spread is kept.

    What is kept already is left alone: 'leakhunt baseline update' renews it. Runs that did not
    end by themselves, that are too short, or that leak (unless --despite-leak) are refused, and
    then nothing is written.

    Exit code 0: written. 2: it is there already, or leaks. 4: a run is no baseline.
    6: a bad file. 7: cannot write.
    """
    measured = _measured(runs, despite_leak)
    there = [path for each in measured if (path := path_of(into, each.kept)).exists()]
    if there:
        raise UsageError(
            tr(
                "{paths}: kept already, nothing was written; 'leakhunt baseline update' renews it",
                paths=", ".join(map(str, there)),
            )
        )
    variants = [each.kept for each in measured]
    _show_written(Console(), variants, write_kept(into, variants))


@command.command("update")
@_RUNS
@_INTO
@_DESPITE_LEAK
def update(runs: tuple[str, ...], into: Path, despite_leak: bool) -> None:
    """Renew what is kept of the variants that were measured; the others stay as they are.

    Says what moved, and whether by more than its 99 % interval. A variant that is new in an
    environment which has a baseline is added. Exit codes as of save; 2: there is no baseline of
    this environment yet.
    """
    measured = _measured(runs, despite_leak)
    baselines = baselines_in(into)
    old = [_old(each, baselines, into) for each in measured]
    beside = [
        against_baseline(before, each.entries) if before is not None else None
        for before, each in zip(old, measured, strict=True)
    ]
    variants = [each.kept for each in measured]
    written = write_kept(into, variants)
    console = Console()
    for variant, found in zip(variants, beside, strict=True):
        _show_moved(console, variant, found)
    _show_written(console, variants, written)


@command.command("show")
@click.argument("place", required=False, type=click.Path(path_type=Path), default=DEFAULT_PLACE)
def show(place: Path) -> None:
    """Show what is kept in PLACE: a folder of baselines, of one environment, or a file.

    Default: leakhunt-baselines. Exit code 6: a file is damaged, or git left a conflict in it.
    """
    if not place.exists():
        raise UsageError(
            tr("{place}: no such file or folder; 'leakhunt baseline save' makes one", place=place)
        )
    if place.is_file():
        one = variant_in(place)
        found: tuple[Baseline, ...] = (Baseline(str(place), one.environment, (one,)),)
    else:
        found = baselines_in(place)
    if not found:
        raise NothingMeasured(
            tr("{place}: no baseline here; 'leakhunt baseline save' makes one", place=place)
        )
    console = Console()
    for each in found:
        console.print()
        facts = tr("; ").join(f"{tr(name)} {value}" for name, value in each.environment.items())
        _say(console, RichText(each.place, "bold"))
        _say(console, RichText(facts, "dim"))
        console.print(kept_table([row_of(variant) for variant in each.variants]))


def _measured(places: Sequence[str], despite_leak: bool) -> list[_Measured]:
    """The variants of these places, by name, each with what is to be kept.

    Raises:
        UsageError: a run is there twice, or leaks.
        BadFile: a file that was named is no run file.
        NothingMeasured: there is no measured run, or one is no baseline.
    """
    left_out: list[Text] = []
    runs = [run for place in places for run in runs_in(place, left_out)]
    for told in left_out:
        click.echo(tr("leakhunt: left out: {error}", error=told), err=True)
    entries = assemble(runs, GENERATOR).entries
    if not entries:
        raise NothingMeasured(
            tr("{place}: no measured run here; 'leakhunt run' makes some", place=places[0])
        )
    refuse_one_run_twice(entries)
    measured = [_Measured(group, _kept(group)) for group in _groups(entries)]
    leaking = [each for each in measured if each.kept.accepts_leak]
    if leaking and not despite_leak:
        names = tr("; ").join(
            f"{each.kept.name}: {tr(each.entries[0].verdict.kind)}" for each in leaking
        )
        raise UsageError(
            tr(
                "a baseline that leaks lets new runs leak as much ({names}), nothing was written;"
                " mend it first, or keep it with --despite-leak",
                names=names,
            )
        )
    return measured


def _groups(entries: Sequence[JudgedRun]) -> list[tuple[JudgedRun, ...]]:
    """The runs of each variant in each environment."""
    found: dict[tuple[object, ...], tuple[JudgedRun, ...]] = {}
    for entry in entries:
        plan = entry.run.plan
        where = tuple(environment_of(entry.run).items())
        key = (plan.scenario, plan.variant, where)
        found[key] = (*found.get(key, ()), entry)
    return [found[key] for key in sorted(found, key=str)]


def _kept(entries: tuple[JudgedRun, ...]) -> KeptVariant:
    reason = unfit(entries)
    if reason:
        raise NothingMeasured(
            tr("{reason}: no baseline, nothing was written; measure again", reason=reason)
        )
    return kept(entries)


def _old(each: _Measured, baselines: Sequence[Baseline], into: Path) -> KeptVariant | None:
    """What is kept of a variant so far; None: it is new in its environment.

    Raises:
        UsageError: nothing at all is kept of its environment.
    """
    for baseline in baselines:
        if baseline.environment == each.kept.environment:
            return baseline.variant(each.kept.scenario, each.kept.variant)
    raise UsageError(no_baseline(baselines, each.entries[0].run, str(into)))


def _show_moved(
    console: Console,
    variant: KeptVariant,
    found: tuple[tuple[Metric, ...], tuple[Mismatch, ...]] | None,
) -> None:
    console.print()
    if found is None:
        _say(console, RichText(tr("{name}: new, not kept before", name=variant.name)))
        return
    lines, refusing = found
    console.print(lines_table(variant.name, (tr("kept before"), tr("now")), lines))
    if refusing:
        facts = tr("; ").join(map(against, refusing))
        _say(
            console,
            RichText(
                tr("not comparable with what was kept before: {facts}", facts=facts), "yellow"
            ),
        )


def _show_written(
    console: Console, variants: Sequence[KeptVariant], written: Sequence[Path]
) -> None:
    """What leaks, or may, stands out; then a line for each file."""
    for line in _remarks(variants):
        _say(console, line)
    for path in written:
        console.print(str(path), soft_wrap=True, markup=False, highlight=False)


def _remarks(variants: Sequence[KeptVariant]) -> Iterator[RichText]:
    for variant in variants:
        if Kind.INCONCLUSIVE in variant.verdicts:
            yield RichText(
                tr(
                    "{name} is inconclusive: it may leak, and new runs as much; more calls tell",
                    name=variant.name,
                ),
                "magenta",
            )
        if variant.accepts_leak:
            yield RichText(
                tr(
                    "{name} LEAKS, and this baseline accepts it: runs that leak as much pass",
                    name=variant.name,
                ),
                "bold red",
            )


def _say(console: Console, line: RichText) -> None:
    console.print(visible_line(line), soft_wrap=not console.is_terminal)

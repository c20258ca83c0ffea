"""``leakhunt compare``: runs of two versions, packages or machines beside each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click
from rich.console import Console

from leakhunt.analysis.comparison.compare import compare
from leakhunt.analysis.report import assemble
from leakhunt.engine.report import GENERATOR, Told
from leakhunt.engine.select_runs import refuse_one_run_twice, runs_in
from leakhunt.errors import REFUSED, CannotWrite, NothingMeasured, UsageError
from leakhunt.model.comparison import Comparison, Side
from leakhunt.model.run import Run
from leakhunt.reporting.comparison.formats import COMPARISON_FORMATS
from leakhunt.reporting.comparison.terminal import comparison_lines, comparison_tables
from leakhunt.storage import run_file
from leakhunt.storage.folders import new_folder
from leakhunt.storage.report_files import write_whole
from leakhunt.text.language import tr

# So many folders are put before a name to tell it from another; then a number is.
_MOST_FOLDERS = 3


@click.command("compare")
@click.argument("places", nargs=-1, required=True, metavar="BASELINE OTHER...")
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="TEXT",
    help="What to call each of them, in order; default: its file's or folder's name.",
)
@click.option(
    "--despite-differences",
    "despite",
    is_flag=True,
    help="Conclude though inputs or machines differ; every output says so.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder; default: reports/<when>-compare."
)
def command(
    places: tuple[str, ...], labels: tuple[str, ...], despite: bool, out: Path | None
) -> int:
    """Compare run files, or folders of them: the first is the baseline.

    Variants are matched by name; several runs of one variant in a folder are repeats. Needs neither
    torch nor the scenario.

    Exit code 0: compared. 9: a conclusion was refused, because inputs or machines differ.
    4: no variant is on both sides. 2: wrong usage.
    """
    if len(places) < 2:
        raise UsageError(tr("one place alone cannot be compared; name a baseline and another"))
    named = _labels(places, labels)
    sides = _sides(places, named)
    refuse_one_run_twice([entry for side in sides for entry in side.entries])
    comparison = compare(sides, despite, GENERATOR)
    told = Told(comparison, partial(_compared, places, named, despite))
    if not comparison.pairs:
        raise NothingMeasured(_nothing_in_common(sides))
    folder = new_folder(out, "compare")
    _show(Console(), comparison, _write(told, folder))
    return REFUSED if comparison.is_refused else 0


def write_comparison(places: Sequence[str], labels: Sequence[str], folder: Path) -> list[Path]:
    """Compare the runs of these places and write all formats into `folder`; the paths, HTML first.

    Raises:
        NothingMeasured: a place has no measured run, or they have no variant in common.
        CannotWrite: the disk does not take them.
    """
    comparison = _compared(places, labels, despite=False)
    if not comparison.pairs:
        raise NothingMeasured(_nothing_in_common(comparison.sides))
    return _write(Told(comparison, partial(_compared, places, labels, False)), folder)


def _sides(places: Sequence[str], labels: Sequence[str]) -> list[Side]:
    return [_side(place, label) for place, label in zip(places, labels, strict=True)]


def _compared(places: Sequence[str], labels: Sequence[str], despite: bool) -> Comparison:
    return compare(_sides(places, labels), despite, GENERATOR)


def _labels(places: Sequence[str], given: Sequence[str]) -> list[str]:
    """A label for each place, no two of them the same.

    Raises:
        UsageError: not as many are given as there are places, or two are the same, or empty.
    """
    if not given:
        return _default_labels([Path(place).resolve() for place in places])
    labels = [" ".join(label.split()) for label in given]
    if len(labels) != len(places):
        raise UsageError(
            tr(
                "{places} places and {labels} --label: give one for each",
                places=len(places),
                labels=len(labels),
            )
        )
    if len(set(labels)) < len(labels) or not all(labels):
        raise UsageError(tr("two --label are the same, or one is empty: give each one of its own"))
    return labels


def _default_labels(paths: Sequence[Path]) -> list[str]:
    """The names of files and folders, with the folders above where that tells them apart."""
    for count in range(1, _MOST_FOLDERS + 1):
        labels = ["/".join(path.parts[1:][-count:]) or "/" for path in paths]
        labels = [" ".join(label.removesuffix(run_file.SUFFIX).split()) for label in labels]
        if len(set(labels)) == len(labels):
            return labels
    names = [path.name.removesuffix(run_file.SUFFIX) for path in paths]
    return [f"{name} ({number})" for number, name in enumerate(names, 1)]


def _side(place: str, label: str) -> Side:
    """The judged runs of a place.

    Raises:
        UsageError: it does not exist.
        BadFile: it is a file and no run file.
        NothingMeasured: there is no measured run in it.
    """
    left_out: list[str] = []
    runs = list(runs_in(place, left_out))
    entries = assemble(runs, GENERATOR).entries
    if not entries:
        beside = f" ({tr('; ').join(left_out)})" if left_out else ""
        raise NothingMeasured(
            tr(
                "{place}: no measured run here{beside}; 'leakhunt run' makes some, and"
                " of a hunt its folder is compared",
                place=place,
                beside=beside,
            )
        )
    others = Counter(_purpose(run) for run in runs if not run.plan.is_measured)
    left_out += [
        tr("{count} run(s) of a hunt, {purpose}", count=count, purpose=purpose)
        for purpose, count in others.items()
    ]
    return Side(label, entries, tuple(left_out))


def _purpose(run: Run) -> str:
    """What a run that is not judged was made for."""
    if run.plan.instrument is not None:
        return tr("watched by {instrument} (but for its suspects)", instrument=run.plan.instrument)
    return tr("until the ceiling") if run.plan.role == "ceiling" else tr("trying a remedy")


def _nothing_in_common(sides: Sequence[Side]) -> str:
    names = [
        dict.fromkeys(f"{each.run.plan.scenario}:{each.variant}" for each in side.entries)
        for side in sides
    ]
    has = tr("; ").join(
        tr("{label} has {names}", label=side.label, names=", ".join(found))
        for side, found in zip(sides, names, strict=True)
    )
    return tr(
        "no variant of the baseline is in another place: {has}. A scenario is"
        " named after its file or folder: keep that name for both versions",
        has=has,
    )


def _write(told: Told[Comparison], folder: Path) -> list[Path]:
    """Write all formats into `folder`, each whole or not at all; the paths, HTML first.

    Raises:
        CannotWrite: the disk does not take them.
    """
    written = []
    for kind in COMPARISON_FORMATS:
        path = folder / kind.file_name
        content = told.rendered(kind.render, kind.language)
        try:
            write_whole(path, content)
        except OSError as error:
            raise CannotWrite(
                tr(
                    "{path}: {strerror}; the run files are as they were: free some space, or"
                    " name another folder with --out",
                    path=path,
                    strerror=tr(str(error.strerror)),
                )
            ) from error
        written.append(path)
    return written


def _show(console: Console, comparison: Comparison, written: list[Path]) -> None:
    """Tables and sentences on the terminal; the path of the HTML page comes last."""
    for table in comparison_tables(comparison):
        console.print()
        console.print(table)
    for line in comparison_lines(comparison):
        console.print(line, soft_wrap=not console.is_terminal)
    for path in reversed(written):
        console.print(str(path), soft_wrap=True, markup=False, highlight=False)

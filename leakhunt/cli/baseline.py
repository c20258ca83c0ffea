"""``leakhunt baseline``: what is kept of measured runs, for new ones to be held against."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from leakhunt.cli.json_option import offer_noun
from leakhunt.cli.notes import Notes, show_parts
from leakhunt.cli.verb import Verb, VerbGroup
from leakhunt.storage.baseline_folder import DEFAULT_PLACE

_RUNS = click.argument("runs", nargs=-1, required=True, metavar="RUN_OR_FOLDER...")
_INTO = click.option(
    "--into",
    type=click.Path(path_type=Path, file_okay=False),
    show_default=True,
    default=DEFAULT_PLACE,
    help="Folder of baselines, in your repository",
)
_DESPITE_LEAK = click.option(
    "--despite-leak", is_flag=True, help="Save leaking variants too (recorded in the file)"
)


@click.group("baseline", cls=VerbGroup)
def command() -> None:
    """Save measured runs as baselines in your repository, for 'leakhunt gate'.

    One folder per environment (system, Python, libc, device, memory settings), one file per
    variant, so that branches merge.
    """


@command.command("save", cls=Verb)
@_RUNS
@_INTO
@_DESPITE_LEAK
def save(runs: tuple[str, ...], into: Path, despite_leak: bool) -> None:
    """Save measured runs as baselines; several runs of a variant are repeats.

    Existing baselines are not replaced: use 'leakhunt baseline update'. Nothing is written if a run
    ended early, is too short, or leaks (unless --despite-leak).
    """
    from leakhunt.engine.baselines import save_baseline

    _show(save_baseline(runs, into, despite_leak, Notes()))


@command.command("update", cls=Verb)
@_RUNS
@_INTO
@_DESPITE_LEAK
def update(runs: tuple[str, ...], into: Path, despite_leak: bool) -> None:
    """Replace the baselines of the measured variants; the others are unchanged.

    Shows the changes and whether they exceed the 99 % interval. New variants are added.
    """
    from leakhunt.engine.baselines import update_baseline

    _show(update_baseline(runs, into, despite_leak, Notes()))


@command.command("show", cls=Verb)
@click.argument("place", required=False, type=click.Path(path_type=Path), default=DEFAULT_PLACE)
def show(place: Path) -> None:
    """Show the baselines in PLACE: a folder of baselines, of one environment, or a file.

    Default: leakhunt-baselines.
    """
    from leakhunt.engine.baselines import baselines_at
    from leakhunt.reporting.baseline.terminal import baseline_parts

    found = baselines_at(place)
    offer_noun({"baselines": found})
    for baseline in found:
        show_parts(Console(), baseline_parts(baseline))


def _show(result: Any) -> None:
    from leakhunt.reporting.baseline.terminal import saved_parts

    files = list(map(str, result.files))
    offer_noun({"files": files, "variants": result.variants, "changes": result.changes})
    show_parts(Console(), saved_parts(result.variants, result.changes), result.files)

"""``leakhunt baseline``: what is kept of measured runs, for new ones to be held against."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from leakhunt.cli.notes import Notes, show_parts
from leakhunt.cli.verb import Verb
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


@click.group("baseline")
def command() -> None:
    """Save measured runs as baselines in your repository, for 'leakhunt gate'.

    There is a folder for each environment (system, Python, libc, device and settings of memory) and
    in it a file for each variant, so that branches merge.
    """


@command.command("save", cls=Verb)
@_RUNS
@_INTO
@_DESPITE_LEAK
def save(runs: tuple[str, ...], into: Path, despite_leak: bool) -> None:
    """Keep measured runs; several runs of a variant are repeats, whose spread is kept.

    What is kept already is left alone: 'leakhunt baseline update' renews it. Runs that did not
    end by themselves, that are too short, or that leak (unless --despite-leak) are refused, and
    then nothing is written. Exit code 2: it is there already, or leaks. 4: a run is no baseline.
    """
    from leakhunt.engine.baselines import save_baseline

    _show(save_baseline(runs, into, despite_leak, Notes()))


@command.command("update", cls=Verb)
@_RUNS
@_INTO
@_DESPITE_LEAK
def update(runs: tuple[str, ...], into: Path, despite_leak: bool) -> None:
    """Renew what is kept of the variants that were measured; the others stay as they are.

    Says what moved, and whether by more than its 99 % interval. A variant that is new in an
    environment with a baseline is added. Exit code 2: this environment has no baseline yet.
    """
    from leakhunt.engine.baselines import update_baseline

    _show(update_baseline(runs, into, despite_leak, Notes()))


@command.command("show", cls=Verb)
@click.argument("place", required=False, type=click.Path(path_type=Path), default=DEFAULT_PLACE)
def show(place: Path) -> None:
    """Show what is kept in PLACE: a folder of baselines, of one environment, or a file.

    Default: leakhunt-baselines. Exit code 6: a file is damaged, or git left a conflict in it.
    """
    from leakhunt.engine.baselines import baselines_at
    from leakhunt.reporting.baseline.terminal import baseline_parts

    for baseline in baselines_at(place):
        show_parts(Console(), baseline_parts(baseline))


def _show(result: Any) -> None:
    from leakhunt.reporting.baseline.terminal import saved_parts

    show_parts(Console(), saved_parts(result.variants, result.changes), result.files)

"""``leakhunt compare``: runs of two versions, packages or machines beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from leakhunt.cli.json_option import offer
from leakhunt.cli.notes import show_parts
from leakhunt.cli.verb import Verb

if TYPE_CHECKING:
    from leakhunt.engine.compare import CompareResult


@click.command("compare", cls=Verb)
@click.argument("places", nargs=-1, required=True, metavar="BASELINE OTHER...")
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="TEXT",
    help="Label of each path, in order [default: its name]",
)
@click.option(
    "--despite-differences",
    "despite",
    is_flag=True,
    help="Compare although inputs or machines differ (marked in every output)",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Output folder [default: reports/<when>-compare]"
)
def command(
    places: tuple[str, ...], labels: tuple[str, ...], despite: bool, out: Path | None
) -> int:
    """Compare run files, or folders of them: the first is the baseline.

    Variants are matched by name; several runs of one variant in a folder are repeats. Needs neither
    torch nor the scenario.
    """
    from leakhunt.engine.compare import compare_into

    result = compare_into(out, places, labels, despite)
    _show(Console(), result)
    return result.exit_code


def _show(console: Console, result: CompareResult) -> None:
    """Tables and sentences on the terminal; the path of the HTML page comes last."""
    from leakhunt.reporting.comparison import json_file
    from leakhunt.reporting.comparison.terminal import comparison_lines, comparison_tables

    offer(lambda: json_file.render(result.comparison))
    for table in comparison_tables(result.comparison):
        console.print()
        console.print(table)
    show_parts(console, comparison_lines(result.comparison), reversed(result.files))

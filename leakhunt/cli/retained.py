"""What ``leakhunt hunt --retained`` does and prints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from click.core import ParameterSource
from rich.console import Console

from leakhunt.cli.display_option import DisplayChoice
from leakhunt.cli.json_option import offer
from leakhunt.cli.notes import show_parts
from leakhunt.engine.settings import RunRequest
from leakhunt.model.retained import RetainedReport
from leakhunt.reporting.registry import RunRenderer

# Options of the verb that say nothing about what is retained.
_OF_GROWTH = ("instruments", "remedies", "pairs", "until_ceiling", "flame", "budget")

retained_option = click.option(
    "--retained",
    is_flag=True,
    help="The largest holders of a settled process, as a table and a treemap; no measurement",
)


def show_retained(
    request: RunRequest,
    out: Path | None,
    renderers: tuple[RunRenderer, ...],
    display: DisplayChoice,
) -> int:
    """The table of the largest holders, and the paths of its files; the page's comes last."""
    from leakhunt.engine.formats import retained_renderers_named
    from leakhunt.engine.retained import refuse_with_retained, retained

    context = click.get_current_context()
    refuse_with_retained(
        option.opts[0]
        for option in context.command.params
        if option.name in _OF_GROWTH
        and context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE
    )
    files = retained_renderers_named(",".join(each.format for each in renderers))
    with display.open() as events:
        result = retained(request, files, events, out=out)
    print_retained(result.report, result.files)
    return result.exit_code


def print_retained(report: RetainedReport, files: Sequence[Path]) -> None:
    """A table for each variant, what they come to, and the paths; the page's comes last."""
    from leakhunt.reporting.retained import json_file
    from leakhunt.reporting.retained.terminal import retained_lines, retained_tables

    offer(lambda: json_file.render(report))
    console = Console()
    for table in retained_tables(report):
        console.print()
        console.print(table)
    show_parts(console, retained_lines(report), reversed(files))

"""``leakhunt report``: the reports again, from run files alone."""

from __future__ import annotations

from pathlib import Path

import click

from leakhunt.cli.format_option import format_option
from leakhunt.cli.notes import Notes
from leakhunt.cli.retained import print_retained
from leakhunt.cli.summary import print_report
from leakhunt.cli.verb import Verb
from leakhunt.reporting.registry import RunRenderer


@click.command("report", cls=Verb)
@click.argument("runs", nargs=-1, required=True, metavar="RUN_OR_FOLDER...")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Output folder [default: that of the first run file, replacing its reports]",
)
@click.option(
    "--limit",
    metavar="SIZE",
    help="Memory limit to forecast against, such as '2 GiB' [default: that of each run]",
)
@format_option
def command(
    runs: tuple[str, ...], out: Path | None, limit: str | None, renderers: tuple[RunRenderer, ...]
) -> None:
    """Render the reports of run files again, on any machine.

    Needs neither torch nor the scenario. Several folders make one report of all their runs.
    Runs of 'hunt --retained' get the files of retained memory.
    """
    from leakhunt.engine.report import rerendered

    result = rerendered(runs, renderers, Notes(), out=out, limit=limit)
    if result.retained is None:
        print_report(result.report, result.files)
    elif result.of_retained_only:
        print_retained(result.retained, result.files)
    else:
        print_retained(result.retained, ())
        print_report(result.report, result.files)

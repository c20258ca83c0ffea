"""``leakhunt report``: the reports again, from run files alone."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from leakhunt.cli.format_option import format_option
from leakhunt.cli.summary import show
from leakhunt.cli.verb import Verb
from leakhunt.engine.report import report_on, write_report
from leakhunt.errors import BadFile, CannotWrite
from leakhunt.model.run import Run
from leakhunt.reporting.registry import Renderer
from leakhunt.storage import run_file
from leakhunt.text.language import tr


@click.command("report", cls=Verb)
@click.argument("runs", nargs=-1, required=True, metavar="RUN_OR_FOLDER...")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the reports; default: that of the first run file, where they are replaced.",
)
@format_option
def command(runs: tuple[str, ...], out: Path | None, renderers: tuple[Renderer, ...]) -> None:
    """Make the reports again from run files, on any machine.

    Needs neither torch nor the scenario. Several folders make one report of all their runs.
    """
    files = run_file.find_run_files(runs)
    report = report_on([run for file in files if (run := _loaded(file, runs))], runs[0])
    folder = out or files[0].parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotWrite(
            tr(
                "{folder}: {strerror}; name another with --out",
                folder=folder,
                strerror=tr(str(error.strerror)),
            )
        ) from error
    show(Console(), report, write_report(report, folder, renderers))


def _loaded(file: Path, named: tuple[str, ...]) -> Run | None:
    """The run of a file; a damaged one is left out with a line, unless it was named itself."""
    try:
        return run_file.load(file)
    except BadFile as error:
        if str(file) in named:
            raise
        click.echo(tr("leakhunt: left out: {error}", error=error), err=True)
        return None

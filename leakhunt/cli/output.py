"""Writing the files of a report, and showing its summary."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from leakhunt import __version__
from leakhunt.assemble import assemble
from leakhunt.errors import CannotWrite, NothingMeasured
from leakhunt.model import Report, Run
from leakhunt.reporting import Renderer
from leakhunt.reporting.terminal import summary_table, suspect_lines, verdict_lines

GENERATOR = f"leakhunt {__version__}"


def report_on(runs: list[Run], place: str) -> Report:
    """The report on these runs.

    Raises:
        NothingMeasured: there is no run.
    """
    if not runs:
        raise NothingMeasured(f"{place}: no run file (*.run.jsonl) here; 'leakhunt run' makes some")
    return assemble(runs, GENERATOR)


def write_report(report: Report, folder: Path, renderers: Sequence[Renderer]) -> list[Path]:
    """Write these files into `folder`, each whole or not at all; the paths, in the order given.

    Raises:
        CannotWrite: the disk does not take them; the run files are untouched.
    """
    written = []
    for renderer in renderers:
        path = folder / renderer.file_name
        fresh = folder / f".{renderer.file_name}.new"
        try:
            fresh.write_bytes(renderer.render(report))
            fresh.replace(path)
        except OSError as error:
            fresh.unlink(missing_ok=True)
            raise CannotWrite(
                f"{path}: {error.strerror}; every sample is safe in the run files: free some"
                f" space, or 'leakhunt report {folder} --out ELSEWHERE'"
            ) from error
        written.append(path)
    return written


def show(console: Console, report: Report, written: list[Path]) -> None:
    """The summary on the terminal; the path that was written first, the HTML's, comes last.

    In a file or a pipe a sentence is a line, for grep.
    """
    console.print()
    console.print(summary_table(report))
    for line in (*verdict_lines(report), *suspect_lines(report)):
        console.print(line, soft_wrap=not console.is_terminal)
    for path in reversed(written):
        console.print(str(path), soft_wrap=True, markup=False, highlight=False)

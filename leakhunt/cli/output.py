"""Writing the files of a report, and showing its summary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Generic, TypeVar

from rich.console import Console

from leakhunt import __version__
from leakhunt.assemble import assemble
from leakhunt.errors import CannotWrite, NothingMeasured
from leakhunt.language import speaking, spoken, tr
from leakhunt.model import Report, Run
from leakhunt.reporting import Renderer
from leakhunt.reporting.terminal import summary_table, suspect_lines, verdict_lines

GENERATOR = f"leakhunt {__version__}"


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Told(Generic[T]):
    """A report or comparison in the language spoken, and how to make it again in another."""

    here: T
    again: Callable[[], T]

    def rendered(self, render: Callable[[T], bytes], language: str | None) -> bytes:
        """What `render` makes of it, in `language`; None: in the one spoken."""
        if language is None or language == spoken():
            return render(self.here)
        with speaking(language):
            return render(self.again())


def report_on(runs: list[Run], place: str) -> Told[Report]:
    """The report on these runs.

    Raises:
        NothingMeasured: there is no run.
    """
    if not runs:
        raise NothingMeasured(
            tr("{place}: no run file (*.run.jsonl) here; 'leakhunt run' makes some", place=place)
        )
    again = cache(partial(assemble, tuple(runs), GENERATOR))
    return Told(assemble(runs, GENERATOR), again)


def write_report(report: Told[Report], folder: Path, renderers: Sequence[Renderer]) -> list[Path]:
    """Write these files into `folder`, each whole or not at all; the paths, in the order given.

    Raises:
        CannotWrite: the disk does not take them; the run files are untouched.
    """
    written = []
    for renderer in renderers:
        path = folder / renderer.file_name
        fresh = folder / f".{renderer.file_name}.new"
        try:
            fresh.write_bytes(report.rendered(renderer.render, renderer.language))
            fresh.replace(path)
        except OSError as error:
            fresh.unlink(missing_ok=True)
            raise CannotWrite(
                tr(
                    "{path}: {strerror}; every sample is safe in the run files: free some"
                    " space, or 'leakhunt report {folder} --out ELSEWHERE'",
                    path=path,
                    strerror=tr(str(error.strerror)),
                    folder=folder,
                )
            ) from error
        written.append(path)
    return written


def show(console: Console, told: Told[Report], written: list[Path]) -> None:
    """The summary on the terminal; the path that was written first, the HTML's, comes last.

    In a file or a pipe a sentence is a line, for grep.
    """
    report = told.here
    console.print()
    console.print(summary_table(report))
    for line in (*verdict_lines(report), *suspect_lines(report)):
        console.print(line, soft_wrap=not console.is_terminal)
    for path in reversed(written):
        console.print(str(path), soft_wrap=True, markup=False, highlight=False)

"""Writing the files of a report, and showing its summary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Generic, TypeVar

from rich.console import Console

from leakhunt import __version__
from leakhunt.analysis.report import assemble
from leakhunt.errors import CannotWrite, NothingMeasured
from leakhunt.model.report import Report
from leakhunt.model.run import Run
from leakhunt.reporting.registry import Renderer
from leakhunt.reporting.run.terminal import summary_table, suspect_lines, verdict_lines
from leakhunt.text.language import speaking, spoken, tr

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
    return [
        write_file(
            folder / renderer.file_name, report.rendered(renderer.render, renderer.language), folder
        )
        for renderer in renderers
    ]


def write_file(path: Path, content: bytes, runs: Path) -> Path:
    """Write a file that is made of run files in the folder `runs`, whole or not at all; its path.

    Raises:
        CannotWrite: the disk does not take it; the run files are untouched.
    """
    try:
        write_whole(path, content)
    except OSError as error:
        raise CannotWrite(
            tr(
                "{path}: {strerror}; every sample is safe in the run files: free some"
                " space, or 'leakhunt report {folder} --out ELSEWHERE'",
                path=path,
                strerror=tr(str(error.strerror)),
                folder=runs,
            )
        ) from error
    return path


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        OSError: the disk does not take it; what was there is as it was.
    """
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.write_bytes(content)
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise


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

"""The report on measured runs, and its files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Generic, TypeVar

from leakhunt import __version__
from leakhunt.analysis.report import assemble
from leakhunt.errors import NothingMeasured
from leakhunt.model.report import Report
from leakhunt.model.run import Run
from leakhunt.reporting.registry import Renderer
from leakhunt.storage.report_files import write_file
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


def rendered(subject: T, render: Callable[[T], bytes], language: str | None) -> bytes:
    """What `render` makes of `subject`, in `language`; None: in the one spoken."""
    with speaking(language or spoken()):
        return render(subject)


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

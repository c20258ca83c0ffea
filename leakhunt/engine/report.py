"""The report on measured runs, and its files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from leakhunt import __version__
from leakhunt.analysis.report import assemble
from leakhunt.analysis.retained import retained_report
from leakhunt.engine.container_limit import limit_bytes, with_limit
from leakhunt.engine.events import SILENT, Events
from leakhunt.errors import BadFile, CannotWrite, NothingMeasured
from leakhunt.model.attribution import Instrument
from leakhunt.model.report import Report
from leakhunt.model.retained import RetainedReport
from leakhunt.model.run import Run
from leakhunt.reporting.registry import RETAINED_RENDERERS, RetainedRenderer, RunRenderer
from leakhunt.storage import run_file
from leakhunt.storage.report_files import write_file
from leakhunt.text.language import speaking, spoken
from leakhunt.text.message import message
from leakhunt.text.system import system_text

GENERATOR = f"leakhunt {__version__}"


T = TypeVar("T")


def rendered(subject: T, render: Callable[[T], bytes], language: str | None) -> bytes:
    """What `render` makes of `subject`, in `language`; None: in the one spoken."""
    with speaking(language or spoken()):
        return render(subject)


def report_of(runs: Sequence[Run], place: str) -> Report:
    """The report on these runs.

    Raises:
        NothingMeasured: there is no run.
    """
    if not runs:
        raise NothingMeasured(
            message(
                "report.no-run-file",
                "{place}: no run file (*.run.jsonl) found. Create one with 'leakhunt run'",
                place=place,
            )
        )
    return assemble(runs, GENERATOR)


@dataclass(frozen=True, slots=True)
class ReportResult:
    """A report and its files, the first of which is the one for people.

    `retained` is what processes that had settled retain (``hunt --retained``). Where there were no
    other runs, `report` is on those, and has no files.
    """

    report: Report
    files: tuple[Path, ...]
    retained: RetainedReport | None = None

    @property
    def of_retained_only(self) -> bool:
        """Whether there was no other run."""
        return all(_looked_only(entry.run) for entry in self.report.entries)

    def _repr_html_(self) -> str:
        from leakhunt.reporting.retained.notebook import tables
        from leakhunt.reporting.run.notebook import cards

        retained = tables(self.retained) if self.retained is not None else ""
        return retained if self.of_retained_only else retained + cards(self.report)


def rerendered(
    places: Sequence[str],
    renderers: Sequence[RunRenderer] = (),
    events: Events = SILENT,
    *,
    out: Path | None = None,
    limit: int | str | None = None,
) -> ReportResult:
    """The report on run files, or on folders of them, with its files in `out`.

    Where `out` is None they replace those in the folder of the first run file. Damaged files are
    left out, and `events` are told so, unless one was named itself. `limit` is the memory (bytes or
    a size) that the runs are set against, in place of what their plans say.

    Raises:
        UsageError: there is nothing of this name, or `limit` is no size.
        BadFile: a file that was named is no run file.
        NothingMeasured: there is no run file.
        CannotWrite: the disk does not take the files.
    """
    files = run_file.find_run_files(places)
    loaded = (_loaded(file, places, events) for file in files)
    size = limit_bytes(limit)
    runs = [with_limit(run, size) for run in loaded if run is not None]
    settled = [run for run in runs if _looked_only(run)]
    measured = [run for run in runs if not _looked_only(run)]
    report = report_of(measured or runs, places[0])
    folder = out or files[0].parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotWrite(
            message(
                "report.cannot-write",
                "{folder}: {strerror}. Choose another folder with --out",
                folder=folder,
                strerror=system_text(error),
            )
        ) from error
    written = write_files(report, folder, renderers) if measured else []
    if not settled:
        return ReportResult(report, tuple(written))
    retained = retained_report(settled, GENERATOR)
    formats = {each.format for each in renderers}
    written += write_retained(
        retained, folder, [each for each in RETAINED_RENDERERS if each.format in formats]
    )
    return ReportResult(report, tuple(written), retained)


def _looked_only(run: Run) -> bool:
    """Whether nothing was measured over time (``hunt --retained``)."""
    return run.plan.instrument is Instrument.RETAINED


def _loaded(file: Path, named: Sequence[str], events: Events) -> Run | None:
    """The run of a file; a damaged one is left out, unless it was named itself."""
    try:
        return run_file.load(file)
    except BadFile as error:
        if file in map(Path, named):
            raise
        events.noted(message("left-out", "skipped: {error}", error=error.text), warning=True)
        return None


def report_of_folder(folder: Path) -> Report:
    """The report on all runs of a folder.

    Raises:
        NothingMeasured: there is no run file in it.
        BadFile: one is damaged.
    """
    files = run_file.find_run_files([str(folder)])
    return report_of([run_file.load(file) for file in files], str(folder))


def write_retained(
    report: RetainedReport, folder: Path, renderers: Sequence[RetainedRenderer]
) -> list[Path]:
    """As `write_files`, of what is retained."""
    return [
        write_file(folder / each.file_name, rendered(report, each.render, each.language), folder)
        for each in renderers
    ]


def write_files(report: Report, folder: Path, renderers: Sequence[RunRenderer]) -> list[Path]:
    """Write these files into `folder`, each whole or not at all; the paths, in the order given.

    Those that say nothing of the report are left out.

    Raises:
        CannotWrite: the disk does not take them; the run files are untouched.
    """
    made = [each for each in renderers if each.is_of(report)]
    report = replace(report, files=tuple(each.file_name for each in made))
    return [
        write_file(folder / each.file_name, rendered(report, each.render, each.language), folder)
        for each in made
    ]

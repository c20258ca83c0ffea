"""The files of a gate: its own, and the report on each scenario."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from leakhunt.engine.compare import compare_places, write_comparison
from leakhunt.engine.events import SILENT, Events
from leakhunt.engine.formats import ALL, names_among, possible
from leakhunt.engine.report import rendered, report_of, write_files
from leakhunt.errors import NothingMeasured
from leakhunt.model.gate import GateResult, Pages
from leakhunt.model.run import Run
from leakhunt.reporting.gate.source_lines import Repository
from leakhunt.reporting.registry import (
    GATE_RENDERERS,
    RENDERERS,
    GateDocument,
    GateRenderer,
    RunRenderer,
)
from leakhunt.storage import run_file
from leakhunt.storage.report_files import write_file
from leakhunt.text.language import tr

# The one format that is written of both: the gate's page leads to the pages of the reports.
_OF_BOTH = "html"
# Any other format of the report on a scenario would be told twice.
_GATES_OWN = tuple(each.format for each in GATE_RENDERERS if each.format != _OF_BOTH)
# The pages on a scenario.
_REPORT = "report.html"
_COMPARISON = "compare.html"


@dataclass(frozen=True, slots=True)
class GateFiles:
    """Which files are written: of the gate, and of the report on each scenario."""

    gate: tuple[GateRenderer, ...]
    reports: tuple[RunRenderer, ...]


def files_named(names: str, events: Events = SILENT) -> GateFiles:
    """The files of these formats (``html,json``).

    Raises:
        UsageError: there is no such format.
        MissingRequirement: one that was named needs what is not installed.
    """
    of_reports = [each for each in RENDERERS if each.format not in _GATES_OWN]
    of_gates = [each.format for each in GATE_RENDERERS]
    known = dict.fromkeys([*of_gates, *(each.format for each in of_reports)])
    found = names_among(names, known)
    return GateFiles(
        tuple(each for each in GATE_RENDERERS if ALL in found or each.format in found),
        possible(of_reports, found, events),
    )


def write_reports(
    folder: Path, files: GateFiles, against: str | None, other: Path, events: Events
) -> tuple[Path, ...]:
    """The report on a scenario's runs, and the comparison with those of the revision in `other`.

    The path of the page of each, or of whatever was written first, comes back.

    Raises:
        CannotWrite: the disk does not take them; the run files are untouched.
    """
    runs = _runs_in(folder)
    if not runs or not files.reports:
        return ()
    report = report_of(runs, str(folder))
    written = write_files(report, folder, files.reports)[:1]
    if against is not None and _runs_in(other):
        try:
            comparison = compare_places((other, folder), (against, tr("here")))
            written += write_comparison(comparison, folder)[:1]
        except NothingMeasured as error:
            events.noted(str(error), warning=True)
    return tuple(written)


def pages_among(scenario: str, written: Sequence[Path], folder: Path) -> Pages:
    """The pages among the `written` files of a scenario, as a page in `folder` leads to them."""
    found = {path.name: path.relative_to(folder).as_posix() for path in written}
    return Pages(scenario, found.get(_REPORT, ""), found.get(_COMPARISON, ""))


def _runs_in(folder: Path) -> list[Run]:
    """The runs of a folder, which is not there where nothing could start."""
    if not folder.is_dir():
        return []
    return [run_file.load(file) for file in run_file.find_run_files([str(folder)])]


def write_gate(
    result: GateResult, repository: Repository, folder: Path, files: GateFiles
) -> tuple[Path, ...]:
    """The gate's own files, each whole or not at all; the paths, its page the last.

    Raises:
        CannotWrite: the disk does not take them; the run files are untouched.
    """

    def content(renderer: GateRenderer) -> bytes:
        return rendered(GateDocument(result, repository), renderer.render, renderer.language)

    return tuple(write_file(folder / each.file_name, content(each), folder) for each in files.gate)


def paths_shown(gates: Sequence[Path], reports: Sequence[Path]) -> tuple[Path, ...]:
    """The paths to show: of the gate, its page the last; without that page, the reports' too."""
    has_page = any(path.suffix == f".{_OF_BOTH}" for path in gates)
    return tuple(gates) if has_page else (*gates, *reports)

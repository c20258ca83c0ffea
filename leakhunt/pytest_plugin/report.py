"""The folder that ``--leakhunt-report`` names: the run files of all tests, and the report."""

from __future__ import annotations

from pathlib import Path

import pytest

from leakhunt.engine.report import report_of, write_files
from leakhunt.errors import LeakhuntError
from leakhunt.reporting.registry import RENDERERS
from leakhunt.storage import run_file
from leakhunt.storage.folders import new_folder
from leakhunt.text.language import tr

# The page first: its path is the one to open.
_FORMATS = ("html", "md")


def own_folder(folder: Path) -> None:
    """Make the folder, or see that it is empty.

    Raises:
        pytest.UsageError: it cannot be made, or holds something already.
    """
    try:
        new_folder(folder, "")
    except LeakhuntError as error:
        raise pytest.UsageError(f"--leakhunt-report: {error}") from None


def write_report(folder: Path) -> list[str]:
    """Write the report on the run files there; the lines that say so.

    Raises:
        LeakhuntError: a run file cannot be read, or the disk does not take the report.
    """
    runs = [run_file.load(file) for file in run_file.find_run_files([str(folder)])]
    if not any(run.plan.is_measured for run in runs):
        return [tr("leakhunt: no test with a leak budget was measured; no report written")]
    renderers = [each for each in RENDERERS if each.format in _FORMATS]
    written = write_files(report_of(runs, str(folder)), folder, renderers)
    return [tr("leakhunt: {path}", path=path) for path in reversed(written)]

"""The summary of a report on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from leakhunt.cli.display import SteadyConsole
from leakhunt.cli.json_option import offer
from leakhunt.model.report import Report
from leakhunt.reporting.formats.terminal_escape import visible
from leakhunt.reporting.run import json_file
from leakhunt.reporting.run.terminal import (
    allocator_tables,
    conclusion_lines,
    summary_table,
    suspect_lines,
    verdict_lines,
)


def print_report(report: Report, files: Sequence[Path], console: Console | None = None) -> None:
    """The summary on the terminal; the path that was written first, the HTML's, comes last.

    In a file or a pipe a sentence is a line, for grep.
    """
    console = console or SteadyConsole()
    offer(lambda: json_file.render(report))
    console.print()
    console.print(summary_table(report))
    for line in (*verdict_lines(report), *suspect_lines(report)):
        console.print(line, soft_wrap=not console.is_terminal)
    for part in allocator_tables(report):
        console.print(part, soft_wrap=isinstance(part, Text) and not console.is_terminal)
    for line in conclusion_lines(report):
        console.print(line, soft_wrap=not console.is_terminal)
    for path in reversed(files):
        console.print(visible(str(path)), soft_wrap=True, markup=False, highlight=False)

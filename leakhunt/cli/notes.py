"""Lines for people: what the engine notes while no run is shown, and the parts of a summary."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text as RichText

from leakhunt.engine.events import Silent
from leakhunt.reporting.formats.terminal_escape import visible
from leakhunt.text.message import Text


class Notes(Silent):
    """Shows no progress; a warning is a line on standard error, another note one of the output."""

    def noted(self, text: Text, *, warning: bool = False) -> None:
        """Say it."""
        shown = visible(str(text))
        click.echo(f"leakhunt: {shown}" if warning else shown, err=warning)


def show_parts(
    console: Console, parts: Iterable[Table | RichText], files: Iterable[Path] = ()
) -> None:
    """Tables and sentences, then a line for each file.

    In a file or a pipe a sentence is a line, for grep.
    """
    for part in parts:
        is_line = isinstance(part, RichText) and not console.is_terminal
        console.print(part, soft_wrap=is_line)
    for path in files:
        console.print(visible(str(path)), soft_wrap=True, markup=False, highlight=False)

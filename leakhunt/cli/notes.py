"""What the engine notes while no run is shown: warnings as lines beside the output."""

from __future__ import annotations

import click

from leakhunt.engine.events import Silent
from leakhunt.text.message import Text


class Notes(Silent):
    """Shows no progress; a warning is a line on standard error, another note one of the output."""

    def noted(self, text: Text, *, warning: bool = False) -> None:
        """Say it."""
        click.echo(f"leakhunt: {text}" if warning else str(text), err=warning)

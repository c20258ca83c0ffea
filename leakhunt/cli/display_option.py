"""``--live``: what shows the runs as they go; one option for every verb that measures."""

from __future__ import annotations

from dataclasses import dataclass

import click
from rich.console import Console

from leakhunt.cli.display import Bars, Display, SteadyConsole
from leakhunt.cli.interrupts import signals_are_interrupts
from leakhunt.cli.live_display import LiveDisplay, can_draw_on
from leakhunt.text.language import tr


@dataclass(frozen=True, slots=True)
class DisplayChoice:
    """Bars, or the curves as they grow."""

    live: bool = False

    def open(self, width: int = 0, console: Console | None = None) -> Display:
        """The display, for names of so many columns at least.

        From now on a signal to end does what Ctrl-C does.
        """
        signals_are_interrupts()
        console = console or SteadyConsole()
        if self.live and can_draw_on(console):
            return LiveDisplay(console, width)
        if self.live:
            click.echo(tr("leakhunt: --live needs a terminal; continuing without it"), err=True)
        return Bars(console, width)


def _chosen(context: click.Context, parameter: click.Parameter, live: bool) -> DisplayChoice:
    del context, parameter
    return DisplayChoice(live)


display_option = click.option(
    "--live",
    "display",
    is_flag=True,
    callback=_chosen,
    help="Draw the curves in the terminal while measuring",
)

"""``leakhunt run``: measure the variants of a scenario, one fresh process each, and report."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from leakhunt.cli.display import Bars, SteadyConsole
from leakhunt.cli.live_display import live_displays
from leakhunt.cli.options import measuring_options, settings_for
from leakhunt.cli.verb import Verb
from leakhunt.engine.run import measure_all
from leakhunt.reporting.registry import Renderer
from leakhunt.storage.folders import new_folder


@click.command("run", cls=Verb)
@measuring_options
def command(
    target: str, out: Path | None, renderers: tuple[Renderer, ...], live: bool, **asked: Any
) -> int:
    """Measure the variants of a scenario, one fresh process each, and write a report.

    NAME_OR_FILE is a built-in scenario ('leakhunt list') or the path of your own file.
    """
    settings = settings_for(target, **asked)
    console = SteadyConsole()
    displays = live_displays(console) if live else partial(Bars, console)
    folder = new_folder(out, settings.scenario.name)
    return measure_all(settings, folder, renderers, console, displays)

"""``leakhunt analyze``: the verdict on memory that something else has measured."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from leakhunt.cli.analyze_options import analyze_options
from leakhunt.cli.json_option import offer
from leakhunt.cli.notes import Notes, show_parts
from leakhunt.cli.verb import Verb


@click.command("analyze", cls=Verb)
@click.argument("files", nargs=-1, metavar="[FILE]...")
@analyze_options
def command(files: tuple[str, ...], out: Path | None, formats: str, **given: str | None) -> int:
    """Judge memory over time that something else has measured: files, or Prometheus.

    One line per instance, that which is out of memory first before the rest. Restarts are known
    from start times where Prometheus has them, else from drops. What recurs every day is no growth.
    """
    from leakhunt.engine.analyze import AnalyzeRequest, analyze
    from leakhunt.engine.formats import analyze_renderers_named
    from leakhunt.reporting.fleet import json_file
    from leakhunt.reporting.fleet.terminal import fleet_parts

    request = AnalyzeRequest(files, **given)  # type: ignore[arg-type]
    result = analyze(request, analyze_renderers_named(formats), Notes(), out=out)
    offer(lambda: json_file.render(result.report))
    show_parts(Console(), fleet_parts(result.report), reversed(result.files))
    return result.exit_code

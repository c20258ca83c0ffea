"""``leakhunt soak``: put a running service under load, watch it, and report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from leakhunt.cli.display_option import DisplayChoice
from leakhunt.cli.soak_options import soak_options, soak_request
from leakhunt.cli.summary import print_report
from leakhunt.cli.verb import Verb
from leakhunt.reporting.registry import RunRenderer


@click.command("soak", cls=Verb)
@soak_options
def command(
    target: str | None,
    out: Path | None,
    renderers: tuple[RunRenderer, ...],
    display: DisplayChoice,
    **given: Any,
) -> int:
    """Load a running service, read its memory externally and in process, and report.

    NAME_OR_FILE is a service of 'leakhunt list' or your own service.toml; or use --command or
    --pid.
    """
    from leakhunt.engine.soak import soak

    request = soak_request(target, **given)
    with display.open() as events:
        result = soak(request, renderers, events, out=out)
    print_report(result.report, result.files)
    return result.exit_code

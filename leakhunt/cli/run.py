"""``leakhunt run``: measure the variants of a scenario, one fresh process each, and report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from leakhunt.cli.common_options import at_least
from leakhunt.cli.display_option import DisplayChoice
from leakhunt.cli.options import measuring_options, run_request
from leakhunt.cli.summary import print_report
from leakhunt.cli.verb import Verb
from leakhunt.reporting.registry import RunRenderer


@click.command("run", cls=Verb)
@measuring_options
@click.option(
    "--jobs",
    type=at_least("jobs"),
    help="Variants to measure at the same time: bytes stay exact, times do not [default: the"
    " scenario's; 1 on a GPU]",
)
@click.option(
    "--no-hunt",
    is_flag=True,
    help="Do not run again under instruments to find what retains the memory",
)
def command(
    target: str,
    out: Path | None,
    renderers: tuple[RunRenderer, ...],
    display: DisplayChoice,
    no_hunt: bool,
    jobs: int | None,
    **given: Any,
) -> int:
    """Measure the variants of a scenario, one fresh process each, and write a report.

    Where memory grows, the calls go on until a bounded cache would have filled, and the variant
    runs again under an instrument to name what keeps it.

    NAME_OR_FILE is a built-in scenario ('leakhunt list') or the path of your own file.
    """
    from leakhunt.engine.run import run

    with display.open() as events:
        result = run(
            run_request(target, **given), renderers, events, out=out, hunt=not no_hunt, jobs=jobs
        )
    print_report(result.report, result.files)
    return result.exit_code

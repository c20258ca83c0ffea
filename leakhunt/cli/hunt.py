"""``leakhunt hunt``: measure, then run again under the instruments that see what retains memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from leakhunt.cli.display_option import DisplayChoice
from leakhunt.cli.options import measuring_options, run_request
from leakhunt.cli.retained import retained_option, show_retained
from leakhunt.cli.summary import print_report
from leakhunt.cli.verb import Verb
from leakhunt.model.attribution import GROWTH_INSTRUMENTS
from leakhunt.model.options import PAIRS
from leakhunt.reporting.registry import RunRenderer


@click.command("hunt", cls=Verb)
@measuring_options
@click.option(
    "--with",
    "instruments",
    default="",
    metavar="INSTRUMENT,...",
    help=f"Instruments to use, also without growth: {', '.join(GROWTH_INSTRUMENTS)}",
)
@click.option(
    "--try",
    "remedies",
    multiple=True,
    metavar="REMEDY",
    help="Try a fix in interleaved runs: NAME=VALUE,... (environment), option:NAME=VALUE,"
    " variant:NAME, allocators (glibc's settings and those installed), gc:freeze (after setup),"
    " gc:off, gc:NUMBER,... (the collector's thresholds), or the id of a known cause",
)
@click.option(
    "--pairs", type=click.IntRange(min=2), default=PAIRS, show_default=True,
    help="Pairs of runs for each --try",
)  # fmt: skip
@click.option(
    "--until-ceiling", is_flag=True, help="Verify a bounded cache by running past its ceiling"
)
@click.option(
    "--flame",
    is_flag=True,
    help="Flame graphs of retained memory: a page, a file for speedscope, and memray's captures",
)
@retained_option
def command(
    target: str,
    out: Path | None,
    renderers: tuple[RunRenderer, ...],
    display: DisplayChoice,
    instruments: str,
    remedies: tuple[str, ...],
    pairs: int,
    until_ceiling: bool,
    flame: bool,
    retained: bool,
    **given: Any,
) -> int:
    """Find leak suspects with evidence, and test whether a fix helps.

    Measures like 'run'. Where memory grows, it repeats the run under an instrument and names the
    suspects.
    """
    measured = run_request(target, **given)
    if retained:
        return show_retained(measured, out, renderers, display)
    from leakhunt.engine.hunt import HuntRequest, hunt

    wanted = tuple(instruments.split(",")) if instruments else ()
    request = HuntRequest(measured, wanted, remedies, pairs, until_ceiling, flame)
    with display.open() as events:
        result = hunt(request, renderers, events, out=out)
    print_report(result.report, result.files)
    return result.exit_code

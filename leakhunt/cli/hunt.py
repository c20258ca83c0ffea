"""``leakhunt hunt``: measure, then run again under the instruments that see who keeps memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from leakhunt.cli.display_option import DisplayChoice
from leakhunt.cli.options import measuring_options, run_request
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
    "--pairs",
    type=click.IntRange(min=2),
    default=PAIRS,
    show_default=True,
    help="Pairs of runs for each --try",
)
@click.option(
    "--until-ceiling", is_flag=True, help="Verify a bounded cache by running past its ceiling"
)
@click.option(
    "--flame",
    is_flag=True,
    help="Flame graphs of retained memory: a page, a file for speedscope, and memray's captures",
)
@click.option(
    "--retained",
    is_flag=True,
    help="The largest holders of a settled process, as a table and a treemap; no measurement",
)
@click.pass_context
def command(
    context: click.Context,
    /,
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
    if retained:
        return _retained(context, target, out, renderers, display, **given)
    from leakhunt.engine.hunt import HuntRequest, hunt

    wanted = tuple(instruments.split(",")) if instruments else ()
    measured = run_request(target, **given)
    request = HuntRequest(measured, wanted, remedies, pairs, until_ceiling, flame)
    with display.open() as events:
        result = hunt(request, renderers, events, out=out)
    print_report(result.report, result.files)
    return result.exit_code


# Options of the verb that say nothing about what is retained.
_OF_GROWTH = ("instruments", "remedies", "pairs", "until_ceiling", "flame", "budget")


def _retained(
    context: click.Context,
    target: str,
    out: Path | None,
    renderers: tuple[RunRenderer, ...],
    display: DisplayChoice,
    **given: Any,
) -> int:
    """The table of the largest holders, and the paths of its files; the page's comes last."""
    from rich.console import Console

    from leakhunt.cli.notes import show_parts
    from leakhunt.engine.formats import retained_renderers_named
    from leakhunt.engine.retained import refuse_with_retained, retained
    from leakhunt.reporting.retained.terminal import retained_lines, retained_tables

    asked = [
        option.opts[0]
        for option in context.command.params
        if option.name in _OF_GROWTH
        and context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE
    ]
    refuse_with_retained(asked)
    files = retained_renderers_named(",".join(each.format for each in renderers))
    with display.open() as events:
        result = retained(run_request(target, **given), files, events, out=out)
    console = Console()
    for table in retained_tables(result.report):
        console.print()
        console.print(table)
    show_parts(console, retained_lines(result.report), reversed(result.files))
    return result.exit_code

"""``leakhunt attach``: look into a process that runs already, and leave it as it was."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from leakhunt.cli.common_options import limit_option
from leakhunt.cli.display_option import DisplayChoice, display_option
from leakhunt.cli.format_option import format_option
from leakhunt.cli.json_option import offer
from leakhunt.cli.notes import show_parts
from leakhunt.cli.verb import Verb
from leakhunt.reporting.registry import RunRenderer


@click.command("attach", cls=Verb)
@click.argument("process", metavar="PID|NAME")
@click.option(
    "--for",
    "duration",
    help="Watch it for this long, for a verdict, such as 10m (3m or more) [default: look once]",
)
@click.option(
    "--diff",
    metavar="DURATION",
    help="Look twice, this far apart, such as 10m, and compare what is retained",
)
@click.option("--no-touch", is_flag=True, help="Neither collect garbage nor trim malloc in it")
@click.option(
    "--deep",
    is_flag=True,
    help="List all objects in one pause, also those that only C code refers to",
)
@click.option(
    "--trace",
    metavar="DURATION",
    help="At the end, trace allocations for this long, such as 30s (slows the process)",
)
@click.option("--no-memray", is_flag=True, help="Trace with tracemalloc, which sees no C code")
@limit_option
@click.option(
    "--out", type=click.Path(path_type=Path), help="Output folder [default: reports/<when>-...]"
)
@format_option
@display_option
def command(
    process: str,
    duration: str | None,
    diff: str | None,
    no_touch: bool,
    deep: bool,
    trace: str | None,
    no_memray: bool,
    limit: str | None,
    out: Path | None,
    renderers: tuple[RunRenderer, ...],
    display: DisplayChoice,
) -> int:
    """Look into a running Python process: where its memory is, and whether it grows.

    Needs no change of the process: an agent is brought in, and is gone at the end. CPython 3.11 or
    later, on Linux, as the same user or as root.
    """
    from leakhunt.engine.attach import AttachRequest, attach
    from leakhunt.engine.formats import attach_renderers_named
    from leakhunt.reporting.attached import json_file
    from leakhunt.reporting.attached.terminal import attach_parts

    request = AttachRequest(process, duration=duration, touch=not no_touch, trace=trace,
                            limit=limit, diff=diff, memray=not no_memray, deep=deep)  # fmt: skip
    files = attach_renderers_named(",".join(each.format for each in renderers))
    with display.open() as events:
        result = attach(request, files, renderers, events, out=out)
    offer(lambda: json_file.render(result.report))
    show_parts(Console(), attach_parts(result.report), reversed(result.files))
    return result.exit_code

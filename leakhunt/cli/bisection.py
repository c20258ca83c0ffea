"""``leakhunt bisect``: the version or commit that introduced the growth, or ended it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from leakhunt.cli.bisect_options import bisect_options
from leakhunt.cli.common_options import scenario_option
from leakhunt.cli.interrupts import signals_are_interrupts
from leakhunt.cli.json_option import offer
from leakhunt.cli.notes import Notes, show_parts
from leakhunt.cli.verb import Verb


@click.command("bisect", cls=Verb)
@click.argument("target", metavar="NAME_OR_FILE[:VARIANT]")
@bisect_options
@scenario_option
def command(
    target: str, settings: tuple[str, ...], formats: str, out: Path | None, no_hunt: bool,
    **given: Any,
) -> int:  # fmt: skip
    """Find the version of a package, or the commit, that introduced a leak or ended it.

    Good is a version that does not leak, bad one that does, whichever is newer. A version that
    stays inconclusive is measured again; one that cannot be installed is skipped.
    """
    from leakhunt.engine.bisection import BisectRequest, bisect
    from leakhunt.engine.formats import bisect_renderers_named
    from leakhunt.engine.settings import given_options
    from leakhunt.reporting.bisect import json_file
    from leakhunt.reporting.bisect.terminal import bisect_parts

    request = BisectRequest(target, options=given_options(settings, {}), hunt=not no_hunt, **given)
    signals_are_interrupts()
    result = bisect(request, bisect_renderers_named(formats), Notes(), out=out)
    offer(lambda: json_file.render(result.report))
    show_parts(Console(), bisect_parts(result.report), reversed(result.files))
    return result.exit_code

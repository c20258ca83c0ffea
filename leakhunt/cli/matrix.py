"""``leakhunt matrix``: many runs of a scenario, one for each combination of values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress

from leakhunt.cli.common_options import scenario_option
from leakhunt.cli.interrupts import signals_are_interrupts
from leakhunt.cli.json_option import offer
from leakhunt.cli.matrix_options import matrix_options
from leakhunt.cli.notes import show_parts
from leakhunt.cli.trials_display import TrialsBar
from leakhunt.cli.verb import Verb


@click.command("matrix", cls=Verb)
@click.argument("target", metavar="FILE.toml|SCENARIO|FOLDER")
@matrix_options
@scenario_option
def command(
    target: str, settings: tuple[str, ...], formats: str, out: Path | None, no_hunt: bool,
    **given: Any,
) -> int:  # fmt: skip
    """Measure every combination of variants, devices, threads, allocators and versions.

    An axis (--vary) is variant, device, threads, calls, memory_limit, python, allocator, an option
    of the scenario, env.NAME, or package.NAME. An interrupted matrix is resumed by
    its FOLDER: no finished cell is run again.
    """
    from leakhunt.engine.formats import matrix_renderers_named
    from leakhunt.engine.matrix import MatrixRequest, matrix
    from leakhunt.engine.settings import given_options
    from leakhunt.reporting.matrix import json_file
    from leakhunt.reporting.matrix.terminal import matrix_parts

    console = Console()
    request = MatrixRequest(target, options=given_options(settings, {}), hunt=not no_hunt, **given)
    signals_are_interrupts()
    with Progress(console=console, disable=not console.is_terminal) as bars:
        shown = TrialsBar(bars)
        result = matrix(request, matrix_renderers_named(formats, shown), shown, out=out)
    offer(lambda: json_file.render(result.report))
    if result.folder is not None:
        show_parts(console, matrix_parts(result.report), reversed(result.files))
    return result.exit_code

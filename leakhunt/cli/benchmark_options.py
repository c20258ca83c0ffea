"""The options of ``benchmark``."""

from __future__ import annotations

from pathlib import Path

import click

from leakhunt.cli.common_options import Command, at_least, with_options
from leakhunt.cli.format_option import formats_option
from leakhunt.model.benchmark import CALLS
from leakhunt.model.options import BUDGET_SECONDS, TIMEOUT_SECONDS
from leakhunt.reporting.registry import BENCHMARK_RENDERERS

_OPTIONS = (
    click.option(
        "--tool",
        "tools",
        multiple=True,
        metavar="NAME",
        help="Tool to ask [default: leakhunt and all others that are installed]",
    ),
    click.option(
        "--adapter",
        "adapters",
        multiple=True,
        metavar="NAME=COMMAND",
        help="Further tool: a command; {python} is the Python with the package",
    ),
    click.option(
        "--list",
        "listed",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="List of packages in place of the built-in one",
    ),
    click.option(
        "--calls",
        type=at_least("calls"),
        default=CALLS,
        show_default=True,
        help="Calls for tools that need a number",
    ),
    click.option(
        "--budget",
        type=click.FloatRange(min=0),
        default=BUDGET_SECONDS,
        show_default=True,
        metavar="SECONDS",
        help="Time for leakhunt's calls where memory grows",
    ),
    click.option(
        "--timeout",
        type=click.FloatRange(min=0, min_open=True),
        default=TIMEOUT_SECONDS,
        show_default=True,
        metavar="SECONDS",
        help="Time until a tool has to answer",
    ),
    click.option(
        "--out",
        type=click.Path(path_type=Path),
        help="Output folder, or that of a benchmark before, which goes on"
        " [default: reports/<when>-benchmark]",
    ),
    formats_option(BENCHMARK_RENDERERS),
)


def benchmark_options(command: Command) -> Command:
    """Give a command the options of a benchmark."""
    return with_options(command, _OPTIONS)

"""The options of ``matrix``."""

from __future__ import annotations

from pathlib import Path

import click

from leakhunt.cli.common_options import Command, at_least, with_options
from leakhunt.cli.format_option import formats_option
from leakhunt.model.matrix import FALSE_DISCOVERY_RATE, ON_LOCAL
from leakhunt.model.options import DEVICES
from leakhunt.reporting.registry import MATRIX_RENDERERS

_OPTIONS = (
    click.option(
        "--vary",
        multiple=True,
        metavar="AXIS=VALUE,...",
        help="An axis and its values, such as threads=1,2 or env.MALLOC_ARENA_MAX=,1",
    ),
    click.option(
        "--with",
        "requirements",
        multiple=True,
        metavar="REQUIREMENT",
        help="Install a package for every cell; 'NAME==1.3.*' is an axis of all such versions",
    ),
    click.option(
        "--exclude",
        multiple=True,
        metavar="AXIS=VALUE,...",
        help="Leave out the cells with all of these values",
    ),
    click.option(
        "--isolated",
        is_flag=True,
        help="Install all packages of a cell anew, not over those that are installed here",
    ),
    click.option("--threads", type=at_least("threads"), help="Threads of a cell [default: 1]"),
    click.option("--seed", type=at_least("seed"), help="Seed of the first repeat [default: 0]"),
    click.option(
        "--memory-limit", metavar="SIZE", help="Memory limit of a worker, for example '2 GiB'"
    ),
    click.option(
        "--device", type=click.Choice(DEVICES), help="Device of every cell [default: auto]"
    ),
    click.option("--on", default=ON_LOCAL, show_default=True, metavar="local|ray|ray://HOST:PORT",
                 help="Where the cells are measured"),
    click.option(
        "--jobs",
        type=at_least("jobs"),
        help="Cells at the same time [default: as many as the first one leaves room for]",
    ),
    click.option("--repeats", type=at_least("repeats"), help="Runs of each cell [default: 1]"),
    click.option(
        "--calls", type=at_least("calls"), help="Calls of a cell [default: until it is clear]"
    ),
    click.option(
        "--budget",
        type=click.FloatRange(min=0),
        metavar="SECONDS",
        help="Time for the calls of a cell where memory grows [default: 60]",
    ),
    click.option(
        "--timeout",
        type=click.FloatRange(min=0, min_open=True),
        metavar="SECONDS",
        help="Seconds without a sample before a worker is killed as hung [default: 600]",
    ),
    click.option(
        "--no-hunt",
        is_flag=True,
        help="Do not run cells again under instruments to find what retains the memory",
    ),
    click.option(
        "--fdr",
        type=click.FloatRange(min=0, max=1),
        default=FALSE_DISCOVERY_RATE,
        show_default=True,
        help="False discovery rate: the share of the leaks that may be false",
    ),
    click.option("--plan", "plan_only", is_flag=True, help="Show the cells and the time, and end"),
    click.option(
        "--out",
        type=click.Path(path_type=Path),
        help="Output folder, or that of the same matrix, which goes on"
        " [default: reports/<when>-matrix]",
    ),
    formats_option(MATRIX_RENDERERS),
)  # fmt: skip


def matrix_options(command: Command) -> Command:
    """Give a command the options of a matrix."""
    return with_options(command, _OPTIONS)

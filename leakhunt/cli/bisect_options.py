"""The options of ``bisect``."""

from __future__ import annotations

from pathlib import Path

import click

from leakhunt.cli.common_options import Command, at_least, seed_option, with_options
from leakhunt.cli.format_option import formats_option
from leakhunt.model.bisection import MAX_RUNS_OF_A_VERSION
from leakhunt.model.options import AUTO, BUDGET_SECONDS, DEVICES, TIMEOUT_SECONDS
from leakhunt.reporting.registry import BISECT_RENDERERS

_OPTIONS = (
    click.option(
        "--package", default="", metavar="NAME", help="Package whose published versions are tried"
    ),
    click.option(
        "--repo", default="", metavar="PATH", help="Git checkout whose commits are tried"
    ),
    click.option("--good", required=True, metavar="VERSION", help="Version without the leak"),
    click.option("--bad", required=True, metavar="VERSION", help="Version with the leak"),
    click.option(
        "--with",
        "requirements",
        multiple=True,
        metavar="REQUIREMENT",
        help="Install a further package for every version",
    ),
    click.option(
        "--isolated",
        is_flag=True,
        help="Install all packages of a version anew, not over those that are installed here",
    ),
    click.option(
        "--device", type=click.Choice(DEVICES), default=AUTO, show_default=True,
        help="Device; auto: the GPU, if the scenario can use one",
    ),
    click.option("--threads", type=at_least("threads"), help="Threads of a run [default: 1]"),
    seed_option,
    click.option(
        "--memory-limit", metavar="SIZE", help="Memory limit of a worker, for example '2 GiB'"
    ),
    click.option(
        "--most-runs", type=at_least("most_runs"), default=MAX_RUNS_OF_A_VERSION,
        show_default=True,
        help="Runs of a version whose verdict stays inconclusive",
    ),
    click.option(
        "--calls", type=at_least("calls"),
        help="Calls per run [default: until the verdict is clear]",
    ),
    click.option(
        "--budget",
        type=click.FloatRange(min=0),
        default=BUDGET_SECONDS,
        show_default=True,
        metavar="SECONDS",
        help="Time for the calls of a run where memory grows",
    ),
    click.option(
        "--timeout",
        type=click.FloatRange(min=0, min_open=True),
        default=TIMEOUT_SECONDS,
        show_default=True,
        metavar="SECONDS",
        help="Seconds without a sample before the worker is killed as hung",
    ),
    click.option(
        "--no-hunt",
        is_flag=True,
        help="Do not run the leaking version again to find what retains the memory",
    ),
    click.option(
        "--out", type=click.Path(path_type=Path),
        help="Output folder [default: reports/<when>-bisect]",
    ),
    formats_option(BISECT_RENDERERS),
)  # fmt: skip


def bisect_options(command: Command) -> Command:
    """Give a command the options of a bisection."""
    return with_options(command, _OPTIONS)

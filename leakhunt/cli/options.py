"""The options that ``run`` and ``hunt`` have in common, and the request they make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from leakhunt.cli.common_options import (
    Command,
    at_least,
    limit_option,
    scenario_option,
    seed_option,
    with_options,
)
from leakhunt.cli.display_option import display_option
from leakhunt.cli.format_option import format_option
from leakhunt.engine.settings import RunRequest, given_options
from leakhunt.model.options import AUTO, BUDGET_SECONDS, COLLECT, DEVICES, TIMEOUT_SECONDS

_OPTIONS = (
    click.option(
        "--calls",
        type=at_least("calls"),
        help="Calls per variant [default: until the verdict is clear]",
    ),
    click.option(
        "--warmup",
        type=at_least("warmup"),
        help="Warm-up calls, excluded from the verdict [default: 25 % of --calls]",
    ),
    click.option(
        "--calls-per-sample",
        type=at_least("calls_per_sample"),
        help="Calls per sample [default: from their duration; 1 with --calls]",
    ),
    click.option(
        "--collect",
        type=click.Choice(COLLECT),
        default=AUTO,
        show_default=True,
        help="gc.collect() before each reading; auto: only where garbage hides growth and it is"
        " cheap",
    ),
    click.option(
        "--resolve", is_flag=True, help="Extend the run while the verdict is inconclusive"
    ),
    click.option(
        "--budget",
        type=click.FloatRange(min=0),
        default=BUDGET_SECONDS,
        show_default=True,
        metavar="SECONDS",
        help="Time for the calls of a variant where memory grows: a bounded cache levels off",
    ),
    click.option(
        "--device",
        type=click.Choice(DEVICES),
        default=AUTO,
        show_default=True,
        help="Device; auto: the GPU, if the scenario can use one",
    ),
    click.option("--lengths", help="Clip lengths of the scenario: fixed or varied"),
    click.option("--audio", help="Your own recordings: a file or a folder (wav, flac, mp3)"),
    scenario_option,
    click.option(
        "--threads",
        type=at_least("threads"),
        help="Threads of the frameworks [default: number of cores]",
    ),
    seed_option,
    click.option(
        "--memory-limit", metavar="SIZE", help="Memory limit of a worker, for example '2 GiB'"
    ),
    limit_option,
    click.option(
        "--concurrency",
        type=at_least("concurrency"),
        help="Calls at the same time, for the recommended memory limit [default: 1]",
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
        "--out", type=click.Path(path_type=Path), help="Output folder [default: reports/<when>-...]"
    ),
    format_option,
    display_option,
)


def measuring_options(command: Command) -> Command:
    """Give a command the argument TARGET and the options that say how to measure."""
    command = with_options(command, _OPTIONS)
    return click.argument("target", metavar="NAME_OR_FILE[:VARIANT,...]")(command)


def run_request(target: str, **given: Any) -> RunRequest:
    """What these options ask for.

    Raises:
        UsageError: an option of the scenario is not written as NAME=VALUE.
    """
    named = {name: given.pop(name) for name in ("lengths", "audio")}
    return RunRequest(target, options=given_options(given.pop("settings"), named), **given)

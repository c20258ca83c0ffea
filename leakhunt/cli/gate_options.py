"""The options of ``gate``, under the names of `leakhunt.engine.gate.GateRequest`."""

from __future__ import annotations

from pathlib import Path

import click

from leakhunt.cli.common_options import Command, at_least, limit_option, with_options
from leakhunt.engine.formats import GATE_FILES
from leakhunt.model.options import JOBS, PAIRS
from leakhunt.model.series import LIVE_HEAP

_OPTIONS = (
    click.argument("runs", nargs=-1, metavar="[RUN_OR_FOLDER...]"),
    click.option(
        "--policy",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Policy file [default: leakhunt.toml or pyproject.toml, here or above]",
    ),
    click.option(
        "--scenario",
        "scenarios",
        multiple=True,
        metavar="NAME[:VARIANT,...]",
        help="Measure only these scenarios of the policy",
    ),
    click.option(
        "--changed",
        is_flag=True,
        help="Measure only scenarios that changes since HEAD affect; none: exit code 0",
    ),
    click.option(
        "--against",
        metavar="REVISION",
        help="Compare with this git revision in interleaved runs; fail on regressions only",
    ),
    click.option(
        "--against-python",
        default="",
        metavar="PYTHON",
        help="Python interpreter for --against, with that revision's packages",
    ),
    click.option(
        "--pairs",
        type=at_least("pairs"),
        default=PAIRS,
        show_default=True,
        help="Pairs of runs for --against",
    ),
    click.option(
        "--baselines",
        type=click.Path(path_type=Path, file_okay=False),
        help="Folder of baselines [default: from the policy]",
    ),
    click.option("--no-baseline", is_flag=True, help="Ignore baselines"),
    click.option(
        "--jobs",
        type=at_least("jobs"),
        default=JOBS,
        show_default=True,
        help="Variants measured in parallel (makes time budgets unreliable)",
    ),
    click.option(
        "--max-growth", metavar="RATE", help="Budget for run files, for example '4 KiB/call'"
    ),
    click.option("--series", help=f"Series that --max-growth applies to [default: {LIVE_HEAP}]"),
    limit_option,
    click.option(
        "--out",
        type=click.Path(path_type=Path),
        help="Output folder [default: reports/<when>-gate; none for run files]",
    ),
    click.option(
        "--problems", is_flag=True, help="Print a line per result as FILE:LINE:1, for editors"
    ),
    click.option(
        "--format",
        "formats",
        default=GATE_FILES,
        show_default=True,
        metavar="NAME,...",
        help="Formats of the gate and of each scenario's report; or all",
    ),
)


def gate_options(command: Command) -> Command:
    """Give a command the options of a gate."""
    return with_options(command, _OPTIONS)

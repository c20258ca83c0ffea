"""The options of ``gate``, under the names of `leakhunt.engine.gate.GateRequest`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from leakhunt.engine.formats import GATE_FILES
from leakhunt.model.options import PAIRS
from leakhunt.model.series import LIVE_HEAP

_Command = TypeVar("_Command", bound=Callable[..., Any])
_OPTIONS = (
    click.argument("runs", nargs=-1, metavar="[RUN_OR_FOLDER...]"),
    click.option(
        "--policy",
        type=click.Path(path_type=Path, dir_okay=False),
        help="The file with the budgets; default: leakhunt.toml or pyproject.toml, here or above.",
    ),
    click.option(
        "--scenario",
        "scenarios",
        multiple=True,
        metavar="NAME[:VARIANT,...]",
        help="Measure only these of the policy.",
    ),
    click.option(
        "--against",
        metavar="REVISION",
        help="Measure this revision of the code beside, in turns: only what got worse counts.",
    ),
    click.option(
        "--against-python",
        default="",
        metavar="PYTHON",
        help="Run it with this interpreter, of an environment with that revision's packages.",
    ),
    click.option(
        "--pairs",
        type=click.IntRange(min=1),
        default=PAIRS,
        show_default=True,
        help="Of --against, so many pairs of runs.",
    ),
    click.option(
        "--baselines",
        type=click.Path(path_type=Path, file_okay=False),
        help="Folder of baselines; default: the policy's.",
    ),
    click.option("--no-baseline", is_flag=True, help="Hold nothing against a baseline."),
    click.option(
        "--jobs",
        type=click.IntRange(min=1),
        default=1,
        show_default=True,
        help="Measure so many variants at a time; times then say little.",
    ),
    click.option(
        "--max-growth", metavar="RATE", help="A budget for run files, such as '4 KiB/call'."
    ),
    click.option("--series", help=f"What --max-growth is of; default: {LIVE_HEAP}."),
    click.option(
        "--out",
        type=click.Path(path_type=Path),
        help="Folder for run files and reports; default: reports/<when>-gate, of run files none.",
    ),
    click.option(
        "--format",
        "formats",
        default=GATE_FILES,
        show_default=True,
        metavar="NAME,...",
        help="Files to write, of the gate and of each scenario's report; or all.",
    ),
)


def gate_options(command: _Command) -> _Command:
    """Give a command the options of a gate."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command

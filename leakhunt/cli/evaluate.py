"""``leakhunt truth``: the verdict held against workloads whose truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import Progress

from leakhunt.cli.common_options import at_least
from leakhunt.cli.json_option import offer
from leakhunt.cli.trials_display import TrialsBar
from leakhunt.cli.verb import Verb
from leakhunt.model.options import REPEATS
from leakhunt.reporting.evaluation.terminal import evaluation_lines, evaluation_tables
from leakhunt.reporting.formats.terminal_escape import visible

if TYPE_CHECKING:
    from leakhunt.engine.evaluate import EvaluationResult


@click.command("truth", cls=Verb)
@click.argument("targets", nargs=-1, metavar="[NAME_OR_FILE[:VARIANT,...]]...")
@click.option(
    "--repeats",
    type=at_least("repeats"),
    default=REPEATS,
    show_default=True,
    help="Runs per leaking workload, each with its own seed",
)
@click.option(
    "--clean-repeats",
    type=at_least("clean_repeats"),
    default=REPEATS,
    show_default=True,
    help="Runs per workload without a leak",
)
@click.option(
    "--hunt",
    "hunts",
    is_flag=True,
    help="Also hunt, and check that the first suspect is the planted one",
)
@click.option(
    "--jobs", type=at_least("jobs"), help="Workloads run in parallel [default: number of cores]"
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="New JSON file for the trials",
)
def command(
    targets: tuple[str, ...], repeats: int, clean_repeats: int, hunts: bool, jobs: int | None,
    out: Path | None,
) -> int:  # fmt: skip
    """Run workloads with a known ground truth, and print the error rates.

    Without NAME_OR_FILE: the built-in leak zoo. Any scenario takes part whose variants say what to
    expect: @variant(expect='leak in Python', rate=320).
    """
    from leakhunt.engine.evaluate import EvaluationRequest, document_of, evaluate

    console = Console()
    request = EvaluationRequest(targets, repeats, clean_repeats, hunts, jobs)
    with Progress(console=console, disable=not console.is_terminal) as bars:
        result = evaluate(request, TrialsBar(bars), out=out)
    offer(lambda: document_of(result))
    _show(console, result)
    return result.exit_code


def _show(console: Console, result: EvaluationResult) -> None:
    for table in evaluation_tables(result.trials, result.confusion):
        console.print(table)
    for line in evaluation_lines(result.wrong, result.score):
        console.print(visible(line), markup=False, highlight=False, soft_wrap=True)

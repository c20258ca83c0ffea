"""``leakhunt truth``: the verdict held against workloads whose truth is known."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from leakhunt.cli.trials_display import TrialsBar
from leakhunt.cli.verb import Verb
from leakhunt.engine.evaluate import EvaluationRequest, EvaluationResult, evaluate
from leakhunt.reporting.evaluation.terminal import evaluation_lines, evaluation_tables


@click.command("truth", cls=Verb)
@click.argument("targets", nargs=-1, metavar="[NAME_OR_FILE[:VARIANT,...]]...")
@click.option(
    "--repeats",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Runs of each leaking workload, each with a seed of its own.",
)
@click.option(
    "--clean-repeats",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Runs of each workload that does not leak.",
)
@click.option(
    "--hunt",
    "hunts",
    is_flag=True,
    help="Also hunt: the first suspect must be the culprit, and nobody suspected where none is.",
)
@click.option("--jobs", type=click.IntRange(min=1), help="At a time; default: the cores there are.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the trials to this new JSON file.",
)
def command(
    targets: tuple[str, ...],
    repeats: int,
    clean_repeats: int,
    hunts: bool,
    jobs: int | None,
    out: Path | None,
) -> int:
    """Run workloads whose truth is known, and print how often the verdict is right.

    Without NAME_OR_FILE: the built-in leak zoo. Any scenario takes part whose variants say what to
    expect: @variant(expect="leak in Python", rate=320).

    Exit code 0: all right. 1: a false alarm, a leak not found or put in the wrong class.
    """
    console = Console()
    request = EvaluationRequest(targets, repeats, clean_repeats, hunts, jobs)
    with Progress(console=console, disable=not console.is_terminal) as bars:
        result = evaluate(request, TrialsBar(bars), out=out)
    _show(console, result)
    return result.exit_code


def _show(console: Console, result: EvaluationResult) -> None:
    for table in evaluation_tables(result.trials, result.confusion):
        console.print(table)
    for line in evaluation_lines(result.wrong, result.score):
        console.print(line, markup=False, highlight=False, soft_wrap=True)

"""``leakhunt gate``: an exit code for CI, with what it could have seen and who is to blame."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

import click
from rich.console import Console

from leakhunt.analysis.gate.decide import acceptance_notes, not_measured
from leakhunt.cli.display import Bars, SteadyConsole
from leakhunt.cli.interrupts import signals_are_interrupts
from leakhunt.cli.verb import Verb
from leakhunt.config.budgets import parse_budget
from leakhunt.config.find_policy import example_table, load_policy, policy_file
from leakhunt.engine.baselines import SavedBaseline, kept_in
from leakhunt.engine.gate_notes import Notes, left_out, not_among, not_kept, not_there, unneeded
from leakhunt.engine.gate_output import (
    Files,
    files_option,
    pages_among,
    repository_around,
    show_gate,
    told_paths,
    write_gate,
    write_reports,
)
from leakhunt.engine.gate_plan import jobs_of
from leakhunt.engine.gate_scenario import AGAINST, GateCourse, answer_job
from leakhunt.engine.gate_variant import Answering, answer_runs, without_baseline
from leakhunt.engine.report import GENERATOR, Told
from leakhunt.engine.revisions import RevisionOptions, refuse_what_does_not_go_together, rival_of
from leakhunt.engine.select_runs import runs_in
from leakhunt.errors import INTERRUPTED, UsageError
from leakhunt.model.gate import GateResult, Terms, VariantResult
from leakhunt.model.policy import Policy, ScenarioPolicy
from leakhunt.model.run import Run
from leakhunt.model.series import LIVE_HEAP
from leakhunt.storage.folders import new_folder
from leakhunt.text.language import tr
from leakhunt.text.message import Text

# Columns of a run's name on the terminal: longer ones push what follows to the right.
_WIDTH = 32
_OPTION = "--max-growth"


@click.command("gate", cls=Verb)
@click.argument("runs", nargs=-1, metavar="[RUN_OR_FOLDER...]")
@click.option(
    "--policy",
    "named",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file with the budgets; default: leakhunt.toml or pyproject.toml, here or above.",
)
@click.option(
    "--scenario",
    "wanted",
    multiple=True,
    metavar="NAME[:VARIANT,...]",
    help="Measure only these of the policy.",
)
@click.option(
    "--against",
    metavar="REVISION",
    help="Measure this revision of the code beside, in turns: only what got worse counts.",
)
@click.option(
    "--against-python",
    default="",
    metavar="PYTHON",
    help="Run it with this interpreter, of an environment with that revision's packages.",
)
@click.option(
    "--pairs",
    "rounds",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Of --against, so many pairs of runs.",
)
@click.option(
    "--baselines",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of baselines; default: the policy's.",
)
@click.option("--no-baseline", is_flag=True, help="Hold nothing against a baseline.")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Measure so many variants at a time; times then say little.",
)
@click.option("--max-growth", metavar="RATE", help="A budget for run files, such as '4 KiB/call'.")
@click.option("--series", help=f"What --max-growth is of; default: {LIVE_HEAP}.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder for run files and reports; default: reports/<when>-gate, of run files none.",
)
@files_option
def command(
    runs: tuple[str, ...],
    named: Path | None,
    wanted: tuple[str, ...],
    against: str | None,
    against_python: str,
    rounds: int,
    baselines: Path | None,
    no_baseline: bool,
    jobs: int,
    max_growth: str | None,
    series: str | None,
    out: Path | None,
    files: Files,
) -> int:
    """Measure what the policy names, or take run files, and check the budgets.

    Exit code 0: all are within. 1: one is over. 3: one cannot tell. 4: one could not be measured.
    2: wrong usage. 6: the policy, a baseline or a run file that is named is damaged.
    """
    if max_growth is not None and (named is not None or not runs):
        raise UsageError(
            tr("--max-growth is a budget for run files, in place of a policy: name some run files")
        )
    if series is not None and max_growth is None:
        raise UsageError(tr("--series says what --max-growth is of; give both, or neither"))
    if runs:
        if against is not None or wanted or against_python:
            raise UsageError(
                tr("run files are measured already: leave out --scenario and --against")
            )
        policy = (
            _of_one_budget(max_growth, series or LIVE_HEAP)
            if max_growth is not None
            else load_policy(policy_file(named))
        )
        kept = _kept(policy, baselines, no_baseline)
        return _judge(runs, policy, kept, out, files)
    policy = load_policy(policy_file(named))
    if not policy.scenarios:
        raise UsageError(
            tr(
                "{file}: no scenario to measure; add a table [{table}], or name run files",
                file=policy.file,
                table=example_table(policy.file),
            )
        )
    asked = RevisionOptions(wanted, against, against_python, rounds, jobs)
    refuse_what_does_not_go_together(asked, baselines)
    kept = None if against is not None else _kept(policy, baselines, no_baseline)
    return _measure(policy, asked, kept, out, files)


def _kept(policy: Policy, named: Path | None, without: bool) -> SavedBaseline | None:
    """The baselines to hold runs against; None: no folder of them is named."""
    if without or (named is None and not policy.baselines):
        return None
    return kept_in(named or Path(policy.file).parent / policy.baselines)


def _of_one_budget(max_growth: str, series: str) -> Policy:
    """The policy that the options stand for."""
    try:
        budget = parse_budget(series, float(max_growth) if _is_number(max_growth) else max_growth)
    except UsageError as error:
        raise UsageError(tr("{option}: {error}", option=_OPTION, error=error)) from None
    return Policy(_OPTION, ScenarioPolicy("", _OPTION, budgets=(budget,)))


def _is_number(text: str) -> bool:
    """Whether it is a bare number, which counts per call as it does in a policy."""
    return text.replace(".", "", 1).isdecimal()


def _judge(
    places: Sequence[str],
    policy: Policy,
    kept: SavedBaseline | None,
    out: Path | None,
    files: Files,
) -> int:
    """Judge run files; a place without any was not measured."""
    answering = [each for place in places for each in _answering(place, policy, kept)]
    folder = new_folder(out, "gate") if out is not None else None
    held = kept.place if kept else ""

    def notes(variants: Sequence[VariantResult]) -> list[Text]:
        return [*not_among(policy, variants), *not_kept(kept, variants)]

    return _tell(answering, policy, held, folder, files, notes)


def _answering(place: str, policy: Policy, kept: SavedBaseline | None) -> Iterator[Answering]:
    """What gives the answers on the variants in a place."""
    left_out: list[Text] = []
    variants: dict[tuple[str, str], list[Run]] = {}
    for run in runs_in(place, left_out):
        variants.setdefault((run.plan.scenario, run.plan.variant), []).append(run)
    for number in range(len(left_out)):
        yield partial(_damaged, place, number)
    measured = {
        name: runs for name, runs in variants.items() if any(run.plan.is_measured for run in runs)
    }
    if not measured and not left_out:
        yield lambda: not_measured(place, "", tr("no run file (*.run.jsonl) here"))
    against = without_baseline if kept is None else kept.against
    for (scenario, variant), runs in measured.items():
        held = policy.of(scenario)
        terms = Terms(held.budgets_of(variant), policy.accepted_in(scenario), _today())
        yield partial(answer_runs, runs, terms, GENERATOR, against)


def _damaged(place: str, number: int) -> VariantResult:
    """The answer on a damaged file of a place, read again for the language then spoken."""
    left_out: list[Text] = []
    list(runs_in(place, left_out))
    return not_measured(place, "", str(left_out[number]))


def _today() -> date:
    return datetime.now(UTC).date()


def _measure(
    policy: Policy,
    asked: RevisionOptions,
    kept: SavedBaseline | None,
    out: Path | None,
    files: Files,
) -> int:
    """Measure what the policy names, and tell the answers."""
    base = Path(policy.file).absolute().parent
    jobs = jobs_of(policy, asked.wanted, base)
    signals_are_interrupts()
    answering: list[Answering] = []
    with ExitStack() as lasting:
        rival = rival_of(asked, base, lasting)
        folder = new_folder(out, "gate")
        jobs = [replace(job, folder=folder / job.folder) for job in jobs]
        course = GateCourse(
            policy=policy,
            today=_today(),
            display=lasting.enter_context(Bars(SteadyConsole(), _WIDTH)),
            against=without_baseline if kept is None else kept.against,
            rival=rival,
            jobs=asked.jobs,
        )
        for job in jobs:
            answering += answer_job(job, course)
    reports = [
        (
            job.settings.scenario.name,
            write_reports(job.folder, files, asked.against, job.folder / AGAINST),
        )
        for job in jobs
    ]
    held = asked.against or (kept.place if kept is not None else "")

    def notes(variants: Sequence[VariantResult]) -> list[Text]:
        return [
            *left_out(course.unfit),
            *not_kept(kept, variants),
            *not_there(asked.against, course.new),
            *unneeded(_accepted(policy), asked.wanted, variants),
        ]

    code = _tell(answering, policy, held, folder, files, notes, reports)
    return INTERRUPTED if course.stop.is_set() else code


def _tell(
    answering: Sequence[Answering],
    policy: Policy,
    held: str,
    folder: Path | None,
    files: Files,
    notes: Notes,
    reports: Sequence[tuple[str, Sequence[Path]]] = (),
) -> int:
    """Write and show the answers, with the scenarios' `reports` by name; the exit code."""
    pages = tuple(
        pages_among(scenario, paths, folder)
        for scenario, paths in reports
        if folder is not None and paths
    )

    def again() -> GateResult:
        variants = tuple(each() for each in answering)
        told = (*acceptance_notes(_accepted(policy), variants), *notes(variants))
        return GateResult(variants, policy.file, held, told, GENERATOR, pages)

    told = Told(again(), again)
    repository = repository_around(policy)
    written = [] if folder is None else write_gate(told, repository, folder, files)
    paths = told_paths(written, [path for _, paths in reports for path in paths])
    show_gate(Console(), told.here, repository, paths, os.environ)
    return int(told.here.answer)


def _accepted(policy: Policy) -> Terms:
    """All that is accepted, in the order of the policy."""
    everything = {each for accepted in policy.accepted.values() for each in accepted}
    return Terms((), tuple(sorted(everything, key=lambda each: each.where)), _today())

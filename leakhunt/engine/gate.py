"""``gate``: budgets checked on what a policy names, or on run files.

    result = gate(GateRequest(policy=Path("leakhunt.toml"), against="main"))
    result.answer        # GateAnswer.WITHIN_BUDGET, OVER, INCONCLUSIVE or NOTHING_MEASURED
    result.exit_code     # the same as a number; 130 after an interrupt

From the policy to the exit code it goes one way: `config.policy_file`, `gate_plan` (which variants,
which settings), `gate_variant` (repeats, longer runs, the other revision, the hunt),
`analysis.gate.decide`, `model.gate.GateResult`, `reporting.gate`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

from leakhunt.analysis.gate.decide import acceptance_notes, not_measured
from leakhunt.config.budgets import parse_budget
from leakhunt.config.find_policy import example_table, load_policy, policy_file
from leakhunt.engine.argument_checks import refuse_too_small
from leakhunt.engine.baselines import SavedBaseline, saved_baseline_in
from leakhunt.engine.changed import changed_scenarios
from leakhunt.engine.container_limit import limit_bytes, with_limit
from leakhunt.engine.events import SILENT, Events
from leakhunt.engine.formats import GATE_FILES
from leakhunt.engine.gate_notes import (
    fills_limit,
    left_out,
    not_among,
    not_in_baseline,
    not_there,
    unneeded,
)
from leakhunt.engine.gate_output import (
    GateFiles,
    files_named,
    pages_among,
    write_gate,
    write_reports,
)
from leakhunt.engine.gate_plan import jobs_of
from leakhunt.engine.gate_scenario import AGAINST, GateContext, ScenarioResult, gate_scenario
from leakhunt.engine.gate_variant import answer_runs, without_baseline
from leakhunt.engine.report import GENERATOR
from leakhunt.engine.repository import repository_around
from leakhunt.engine.revisions import other_revision_of
from leakhunt.engine.select_runs import runs_in
from leakhunt.errors import INTERRUPTED, UsageError
from leakhunt.model.gate import GateAnswer, GateResult, Terms, VariantResult
from leakhunt.model.options import JOBS, PAIRS
from leakhunt.model.policy import Policy, ScenarioPolicy
from leakhunt.model.run import Run
from leakhunt.model.series import LIVE_HEAP
from leakhunt.reporting.gate.notebook import card
from leakhunt.reporting.gate.source_lines import Repository
from leakhunt.storage.folders import new_folder
from leakhunt.text.message import Text, message

_MAX_GROWTH = "--max-growth"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRequest:
    """What ``gate`` is asked for; every door builds one, and `gate` checks it.

    `runs` are run files, or folders of them, that are checked in place of measuring. `policy` is
    the file with the budgets; None: the nearest ``leakhunt.toml`` or ``pyproject.toml``. In place
    of it `max_growth` is one budget for run files, of `series`. `scenarios` are those of the policy
    that are measured, as ``NAME[:VARIANT,...]``; empty: all. `changed`: only those of them that the
    changes since HEAD may affect. `against` is a git revision that is
    measured in `pairs` of interleaved runs, by the interpreter `against_python`. `baselines` is
    their folder; None: the policy's. `jobs` variants are measured at the same time. `out` is the
    folder for run files and reports; None: a new one below ``reports``, of run files none.
    `formats` are the files that are written, such as ``html,json``. `limit` (bytes or a size) is
    the memory of a container to come: a variant that would fill it is noted.
    """

    runs: tuple[str, ...] = ()
    policy: Path | None = None
    scenarios: tuple[str, ...] = ()
    changed: bool = False
    against: str | None = None
    against_python: str = ""
    pairs: int = PAIRS
    baselines: Path | None = None
    no_baseline: bool = False
    jobs: int = JOBS
    max_growth: str | None = None
    series: str | None = None
    out: Path | None = None
    formats: str = GATE_FILES
    limit: int | str | None = None


@dataclass(frozen=True, slots=True)
class GateRun:
    """A gate that was carried out: its `result`, and what it left.

    `repository` is where its answers stand. `files` are its own, the page the last, and `reports`
    the pages on its scenarios; none where run files were checked and no folder was named.
    `is_unaffected`: the changes affect no scenario, so that nothing was to be measured.
    """

    result: GateResult
    repository: Repository
    folder: Path | None = None
    files: tuple[Path, ...] = ()
    reports: tuple[Path, ...] = ()
    interrupted: bool = False
    is_unaffected: bool = False

    @property
    def answer(self) -> GateAnswer:
        """The answer for all variants."""
        return self.result.answer

    @property
    def variants(self) -> tuple[VariantResult, ...]:
        """The answers on the variants, in the order of the policy."""
        return self.result.variants

    @property
    def exit_code(self) -> int:
        """That of ``leakhunt gate``: the answer, or 130 after an interrupt; 0 if unaffected."""
        if self.is_unaffected:
            return 0
        return INTERRUPTED if self.interrupted else int(self.answer)

    def _repr_html_(self) -> str:
        return card(self.result)


def gate(request: GateRequest, events: Events = SILENT) -> GateRun:
    """Measure what the policy names, or take run files, and check the budgets.

    After an interrupt it tells what was measured so far.

    Raises:
        UsageError: the request makes no sense.
        BadFile: the policy, a baseline or a run file that is named is damaged.
        CannotWrite: the disk does not take run files or reports.
        MissingRequirement: git, or what a format needs, is not there.
    """
    files = files_named(request.formats, events)
    _check_request(request)
    if request.runs:
        return _check_run_files(request, files)
    policy = load_policy(policy_file(request.policy))
    if not policy.scenarios:
        raise UsageError(
            message(
                "gate.no-scenario",
                "{file}: no scenario to measure. Add a table [{table}], or pass run files",
                file=policy.file,
                table=example_table(policy.file),
            )
        )
    _refuse_what_does_not_go_together(request)
    return _measure(request, policy, files, events)


def _check_request(request: GateRequest) -> None:
    if request.max_growth is not None and (request.policy is not None or not request.runs):
        raise UsageError(
            message(
                "gate.max-growth-needs-runs",
                "--max-growth needs run files (it replaces the policy)",
            )
        )
    if request.series is not None and request.max_growth is None:
        raise UsageError(message("gate.series-needs-max-growth", "--series needs --max-growth"))
    only_measured = (request.against, *request.scenarios, request.against_python or None)
    if request.runs and request.changed:
        raise UsageError(
            message("gate.changed-excludes-runs", "--changed cannot be combined with run files")
        )
    if request.runs and any(each is not None for each in only_measured):
        raise UsageError(
            message(
                "gate.runs-exclude",
                "--scenario and --against cannot be combined with run files",
            )
        )
    refuse_too_small(pairs=request.pairs, jobs=request.jobs)


def _refuse_what_does_not_go_together(request: GateRequest) -> None:
    """Refuse options that would do nothing, and an interpreter that is not there."""
    interpreter = request.against_python
    if interpreter and request.against is None:
        raise UsageError(
            message("gate.against-python-alone", "--against-python needs --against REVISION")
        )
    if interpreter and shutil.which(interpreter) is None:
        raise UsageError(
            message(
                "gate.against-python-not-found",
                "--against-python {name}: program not found. Check the path",
                name=interpreter,
            )
        )
    if request.against is not None and request.baselines is not None:
        raise UsageError(
            message(
                "gate.against-replaces-baseline",
                "--against replaces the baseline: remove --baselines",
            )
        )


def _check_run_files(request: GateRequest, files: GateFiles) -> GateRun:
    """Judge run files; a place without any was not measured."""
    policy = (
        _of_one_budget(request.max_growth, request.series or LIVE_HEAP)
        if request.max_growth is not None
        else load_policy(policy_file(request.policy))
    )
    saved = _saved(request, policy)
    limit = limit_bytes(request.limit)
    variants = [each for place in request.runs for each in _answers_in(place, policy, saved, limit)]
    folder = new_folder(request.out, "gate") if request.out is not None else None
    notes = (*not_among(policy, variants), *not_in_baseline(saved, variants))
    compared_with = saved.place if saved is not None else ""
    return _finished(_Answers(policy, tuple(variants), compared_with, notes), folder, files)


def _of_one_budget(max_growth: str, series: str) -> Policy:
    """The policy that the options stand for."""
    # A bare number counts per call as it does in a policy.
    is_number = max_growth.replace(".", "", 1).isdecimal()
    try:
        budget = parse_budget(series, float(max_growth) if is_number else max_growth)
    except UsageError as error:
        raise UsageError(
            message("gate.option", "{option}: {error}", option=_MAX_GROWTH, error=error)
        ) from None
    return Policy(_MAX_GROWTH, ScenarioPolicy("", _MAX_GROWTH, budgets=(budget,)))


def _saved(request: GateRequest, policy: Policy) -> SavedBaseline | None:
    """The baselines to compare runs with; None: no folder of them is named."""
    named = request.baselines
    if request.no_baseline or (named is None and not policy.baselines):
        return None
    return saved_baseline_in(named or Path(policy.file).parent / policy.baselines)


def _answers_in(
    place: str, policy: Policy, saved: SavedBaseline | None, limit: int | None
) -> Iterator[VariantResult]:
    """The answers on the variants in a place, set against a `limit`, and on its damaged files."""
    damaged: list[Text] = []
    variants: dict[tuple[str, str], list[Run]] = {}
    for read in runs_in(place, damaged):
        run = with_limit(read, limit)
        variants.setdefault((run.plan.scenario, run.plan.variant), []).append(run)
    for reason in damaged:
        yield not_measured(place, "", reason)
    measured = {
        name: runs for name, runs in variants.items() if any(run.plan.is_measured for run in runs)
    }
    if not measured and not damaged:
        yield not_measured(
            place, "", message("gate.no-run-file", "no run file (*.run.jsonl) found")
        )
    against = without_baseline if saved is None else saved.against
    for (scenario, variant), runs in measured.items():
        own = policy.of(scenario, variant)
        terms = Terms(own.budgets_of(variant), policy.accepted_in(scenario, variant), _today())
        # An option goes before the policy.
        judged = runs if limit is not None else [with_limit(run, own.limit_bytes) for run in runs]
        yield answer_runs(judged, terms, GENERATOR, against)


def _measure(request: GateRequest, policy: Policy, files: GateFiles, events: Events) -> GateRun:
    """Measure what the policy names, and check it."""
    if request.changed:
        affected = changed_scenarios(policy, request.scenarios)
        if not affected:
            return _unaffected(policy)
        request = replace(request, scenarios=affected)
    saved = None if request.against is not None else _saved(request, policy)
    base = Path(policy.file).absolute().parent
    limit = limit_bytes(request.limit)
    jobs = jobs_of(policy, request.scenarios, base)
    if limit is not None:
        jobs = [replace(job, settings=replace(job.settings, limit_bytes=limit)) for job in jobs]
    with ExitStack() as exit_stack:
        other_revision = other_revision_of(
            request.against, request.against_python, request.pairs, base, exit_stack
        )
        folder = new_folder(request.out, "gate")
        jobs = [replace(job, folder=folder / job.folder) for job in jobs]
        context = GateContext(
            policy=policy,
            today=_today(),
            events=events,
            against=without_baseline if saved is None else saved.against,
            other_revision=other_revision,
            jobs=request.jobs,
        )
        results = [gate_scenario(job, context) for job in jobs]
    reports = tuple(
        (
            job.settings.scenario.name,
            write_reports(job.folder, files, request.against, job.folder / AGAINST, events),
        )
        for job in jobs
    )
    variants = tuple(variant for result in results for variant in result.variants)
    answers = _Answers(
        policy,
        variants,
        compared_with=request.against or (saved.place if saved is not None else ""),
        notes=tuple(_notes(request, policy, saved, results, variants)),
        reports=reports,
        interrupted=context.stop.is_set(),
    )
    return _finished(answers, folder, files)


def _unaffected(policy: Policy) -> GateRun:
    note = message(
        "gate.unaffected",
        "the changes since HEAD affect no scenario of {policy}; nothing was measured",
        policy=policy.file,
    )
    result = GateResult((), policy.file, "", (note,), GENERATOR, ())
    return GateRun(result, repository_around(policy), is_unaffected=True)


def _notes(
    request: GateRequest,
    policy: Policy,
    saved: SavedBaseline | None,
    results: Sequence[ScenarioResult],
    variants: Sequence[VariantResult],
) -> Iterator[Text]:
    yield from left_out([each for result in results for each in result.unfit])
    yield from not_in_baseline(saved, variants)
    yield from not_there(request.against, [name for result in results for name in result.new])
    yield from unneeded(_accepted(policy), request.scenarios, variants)


@dataclass(frozen=True, slots=True)
class _Answers:
    """The answers on all variants, the pages on each scenario, and what else is to be said."""

    policy: Policy
    variants: tuple[VariantResult, ...]
    compared_with: str
    notes: tuple[Text, ...]
    reports: tuple[tuple[str, tuple[Path, ...]], ...] = ()
    interrupted: bool = False


def _finished(answers: _Answers, folder: Path | None, files: GateFiles) -> GateRun:
    """The answers, written to the folder if there is one."""
    pages = tuple(
        pages_among(scenario, paths, folder)
        for scenario, paths in answers.reports
        if folder is not None and paths
    )
    policy, variants = answers.policy, answers.variants
    notes = (
        *acceptance_notes(_accepted(policy), variants),
        *fills_limit(variants),
        *answers.notes,
    )
    result = GateResult(variants, policy.file, answers.compared_with, notes, GENERATOR, pages)
    repository = repository_around(policy)
    return GateRun(
        result=result,
        repository=repository,
        folder=folder,
        files=() if folder is None else write_gate(result, repository, folder, files),
        reports=tuple(path for _, paths in answers.reports for path in paths),
        interrupted=answers.interrupted,
    )


def _accepted(policy: Policy) -> Terms:
    """All that is accepted, in the order of the policy."""
    everything = {each for accepted in policy.accepted.values() for each in accepted}
    return Terms((), tuple(sorted(everything, key=lambda each: each.where)), _today())


def _today() -> date:
    return datetime.now(UTC).date()

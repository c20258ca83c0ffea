"""Judge and report what was measured: reports, comparisons, gates, claims, error rates."""

from __future__ import annotations

import os
from collections.abc import Sequence

from leakhunt.api.arguments import PathLike, names_of, path_of, renderers_of
from leakhunt.engine import claims as claiming
from leakhunt.engine import evaluate as evaluating
from leakhunt.engine import gate as gating
from leakhunt.engine import report as reports
from leakhunt.engine.argument_types import checks_arguments
from leakhunt.engine.claims import ClaimsResult
from leakhunt.engine.compare import CompareResult, compare_into, compare_places
from leakhunt.engine.evaluate import EvaluationRequest, EvaluationResult
from leakhunt.engine.events import SILENT, Events
from leakhunt.engine.formats import BY_DEFAULT, GATE_FILES
from leakhunt.engine.gate import GateRequest, GateRun
from leakhunt.engine.report import ReportResult
from leakhunt.errors import UsageError
from leakhunt.model.options import (
    JOBS,
    PAIRS,
    REPEATS,
)
from leakhunt.text.message import message


@checks_arguments
def report(
    *places: PathLike,
    limit: int | str | None = None,
    out: PathLike | None = None,
    formats: str | None = BY_DEFAULT,
    events: Events | None = None,
) -> ReportResult:
    """Render the report on run files, or on folders of them, again.

    Its files go to `out`; None: to the folder of the first run file, where they are replaced.
    With ``formats=None`` none are written. `limit` is the memory limit (bytes or a size) to
    forecast against, in place of that of their plans. Damaged files in a folder are left out, and
    `events` receives a note on each.

    Raises:
        UsageError: there is nothing of this name.
        BadFile: a file that is named is no run file.
        NothingMeasured: there is no run file.
        CannotWrite: the disk does not take the report.
    """
    if not places:
        raise UsageError(
            message("argument.missing-run-file", "missing run file. Pass a run file or a folder")
        )
    events = events or SILENT
    named = [os.fspath(place) for place in places]
    return reports.rerendered(
        named, renderers_of(formats, events), events, out=path_of(out), limit=limit
    )


@checks_arguments
def compare(
    *places: PathLike,
    labels: Sequence[str] = (),
    despite_differences: bool = False,
    out: PathLike | None = None,
) -> CompareResult:
    """The runs of two or more versions, packages or machines compared; the first is the baseline.

    `labels` are what to call each place; `despite_differences`: conclude although the environments
    differ. The files of the comparison are written to the new folder `out` only if one is named.

    Raises:
        UsageError: fewer than two places, one that does not exist, or labels that do not fit.
        BadFile: a file that is named is no run file.
        NothingMeasured: a place has no measured run, or they have no variant in common.
        CannotWrite: the disk does not take the files.
    """
    if out is not None:
        return compare_into(path_of(out), places, labels, despite_differences)
    return CompareResult(compare_places(places, labels, despite_differences))


@checks_arguments
def gate(  # noqa: PLR0913 - the options of the verb, by name
    *runs: PathLike,
    policy: PathLike | None = None,
    scenarios: Sequence[str] = (),
    changed: bool = False,
    against: str | None = None,
    against_python: str = "",
    pairs: int = PAIRS,
    baselines: PathLike | None = None,
    no_baseline: bool = False,
    jobs: int = JOBS,
    max_growth: str | None = None,
    series: str | None = None,
    limit: int | str | None = None,
    out: PathLike | None = None,
    formats: str = GATE_FILES,
    events: Events | None = None,
) -> GateRun:
    """Measure what the policy names, or take run files, and check the budgets.

    The result has the answer for all (``result.answer``), one for each variant
    (``result.variants``), and the verb's ``result.exit_code``.

    Args:
        runs: run files, or folders of them, that are checked in place of measuring.
        policy: the file with the budgets; None: the nearest ``leakhunt.toml`` or
            ``pyproject.toml``, here or above.
        scenarios: those of the policy that are measured, as ``NAME[:VARIANT,...]``; default: all.
        changed: measure only those that the changes since HEAD may affect: where the scenario's
            file changed, its folder, or what it imports. If there is none, the exit code is 0.
        against: a git revision of the code that is measured as well, interleaved; then only what
            got worse counts.
        against_python: the interpreter for that revision, of an environment with its packages.
        pairs: pairs of runs for `against`.
        baselines: the folder of baselines; None: the policy's.
        no_baseline: compare with no baseline.
        jobs: variants measured in parallel (makes time budgets unreliable).
        max_growth: one budget for `runs`, such as ``"4 KiB/call"``, in place of a policy.
        series: what `max_growth` is of; None: the live heap.
        limit: the memory of a container to come (bytes or a size): a variant that would fill it is
            noted.
        out: a new or empty folder for run files and reports; None: ``reports/<when>-gate``, and
            for `runs` none: then nothing is written.
        formats: the files that are written, of the gate and of each scenario's report.
        events: receives the progress; see `leakhunt.engine.events.Events`.

    Raises:
        UsageError: the request makes no sense, or names what is not there.
        BadFile: the policy, a baseline or a run file that is named is damaged.
        MissingRequirement: git, or what a format needs, is not there.
        CannotWrite: the disk does not take the results.
    """
    request = GateRequest(
        runs=names_of(runs),
        policy=path_of(policy),
        scenarios=tuple(scenarios),
        changed=changed,
        against=against,
        against_python=against_python,
        pairs=pairs,
        baselines=path_of(baselines),
        no_baseline=no_baseline,
        jobs=jobs,
        max_growth=max_growth,
        series=series,
        limit=limit,
        out=path_of(out),
        formats=formats,
    )
    return gating.gate(request, events or SILENT)


@checks_arguments
def check_claims(
    *scenarios: PathLike,
    ids: Sequence[str] = (),
    out: PathLike | None = None,
    formats: str | None = BY_DEFAULT,
    events: Events | None = None,
) -> ClaimsResult:
    """Check the claims of field reports by measuring: ``result.claims``, each with a verdict.

    `scenarios` are built-in ones, folders with a ``claims.toml``, or such files; default: all
    built-in ones that have claims. `ids` are the claims that are checked; default: all. Each run
    that they need is made once, into a folder of its own below `out` (None:
    ``reports/<when>-claims``); with the folder of a check before, its whole runs are kept.
    `formats` are the files of the report on each run; the table of claims is always written as
    JSON, for programs.

    Raises:
        UsageError: there is no such scenario or claim.
        BadFile: a file of claims is none.
        CannotWrite: the disk does not take the results, or `out` holds files that are not ours.
    """
    events = events or SILENT
    renderers = renderers_of(formats, events)
    return claiming.check_claims(names_of(scenarios), ids, renderers, events, out=path_of(out))


@checks_arguments
def evaluate(  # noqa: PLR0913 - the options of the verb, by name
    *targets: str,
    repeats: int = REPEATS,
    clean_repeats: int = REPEATS,
    hunt: bool = False,
    jobs: int | None = None,
    out: PathLike | None = None,
    events: Events | None = None,
) -> EvaluationResult:
    """Run workloads whose truth is known: how often the verdict is right (``leakhunt truth``).

    Without targets the built-in leak zoo. Leaking workloads are run `repeats` times, others
    `clean_repeats` times, `jobs` at a time (None: as many as there are cores); with `hunt` the
    first suspect has to be the culprit. `out` is a new JSON file for the trials.

    Raises:
        LeakhuntError: a workload is not there, none says what to expect, or the disk does not take
            the file.
        KeyboardInterrupt: the user ended it.
    """
    request = EvaluationRequest(targets, repeats, clean_repeats, hunt, jobs)
    return evaluating.evaluate(request, events or SILENT, out=path_of(out))

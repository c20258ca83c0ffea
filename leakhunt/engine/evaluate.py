"""``truth``: the verdict held against workloads whose truth is known."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from leakhunt import __version__
from leakhunt.analysis.attribution.attribute import attribute
from leakhunt.analysis.evaluation import confusion, hunted, score, trial
from leakhunt.analysis.verdict import judge
from leakhunt.engine.argument_checks import refuse_too_small
from leakhunt.engine.events import SILENT, Events, RunStart
from leakhunt.engine.explain import under_instruments
from leakhunt.engine.settings import plan_of
from leakhunt.environment import available_cores, describe_environment
from leakhunt.errors import CannotWrite, LeakhuntError, UsageError, cannot_write_to
from leakhunt.model.attribution import GROWTH_INSTRUMENTS, Instrument
from leakhunt.model.evaluation import Score, Trial
from leakhunt.model.kinds import Kind
from leakhunt.model.options import BUDGET_SECONDS, REPEATS, Sampling, Settings
from leakhunt.model.plan import Plan
from leakhunt.model.run import Ending, Outcome, Run
from leakhunt.model.scenario import Scenario, Variant
from leakhunt.reporting.evaluation import tables
from leakhunt.runner.prepared import PreparedScenario, prepared_for
from leakhunt.scenario import find
from leakhunt.scenario.requirements import missing_modules
from leakhunt.storage.follow import Tail
from leakhunt.text.message import message

ZOO = "leak-zoo-"
# Workloads of known truth are small: one without a new sample for so many seconds has hung.
WORKLOAD_TIMEOUT_SECONDS = 300.0
# Known truth is about growth.
_FOR_GROWTH = tuple(each for each in GROWTH_INSTRUMENTS if each is not Instrument.GARBAGE)


@dataclass(frozen=True, slots=True)
class EvaluationRequest:
    """What ``truth`` is asked for.

    `targets` as for ``run``; empty: the built-in leak zoo. Each leaking workload is run `repeats`
    times, each other one `clean_repeats` times, with a seed of its own each; with `hunt` who keeps
    the memory is found out as well. `jobs` at a time; None: as many as there are cores.
    """

    targets: tuple[str, ...] = ()
    repeats: int = REPEATS
    clean_repeats: int = REPEATS
    hunt: bool = False
    jobs: int | None = None


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """A trial for each run, and what they come to."""

    trials: tuple[Trial, ...]
    score: Score

    @property
    def confusion(self) -> Mapping[Kind, Mapping[Kind, int]]:
        """How often each class was found where each was expected."""
        return confusion(self.trials)

    @property
    def wrong(self) -> tuple[Trial, ...]:
        """The trials that were not right."""
        return tuple(each for each in self.trials if not each.is_right)

    @property
    def exit_code(self) -> int:
        """That of the verb: 0 if all are right, else 1."""
        return int(bool(self.wrong))


@dataclass(frozen=True, slots=True)
class _Job:
    """A run of a workload."""

    settings: Settings
    variant: Variant

    @property
    def name(self) -> str:
        """Of its folder."""
        scenario, seed = self.settings.scenario.name, self.settings.seed
        return f"{scenario}-{self.variant.name}-{seed}"


def evaluate(
    request: EvaluationRequest, events: Events = SILENT, *, out: Path | None = None
) -> EvaluationResult:
    """Run workloads whose truth is known; `out` is a new JSON file for the trials.

    `events` are told of each trial as one run, of the group of all of them.

    Raises:
        LeakhuntError: a workload is not there, none says what to expect, or the disk does not take
            the file.
        KeyboardInterrupt: the user ended it.
    """
    _refuse_wrong_values(request)
    if out is not None and out.exists():
        raise CannotWrite(
            message(
                "file.exists",
                "{out}: already exists and is not overwritten. Choose another name",
                out=out,
            )
        )
    with tempfile.TemporaryDirectory(prefix="leakhunt-", ignore_cleanup_errors=True) as scratch:
        jobs = list(_jobs(request, Path(scratch), events))
        if not jobs:
            raise UsageError(
                message(
                    "evaluate.no-workload",
                    "no workload with a ground truth runs on this machine; see 'leakhunt truth -h'",
                )
            )
        trials = _carried_out(jobs, request, Path(scratch), events)
    result = EvaluationResult(tuple(trials), score(trials))
    if out is not None:
        _write(out, result)
    return result


def _refuse_wrong_values(request: EvaluationRequest) -> None:
    refuse_too_small(
        repeats=request.repeats, clean_repeats=request.clean_repeats, jobs=request.jobs
    )


def _chosen(targets: Sequence[str]) -> Iterator[tuple[Scenario, tuple[Variant, ...]]]:
    if targets:
        yield from map(find.find, targets)
        return
    for found in find.builtin():
        if found.name.startswith(ZOO):
            yield found, found.variants


def _jobs(request: EvaluationRequest, scratch: Path, events: Events) -> Iterator[_Job]:
    for found, variants in _chosen(request.targets):
        known = tuple(variant for variant in variants if variant.expect)
        settings = _settings(found, known)
        missing = missing_modules(found)
        if missing:
            events.noted(
                message(
                    "evaluation.missing",
                    "skipped: {name} needs {missing}",
                    name=found.name,
                    missing=", ".join(missing),
                )
            )
            continue
        try:
            prepared_for(settings, scratch, scratch)
        except LeakhuntError as error:
            events.noted(
                message(
                    "evaluation.left-out",
                    "skipped: {name}: {error}",
                    name=found.name,
                    error=str(error),
                )
            )
            continue
        for variant in known:
            leaks = variant.expect[0].is_leak
            for seed in range(request.repeats if leaks else request.clean_repeats):
                yield _Job(replace(settings, seed=seed), variant)


def _settings(found: Scenario, variants: tuple[Variant, ...]) -> Settings:
    return Settings(
        scenario=found,
        variants=variants,
        named=True,
        sampling=Sampling(None, None, None, "auto", False, BUDGET_SECONDS),
        seed=0,
        threads=1,
        device="cuda" if found.devices == ("cuda",) else "cpu",
        options=find.settle_options(found, {}),
        memory_limit_bytes=None,
        timeout_seconds=WORKLOAD_TIMEOUT_SECONDS,
    )


def _carried_out(
    jobs: Sequence[_Job], request: EvaluationRequest, scratch: Path, events: Events
) -> list[Trial]:
    """The trials, as they come; all workers end with the first that fails."""
    stop = threading.Event()
    group = tuple(job.name for job in jobs)

    def go_on(tail: Tail) -> None:
        if stop.is_set():
            raise KeyboardInterrupt

    def carry_out(job: _Job) -> Trial:
        return _tried(job, request.hunt, scratch, go_on)

    for name in group:
        events.started(RunStart(name, group=group))
    trials: list[Trial] = []
    with ThreadPoolExecutor(request.jobs or available_cores()) as pool:
        running: dict[Future[Trial], str] = {pool.submit(carry_out, job): job.name for job in jobs}
        try:
            for done in as_completed(running):
                trials.append(done.result())
                events.ended(running[done], Outcome(Ending.OK))
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return trials


def _tried(job: _Job, hunts: bool, scratch: Path, go_on: Callable[[Tail], None]) -> Trial:
    """Run a workload once, and judge it; where it `hunts`, find out who keeps the memory."""
    folder = scratch / job.name
    folder.mkdir()
    prepared = prepared_for(job.settings, folder, scratch)
    bench = PreparedScenario(job.settings, prepared, folder, folder)

    def carry(plan: Plan, name: str) -> Run:
        bench.carry_out(plan, name, go_on)
        return bench.load(name)

    variant = job.variant
    run = carry(plan_of(job.settings, variant, prepared.device), variant.name)
    verdict = judge(run, power=False)
    if not hunts:
        return trial(run, verdict, variant, None)
    watched = list(under_instruments(run, verdict, carry, usable=_FOR_GROWTH))
    return trial(run, verdict, variant, hunted(attribute(run, verdict, watched), variant))


def document_of(result: EvaluationResult) -> bytes:
    """The trials as UTF-8 JSON, with where and when they were made."""
    facts = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "leakhunt": __version__,
        **describe_environment(os.environ),
    }
    return tables.to_json(result.trials, facts, result.score)


def _write(out: Path, result: EvaluationResult) -> None:
    try:
        with open(out, "xb") as stream:
            stream.write(document_of(result))
    except OSError as error:
        raise cannot_write_to(out, error) from error

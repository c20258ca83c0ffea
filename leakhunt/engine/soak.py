"""``soak``: one service after the other under load, and the report on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from leakhunt.analysis.verdict import judge
from leakhunt.analysis.verdict.judge import judge_processes
from leakhunt.analysis.verdict.load_summary import mostly_failed
from leakhunt.engine.events import SILENT, Events, RunStart
from leakhunt.engine.explain import under_instruments
from leakhunt.engine.report import report_of_folder, write_files
from leakhunt.engine.run import RunResult, exit_code
from leakhunt.engine.soak_request import SoakEffort, SoakRequest, effort_of
from leakhunt.engine.soak_subject import caller_of, load_on, under_load
from leakhunt.engine.soak_target import Target, target_of, targets
from leakhunt.errors import NothingMeasured, ScenarioFailed, UsageError
from leakhunt.model.plan import Plan
from leakhunt.model.report import Report
from leakhunt.model.run import Ending, Outcome, Run
from leakhunt.reporting.registry import RunRenderer
from leakhunt.runner.memory_limit import NoLimit
from leakhunt.service import loop
from leakhunt.service.instrumented import hunt, hunting_plan, usable_in
from leakhunt.service.loop import Subject, identity_of
from leakhunt.service.service import (
    same,
)
from leakhunt.storage import run_file as store
from leakhunt.storage.folders import new_folder
from leakhunt.text.message import Message, message


@dataclass(frozen=True, slots=True)
class SoakResult(RunResult):
    """As of a run; `failures` say which variants' services could not be soaked, and why."""

    failures: tuple[Message, ...] = ()


def soak(
    request: SoakRequest,
    renderers: Sequence[RunRenderer] = (),
    events: Events = SILENT,
    *,
    out: Path | None = None,
) -> SoakResult:
    """Put one service after the other under load, watch each, and report on them.

    Run files and the files of `renderers` go to the new or empty folder `out`; None: one below
    ``reports``. A soak that is resumed goes on in its own run file and folder.

    Raises:
        LeakhuntError: the request makes no sense, not one service could be soaked, or the disk does
            not take the results.
        KeyboardInterrupt: the user ended it before anything was measured.
    """
    effort = effort_of(request)
    if request.resume is not None:
        return _go_on(Path(request.resume), request, effort, renderers, events)
    found = targets(request)
    folder = new_folder(out, f"soak-{found[0].name}")
    group = tuple(each.variant for each in found)
    work = _Work(effort, folder, events, group)
    outcomes: list[Outcome] = []
    failures: list[tuple[Target, ScenarioFailed]] = []
    for each in found:
        try:
            for outcome in work.soaked(each):
                outcomes.append(outcome)
        except ScenarioFailed as error:
            failures.append((each, error))
            if len(found) > 1:
                events.noted(_failure(each, error))
        except KeyboardInterrupt:  # while a service was not ready yet
            if not outcomes:
                raise
            outcomes.append(Outcome(Ending.INTERRUPTED))
        if outcomes and outcomes[-1].ending is Ending.INTERRUPTED:
            break
    if not outcomes:
        raise failures[0][1]
    return _result(folder, outcomes, renderers, failures)


def _failure(target: Target, error: ScenarioFailed) -> Message:
    return message(
        "soak.variant-failed", "{variant}: {error}", variant=target.variant, error=error.text
    )


def _result(
    folder: Path,
    outcomes: Sequence[Outcome],
    renderers: Sequence[RunRenderer],
    failures: Sequence[tuple[Target, ScenarioFailed]] = (),
) -> SoakResult:
    report = report_of_folder(folder)
    runs = [store.load(file) for file in store.find_run_files([str(folder)])]
    code = exit_code(outcomes, [run.calls_done for run in runs]) or _load_exit_code(report)
    return SoakResult(
        report=report,
        folder=folder,
        outcomes=tuple(outcomes),
        files=tuple(write_files(report, folder, renderers)),
        exit_code=code or (failures[0][1].exit_code if failures else 0),
        failures=tuple(_failure(*each) for each in failures),
    )


def _load_exit_code(report: Report) -> int:
    """The exit code of a load that hardly landed; 0 if it did."""
    hardly = any(mostly_failed(entry.load_summary) for entry in report.entries)
    return NothingMeasured.exit_code if hardly else 0


@dataclass(frozen=True, slots=True)
class _Work:
    """Where the run files of a soak go, and who is told of it; `group` are shown together."""

    effort: SoakEffort
    folder: Path
    events: Events
    group: tuple[str, ...]

    def soaked(self, target: Target) -> Iterator[Outcome]:
        """Soak a service and, if that was asked for, hunt in it.

        Of the runs under instruments, only an outcome that ended the hunt is given.
        """
        outcome = self._measured(target)
        yield outcome
        if not self.effort.hunt or outcome.ending is Ending.INTERRUPTED:
            return
        run = self._load(target.variant)
        reruns = under_instruments(
            run,
            judge(run),
            partial(self._instrumented, target),
            prefix=f"{target.variant}.",
            usable=usable_in(run),
            plan_under=hunting_plan,
        )
        for each in reruns:
            if each.outcome.ending is not Ending.OK:
                yield each.outcome
                return

    def _measured(self, target: Target) -> Outcome:
        name = target.variant
        with under_load(target, self.effort, self.folder, name, self.events) as subject:
            self.events.started(RunStart(name, subject.plan.calls, group=self.group))
            outcome = loop.soak(subject, partial(self.events.sampled, name))
        self.events.ended(name, outcome)
        return outcome

    def _instrumented(self, target: Target, plan: Plan, name: str) -> Run:
        """The load again, with an instrument in the service: without a limit, and all anew."""
        effort = replace(self.effort, limit_bytes=None, above_baseline=False, leave_running=False)
        afterwards = message("run.looking-through", "analyzing")
        with under_load(target, effort, self.folder, name, self.events) as subject:
            self.events.started(RunStart(name, plan.calls, afterwards, self.group))
            outcome = hunt(replace(subject, plan=plan), _growing_place(self._load(target.variant)))
        self.events.ended(name, outcome)
        return self._load(name)

    def _load(self, name: str) -> Run:
        return store.load(self.folder / f"{name}{store.SUFFIX}")


def _growing_place(run: Run) -> int | None:
    """The place of the process that grows most; None: none grows by itself."""
    growing = [each for each in judge_processes(run) if each.grows]
    most = max(growing, key=lambda each: each.share or 0.0, default=None)
    return None if most is None else most.process.number


def _load_log(run_file: Path) -> Path:
    return run_file.with_name(f"{run_file.name.removesuffix(store.SUFFIX)}.load.log")


def _go_on(
    run_file: Path,
    request: SoakRequest,
    effort: SoakEffort,
    renderers: Sequence[RunRenderer],
    events: Events,
) -> SoakResult:
    """Go on with a soak that ended while its service runs.

    Raises:
        LeakhuntError: there is nothing to go on with.
    """
    run = store.load(run_file)
    target = target_of(run, request)
    identity = identity_of(run)
    if identity is None or run.plan.load is None:
        raise UsageError(
            message(
                "soak.not-a-soak",
                "{file}: not a soak. --resume needs the run file of a soak",
                file=run_file,
            )
        )
    service = same(identity)
    planned_load = replace(run.plan.load, duration_seconds=effort.duration_seconds)
    plan = replace(run.plan, calls=effort.requests or run.plan.calls, load=planned_load)
    same_effort = replace(effort, users=run.plan.load.users)
    name = target.variant
    with (
        caller_of(target, effort) as caller,
        load_on(target, same_effort, target.url, _load_log(run_file)) as load,
    ):
        subject = Subject(plan, service, load, run_file, NoLimit(), {}, caller)
        events.started(RunStart(name, plan.calls, group=(name,)))
        outcome = loop.resume(subject, partial(events.sampled, name))
        events.ended(name, outcome)
    return _result(run_file.parent, [outcome], renderers)

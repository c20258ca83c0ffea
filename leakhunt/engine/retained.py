"""``hunt --retained``: who retains how much of a scenario's process that has settled."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from leakhunt.analysis.retained import retained_report
from leakhunt.engine.events import SILENT, Events
from leakhunt.engine.executors import Executor
from leakhunt.engine.executors.local import LOCAL
from leakhunt.engine.report import GENERATOR, write_retained
from leakhunt.engine.run import FolderResult, exit_code
from leakhunt.engine.session import session
from leakhunt.engine.settings import RunRequest, plan_of, settings_of
from leakhunt.errors import UsageError
from leakhunt.model.attribution import Instrument
from leakhunt.model.plan import Plan
from leakhunt.model.retained import RetainedReport
from leakhunt.model.run import Run
from leakhunt.reporting.registry import RETAINED_RENDERERS, RetainedRenderer
from leakhunt.storage.folders import new_folder
from leakhunt.text.message import message

# Calls before the process is looked at, where none were asked for: what is loaded late is there.
SETTLING_CALLS = 20


@dataclass(frozen=True, slots=True)
class RetainedResult(FolderResult):
    """The largest holders of each variant's process."""

    report: RetainedReport

    def _repr_html_(self) -> str:
        from leakhunt.reporting.retained.notebook import tables

        return tables(self.report)


def retained(
    request: RunRequest,
    renderers: Sequence[RetainedRenderer] = RETAINED_RENDERERS,
    events: Events = SILENT,
    *,
    out: Path | None = None,
    executor: Executor = LOCAL,
) -> RetainedResult:
    """Make a few calls of each variant, collect, and say who retains how much of the process.

    Raises:
        LeakhuntError: as for `run`; also where an option makes no sense here.
        KeyboardInterrupt: the user ended it before anything was measured.
    """
    _refuse_what_does_not_apply(request)
    settings = settings_of(replace(request, calls=request.calls or SETTLING_CALLS))
    folder = new_folder(out, settings.scenario.name)
    runs: list[Run] = []
    with session(settings, folder, events, executor) as prepared:
        for variant in prepared.variants:
            plan = _plan_of(plan_of(settings, variant, prepared.workplace.device))
            runs.append(prepared.carry_out(plan, f"{variant.name}.{Instrument.RETAINED}"))
            if runs[-1].is_interrupted:
                break
    report = retained_report(runs, GENERATOR)
    outcomes = tuple(run.outcome for run in runs)
    files = write_retained(report, folder, renderers)
    counted = [len(heap.holders) for heap in report.heaps]
    return RetainedResult(folder, outcomes, tuple(files), exit_code(outcomes, counted), report)


def _plan_of(plan: Plan) -> Plan:
    """All calls but the last settle; the instrument looks after that one."""
    assert plan.calls is not None
    return replace(
        plan,
        warmup=plan.calls - 1,
        calls_per_sample=1,
        collect="never",
        budget_seconds=None,
        instrument=Instrument.RETAINED,
    )


def _refuse_what_does_not_apply(request: RunRequest) -> None:
    given = {
        "--warmup": request.warmup is not None,
        "--calls-per-sample": request.calls_per_sample is not None,
        "--resolve": request.resolve,
        "--collect": request.collect != "auto",
        "--limit": request.limit is not None,
        "--concurrency": request.concurrency is not None,
    }
    refuse_with_retained(name for name, is_given in given.items() if is_given)


def refuse_with_retained(options: Iterable[str]) -> None:
    """Say which option does not apply.

    Raises:
        UsageError: there is one.
    """
    for option in options:
        raise UsageError(
            message(
                "retained.option",
                "--retained cannot be combined with {option}: nothing is measured over time",
                option=option,
            )
        )

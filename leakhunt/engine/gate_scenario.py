"""Measuring what a policy names, scenario by scenario, and the answer on each variant."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from threading import Event

from leakhunt.analysis.gate.decide import not_measured
from leakhunt.engine.events import Events, RunStart
from leakhunt.engine.explain import Carrier, usable_on
from leakhunt.engine.gate_plan import Job
from leakhunt.engine.gate_variant import (
    BaselineComparison,
    Gate,
    GateEffort,
    HuntInterrupted,
    without_baseline,
)
from leakhunt.engine.parallel import in_parallel
from leakhunt.engine.report import GENERATOR
from leakhunt.engine.revisions import OtherRevision, make, prepared_scenario
from leakhunt.engine.settings import plan_of
from leakhunt.errors import CannotWrite, LeakhuntError
from leakhunt.model.gate import Terms, VariantResult
from leakhunt.model.options import JOBS
from leakhunt.model.plan import Plan
from leakhunt.model.policy import Policy, ScenarioPolicy
from leakhunt.model.run import Ending, Run
from leakhunt.model.scenario import Variant
from leakhunt.runner.prepared import PreparedScenario, variants_for
from leakhunt.storage import run_file
from leakhunt.storage.follow import Tail
from leakhunt.text.language import tr
from leakhunt.text.message import Text, message

# Where, in a scenario's folder, runs go that the answer does not rest on: those that could not
# tell, and those of the other revision.
EARLIER = "earlier"
AGAINST = "against"
INTERRUPTED = message("gate.interrupted", "interrupted before it was measured")


@dataclass(frozen=True, slots=True)
class GateContext:
    """How all scenarios are gated.

    `against` tells what differs from the baseline. `other_revision`, if there is one, is measured
    in turns with the code here. `jobs` variants are measured at the same time. Once `stop` is set
    nothing more is measured: the user ended it.
    """

    policy: Policy
    today: date
    events: Events
    against: BaselineComparison = without_baseline
    other_revision: OtherRevision | None = None
    jobs: int = JOBS
    stop: Event = field(default_factory=Event)

    def go_on(self) -> None:
        """Nothing, or the user's interrupt again.

        Raises:
            KeyboardInterrupt: the user ended it.
        """
        if self.stop.is_set():
            raise KeyboardInterrupt

    def terms(self, policy: ScenarioPolicy, variant: str) -> Terms:
        """What a variant is held to."""
        accepted = self.policy.accepted_in(policy.name, variant)
        return Terms(policy.budgets_of(variant), accepted, self.today)


@dataclass(frozen=True, slots=True)
class ScenarioResult:
    """The answers on the variants of a scenario.

    `unfit` are those that nobody asked for by name and that make no sense on the device, each with
    the device; `new` those that the other revision does not have.
    """

    variants: tuple[VariantResult, ...]
    unfit: tuple[tuple[str, str], ...] = ()
    new: tuple[str, ...] = ()


def gate_scenario(job: Job, context: GateContext) -> ScenarioResult:
    """Measure the variants of a scenario, and the answer on each.

    A scenario that cannot start is the answer on all of its variants. What the user's interrupt
    left unmeasured is told as such; the run files so far are whole.

    Raises:
        CannotWrite: the disk does not take them.
    """
    with ExitStack() as exit_stack:
        try:
            context.go_on()
            own = exit_stack.enter_context(prepared_scenario(job.settings, job.folder))
            fit = variants_for(own.settings, own.prepared.device)
        except CannotWrite:
            raise
        except LeakhuntError as error:
            return _nothing_measured(job, error.text)
        except KeyboardInterrupt:
            context.stop.set()
            return _nothing_measured(job, INTERRUPTED)
        measured = _Measured(job, context, own)
        if context.other_revision is not None and not context.stop.is_set():
            measured = _with_other_revision(measured, context.other_revision, exit_stack)
        answers = in_parallel(measured.answer, fit, context.jobs, context.stop)
        return _result(measured, fit, answers)


def _nothing_measured(job: Job, reason: Text) -> ScenarioResult:
    return ScenarioResult(tuple(_failed(job, each, reason) for each in job.settings.variants))


def _failed(job: Job, variant: Variant, reason: Text) -> VariantResult:
    """The answer on what could not be measured."""
    return not_measured(job.settings.scenario.name, variant.name, reason)


def _result(
    measured: _Measured, fit: Sequence[Variant], answers: Sequence[VariantResult]
) -> ScenarioResult:
    """The answers, that on a variant that makes no sense here too if it was asked for by name."""
    job, device = measured.job, measured.own.prepared.device
    unfit = [each for each in job.settings.variants if each not in fit]
    reason = message("gate.unfit", "does not run on {device}", device=device)
    return ScenarioResult(
        variants=(
            *(_failed(job, each, reason) for each in unfit if each.name in job.policy.variants),
            *answers,
        ),
        unfit=tuple(
            (f"{job.settings.scenario.name}:{each.name}", device)
            for each in unfit
            if each.name not in job.policy.variants
        ),
        new=tuple(
            answer.name
            for variant, answer in zip(fit, answers, strict=True)
            if answer.attempts and measured.is_new(variant)
        ),
    )


@dataclass(frozen=True, slots=True)
class _Measured:
    """A scenario that is ready to be measured, and the other revision of it, if there is one."""

    job: Job
    context: GateContext
    own: PreparedScenario
    other: PreparedScenario | None = None
    why_no_other: Text = ""

    def is_new(self, variant: Variant) -> bool:
        """Whether the other revision, if there is one, does not have the variant."""
        if self.context.other_revision is None or self.why_no_other:
            return False
        return self.other is None or not _has(self.other, variant)

    def answer(self, variant: Variant) -> VariantResult:
        """Measure a variant, and the answer on it."""
        made: list[Path] = []
        try:
            result = self._answer(variant, made)
        except HuntInterrupted as interrupt:
            self.context.stop.set()
            result = interrupt.result
        except KeyboardInterrupt:
            self.context.stop.set()
            return _failed(self.job, variant, INTERRUPTED)
        except CannotWrite:
            raise
        except LeakhuntError as error:  # its run file is gone, say: others may go better
            return _failed(self.job, variant, error.text)
        _set_aside(self.job.folder, made, result)
        return result

    def _answer(self, variant: Variant, made: list[Path]) -> VariantResult:
        """The same; `made` takes the run files that are there to be judged.

        Raises:
            KeyboardInterrupt: the user ended it.
        """
        self.context.go_on()
        policy = self.job.policy
        gate = Gate(
            carry=self._carrier(self.own, "", made),
            terms=self.context.terms(policy, variant.name),
            effort=GateEffort(policy.repeats, policy.retries, policy.most_calls),
            generator=GENERATOR,
            against=self.context.against,
            usable=usable_on(self.own.prepared.device),
        )
        plan = plan_of(self.own.settings, variant, self.own.prepared.device)
        other_revision = self.context.other_revision
        if other_revision is None or self.is_new(variant):
            return gate.answer(plan)
        label = other_revision.revision.name
        if self.why_no_other or self.other is None:
            reason = message(
                "gate.not-there",
                "not in {revision}: {reason}",
                revision=label,
                reason=self.why_no_other,
            )
            return _failed(self.job, variant, reason)
        there = self._carrier(self.other, tr(" of {name}", name=label), [])
        return gate.answer_against(plan, there, label, other_revision.pairs)

    def _carrier(self, where: PreparedScenario, whose: str, made: list[Path]) -> Carrier:
        events = self.context.events

        def carry(plan: Plan, name: str) -> Run:
            shown = f"{plan.scenario}:{name}{whose}"
            events.started(RunStart(shown, plan.calls))

            def progress(tail: Tail) -> None:
                self.context.go_on()
                events.sampled(shown, tail)

            outcome = where.carry_out(plan, name, progress)
            events.ended(shown, outcome)
            run = where.load(name)
            if plan.is_measured:
                made.append(Path(run.file))
            if outcome.ending is Ending.INTERRUPTED:
                raise KeyboardInterrupt
            return run

        return carry


def _with_other_revision(
    measured: _Measured, other_revision: OtherRevision, exit_stack: ExitStack
) -> _Measured:
    """With the other revision's scenario, or the reason why it cannot be measured."""
    variables = other_revision.revision.variables(os.environ)
    if not other_revision.has(measured.own.settings):
        return measured
    try:
        settings = other_revision.settings(measured.own.settings)
        there = prepared_scenario(
            settings, measured.job.folder / AGAINST, other_revision.interpreter, variables
        )
        return replace(measured, other=exit_stack.enter_context(there))
    except CannotWrite:
        raise
    except LeakhuntError as error:
        return replace(measured, why_no_other=error.text)
    except KeyboardInterrupt:
        measured.context.stop.set()
        return measured


def _has(there: PreparedScenario, variant: Variant) -> bool:
    return any(each.name == variant.name for each in there.settings.scenario.variants)


def _set_aside(folder: Path, made: Sequence[Path], result: VariantResult) -> None:
    """Move the runs of earlier attempts where no report looks: the answer rests on the last.

    Raises:
        CannotWrite: the disk does not take the folder.
    """
    used = {Path(entry.run.file).name for entry in result.entries}
    earlier = [file for file in made if file.name not in used]
    if not earlier:
        return
    make(folder / EARLIER)
    for file in earlier:
        for each in (file, file.with_name(file.name.removesuffix(run_file.SUFFIX) + ".log")):
            if each.exists():
                each.rename(folder / EARLIER / each.name)

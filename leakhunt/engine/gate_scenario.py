"""Measuring what a policy names, scenario by scenario, and the answer on each variant."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import ExitStack
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from threading import Event

from leakhunt.analysis.gate.decide import not_measured
from leakhunt.cli.display import Display
from leakhunt.engine.gate_plan import Job
from leakhunt.engine.gate_variant import (
    Answering,
    Gate,
    GateEffort,
    HeldAgainst,
    HuntInterrupted,
    without_baseline,
)
from leakhunt.engine.hunt import Carrier, usable_on
from leakhunt.engine.report import GENERATOR
from leakhunt.engine.revisions import Rival, bench, make
from leakhunt.engine.settings import plan_of
from leakhunt.errors import CannotWrite, LeakhuntError
from leakhunt.model.gate import Terms, VariantResult
from leakhunt.model.plan import Plan
from leakhunt.model.policy import Policy, ScenarioPolicy
from leakhunt.model.run import Ending, Run
from leakhunt.model.scenario import Variant
from leakhunt.runner.prepared import Bench, variants_for
from leakhunt.storage import run_file
from leakhunt.storage.follow import Tail
from leakhunt.text.language import ENGLISH, speaking, tr
from leakhunt.text.message import Text, message

# Where, in a scenario's folder, runs go that the answer does not rest on: those that could not
# tell, and those of the other revision.
EARLIER = "earlier"
AGAINST = "against"
INTERRUPTED = message("gate.interrupted", "interrupted before it was measured")


@dataclass(frozen=True, slots=True)
class GateCourse:
    """How all scenarios are gated.

    `against` tells what differs from the baseline. `rival` is measured beside, if there is one.
    `jobs` variants are measured at the same time. Once `stop` is set nothing more is measured: the
    user ended it. `unfit` takes those that nobody asked for by their name and that make no sense
    on the device, each with the device; `new` those that the other revision does not have.
    """

    policy: Policy
    today: date
    display: Display
    against: HeldAgainst = without_baseline
    rival: Rival | None = None
    jobs: int = 1
    stop: Event = field(default_factory=Event)
    unfit: list[tuple[str, str]] = field(default_factory=list)
    new: list[str] = field(default_factory=list)

    def go_on(self) -> None:
        """Nothing, or the user's interrupt again.

        Raises:
            KeyboardInterrupt: the user ended it.
        """
        if self.stop.is_set():
            raise KeyboardInterrupt

    def terms(self, policy: ScenarioPolicy, variant: str) -> Terms:
        """What a variant is held to."""
        accepted = self.policy.accepted_in(policy.name)
        return Terms(policy.budgets_of(variant), accepted, self.today)


def answer_job(job: Job, course: GateCourse) -> Iterator[Answering]:
    """Measure the variants of a scenario; what comes gives the answer on each.

    A scenario that cannot start is the answer on all of its variants. What the user's interrupt
    left unmeasured is told as such; the run files so far are whole.

    Raises:
        CannotWrite: the disk does not take them.
    """
    variants = job.settings.variants
    with ExitStack() as lasting:
        try:
            course.go_on()
            # What is no message yet is told in English, whoever reads it.
            with speaking(ENGLISH):
                own = lasting.enter_context(bench(job.settings, job.folder))
                fit = variants_for(own.settings, own.prepared.device)
        except CannotWrite:
            raise
        except LeakhuntError as error:
            yield from (_failed(job, each, error.text) for each in variants)
            return
        except KeyboardInterrupt:
            course.stop.set()
            yield from (_failed(job, each, INTERRUPTED) for each in variants)
            return
        yield from _unfit(job, course, fit, own.prepared.device)
        measured = _Measured(job, course, own)
        if course.rival is not None and not course.stop.is_set():
            measured = _beside(measured, course.rival, lasting)
        yield from _in_parallel(measured.answer, fit, course)


def _failed(job: Job, variant: Variant, reason: Text) -> Answering:
    """The answer on what could not be measured."""
    name = job.settings.scenario.name
    return lambda: not_measured(name, variant.name, str(reason))


def _unfit(
    job: Job, course: GateCourse, fit: Sequence[Variant], device: str
) -> Iterator[Answering]:
    """What makes no sense on the device: an answer where it was asked for by its name."""
    for variant in job.settings.variants:
        if variant in fit:
            continue
        if variant.name in job.policy.variants:
            reason = message("gate.unfit", "it makes no sense on {device}", device=device)
            yield _failed(job, variant, reason)
        else:
            course.unfit.append((f"{job.settings.scenario.name}:{variant.name}", device))


def _in_parallel(
    answer: Callable[[Variant], Answering], variants: Sequence[Variant], course: GateCourse
) -> Iterator[Answering]:
    """The answers in the order of the variants, some of them worked out at the same time."""
    if course.jobs == 1:
        yield from map(answer, variants)
        return
    with ThreadPoolExecutor(course.jobs) as pool:
        # Each in a context of its own, which has the language.
        answers = [pool.submit(copy_context().run, answer, each) for each in variants]
        try:
            wait(answers, return_when=FIRST_EXCEPTION)
        except KeyboardInterrupt:
            course.stop.set()
        if any(each.done() and each.exception() is not None for each in answers):
            course.stop.set()
        yield from (each.result() for each in answers)


@dataclass(frozen=True, slots=True)
class _Measured:
    """A scenario that is ready to be measured, and the other revision of it, if there is one."""

    job: Job
    course: GateCourse
    own: Bench
    other: Bench | None = None
    why_no_other: Text = ""

    def answer(self, variant: Variant) -> Answering:
        """Measure a variant; what comes back gives the answer on it."""
        made: list[Path] = []
        try:
            answering = self._answered(variant, made)
            _set_aside(self.job.folder, made, answering())
        except HuntInterrupted as interrupt:
            self.course.stop.set()
            answering = interrupt.answering
            _set_aside(self.job.folder, made, answering())
        except KeyboardInterrupt:
            self.course.stop.set()
            return _failed(self.job, variant, INTERRUPTED)
        except CannotWrite:
            raise
        except LeakhuntError as error:  # its run file is gone, say: others may go better
            return _failed(self.job, variant, error.text)
        return answering

    def _answered(self, variant: Variant, made: list[Path]) -> Answering:
        """The same; `made` takes the run files that are there to be judged.

        Raises:
            KeyboardInterrupt: the user ended it.
        """
        self.course.go_on()
        policy = self.job.policy
        gate = Gate(
            carry=self._carrier(self.own, "", made),
            terms=self.course.terms(policy, variant.name),
            effort=GateEffort(policy.repeats, policy.retries, policy.most_calls),
            generator=GENERATOR,
            against=self.course.against,
            usable=usable_on(self.own.prepared.device),
        )
        plan = plan_of(self.own.settings, variant, self.own.prepared.device)
        rival = self.course.rival
        if rival is None:
            return gate.measured(plan)
        label = rival.revision.name
        if self.why_no_other:
            told = message(
                "gate.not-there",
                "not in {revision}: {reason}",
                revision=label,
                reason=self.why_no_other,
            )
            return _failed(self.job, variant, told)
        if self.other is None or not _has(self.other, variant):
            self.course.new.append(f"{self.own.settings.scenario.name}:{variant.name}")
            return gate.measured(plan)
        there = self._carrier(self.other, tr(" of {name}", name=label), [])
        return gate.measured_beside(plan, there, label, rival.rounds)

    def _carrier(self, where: Bench, said: str, made: list[Path]) -> Carrier:
        def carry(plan: Plan, name: str) -> Run:
            shown = f"{plan.scenario}:{name}{said}"
            follow = self.course.display.variant(shown, plan.calls)

            def progress(tail: Tail) -> None:
                self.course.go_on()
                follow(tail)

            outcome = where.carry_out(plan, name, progress)
            self.course.display.ended(shown, outcome)
            with speaking(ENGLISH):
                run = where.load(name)
            if plan.is_measured:
                made.append(Path(run.file))
            if outcome.ending is Ending.INTERRUPTED:
                raise KeyboardInterrupt
            return run

        return carry


def _beside(measured: _Measured, rival: Rival, lasting: ExitStack) -> _Measured:
    """With the other revision's scenario, or the reason why it cannot be measured."""
    variables = rival.revision.variables(os.environ)
    if not rival.has(measured.own.settings):
        return measured
    try:
        with speaking(ENGLISH):
            settings = rival.settings(measured.own.settings)
            there = bench(settings, measured.job.folder / AGAINST, rival.interpreter, variables)
            return replace(measured, other=lasting.enter_context(there))
    except CannotWrite:
        raise
    except LeakhuntError as error:
        return replace(measured, why_no_other=error.text)
    except KeyboardInterrupt:
        measured.course.stop.set()
        return measured


def _has(there: Bench, variant: Variant) -> bool:
    return any(each.name == variant.name for each in there.settings.scenario.variants)


def _set_aside(folder: Path, made: Sequence[Path], answered: VariantResult) -> None:
    """Move the runs of earlier attempts where no report looks: the answer rests on the last.

    Raises:
        CannotWrite: the disk does not take the folder.
    """
    used = {Path(entry.run.file).name for entry in answered.entries}
    earlier = [file for file in made if file.name not in used]
    if not earlier:
        return
    make(folder / EARLIER)
    for file in earlier:
        for each in (file, file.with_name(file.name.removesuffix(run_file.SUFFIX) + ".log")):
            if each.exists():
                each.rename(folder / EARLIER / each.name)

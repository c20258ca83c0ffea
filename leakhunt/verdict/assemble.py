"""From runs to a report: every verdict, ledger, difference and cost, and nothing else."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from leakhunt.model import JudgedRun, Plan, Report, Run
from leakhunt.verdict.cost import cost
from leakhunt.verdict.judge import judge
from leakhunt.verdict.ledger import ledger
from leakhunt.verdict.results import difference


def assemble(runs: Sequence[Run], generator: str) -> Report:
    """The report on `runs`; the reference variant of the first run's scenario comes first.

    `generator` names the program and version that judged.
    """
    reference = next((run for run in runs if run.plan.variant == run.plan.reference), None)
    ordered = sorted(runs, key=lambda run: (run is not reference, run.started_at))
    entries = tuple(_judged(run, reference) for run in ordered)
    title = " and ".join(dict.fromkeys(run.plan.scenario for run in ordered))
    return Report(title, entries, _command([run.plan for run in ordered]), generator)


def _judged(run: Run, reference: Run | None) -> JudgedRun:
    comparable = reference is not None and _same_inputs(reference.plan, run.plan)
    base = reference if comparable else None
    return JudgedRun(
        run=run,
        verdict=judge(run),
        ledger=ledger(run),
        difference=difference(base, run) if base is not None and base is not run else None,
        cost=cost(run, base),
    )


def _same_inputs(one: Plan, other: Plan) -> bool:
    return (one.scenario, one.seed, one.options) == (other.scenario, other.seed, other.options)


def _command(plans: Sequence[Plan]) -> str:
    """The command that repeats the runs."""
    if not plans:
        return ""
    plan = plans[0]
    variants = ",".join(other.variant for other in plans)
    words = [
        "leakhunt",
        "run",
        f"{plan.source or plan.scenario}:{variants}",
    ]
    if plan.calls is not None:
        words += ["--calls", str(plan.calls), "--warmup", str(plan.warmup or 0)]
    if plan.calls_per_sample is not None and (plan.calls is None or plan.calls_per_sample > 1):
        words += ["--calls-per-sample", str(plan.calls_per_sample)]
    if plan.collect != ("auto" if plan.calls is None else "never"):
        words += ["--collect", plan.collect]
    if plan.resolve:
        words.append("--resolve")
    words += ["--seed", str(plan.seed)]
    words += ["--threads", str(plan.threads), "--device", plan.device]
    for name, value in plan.options.items():
        words += ["--option", f"{name}={value}"]
    if plan.memory_limit_bytes is not None:
        words += ["--memory-limit", str(plan.memory_limit_bytes)]
    if plan.timeout_seconds is not None:
        words += ["--timeout", f"{plan.timeout_seconds:g}"]
    return shlex.join(words)

"""From runs to a report: every verdict, ledger, difference and cost, and nothing else."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace

from leakhunt.amounts import Rate
from leakhunt.analysis.attribution.allocator_board import allocator_boards
from leakhunt.analysis.attribution.attribute import attribute
from leakhunt.analysis.attribution.ceiling import ceiling
from leakhunt.analysis.attribution.flame import flames
from leakhunt.analysis.attribution.growing_part import growing_part
from leakhunt.analysis.attribution.growth import is_growing
from leakhunt.analysis.attribution.joined_verdict import joined_verdict
from leakhunt.analysis.attribution.remedy import remedy_trials
from leakhunt.analysis.attribution.same_growth import growth_difference, same_inputs, same_work
from leakhunt.analysis.conclusion import conclusion
from leakhunt.analysis.peaks.limit import recommended_limit
from leakhunt.analysis.peaks.peak import peak
from leakhunt.analysis.verdict.cost import cost
from leakhunt.analysis.verdict.forecast import with_forecast
from leakhunt.analysis.verdict.judge import judge, judge_processes
from leakhunt.analysis.verdict.ledger import ledger
from leakhunt.analysis.verdict.load_summary import load_summary
from leakhunt.analysis.verdict.result_diff import difference
from leakhunt.analysis.verdict.routes import judge_routes
from leakhunt.model.attribution import GROWTH_INSTRUMENTS, Attribution, Ceiling
from leakhunt.model.options import BUDGET_SECONDS
from leakhunt.model.plan import Plan, PlannedLoad, PlannedVisit, PlannedWatch, Role
from leakhunt.model.report import JudgedRun, Report
from leakhunt.model.run import Run
from leakhunt.model.verdict import Verdict
from leakhunt.text.message import joined, message, sentences

# As `PlannedLoad` names a service that ran already, its port, and requests of our own.
_RAN_ALREADY = "pid "
_PORT = "{port}"
_UPLOADED = "upload"


def assemble(runs: Sequence[Run], generator: str) -> Report:
    """The report on `runs`; the reference variant of the first run's scenario comes first.

    Runs under an instrument are no entries: they attribute what the measured run of the same plan
    grows by. `generator` names the program and version that judged.
    """
    measured = [run for run in runs if run.plan.is_measured]
    reference = next((run for run in measured if run.plan.variant == run.plan.reference), None)
    ordered = sorted(measured, key=lambda run: (run is not reference, run.started_at))
    entries: list[JudgedRun] = []
    for run in ordered:
        entries.append(_judged(run, reference, runs, entries[0] if entries else None))
    title = joined(dict.fromkeys(run.plan.scenario for run in ordered), " and ", "")
    command = command_for([run.plan for run in ordered], [run.plan for run in runs])
    trials, boards = remedy_trials(runs), allocator_boards(runs)
    report = Report(title, tuple(entries), command, generator, trials, allocators=boards)
    return replace(report, conclusion=conclusion(report))


def _judged(
    run: Run, reference: Run | None, runs: Sequence[Run], first: JudgedRun | None
) -> JudgedRun:
    """The entry of a run; `first` is that of the first, whose causes may be its own."""
    comparable = reference is not None and same_inputs(reference.plan, run.plan)
    base = reference if comparable else None
    verdict = judge(run)
    same = [each for each in runs if same_work(each.plan, run.plan)]
    watched = sorted(
        (each for each in same if each.plan.instrument in GROWTH_INSTRUMENTS),
        key=lambda each: each.started_at,
    )
    grown, verdict_then = growing_part(run, verdict) or (run, verdict)
    attribution = (
        attribute(grown, verdict_then, watched, has_filled=grown is not run) if watched else None
    )
    past = _ceiling(run, attribution, runs)
    full = _full_bytes(attribution, past)
    if attribution is not None:
        verdict = _joined(run, verdict, attribution, past, watched)
    elif first is not None and (alike := _as_the_first(run, verdict, first)) is not None:
        verdict = alike
        full = _full_bytes(first.attribution, first.ceiling)
    height = peak(run, watched)
    return JudgedRun(
        run=run,
        verdict=verdict,
        ledger=ledger(run),
        difference=difference(base, run) if base is not None and base is not run else None,
        cost=cost(run, base),
        attribution=attribution,
        ceiling=past,
        load_summary=load_summary(run),
        peak=height,
        recommended_limit=recommended_limit(run, verdict, height, full),
        flames=flames(watched) if attribution is not None and attribution.growing else (),
        processes=judge_processes(run) if run.processes else (),
        routes=judge_routes(run) if run.routes else (),
    )


def _joined(
    run: Run,
    verdict: Verdict,
    attribution: Attribution,
    past: Ceiling | None,
    watched: Sequence[Run] = (),
) -> Verdict:
    """The verdict on a run whose growth was looked into, with its forecast then."""
    judged = joined_verdict(run, verdict, attribution, past, watched)
    if (judged.status, judged.kind) == (verdict.status, verdict.kind):
        return judged
    return with_forecast(run, judged, levels_after=attribution.ceiling_calls)


def _as_the_first(run: Run, verdict: Verdict, first: JudgedRun) -> Verdict | None:
    """The verdict on a run that was not looked into, if it grows as the first does."""
    if first.attribution is None or not is_growing(verdict):
        return None
    apart = growth_difference(run, first.run)
    if apart is None:
        return None
    alike = message(
        "attribution.grows-alike",
        "Same growth as {variant}, call by call (difference at most {rate}), whose causes were"
        " found",
        variant=first.run.plan.variant,
        rate=Rate(apart),
    )
    judged = _joined(run, verdict, first.attribution, first.ceiling)
    return replace(judged, sentence=sentences([judged.sentence, alike]))


def _hunt_words(plans: Sequence[Plan]) -> list[str] | None:
    """What `hunt` was asked for beside the measured runs; None: `run` does it."""
    if all(plan.is_measured for plan in plans):
        return None
    tried = [plan for plan in plans if plan.remedy]
    words = [f"--try={name}" for name in dict.fromkeys(plan.remedy for plan in tried)]
    if tried:
        words.append(f"--pairs={max(plan.round for plan in tried)}")
    if any(plan.role is Role.CEILING for plan in plans):
        words.append("--until-ceiling")
    # Without any of these, `run` does the same, if it hunts at all.
    return words or (None if plans[0].budget_seconds is not None else [])


def _ceiling(run: Run, attribution: Attribution | None, runs: Sequence[Run]) -> Ceiling | None:
    """What the run past the ceiling says, if there is one."""
    if attribution is None or attribution.ceiling_bytes is None:
        return None
    past = (each for each in runs if each.plan.role is Role.CEILING)
    last = next((each for each in past if same_work(each.plan, run.plan)), None)
    return ceiling(last, judge(last), attribution.ceiling_bytes) if last is not None else None


def _full_bytes(attribution: Attribution | None, past: Ceiling | None) -> float:
    """What bounded caches come to when full: as found past the ceiling, else as projected."""
    if past is not None:
        return past.found_bytes
    return 0.0 if attribution is None else attribution.ceiling_bytes or 0.0


def command_for(plans: Sequence[Plan], others: Sequence[Plan] = ()) -> str:
    """The command that repeats the measured runs of these plans, and `others` made beside them."""
    if not plans:
        return ""
    plan = plans[0]
    if plan.test:
        tests = dict.fromkeys(other.test for other in plans)
        return shlex.join(["pytest", plan.pytest_option, *tests])
    if plan.visit is not None or plan.watch is not None:
        return shlex.join(["leakhunt", *_looking_words(plan)])
    if plan.load is not None:
        hunted = [] if all(each.is_measured for each in others) else ["--hunt"]
        return shlex.join([*_soak_words(plan, plan.load, plans), *hunted])
    variants = ",".join(other.variant for other in plans)
    hunt = _hunt_words(others)
    words = ["leakhunt", "hunt" if hunt is not None else "run"]
    words.append(f"{plan.source or plan.scenario}:{variants}")
    words += hunt or []
    if plan.calls is not None:
        words += ["--calls", str(plan.calls), "--warmup", str(plan.warmup or 0)]
    if plan.calls_per_sample is not None and (plan.calls is None or plan.calls_per_sample > 1):
        words += ["--calls-per-sample", str(plan.calls_per_sample)]
    if plan.collect != ("auto" if plan.calls is None else "never"):
        words += ["--collect", plan.collect]
    if plan.resolve:
        words.append("--resolve")
    if plan.budget_seconds not in (None, BUDGET_SECONDS):
        words += ["--budget", f"{plan.budget_seconds:g}"]
    words += ["--seed", str(plan.seed)]
    words += ["--threads", str(plan.threads), "--device", plan.device]
    return shlex.join([*words, *_setting_words(plan)])


def _visit_words(plan: Plan, visit: PlannedVisit) -> Iterator[str]:
    """The command that repeats a visit: of the same process, while it lives."""
    yield str(visit.pid)
    if visit.duration_seconds:
        yield from ("--for", f"{visit.duration_seconds:g}s")
    if not visit.touches:
        yield "--no-touch"
    if plan.limit_bytes is not None:
        yield from ("--limit", str(plan.limit_bytes))


def _looking_words(plan: Plan) -> Iterator[str]:
    """The verb that looks at what runs by itself, with its words."""
    if plan.visit is not None:
        yield from ("attach", *_visit_words(plan, plan.visit))
    elif plan.watch is not None:
        yield from ("watch", *_watch_words(plan, plan.watch))


def _watch_words(plan: Plan, watch: PlannedWatch) -> Iterator[str]:
    """The command that watches the same again."""
    yield from ("--interval", f"{watch.interval_seconds:g}s")
    if plan.limit_bytes is not None:
        yield from ("--limit", str(plan.limit_bytes))
    if watch.command:
        yield from ("--", *watch.process.split())
    else:
        yield watch.process


def _setting_words(plan: Plan) -> Iterator[str]:
    """What every verb calls alike."""
    for name, value in plan.options.items():
        yield from ("--option", f"{name}={value}")
    if plan.limit_bytes is not None:
        yield from ("--limit", str(plan.limit_bytes))
    if plan.memory_limit_bytes is not None:
        yield from ("--memory-limit", str(plan.memory_limit_bytes))
    if plan.concurrency is not None:
        yield from ("--concurrency", str(plan.concurrency))
    if plan.timeout_seconds is not None:
        yield from ("--timeout", f"{plan.timeout_seconds:g}")


def _soak_words(plan: Plan, load: PlannedLoad, plans: Sequence[Plan]) -> list[str]:
    """The command that repeats a soak."""
    words = ["leakhunt", "soak"]
    if plan.source:
        variants = dict.fromkeys(other.variant for other in plans)
        words.append(f"{plan.source}:{','.join(variants)}")
    else:
        words += _own_service_words(load)
    words += ["--users", str(load.users)]
    if plan.calls is not None:
        words += ["--requests", str(plan.calls)]
    if not load.agent:
        words.append("--no-agent")
    if load.by_route:
        words.append("--by-route")
    if load.duration_seconds is not None:
        words += ["--duration", f"{load.duration_seconds:g}s"]
    if plan.resolve:
        words.append("--resolve")
    return [*words, "--seed", str(plan.seed), *_setting_words(plan)]


def _own_service_words(load: PlannedLoad) -> Iterator[str]:
    """A service that nothing describes; recordings that were uploaded have to be named again."""
    if load.service.startswith(_RAN_ALREADY):
        yield from ("--pid", load.service.removeprefix(_RAN_ALREADY), "--url", load.target)
    else:
        yield from ("--command", load.service)
        if _PORT not in load.service:
            yield from ("--url", load.target)
    if load.requests_from == _UPLOADED:
        yield from ("--audio", "FOLDER", "--post", "PATH")
    else:
        yield from ("--locustfile", load.requests_from)

"""``junit.xml``: a variant is a test case, for whatever shows the tests of continuous integration.

A leak is a failure. Inconclusive is skipped: it has not passed. A run that crashed, hung, was
killed without a leak to show for it, or measured nothing is an error.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from xml.etree.ElementTree import Element

from leakhunt.model.plan import Plan
from leakhunt.model.report import JudgedRun, Report
from leakhunt.model.run import Ending, Run
from leakhunt.model.verdict import Status
from leakhunt.reporting.charts.series_values import seconds_passed
from leakhunt.reporting.formats.junit_elements import count, document, element
from leakhunt.reporting.run.tables import limit_line, verdict_cell
from leakhunt.reporting.shared.suspects import cards, closing_lines

# Readers know a time without a zone, and no fractions.
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")


def render(report: Report) -> bytes:
    """UTF-8 XML: a testsuite a scenario, in it a testcase a run; times are seconds in calls.

    Of a soak, they are those under load.
    """
    scenarios: dict[str, list[JudgedRun]] = {}
    for entry in report.entries:
        scenarios.setdefault(entry.run.plan.scenario, []).append(entry)
    return document(
        report.generator, [_suite(name, entries) for name, entries in scenarios.items()]
    )


def _suite(scenario: str, entries: Sequence[JudgedRun]) -> Element:
    suite = element("testsuite", name=scenario)
    starts = [found[0] for entry in entries if (found := _TIME.match(entry.run.started_at))]
    if starts:
        suite.set("timestamp", min(starts))
    properties = element("properties")
    properties.extend(
        element("property", name=name, value=value)
        for name, value in _properties([entry.run for entry in entries])
    )
    suite.append(properties)
    counted: Counter[str] = Counter()
    for entry in entries:
        counted[entry.variant] += 1
        suite.append(_case(entry, counted[entry.variant]))
    count(suite)
    return suite


def _properties(runs: Iterable[Run]) -> Iterator[tuple[str, str]]:
    """Device, facts (the weights) and versions; every value that occurs among the runs."""
    values: dict[str, dict[str, None]] = {}
    for run in runs:
        for name, value in {"device": run.plan.device, **run.facts, **run.environment}.items():
            values.setdefault(name, {})[str(value)] = None
    for name, found in values.items():
        yield name, " / ".join(found)


def _seconds(run: Run) -> float:
    passed = seconds_passed(run)
    return passed[-1] if passed else 0.0


def _case(entry: JudgedRun, turn: int) -> Element:
    """A run; `turn` tells runs of the same variant apart, which readers would take for one."""
    run = entry.run
    case = element(
        "testcase",
        classname=run.plan.scenario,
        name=entry.variant if turn == 1 else f"{entry.variant} #{turn}",
        time=f"{_seconds(run):.6f}",
    )
    answer = _answer(entry)
    if answer is not None:
        case.append(answer)
    text = f"{verdict_cell(entry)} after {run.calls_done} {run.plan.work}s."
    text += f" {entry.verdict.sentence} {limit_line(entry.verdict)}".rstrip()
    case.append(element("system-out", text))
    return case


def _answer(entry: JudgedRun) -> Element | None:
    """What stands in the case; None: it has passed."""
    verdict, outcome = entry.verdict, entry.run.outcome
    if outcome.ending is Ending.CRASHED:
        return element("error", _summary(entry), type="crashed", message=str(outcome.reason))
    if not entry.run.samples_done:
        text = str(outcome.reason or verdict.sentence)
        return element("error", _summary(entry), type="nothing measured", message=text)
    if verdict.status is Status.LEAK:
        return element("failure", _summary(entry), type=verdict.kind, message=str(verdict.sentence))
    if outcome.ending in (Ending.KILLED, Ending.TIMEOUT):
        return element("error", _summary(entry), type=outcome.ending, message=str(outcome.reason))
    if verdict.status is Status.INCONCLUSIVE:
        return element("skipped", message=f"{_needed(entry)}. {verdict.sentence}")
    return None


def _needed(entry: JudgedRun) -> str:
    more = entry.verdict.calls_needed
    if not more:
        return "inconclusive"
    return f"inconclusive; needs about {more:,} more {entry.run.plan.work}s"


def _finding_out(plan: Plan) -> str:
    if plan.load is not None:
        return "the same soak with --hunt"
    if plan.test:
        return f"pytest {plan.pytest_option} {plan.test}, in a fresh worker"
    return f"leakhunt hunt {plan.source or plan.scenario}:{plan.variant}"


def _summary(entry: JudgedRun) -> str:
    """The sentence and the suspects, or how to find them."""
    lines = [str(entry.verdict.sentence), limit_line(entry.verdict)]
    lines = [line for line in lines if line]
    for card in cards(entry):
        lines.append(f"{card.number}. {card.title}: {card.keeps}")
        lines += [f"   {name}: {text}" for name, text in card.facts]
        chain = "reference cycle" if card.is_cycle else "reference chain"
        lines += [f"   {chain}: {' -> '.join(card.chain)}"] if card.chain else []
    lines += closing_lines(entry)
    if entry.attribution is None and entry.verdict.status is Status.LEAK:
        lines.append(f"To find the leak suspects: {_finding_out(entry.run.plan)}")
    return "\n".join(lines)

"""``gate.junit.xml``: a budget of a variant is a test case, for whatever shows the tests of CI.

Over budget is a failure. What could not be measured or told is an error: neither has passed, and a
skipped test looks as if it had.
"""

from __future__ import annotations

from xml.etree.ElementTree import Element

from leakhunt.model.gate import GateAnswer, GateResult, VariantResult
from leakhunt.reporting.charts.series_values import seconds_passed
from leakhunt.reporting.formats.junit_elements import count, document, element
from leakhunt.reporting.gate.rows import (
    GateRow,
    limit,
    notes_of,
    sentence,
    variant_rows,
    variants_of,
    word,
)
from leakhunt.reporting.gate.suspects import accepted_line, suspect_line


def render(gated: GateResult) -> bytes:
    """UTF-8 XML: a testsuite a scenario, in it a testcase a variant and budget.

    The seconds in calls of a variant's runs stand at its first case.
    """
    suites: dict[str, Element] = {}
    for variant in variants_of(gated):
        suite = suites.setdefault(variant.scenario, element("testsuite", name=variant.scenario))
        suite.extend(
            _case(row, 0.0 if number else _seconds(variant))
            for number, row in enumerate(variant_rows(variant))
        )
    for suite in suites.values():
        count(suite)
    return document(gated.generator, suites.values())


def _seconds(variant: VariantResult) -> float:
    passed = (seconds_passed(entry.run) for entry in variant.entries)
    return float(sum(each[-1] for each in passed if each))


def _case(row: GateRow, seconds: float) -> Element:
    name = row.variant.variant
    if row.check is not None:
        name += f": {row.series} {limit(row)}"
    case = element("testcase", classname=row.variant.scenario, name=name, time=f"{seconds:.6f}")
    if row.answer is not GateAnswer.WITHIN_BUDGET:
        tag = "failure" if row.answer is GateAnswer.OVER_BUDGET else "error"
        case.append(element(tag, _summary(row), type=word(row.answer), message=sentence(row)))
    else:
        case.append(element("system-out", "\n".join(_answer(row))))
    return case


def _answer(row: GateRow) -> list[str]:
    """The sentence with the detection limit, the reason, and what is accepted."""
    lines = [f"{word(row.answer)}: {sentence(row)}"]
    reason = str(row.reason)
    lines += [reason] if reason and reason not in lines[0] else []
    return lines + [
        f"{accepted_line(suspect, acceptance, row.variant)} [{suspect.fingerprint}]"
        for suspect, acceptance in row.variant.accepted
    ]


def _summary(row: GateRow) -> str:
    """The same, and who keeps the memory."""
    variant = row.variant
    lines = _answer(row)
    lines += notes_of(variant)
    for number, suspect in enumerate(variant.suspects, 1):
        lines.append(f"{number}. {suspect_line(suspect, variant)} [{suspect.fingerprint}]")
        chain = "reference cycle" if suspect.cycle is not None else "reference chain"
        lines += [f"   {chain}: {' -> '.join(suspect.chain)}"] if suspect.chain else []
    return "\n".join(lines)

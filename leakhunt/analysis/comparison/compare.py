"""From the judged runs of two or more sides to what differs between them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from leakhunt.analysis.comparison.environments import mismatches
from leakhunt.analysis.comparison.metrics import lines
from leakhunt.analysis.comparison.statements import difference_of, statement
from leakhunt.analysis.comparison.suspects import suspect_changes
from leakhunt.analysis.verdict.resampling import resampled
from leakhunt.analysis.verdict.result_diff import difference
from leakhunt.model.comparison import (
    TIME,
    Alone,
    Comparison,
    Conclusion,
    Fate,
    Metric,
    Mismatch,
    Pair,
    Side,
    VerdictCount,
)
from leakhunt.model.report import Difference, JudgedRun
from leakhunt.text.message import joined

_Key = tuple[str, str]


def compare(sides: Sequence[Side], despite: bool, generator: str) -> Comparison:
    """Every variant of the first side beside the same variant of each of the others.

    The sides are matched by scenario and variant. `despite`: draw conclusions though facts differ
    that forbid them. `generator` names the program and version that compared.
    """
    found = [_by_variant(side) for side in sides]
    keys = list(dict.fromkeys(key for variants in found for key in variants))
    names = _names(keys)
    pairs = [
        _pair(names[key], (sides[0], found[0][key]), (side, variants[key]), despite)
        for key in keys
        for side, variants in zip(sides[1:], found[1:], strict=True)
        if key in found[0] and key in variants
    ]
    alone = [
        Alone(
            names[key],
            tuple(s.label for s, variants in zip(sides, found, strict=True) if key in variants),
            tuple(s.label for s, variants in zip(sides, found, strict=True) if key not in variants),
        )
        for key in keys
        if not all(key in variants for variants in found)
    ]
    return Comparison(tuple(sides), tuple(pairs), tuple(alone), despite, generator)


def _by_variant(side: Side) -> dict[_Key, tuple[JudgedRun, ...]]:
    found: dict[_Key, tuple[JudgedRun, ...]] = {}
    for entry in side.entries:
        key = (entry.run.plan.scenario, entry.variant)
        found[key] = (*found.get(key, ()), replace(entry, run=resampled(entry.run)))
    return found


def _names(keys: Sequence[_Key]) -> dict[_Key, str]:
    """The variants' names, with their scenario's where there are several."""
    several = len({scenario for scenario, _ in keys}) > 1
    return {key: ":".join(key) if several else key[1] for key in keys}


def _pair(
    name: str,
    before: tuple[Side, tuple[JudgedRun, ...]],
    after: tuple[Side, tuple[JudgedRun, ...]],
    despite: bool,
) -> Pair:
    entries = (before[1], after[1])
    differ = mismatches(*([entry.run for entry in side] for side in entries))
    in_force = () if despite else differ
    other_inputs = any(each.matter.refuses_memory for each in in_force)
    pair = Pair(
        name=name,
        before=entries[0],
        after=entries[1],
        before_label=before[0].label,
        after_label=after[0].label,
        verdicts=(_verdicts(entries[0]), _verdicts(entries[1])),
        lines=tuple(refused(line, in_force) for line in lines(*entries)),
        results=None if other_inputs else _results(*entries),
        suspects=suspect_changes(*entries, refused=Fate.REFUSED if other_inputs else None),
        mismatches=differ,
        sentence="",
    )
    return replace(pair, sentence=statement(pair, despite))


def _verdicts(entries: Sequence[JudgedRun]) -> tuple[VerdictCount, ...]:
    """The classes of the runs, each once, with how many have it."""
    kinds = Counter(entry.verdict.kind for entry in entries)
    return tuple(VerdictCount(kind, count) for kind, count in kinds.items())


def refused(line: Metric, in_force: Sequence[Mismatch]) -> Metric:
    """`line` without its conclusion, where one of these facts forbids it; the figures stay."""
    refusing = [
        difference_of(each)
        for each in in_force
        if (each.matter.refuses_time if line.name == TIME else each.matter.refuses_memory)
    ]
    if not refusing or line.conclusion is Conclusion.INCONCLUSIVE:
        return line
    return replace(line, conclusion=Conclusion.NOT_COMPARABLE, reason=joined(refusing, "; ", ""))


def _results(before: Sequence[JudgedRun], after: Sequence[JudgedRun]) -> Difference | None:
    """What the calls returned, each run against one of the baseline's; the amounts of single runs.

    None without a call that both sides made and summarized.
    """
    found = list(_differences(before, after))
    if len(found) < 2:
        return found[0] if found else None
    return Difference(sum(one.compared for one in found), sum(one.differing for one in found))


def _differences(before: Sequence[JudgedRun], after: Sequence[JudgedRun]) -> Iterator[Difference]:
    for number, entry in enumerate(after):
        found = difference(before[number % len(before)].run, entry.run)
        if found is not None:
            yield found

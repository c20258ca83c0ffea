"""The tables of ``leakhunt truth``: for the terminal and as Markdown, and the trials as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any

from leakhunt.amounts import format_bytes
from leakhunt.model.evaluation import Hunted, Score, Trial
from leakhunt.model.kinds import Kind
from leakhunt.model.verdict import Status
from leakhunt.text.language import mark, tr
from leakhunt.text.number import three_digits

HUNT_HEADINGS = (
    mark("workload"),
    mark("first suspect"),
    mark("attributed"),
    mark("known cause"),
    mark("correct"),
)
HEADINGS = (
    mark("workload"),
    mark("ground truth"),
    mark("found"),
    mark("rate/call"),
    mark("true growth rate"),
    mark("calls"),
    mark("correct"),
)
FORMAT = 1


def rows(trials: Sequence[Trial]) -> list[tuple[str, ...]]:
    """One row a workload, over all of its runs."""
    ordered = sorted(trials, key=lambda each: (each.scenario, each.variant))
    return [
        _row(name, list(group))
        for name, group in groupby(ordered, key=lambda each: f"{each.scenario}:{each.variant}")
    ]


def _row(name: str, group: list[Trial]) -> tuple[str, ...]:
    first = group[0]
    right = sum(each.is_right for each in group)
    return (
        name.removeprefix("leak-zoo-"),
        " / ".join(map(tr, first.expect)),
        tr(", ").join(dict.fromkeys(tr(each.kind) for each in group)),
        _amount(first.found_rate, first),
        _amount(first.rate, first) if first.leaks else "–",
        f"{sorted(each.calls for each in group)[len(group) // 2]:,}",
        tr("{right} of {all}", right=right, all=len(group)),
    )


def hunt_rows(trials: Sequence[Trial]) -> list[tuple[str, ...]]:
    """One row a hunted workload, by its first run."""
    ordered = sorted(trials, key=lambda each: (each.scenario, each.variant, each.seed))
    found: list[tuple[str, ...]] = []
    for name, group in groupby(ordered, key=lambda each: f"{each.scenario}:{each.variant}"):
        hunts = [each.hunted for each in group if each.hunted is not None]
        if hunts:
            first = hunts[0]
            share = "–" if first.share is None else f"{first.share:.0%}"
            right = sum(each.is_right for each in hunts)
            suspect = first.first or tr("none")
            what = (
                suspect,
                share,
                first.found_cause or "–",
                tr("{right} of {all}", right=right, all=len(hunts)),
            )
            found.append((name.removeprefix("leak-zoo-"), *what))
    return found


def _amount(rate: float | None, trial: Trial) -> str:
    if rate is None:
        return "–"
    return three_digits(rate) if trial.expect[0] is Kind.RESOURCE_GROWTH else format_bytes(rate)


def summary(score: Score) -> list[str]:
    """The score in sentences."""
    bound = 100 * score.false_alarm_bound
    return [
        tr(
            "clean: {false_alarms} false positives in {clean_runs} runs (false-positive rate"
            " below {bound:.2g} %, 95 % confidence); {certified} certified, median"
            " {median_clean_samples:.0f} samples",
            false_alarms=score.false_alarms,
            clean_runs=score.clean_runs,
            bound=bound,
            certified=score.certified,
            median_clean_samples=score.median_clean_samples,
        ),
        tr(
            "leaking: {found} of {leaking_runs} found, {classed} with the right class; median"
            " {median_samples:.0f} samples, {median_calls:,.0f} calls",
            found=score.found,
            leaking_runs=score.leaking_runs,
            classed=score.classed,
            median_samples=score.median_samples,
            median_calls=score.median_calls,
        ),
    ]


def confusion_rows(
    table: Mapping[Kind, Mapping[Kind, int]],
) -> tuple[list[str], list[tuple[str, ...]]]:
    """The confusion matrix (expected class, then found): headings, and a row an expected class."""
    columns = [kind for kind in Kind if any(kind in found for found in table.values())]
    body = [
        (tr(expected), *(str(table[expected].get(kind, 0) or "·") for kind in columns))
        for expected in Kind
        if expected in table
    ]
    return [tr("ground truth \\ found"), *map(tr, columns)], body


def wrong(trials: Iterable[Trial]) -> list[Trial]:
    """The trials that were not right."""
    return [each for each in trials if not each.is_right]


def to_json(trials: Sequence[Trial], facts: dict[str, str], score: Score) -> bytes:
    """The trials as data: UTF-8 JSON."""
    document: dict[str, Any] = {
        "format": FORMAT,
        "facts": facts,
        "score": asdict(score),
        "trials": [asdict(each) for each in trials],
    }
    text = json.dumps(document, ensure_ascii=False, default=float)
    return text.replace('{"scenario"', '\n{"scenario"').encode() + b"\n"


def from_json(data: bytes) -> list[Trial]:
    """The trials that `to_json` wrote."""
    return [
        Trial(
            **fields
            | {
                "expect": tuple(map(Kind, fields["expect"])),
                "status": Status(fields["status"]),
                "kind": Kind(fields["kind"]),
                "hunted": _hunted(fields.get("hunted")),
            }
        )
        for fields in json.loads(data)["trials"]
    ]


def _hunted(fields: dict[str, Any] | None) -> Hunted | None:
    if fields is None:
        return None
    return Hunted(**fields | {"instruments": tuple(fields["instruments"])})


def markdown(headings: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    """A GitHub table."""
    lines = [f"| {' | '.join(headings)} |", f"|{' --- |' * len(headings)}"]
    lines += [f"| {' | '.join(cells)} |" for cells in body]
    return "\n".join(lines)

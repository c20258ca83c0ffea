"""Budgets for the highest RSS: absolute, over a baseline's, and kept in baselines."""

from __future__ import annotations

from dataclasses import replace

import pytest
from conftest import MakeRun

from leakhunt.analysis.comparison.metrics import lines
from leakhunt.analysis.gate.baseline import baseline_variant
from leakhunt.analysis.gate.check import check_all
from leakhunt.analysis.report import assemble
from leakhunt.config.budgets import parse_budget
from leakhunt.errors import UsageError
from leakhunt.model.gate import Budget, BudgetResult, Extent, GateAnswer
from leakhunt.model.report import JudgedRun
from leakhunt.model.run import Ending, Outcome
from leakhunt.storage.baseline_reader import read_variant
from leakhunt.storage.baseline_writer import text_of

MIB = 1 << 20
KILLED = Outcome(Ending.KILLED, "SIGKILL", "SIGKILL", "oom", -9, 700 * MIB)


def entry(make_run: MakeRun, peak: int = 500 * MIB, outcome: Outcome | None = None) -> JudgedRun:
    level = [100 * MIB] * 200
    peaks = [110 * MIB] * 199 + [peak]
    run = make_run(
        readings={"start": {"rss": 100 * MIB}, "end": {"rss": 100 * MIB}},
        live_heap=level, rss=level, peak_rss=peaks, python_blocks=[5] * 200,
        duration=[10_000_000] * 200,
    )  # fmt: skip
    if outcome is not None:
        run = replace(run, outcome=outcome)
    return assemble([run], "test").entries[0]


def checked(entries: list[JudgedRun], text: str, *before: JudgedRun) -> BudgetResult:
    found = list(lines(list(before), entries)) if before else None
    return check_all(entries, [parse_budget("peak_rss", text)], found)[0]


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("2 GiB", Budget("peak_rss", 2048.0 * MIB, Extent.RUN, more=False, text="2 GiB")),
        ("+50 MiB", Budget("peak_rss", 50.0 * MIB, Extent.RUN, more=True, text="+50 MiB")),
        ("+10 %", Budget("peak_rss", 0.1, Extent.SHARE, more=True, text="+10 %")),
    ],
)
def test_a_peak_budget_is_read(text: str, budget: Budget) -> None:
    assert parse_budget("peak_rss", text) == budget


@pytest.mark.parametrize("text", ["2 KiB/call", "2 GiB total", "10 %", "+10 blocks", "0", 0])
def test_what_is_no_peak_budget_is_refused(text: object) -> None:
    with pytest.raises(UsageError, match=r"peak_rss: .*'2 GiB', '\+50 MiB' or '\+10 %'"):
        parse_budget("peak_rss", text)


@pytest.mark.parametrize(
    ("text", "answer"),
    [("600 MiB", GateAnswer.WITHIN_BUDGET), ("400 MiB", GateAnswer.OVER_BUDGET)],
)
def test_the_highest_rss_is_held_against_the_budget(
    make_run: MakeRun, text: str, answer: GateAnswer
) -> None:
    found = checked([entry(make_run)], text)
    assert (found.answer, found.estimate) == (answer, 500 * MIB)
    assert str(found.reason) == "highest RSS 500.0 MiB"


def test_of_a_killed_run_what_was_seen_of_its_last_call_counts(make_run: MakeRun) -> None:
    killed = [entry(make_run, outcome=KILLED)]
    assert checked(killed, "600 MiB").answer is GateAnswer.OVER_BUDGET
    assert checked(killed, "800 MiB").answer is GateAnswer.INCONCLUSIVE


def test_a_run_that_read_no_peak_never_passes(make_run: MakeRun) -> None:
    blind = assemble([make_run(rss=[1] * 100, live_heap=[1] * 100)], "test").entries[0]
    assert checked([blind], "1 GiB").answer is GateAnswer.NOT_MEASURED


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("+150 MiB", GateAnswer.WITHIN_BUDGET),
        ("+50 MiB", GateAnswer.OVER_BUDGET),
        ("+30 %", GateAnswer.WITHIN_BUDGET),
        ("+20 %", GateAnswer.OVER_BUDGET),
    ],
)
def test_it_is_held_against_the_baseline_s(
    make_run: MakeRun, text: str, answer: GateAnswer
) -> None:
    before, after = entry(make_run, 400 * MIB), entry(make_run, 500 * MIB)
    found = checked([after], text, before)
    assert found.answer is answer
    assert str(found.reason) == "highest RSS 500.0 MiB, baseline 400.0 MiB"
    early = entry(make_run, 500 * MIB, KILLED)
    over = answer is GateAnswer.OVER_BUDGET
    wanted = GateAnswer.OVER_BUDGET if over else GateAnswer.INCONCLUSIVE
    assert checked([early], text, before).answer is wanted


def test_repeats_have_an_interval(make_run: MakeRun) -> None:
    before = [entry(make_run, (400 + number) * MIB) for number in range(3)]
    after = [entry(make_run, (500 + number) * MIB) for number in range(3)]
    assert checked(after, "+90 MiB", *before).answer is GateAnswer.OVER_BUDGET
    assert checked(after, "+100 MiB", *before).answer is GateAnswer.INCONCLUSIVE
    assert checked(after, "+110 MiB", *before).answer is GateAnswer.WITHIN_BUDGET


def test_a_baseline_keeps_it_and_older_ones_have_none(make_run: MakeRun) -> None:
    saved = baseline_variant([entry(make_run)])
    content = text_of(saved)
    assert f"peak_rss = [{500 * MIB}]".encode() in content
    assert read_variant(content, "x.toml").profiles[0].peak_rss == 500 * MIB
    profiles = tuple(replace(each, peak_rss=None) for each in saved.profiles)
    older = text_of(replace(saved, profiles=profiles))
    assert b"peak_rss" not in older
    assert read_variant(older, "x.toml").profiles[0].peak_rss is None

"""What a matrix comes to: chance, many looks, and which axis decides."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from math import factorial

import pytest
from conftest import MakeRun

from leakhunt.analysis.matrix.explain import effects, explanation
from leakhunt.analysis.matrix.report import CellEvidence, matrix_report, to_hunt
from leakhunt.analysis.matrix.significance import joined, p_value, q_values
from leakhunt.analysis.verdict.trend import BLOCKS, kendall_critical, kendall_tail
from leakhunt.model.kinds import Kind
from leakhunt.model.matrix import (
    Axis,
    AxisKind,
    CellEnd,
    CellRecord,
    CellResult,
    MatrixPlan,
    MatrixReport,
)
from leakhunt.model.run import Run
from leakhunt.model.series import Unit
from leakhunt.model.verdict import Status
from leakhunt.text.message import english

AXES = (
    Axis(AxisKind.VARIANT, ("a", "b")),
    Axis(AxisKind.THREADS, ("1", "2")),
    Axis(AxisKind.PACKAGE, ("1.0", "1.1", "1.2"), "lib"),
)
PLAN = MatrixPlan("made", AXES)


def results(leaks: object, rate: float = 4096.0) -> list[CellResult]:
    """Every cell of `PLAN`; `leaks` says of its values whether it does, None: not measured."""
    made = []
    for cell in PLAN.cells:
        found = leaks(**{n.partition(".")[2] or n: v for n, v in cell.values.items()})  # type: ignore[operator]
        status = {True: Status.LEAK, False: Status.NO_LEAK, None: None}[found]
        made.append(
            CellResult(
                cell, CellRecord(CellEnd.MEASURED), status=status, status_alone=status,
                kind=Kind.PYTHON_LEAK if found else Kind.CLEAN, series="live_heap",
                unit=Unit.BYTES, rate=rate if found else 0.0,
            )
        )  # fmt: skip
    return made


def told(found: list[CellResult]) -> list[str]:
    return [english(each) for each in explanation(AXES, found)]


def test_the_tail_is_that_of_all_permutations() -> None:
    assert kendall_tail(BLOCKS, BLOCKS * (BLOCKS - 1) // 2) == 1 / factorial(BLOCKS)
    assert kendall_tail(4, -6) == 1.0
    critical = kendall_critical(BLOCKS, 0.01)
    assert kendall_tail(BLOCKS, critical) <= 0.01 < kendall_tail(BLOCKS, critical - 2)


def test_q_values_are_those_of_benjamini_and_hochberg() -> None:
    found = q_values([0.01, 0.04, 0.03, 0.005])
    assert found == pytest.approx([0.02, 0.04, 0.04, 0.02])
    assert q_values([]) == []


def test_repeats_are_joined_by_fisher() -> None:
    # -2 ln(0.05 * 0.05) = 11.98, of chi-squared with 4 degrees of freedom.
    assert joined([0.05, 0.05]) == pytest.approx(0.01748, abs=1e-4)
    assert joined([0.3]) == pytest.approx(0.3)
    assert joined([1.0, 0.0]) == 0.0


def growing(make_run: MakeRun, rate: int) -> Run:
    heap = [20_000_000 + rate * call for call in range(300)]
    return make_run(live_heap=heap, rss=[size + 30_000_000 for size in heap])


def test_growth_has_a_small_p_value_and_none_a_large_one(make_run: MakeRun) -> None:
    assert p_value(growing(make_run, 4096)) == pytest.approx(1 / factorial(BLOCKS))
    assert p_value(growing(make_run, 0)) == 1.0
    assert p_value(make_run(live_heap=[1] * 10, rss=[1] * 10)) is None


def test_one_axis_decides() -> None:
    lines = told(results(lambda variant, threads, lib: lib == "1.0"))
    assert lines[0] == "package.lib decides: leak with 1.0; no leak with 1.1, 1.2"
    first = effects(AXES, results(lambda variant, threads, lib: lib == "1.0"))[0]
    assert (first.axis, first.decides, first.leaks) == ("package.lib", True, (4, 0, 0))


def test_two_axes_decide_together() -> None:
    lines = told(results(lambda variant, threads, lib: variant == "a" and threads == "2"))
    assert lines[0].startswith("variant + threads decide together: leak with a + 2;")


def test_what_was_not_measured_decides_nothing() -> None:
    lines = told(results(lambda variant, threads, lib: None if lib == "1.2" else lib == "1.0"))
    assert lines[0] == "package.lib decides: leak with 1.0; no leak with 1.1"
    nothing = told(results(lambda variant, threads, lib: None))
    assert nothing == ["No cell has a verdict of leak or no leak"]


def test_all_or_none_need_no_axis() -> None:
    assert told(results(lambda **values: True))[0] == "All 12 decided cells leak"
    assert told(results(lambda **values: False)) == ["None of 12 decided cells leaks"]


def test_a_rate_that_an_axis_changes_is_told() -> None:
    found = [
        replace(each, rate=8192.0 if each.cell.values["threads"] == "2" else 4096.0)
        for each in results(lambda **values: True)
    ]
    assert told(found)[1] == (
        "Median growth of the leaking cells: 4.00 KiB/call with threads 1, 8.00 KiB/call with 2"
    )


def test_a_leak_that_may_be_chance_is_withdrawn_and_repeats_restore_it(make_run: MakeRun) -> None:
    """The exact test of eight floors is never surer than 1 in 40,320: of many cells, too little."""

    def report(repeats: int) -> MatrixReport:
        plan = MatrixPlan("made", (Axis(AxisKind.VARIANT, ("a", "b")),), repeats=repeats)
        rates = {"a": 4096, "b": 0}
        evidence = [
            CellEvidence(
                cell,
                CellRecord(CellEnd.MEASURED),
                (growing(make_run, rates[cell.values["variant"]]),),
            )
            for cell in plan.cells
        ]
        return matrix_report(plan, evidence, "leakhunt", rate=1e-6)

    once, twice = report(1), report(2)
    assert (once.withdrawn, once.having(Status.LEAK)) == (1, ())
    assert once.results[0].status_alone is Status.LEAK
    assert once.results[0].status is Status.INCONCLUSIVE
    assert (twice.withdrawn, len(twice.having(Status.LEAK))) == (0, 2)


def test_one_cell_of_each_group_that_grows_alike_is_hunted() -> None:
    found = results(lambda **values: True)
    assert [cell.name for cell in to_hunt(found)] == [found[0].cell.name]
    found[3] = replace(found[3], rate=40_960.0)
    assert [cell.name for cell in to_hunt(found)] == [found[0].cell.name, found[3].cell.name]


def test_cells_are_all_combinations_but_those_left_out() -> None:
    plan = replace(PLAN, exclude=({"variant": "a", "threads": "2"},), repeats=2)
    assert len(plan.cells) == (2 * 2 * 3 - 3) * 2 and plan.excluded == 3
    assert len({cell.name for cell in plan.cells}) == len(plan.cells)
    assert {cell.seed for cell in plan.cells} == {0, 1}
    expected = [v for v in product(*(a.values for a in AXES)) if v[:2] != ("a", "2")]
    assert [tuple(c.values.values()) for c in plan.cells if c.repeat == 1] == expected

"""Budgets as people write them: what they may mean, and what is refused in one line."""

from __future__ import annotations

import pytest

from leakhunt.amounts import amount_in, seconds_in
from leakhunt.config.budgets import parse_budget, parse_budgets
from leakhunt.errors import UsageError
from leakhunt.model.gate import Budget, Extent
from leakhunt.model.policy import budgeted, merged_budgets
from leakhunt.model.series import Unit
from leakhunt.text.language import speaking

KIB, MIB = 1 << 10, 1 << 20
TIME = "seconds_per_call"


@pytest.mark.parametrize(
    ("series", "value", "amount", "extent", "more"),
    [
        ("live_heap", "2 KiB/call", 2 * KIB, Extent.CALL, False),
        ("live_heap", "2KiB / request", 2 * KIB, Extent.CALL, False),
        ("live_heap", "2 kB/call", 2000, Extent.CALL, False),
        ("live_heap", 2048, 2048, Extent.CALL, False),
        ("live_heap", "+1 KiB/call", KIB, Extent.CALL, True),
        ("live_heap", "+ 1 KiB/call", KIB, Extent.CALL, True),
        ("live_heap", "+0/call", 0, Extent.CALL, True),
        ("rss", "50 MiB total", 50 * MIB, Extent.RUN, False),
        ("rss", "  50   MiB\ttotal ", 50 * MIB, Extent.RUN, False),
        ("rss", "+20 MiB total", 20 * MIB, Extent.RUN, True),
        ("cuda_reserved", "0 total", 0, Extent.RUN, False),
        ("python_blocks", "0.5 blocks/call", 0.5, Extent.CALL, False),
        ("python_blocks", "100 blocks total", 100, Extent.RUN, False),
        ("descriptors", 0, 0, Extent.CALL, False),
        ("descriptors", 0.5, 0.5, Extent.CALL, False),
        ("descriptors", "0.1/call", 0.1, Extent.CALL, False),
        ("threads", "2 total", 2, Extent.RUN, False),
        ("threads", "+2 total", 2, Extent.RUN, True),
        ("garbage_objects", "100/call", 100, Extent.CALL, False),
        ("garbage_objects", 0, 0, Extent.CALL, False),
        (TIME, "50 ms", 0.05, Extent.CALL, False),
        (TIME, "50 ms/call", 0.05, Extent.CALL, False),
        (TIME, "1.5s", 1.5, Extent.CALL, False),
        (TIME, "3 us", 3e-6, Extent.CALL, False),
        (TIME, "3 \u00b5s", 3e-6, Extent.CALL, False),
        (TIME, "3 \u03bcs", 3e-6, Extent.CALL, False),
        (TIME, "80 ns", 8e-8, Extent.CALL, False),
        (TIME, 0.05, 0.05, Extent.CALL, False),
        (TIME, "+5 ms", 0.005, Extent.CALL, True),
        (TIME, "+20 %", 0.2, Extent.SHARE, True),
        (TIME, "+20%", 0.2, Extent.SHARE, True),
        (TIME, "+ 7.5 %", 0.075, Extent.SHARE, True),
        (TIME, "+0 %", 0, Extent.SHARE, True),
    ],
)
def test_a_budget_is_read_as_it_is_meant(
    series: str, value: str | float, amount: float, extent: Extent, more: bool
) -> None:
    budget = parse_budget(series, value)
    assert budget.amount == pytest.approx(amount)
    assert (budget.series, budget.extent, budget.more) == (series, extent, more)
    assert budget.text == " ".join(str(value).split())


@pytest.mark.parametrize("series", budgeted())
def test_every_series_has_an_example_that_is_a_budget(series: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_budget(series, "nonsense")
    examples = str(caught.value).partition(". Examples: ")[2]
    texts = [each for each in examples.split("'") if each.strip(" ,") not in ("", "or", "0")]
    assert len(texts) == 3
    for text in texts:
        parse_budget(series, text)


@pytest.mark.parametrize("series", ["live_heap", "python_blocks", "threads", TIME])
@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "+",
        "/call",
        "total",
        "much",
        "-1/call",
        "-1 total",
        "nan/call",
        "inf total",
        "1e3/call",
        "+-1/call",
        "++1/call",
        "1/call/call",
        "1/s",
        "1 per call",
        "1/call total",
        "1 TOTAL",
        "1total",
        "5 %",
        "+x %",
        "+-5 %",
        "%",
        "9" * 400 + "/call",
        "9" * 400 + " total",
        "5 XiB/call",
        "5 parsecs",
        -1,
        -0.5,
        float("nan"),
        float("inf"),
        10**400,
        1 << 20_000,
        True,
        False,
        None,
        [],
        ["1/call"],
        {"call": 1},
        object(),
    ],
    ids=lambda value: repr(value)[:12] if not isinstance(value, int) else "",
)
def test_nonsense_is_refused_in_one_line_with_an_example(series: str, value: object) -> None:
    with pytest.raises(UsageError) as caught:
        parse_budget(series, value)
    message = str(caught.value)
    share = series != TIME and isinstance(value, str) and value.endswith("%")
    wrong = "a percentage of growth near 0 is undefined (got " if share else "invalid value "
    assert message.startswith(f"{series}: {wrong}") and ". Examples: " in message
    assert "\n" not in message and len(message) < 300


@pytest.mark.parametrize(
    ("series", "value"),
    [
        ("live_heap", "2 KiB"),
        ("live_heap", "2 blocks/call"),
        ("live_heap", "50 ms"),
        ("live_heap", "0"),
        ("python_blocks", "2 KiB/call"),
        ("descriptors", "2"),
        ("descriptors", "2 KiB/call"),
        (TIME, "50"),
        (TIME, "50 KiB"),
        (TIME, "50 ms total"),
        (TIME, "20 %"),
        (TIME, "1 min"),
        (TIME, 0),
        (TIME, "0 s"),
    ],
)
def test_what_is_no_budget_of_this_series_is_refused(series: str, value: object) -> None:
    with pytest.raises(UsageError, match=rf"^{series}: invalid value .*\. Examples: "):
        parse_budget(series, value)


def test_a_share_of_a_memory_growth_is_refused_with_the_reason() -> None:
    with pytest.raises(UsageError, match=r"a percentage of growth near 0 is undefined.*'\+1 KiB/"):
        parse_budget("live_heap", "+20 %")


def test_a_wrong_name_is_told_with_the_one_it_may_have_meant() -> None:
    with pytest.raises(
        UsageError, match=r"unknown series 'live_heep' \(did you mean 'live_heap'\?\)"
    ):
        parse_budget("live_heep", 0)


def test_a_list_has_a_budget_of_each_sort() -> None:
    per_call, total = parse_budgets("rss", ["1 KiB/call", "50 MiB total"])
    assert (per_call.extent, total.extent) == (Extent.CALL, Extent.RUN)
    assert parse_budgets("rss", "1 KiB/call") == (per_call,)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([], r"^rss: invalid value \[\]\. Examples: "),
        (["1 KiB/call", "x"], r"^rss: invalid value 'x'\. Examples: "),
        ([["1 KiB/call"]], r"^rss: invalid value \['1 KiB/call'\]\. Examples: "),
        (
            ["1 KiB/call", "2 MiB total", 5],
            r"two budgets of the same kind, '1 KiB/call' and '5'\. Remove one",
        ),
    ],
)
def test_a_list_of_something_else_is_refused(value: object, expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        parse_budgets("rss", value)


def test_own_budgets_take_the_place_of_the_general_ones_series_by_series() -> None:
    def made(series: str, text: str) -> Budget:
        return parse_budget(series, text)

    general = [made(TIME, "+20 %"), made("rss", "1 MiB total"), made("rss", "1 KiB/call")]
    own = [made("rss", "5 MiB total"), made("live_heap", "1 KiB/call")]
    assert merged_budgets(general, own) == (own[1], own[0], general[0])
    assert merged_budgets(general, []) == (*general[1:], general[0])
    assert merged_budgets([], own) == (own[1], own[0])


def test_amounts_and_times_are_read_or_none() -> None:
    assert amount_in(Unit.BYTES, "4 KiB") == 4096
    assert amount_in(Unit.BLOCKS, "4 KiB") is None
    assert amount_in(Unit.COUNT, "x") is None
    assert seconds_in("2 min") is None


def test_an_error_is_said_in_the_language_in_which_it_is_shown() -> None:
    with pytest.raises(UsageError) as caught:
        parse_budget("live_heap", "much")
    english = str(caught.value)
    assert english.startswith("live_heap: invalid value 'much'. Examples: ")
    with speaking("zh"):
        assert str(caught.value).startswith("live_heap：无效的值 'much'。示例：")
    assert str(caught.value) == english

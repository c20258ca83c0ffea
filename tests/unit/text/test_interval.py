"""Intervals in a text: a unit once, where both bounds have the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leakhunt.amounts import Amount, Count, Rate, Seconds
from leakhunt.text.interval import lower_bound
from leakhunt.text.language import speaking
from leakhunt.text.message import message, to_json


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        ("57.2 KiB", "59.2 KiB", "57.2"),
        ("57.2 KiB/call", "59.2 KiB/call", "57.2"),
        ("-1.25 KiB", "1.25 KiB", "-1.25"),
        ("+1 %", "+5.2 %", "+1"),
        ("1,024 calls", "2,048 calls", "1,024"),
        ("900 B", "1.20 KiB", "900 B"),
        ("0 B", "1.20 KiB", "0 B"),
        ("1 block", "2 blocks", "1 block"),
        ("2 min 5 s", "3 min 5 s", "2 min 5 s"),
        ("0.5", "0.7", "0.5"),
        ("-", "1.20 KiB", "-"),
    ],
)
def test_a_unit_that_both_bounds_have_is_written_once(low: str, high: str, expected: str) -> None:
    assert lower_bound(low, high) == expected


def test_a_message_writes_the_unit_of_an_interval_once() -> None:
    grows = message(
        "test.grows", "{rate} ({low} to {high})", rate=Rate(1024.0), low=Amount(1000.0 * 1.1),
        high=Amount(2048.0),
    )  # fmt: skip
    assert str(grows) == "1.00 KiB/call (1.07 to 2.00 KiB)"
    assert to_json(grows)["values"]["low"] == {"value": 1100.0, "unit": "bytes"}
    with speaking("zh"):
        assert str(replace(grows, text="saves {estimate} of {before} ({low} to {high})",
                           values={**grows.values, "estimate": 1, "before": 2})
                   ).endswith("（1.07 至 2.00 KiB）")  # fmt: skip


def test_bounds_that_stand_apart_keep_their_units() -> None:
    apart = message("test.apart", "{rate}, lower bound {low}", rate=Rate(1.0), low=Seconds(2.0))
    assert str(apart) == "1 B/call, lower bound 2 s"
    needed = message("test.needs", "{least} to {most}", least=Count(900), most=Count(1))
    assert str(needed) == "900 calls to 1 call"

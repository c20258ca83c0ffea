from __future__ import annotations

import pytest

from leakhunt.amounts import (
    format_amount,
    format_bytes,
    format_interval,
    format_rate,
    format_seconds,
    parse_rate,
    parse_size,
)
from leakhunt.errors import UsageError
from leakhunt.model.plan import Work
from leakhunt.model.series import Unit
from leakhunt.text.message import message


@pytest.mark.parametrize(
    ("text", "size"),
    [("512", 512), ("4 KiB", 4096), ("1.5GiB", 3 << 29), ("4 MB", 4_000_000), ("2gib", 2 << 30)],
)
def test_sizes_are_read_with_binary_and_decimal_units(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "much", "4 XiB", "-1 KiB", "4 KiB/call", "1e3"])
def test_a_size_that_makes_no_sense_is_refused_by_name(text: str) -> None:
    with pytest.raises(UsageError, match="invalid size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "rate"),
    [("4 KiB/call", 4096.0), ("256/call", 256.0), ("0 B / call", 0.0)],
)
def test_rates_per_call_are_read(text: str, rate: float) -> None:
    assert parse_rate(text, Unit.BYTES) == rate


def test_a_rate_of_blocks_is_read_for_a_series_of_blocks() -> None:
    assert parse_rate("0.5 blocks/call", Unit.BLOCKS) == 0.5
    assert parse_rate("2/call", Unit.COUNT) == 2


@pytest.mark.parametrize("text", ["4 KiB/call", "nan blocks/call", "inf/call", "-1 blocks/call"])
def test_a_budget_that_is_no_number_of_blocks_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_rate(text, Unit.BLOCKS)


@pytest.mark.parametrize("text", ["4 KiB", "4 KiB/s", "9 blocks/call", "/call", "nan/call"])
def test_a_rate_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_rate(text, Unit.BYTES)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (-0.2, "-0.2 B"),
        (0.4, "0.4 B"),
        (-312, "-312 B"),
        (65_638, "64.1 KiB"),
        (1 << 30, "1.00 GiB"),
    ],
)
def test_sizes_are_written_for_people(size: float, text: str) -> None:
    assert format_bytes(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3.2e-6, "3.2 µs"), (0.0184, "18.4 ms"), (1.25, "1.25 s"), (125, "2 min 5 s")],
)
def test_times_are_written_for_people(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


def test_an_amount_carries_the_unit_of_its_series() -> None:
    assert format_amount(3, Unit.BLOCKS) == "3 blocks"
    assert format_amount(2, Unit.COUNT) == "2"
    assert format_amount(2e6, Unit.NANOSECONDS) == "2 ms"


def test_large_numbers_are_written_out() -> None:
    assert format_rate(7726.4, Unit.BLOCKS, Work.SECOND) == "7,730 blocks/s"
    assert format_amount(-1_308_102, Unit.COUNT) == "-1,310,000"
    assert format_seconds(999.7e-6) == "1,000 µs"
    assert format_interval("7,730 blocks/s", "6,420 blocks", "9,540 blocks") == (
        "7,730 [6,420, 9,540] blocks/s"
    )
    more = message("test.more", "{n:.3g} more, {share:.2g} %", n=1234.5, share=0.123)
    assert str(more) == "1,230 more, 0.12 %"


@pytest.mark.parametrize(
    ("figures", "text"),
    [
        (("4.01 KiB/call", "4.00 KiB", "4.02 KiB"), "4.01 [4.00, 4.02] KiB/call"),
        (("-58.4 KiB", "-58.5 KiB", "-58.3 KiB"), "-58.4 [-58.5, -58.3] KiB"),
        (("1.01 MiB", "1000 KiB", "1.02 MiB"), "1.01 MiB [1000 KiB, 1.02 MiB]"),
        (("1 block", "0.9 blocks", "1.1 blocks"), "1 block [0.9 blocks, 1.1 blocks]"),
        (("0 B/call", "0 B", "0 B"), "0 [0, 0] B/call"),
        (("2", "1", "3"), "2 [1, 3]"),
    ],
)
def test_an_interval_names_its_unit_once(figures: tuple[str, str, str], text: str) -> None:
    assert format_interval(*figures) == text

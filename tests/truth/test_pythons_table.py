"""The table of Python versions: what was measured, what failed, and what could not be run."""

from __future__ import annotations

from typing import Any

from pythons_table import row, section

FACTS = {"python": "CPython 3.14.8", "malloc": "glibc 2.43 (C library)"}
WHOLE: dict[str, Any] = {
    "facts": FACTS,
    "unit": {"passed": 3500, "failed": 1, "skipped": 20, "failures": ["unit.a::b"]},
    "null": {"bytes_per_call": 0.0, "blocks_per_call": 0.0},
    "zoo": {"leaks": 58, "found": 58, "clean": 69, "false_alarms": 0, "hunts": 58, "named": 57,
            "failures": ["leak-zoo-native:mmap-lost"]},
    "soak": {"keeps": {"status": "leak", "bytes_per_request": 100_000.0},
             "answers": {"status": "no_leak", "bytes_per_request": None}},
    "notes": ["named when repeated"],
}  # fmt: skip


def test_a_row_says_what_each_step_found() -> None:
    assert row(WHOLE) == (
        "CPython 3.14.8", "glibc 2.43", "3,500 passed, 1 failed, 20 skipped",
        "0 B/call, 0.000 blocks/call", "58 of 58 found", "0 of 69", "57 of 58 named",
        "leak, 97.7 KiB/request", "no leak",
    )  # fmt: skip


def test_what_was_not_run_is_no_zero() -> None:
    cells = row({"facts": FACTS, "soak": {"not_run": "locust is not installed"}})
    assert cells[2:] == (
        *("not measured", "not measured", "not measured", "–", "–"),
        *("could not be run", "–"),
    )


def test_failures_and_notes_stand_below_the_table() -> None:
    lines = list(section({"pythons": [WHOLE]}))
    assert lines[-4:] == [
        "- CPython 3.14.8, unit: unit.a::b",
        "- CPython 3.14.8, zoo: leak-zoo-native:mmap-lost",
        "- CPython 3.14.8: named when repeated",
        "",
    ]

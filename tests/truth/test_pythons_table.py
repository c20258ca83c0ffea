"""The table of Python versions: what was measured, what failed, and what could not be run."""

from __future__ import annotations

from typing import Any

from pythons_table import VERBS, row, section, verbs_row
from verbs import CHECKS

FACTS = {"python": "CPython 3.14.8", "malloc": "glibc 2.43 (C library)"}
WHOLE: dict[str, Any] = {
    "facts": FACTS,
    "unit": {"passed": 3500, "failed": 1, "skipped": 20, "failures": ["unit.a::b"]},
    "null": {"bytes_per_call": 0.0, "blocks_per_call": 0.0},
    "zoo": {"leaks": 58, "found": 58, "clean": 69, "false_alarms": 0, "hunts": 58, "named": 57,
            "failures": ["leak-zoo-native:mmap-lost"]},
    "soak": {"keeps": {"status": "leak", "bytes_per_request": 100_000.0},
             "answers": {"status": "no_leak", "bytes_per_request": None}},
    "verbs": {
        "attach": {"is_right": True, "way": "ptrace", "seconds_to_enter": 0.321,
                   "longest_pause_seconds": 0.0062, "request_seconds": {"during": {"max": 0.071}}},
        "watch": {"is_right": True, "samples": 12},
        "matrix": {"is_right": False, "said": "cells: {}"},
        "notebook": {"not_run": "IPython is not installed"},
    },
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
    assert lines[-5:] == [
        "- CPython 3.14.8, unit: unit.a::b",
        "- CPython 3.14.8, zoo: leak-zoo-native:mmap-lost",
        "- CPython 3.14.8, `matrix`: cells: {}",
        "- CPython 3.14.8: named when repeated",
        "",
    ]


def test_a_verb_is_right_or_not_or_was_not_tried() -> None:
    python, *cells = verbs_row(WHOLE)
    assert python == "CPython 3.14.8"
    assert dict(zip(VERBS, cells, strict=True)) == {
        "attach": "right: ptrace, 0.32 s, pause 6 ms, request 71 ms",
        "watch": "right",
        "matrix": "not right",
        "notebook": "could not be run",
        **dict.fromkeys(("gdb", "analyze", "bisect", "guard", "agent", "suite"), "not measured"),
    }


def test_every_check_of_a_verb_has_a_column() -> None:
    assert list(VERBS) == list(CHECKS)

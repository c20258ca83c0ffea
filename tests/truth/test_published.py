"""What hunts of published packages come to."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest
from published import HuntOfPackage, Package, figures, packages, result_of, row_of

MADE = Package("made", "1.0", "1.1", "loses", "loses", "https://example.com", "")
FOUND = HuntOfPackage(
    *("made", "1.0", True, "leak", "leak in Python"), suspects=1, whose="made 1.0", named=True
)
CLEAN = HuntOfPackage("made", "1.1", False, "no_leak", "clean")


def report(title: str, *functions: str) -> dict[str, Any]:
    suspect = {
        "title": {"text": title},
        "distribution": {"name": "made", "version": "1.0"},
        "origin": "library",
        "share": 0.98,
        "stack": [{"function": each, "file": "made.c"} for each in functions],
        "instruments": ["memray"],
    }
    measured = {
        "plan": {"role": "measure"},
        "status": "leak",
        "kind": "leak in Python",
        "attribution": {"suspects": [suspect]},
    }
    return {"runs": [measured, {"plan": {"role": "instrument"}}]}


def test_a_row_tells_how_near_the_first_suspect_comes() -> None:
    named = row_of(report("loses (made.c:7)", "loses"), MADE, "1.0", 12.34)
    assert (named.named, named.in_stack, named.whose, named.seconds) == (
        *(True, True),
        *("made 1.0", 12.3),
    )
    beside = row_of(report("call (app.py:3)", "call", "loses"), MADE, "1.0", 1.0)
    assert (beside.named, beside.in_stack) == (False, True)


@pytest.mark.parametrize(
    ("changes", "result"),
    [
        ({}, "named"),
        ({"named": False, "whose": "yours", "in_stack": True}, "in_stack"),
        ({"named": False, "whose": "library"}, "unnamed"),
        ({"named": False}, "package"),
        ({"named": False, "package": "made-of-it", "whose": "Made_of.it 1.0"}, "package"),
        ({"named": False, "package": "made-of-it", "whose": "made 1.0"}, "unnamed"),
        ({"named": False, "whose": "yours"}, "caller"),
        ({"suspects": 0}, "nobody"),
        ({"status": "no_leak"}, "missed"),
    ],
)
def test_each_result_has_a_name(changes: dict[str, Any], result: str) -> None:
    assert result_of(asdict(replace(FOUND, **changes))) == result


def test_a_fixed_version_with_a_suspect_is_not_right() -> None:
    accused = replace(CLEAN, suspects=1)
    assert figures([FOUND, replace(FOUND, suspects=0), CLEAN, accused]) == {
        "leaking": 2,
        "found": 1,
        "named": 1,
        "of_the_package": 1,
        "fixed": 2,
        "without_suspect": 1,
    }


def test_every_package_has_two_versions_and_a_workload() -> None:
    for each in packages():
        assert each.leaking != each.fixed and each.link.startswith("https://")
        assert "def call(" in each.workload

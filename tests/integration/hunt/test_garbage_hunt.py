"""Cyclic garbage from end to end: measured, named with the reference to cut, held to a budget."""

from __future__ import annotations

import json
import re
from pathlib import Path

from conftest import Leakhunt, WriteScenario

CYCLES = '''
class Parent:
    def __init__(self):
        self.data = bytearray(20_000)
        self.children = [Child(self), Child(self)]


class Child:
    def __init__(self, parent):
        self.parent = parent


@variant
def naive(state, item):
    """Trees whose children refer to their parents."""
    return len(Parent().children)
'''


def test_garbage_is_named_with_the_reference_to_cut(
    leakhunt: Leakhunt, write_scenario: WriteScenario, tmp_path: Path
) -> None:
    done = leakhunt(
        "hunt", write_scenario(CYCLES), "--calls", "200", "--format=json,html,md", "--out", "out"
    )
    assert done.returncode == 0, done.stderr
    (run,) = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))["runs"]
    assert run["status"] == "no_leak"
    sentence = run["sentence"]["text"]
    assert re.search(r"Cyclic garbage: 2\d\.\d KiB/call, first: reference back", sentence)
    (suspect,) = run["attribution"]["suspects"]
    assert suspect["cycle"]["cut"] == ["Child.parent"]
    assert suspect["cycle"]["closed_at"]["source"] == "self.parent = parent"
    assert (suspect["exact"], suspect["per_call"]) == (True, 1)
    assert 20_000 < suspect["bytes_per_call"] < 22_000
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert 'aria-label="Reference cycle"' in page and "reference to cut" in page
    assert "reference to cut: Child.parent (or a weak reference in its place)" in done.stdout


def test_a_budget_of_garbage_fails_the_gate_and_the_cycle_is_named(
    leakhunt: Leakhunt, write_scenario: WriteScenario, tmp_path: Path
) -> None:
    write_scenario(CYCLES)
    policy = tmp_path / "leakhunt.toml"
    policy.write_text(
        "[scenarios.'made.py']\ncalls = 200\n[budgets]\ngarbage_objects = '1/call'\n", "utf-8"
    )
    done = leakhunt("gate", "--policy", policy, "--out", "gated")
    assert done.returncode == 1, done.stderr
    told = json.loads((tmp_path / "gated" / "gate.json").read_text("utf-8"))
    (variant,) = told["variants"]
    (check,) = [each for each in variant["checks"] if each["budget"]["series"] == "garbage_objects"]
    assert check["answer"] == "over_budget" and check["low"] >= 3
    assert variant["suspects"][0]["cycle"]["cut"] == ["Child.parent"]

"""The commands that come after an answer of the gate can be run as they stand."""

from __future__ import annotations

from dataclasses import replace

from made_gates import gated, variant

from leakhunt.model.gate import GateAnswer
from leakhunt.reporting.gate.next_steps import commands


def test_a_budget_of_the_command_line_is_no_policy_to_measure_by() -> None:
    over = variant(GateAnswer.OVER_BUDGET)
    by_file = replace(gated(over), policy="leakhunt.toml", against="")
    by_option = replace(by_file, policy="--max-growth")
    assert any("gate --policy leakhunt.toml" in line for _, line in commands(over, by_file))
    assert not any("gate --policy" in line for _, line in commands(over, by_option))

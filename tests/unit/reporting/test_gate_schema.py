"""``gate.json`` is what its published schema says, and the schema what the types say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import pytest
from conftest import MakeRun
from jsonschema import Draft202012Validator
from made_gates import KINDS, gated, made_gates, variant
from schema_types import disagreements, faults, parts_of, schema

from leakhunt.model.attribution import Suspect
from leakhunt.model.comparison import Mismatch
from leakhunt.model.gate import Budget, GateAnswer, GateResult
from leakhunt.model.kinds import Kind
from leakhunt.model.run import Outcome
from leakhunt.model.verdict import Trend
from leakhunt.reporting.gate import json_file

GATE = schema("gate")
_GATE = Draft202012Validator(GATE)
BY_TYPE = sorted(
    {part for root in (Suspect, Budget, Mismatch, Trend, Outcome, Kind) for part in parts_of(root)},
    key=lambda kind: kind.__name__,
)
BY_HAND = {"Variant", "GateAnswer", "BudgetResult", "Accepted", "Acceptance", "Run", "Text"}


@pytest.fixture(scope="module")
def gates(make_run: MakeRun) -> Mapping[str, GateResult]:
    return made_gates(make_run)


def document(made: GateResult) -> Any:
    return json.loads(json_file.render(made))


def test_the_schema_has_the_number_of_the_format() -> None:
    assert GATE["$id"] == json_file.SCHEMA == f"urn:leakhunt:schema:gate:{json_file.FORMAT}"
    assert GATE["properties"]["format"]["const"] == json_file.FORMAT


@pytest.mark.parametrize("kind", KINDS)
def test_a_gate_of_any_sort_is_as_the_schema_says(
    gates: Mapping[str, GateResult], kind: str
) -> None:
    assert faults(_GATE, document(gates[kind])) == []


def test_a_property_that_is_not_described_is_refused(gates: Mapping[str, GateResult]) -> None:
    made = document(gates["usual"])
    made["variants"][0]["checks"][0]["colour"] = "red"
    (fault,) = faults(_GATE, made)
    assert "'colour' was unexpected" in fault


def test_all_that_a_gate_can_hold_is_defined_and_nothing_else() -> None:
    assert set(GATE["$defs"]) == BY_HAND | {kind.__name__ for kind in BY_TYPE}


@pytest.mark.parametrize("kind", BY_TYPE, ids=lambda kind: kind.__name__)
def test_a_definition_is_what_its_type_says(kind: type) -> None:
    described = GATE["$defs"][kind.__name__]
    assert described["description"]
    if issubclass(kind, StrEnum):
        assert described["enum"] == [str(each) for each in kind]
        return
    assert disagreements(kind, described) == []
    assert described["required"] == list(described["properties"])


@pytest.mark.parametrize("name", ["Variant", "BudgetResult", "Run"])
def test_what_is_put_together_by_hand_has_a_property_for_each_that_is_written(
    gates: Mapping[str, GateResult], name: str
) -> None:
    made = document(gates["usual"])
    assert list(made) == list(GATE["properties"]) == GATE["required"]
    over = next(each for each in made["variants"] if each["answer"] == "over_budget")
    written = {"Variant": over, "BudgetResult": over["checks"][0], "Run": over["runs"][0]}[name]
    described = GATE["$defs"][name]
    assert list(written) == list(described["properties"]) == described["required"]


@pytest.mark.parametrize("answer", GateAnswer)
def test_an_answer_is_a_word_beside_its_exit_code(answer: GateAnswer) -> None:
    made = document(gated(variant(answer)))
    assert made["exit_code"] == int(answer)
    assert made["answer"] == made["variants"][0]["answer"] in GATE["$defs"]["GateAnswer"]["enum"]


def test_figures_come_with_their_unit_and_infinity_is_none(gates: Mapping[str, GateResult]) -> None:
    units = [
        check["unit"] for each in document(gates["usual"])["variants"] for check in each["checks"]
    ]
    assert units == ["bytes/call", "bytes/call", "bytes/call", "bytes"]
    share, seconds = document(gates["time"])["variants"][0]["checks"]
    assert (share["unit"], seconds["unit"]) == ("share", "seconds/call")
    assert share["detection_limit"] == 0.06 and seconds["detection_limit"] is None


def test_no_samples_and_no_folders_are_in_it(gates: Mapping[str, GateResult]) -> None:
    (run,) = document(gates["within"])["variants"][0]["runs"]
    assert run["file"] == "cleaned.run.jsonl"
    assert "samples" not in run and run["trends"]["live_heap"]["status"] == "no_leak"

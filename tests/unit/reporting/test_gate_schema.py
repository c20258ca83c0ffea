"""``gate.json`` is what its published schema says, with the figures of the gate."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from conftest import MakeRun
from jsonschema import Draft202012Validator
from made_gates import KINDS, gated, made_gates, variant
from schema_types import faults, schema

from leakhunt.model.gate import GateAnswer, GateResult
from leakhunt.reporting.gate import json_file

GATE = schema("gate")
_GATE = Draft202012Validator(GATE)


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


@pytest.mark.parametrize("name", ["GateJsonVariant", "GateJsonCheck", "GateJsonRun"])
def test_each_property_that_is_written_is_described(
    gates: Mapping[str, GateResult], name: str
) -> None:
    made = document(gates["usual"])
    assert list(made) == list(GATE["properties"]) == GATE["required"]
    over = next(each for each in made["variants"] if each["answer"] == "over_budget")
    written = {
        "GateJsonVariant": over,
        "GateJsonCheck": over["checks"][0],
        "GateJsonRun": over["runs"][0],
    }[name]
    described = GATE["$defs"][name]
    assert list(written) == list(described["properties"]) == described["required"]


@pytest.mark.parametrize("answer", GateAnswer)
def test_an_answer_is_a_word_beside_its_exit_code(answer: GateAnswer) -> None:
    made = document(gated(variant(answer)))
    assert made["exit_code"] == int(answer)
    assert (
        made["answer"] == made["variants"][0]["answer"] in GATE["$defs"]["GateJsonAnswer"]["enum"]
    )


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

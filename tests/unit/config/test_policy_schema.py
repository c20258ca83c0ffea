"""The schema of a policy takes what the reader takes, and nothing else."""

from __future__ import annotations

import json
import tomllib
from datetime import date
from importlib import resources
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from made_policies import ACCEPT, WHOLE, example_of_the_reader, read

from leakhunt.config import policy_file
from leakhunt.errors import BadFile
from leakhunt.model.policy import (
    COLLECT,
    DEVICES,
    ScenarioPolicy,
    budgeted,
)
from leakhunt.storage.schema_files import SCHEMAS

SCHEMA: dict[str, Any] = json.loads(
    (resources.files("leakhunt.storage") / "schemas" / SCHEMAS["policy"]).read_text("utf-8")
)


def faults(text: str, *path: str) -> list[str]:
    """What an editor would underline in the table of `path`; TOML's dates are texts to it."""
    document = json.loads(json.dumps(tomllib.loads(text), default=date.isoformat))
    for key in path:
        document = document[key]
    validator = Draft202012Validator(SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER)
    return [error.message for error in validator.iter_errors(document)]


def test_the_schema_has_the_keys_that_are_read_each_described() -> None:
    known = {
        "Scenario": policy_file.SCENARIO_KEYS,
        "Variant": policy_file.VARIANT_KEYS,
        "PolicyAcceptance": policy_file.ACCEPT_KEYS,
        "Budgets": budgeted(),
    }
    assert list(SCHEMA["properties"]) == list(policy_file.KEYS)
    for name, keys in known.items():
        assert list(SCHEMA["$defs"][name]["properties"]) == list(keys)
    for place in (SCHEMA, *(SCHEMA["$defs"][name] for name in known)):
        assert place["additionalProperties"] is False and place["description"].endswith(".")
        assert all(each["description"].endswith(".") for each in place["properties"].values())


def test_the_schema_has_the_words_and_defaults_that_are_read() -> None:
    scenario = SCHEMA["$defs"]["Scenario"]["properties"]
    assert scenario["device"]["enum"] == list(DEVICES)
    assert scenario["collect"]["enum"] == list(COLLECT)
    default = ScenarioPolicy("", "")
    for place in (SCHEMA["properties"], scenario):
        for name, described in place.items():
            if "default" in described:
                assert described["default"] == getattr(default, name)


@pytest.mark.parametrize("text", [WHOLE, "", "[scenarios]\nnull = {}\n", ACCEPT])
def test_the_schema_takes_what_is_read(text: str) -> None:
    read(text)
    assert faults(text) == []


GOOD = ["'0/call'", "'2 KiB / call'", "'+ 1.5 total'", "0", "0.5", "['1/call', '+2 total']"]
BAD = ["'x'", "'1'", "-1", "true", "'-1/call'", "'1/s'", "'1 K/call'", "'5 %'", "[]", "['x']",
       "{}", "'1total'", "'5 ms'"]  # fmt: skip
GOOD_TIMES = ["'50 ms'", "'+5us'", "'1 \u00b5s/call'", "'+ 20 %'", "'+7.5%'", "0.05"]
GOOD_PEAKS = ["'2 GiB'", "'+50MiB'", "'+ 10 %'", "1000000", "['2 GiB', '+10 %']"]
BAD_PEAKS = ["'2 KiB/call'", "'2 GiB total'", "'10 %'", "0", "'x'", "'5 ms'", "[]"]
BAD_TIMES = ["'50'", "'20 %'", "'1 total'", "'1 min'", "0", "'+x %'", "'1 ms total'"]


@pytest.mark.parametrize(
    ("series", "value", "is_one"),
    [
        *(("rss", value, True) for value in GOOD if "KiB" in value),
        *(("threads", value, True) for value in GOOD if "KiB" not in value),
        *(("python_blocks", value, False) for value in BAD),
        *(("rss", value, False) for value in BAD),
        *(("threads", value, False) for value in BAD),
        *(("seconds_per_call", value, True) for value in GOOD_TIMES),
        *(("seconds_per_call", value, False) for value in BAD_TIMES),
        *(("peak_rss", value, True) for value in GOOD_PEAKS),
        *(("peak_rss", value, False) for value in BAD_PEAKS),
    ],
)
def test_the_schema_and_the_reader_agree_on_budgets(series: str, value: str, is_one: bool) -> None:
    text = f"[budgets]\n{series} = {value}\n"
    assert (faults(text) == []) is is_one
    if is_one:
        read(text)
    else:
        with pytest.raises(BadFile):
            read(text)


@pytest.mark.parametrize(
    "text",
    [
        "retrys = 1",
        "[scenarios.x]\ncalls = 0",
        "[scenarios.x]\ndevice = 'gpu'",
        "[scenarios.x]\nvariants = []",
        "[scenarios.x]\nmemory_limit = '2 XiB'",
        "[scenarios.x.options]\na = true",
        ACCEPT.replace('reason = "r"', ""),
        ACCEPT.replace('"r"', '" "'),
        ACCEPT.replace("2027-03-01", "'soon'"),
    ],
)
def test_the_schema_refuses_what_the_reader_refuses(text: str) -> None:
    assert faults(text)
    with pytest.raises(BadFile):
        read(text)


def test_the_schema_takes_the_example_of_the_reader() -> None:
    assert faults(example_of_the_reader(), "tool", "leakhunt") == []

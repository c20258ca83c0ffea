"""What a real hunt leaves is what the published schemas say, in every format."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas
from conftest import Leakhunt, WriteScenario
from jsonschema import Draft202012Validator

import leakhunt as package
from leakhunt.storage import run_file

BODY = """
@variant
def leaky(state, item):
    KEPT.append(bytearray(5000))


@variant
def failing(state, item):
    if item == 30:
        raise ValueError("<no> such key")
"""


def validator(name: str) -> Draft202012Validator:
    place = resources.files("leakhunt.storage") / "schemas" / f"{name}.schema.json"
    schema: dict[str, Any] = json.loads(place.read_text("utf-8"))
    return Draft202012Validator(schema)


def test_a_hunt_leaves_what_the_schemas_say(
    write_scenario: WriteScenario, leakhunt: Leakhunt, tmp_path: Path
) -> None:
    done = leakhunt(
        "hunt", write_scenario(BODY), "--with", "tracemalloc", "--out", "out", "--format", "all"
    )
    assert done.returncode == 8, done.stderr
    assert done.stdout.splitlines()[-1] == "out/report.html"
    out = tmp_path / "out"
    lines = validator("run-file")
    files = run_file.find_run_files([str(out)])
    assert len(files) == 4
    for file in files:
        for line in file.read_text("utf-8").splitlines():
            lines.validate(json.loads(line))
    document = json.loads((out / "report.json").read_text("utf-8"))
    validator("report").validate(document)
    assert document["runs"][0]["attribution"]["suspects"]
    root = ElementTree.parse(out / "junit.xml").getroot()  # noqa: S314
    cases = {case.attrib["name"]: case for case in root.iter("testcase")}
    assert "made.py:" in "".join(cases["leaky"].itertext())
    assert cases["leaky"].find("failure") is not None
    assert cases["failing"].find("error") is not None
    samples = pandas.read_csv(out / "samples.csv")
    pandas.testing.assert_frame_equal(samples, pandas.read_parquet(out / "samples.parquet"))
    frame = package.load(out / "leaky.run.jsonl").to_frame()
    assert list(frame["live_heap"]) == list(samples[samples["variant"] == "leaky"]["live_heap"])

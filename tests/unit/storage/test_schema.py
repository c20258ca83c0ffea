"""The published schemas say what is written: all of it, and nothing else."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, make_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import schemas
from conftest import HOSTILE, MakeRun, hostile_run, write_run
from jsonschema import Draft202012Validator
from made_claims import claims_report
from made_soaks import Made, soak, write_soak
from schema_types import faults, schema
from schemas import CAME_LATER

from leakhunt.analysis.claims import Evidence
from leakhunt.analysis.report import assemble
from leakhunt.cli.main import main
from leakhunt.model.claims import ClaimsReport
from leakhunt.model.run import Ending, Outcome, Phase, Run
from leakhunt.model.series import SERIES
from leakhunt.reporting.claims import json_file as claims_json
from leakhunt.reporting.run import json_file
from leakhunt.storage import run_file
from leakhunt.storage.schema_files import SCHEMAS
from leakhunt.text.message import joined, plural_message
from leakhunt.text.record import to_record

EXAMPLES = Path(__file__).parents[3] / "reports" / "examples"
FOLDERS = sorted(path.parent for path in EXAMPLES.glob("*/report.json"))
RUN_FILES = [
    *sorted(EXAMPLES.glob(f"*/*{run_file.SUFFIX}")),
    *sorted((Path(__file__).parents[1] / "data").glob(f"*{run_file.SUFFIX}")),
]
MIB = 1 << 20
_TEXT = joined((plural_message("test.runs", "{n} run", "{n} runs", 2), "plain"))


REPORT = schema("report")
RUN_FILE = schema("run-file")
CLAIMS = schema("claims")
_REPORT = Draft202012Validator(REPORT)
_LINE = Draft202012Validator(RUN_FILE)
_CLAIMS = Draft202012Validator(CLAIMS)


def report_of(*runs: Run) -> Any:
    return json.loads(json_file.render(assemble(runs, "leakhunt test")))


def file_faults(file: Path) -> list[str]:
    return [
        f"line {number}: {fault}"
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1)
        for fault in faults(_LINE, json.loads(line))
    ]


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_one_and_is_printed_as_it_is(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Draft202012Validator.check_schema(schema(name))
    assert main(["schema", name]) == 0
    assert json.loads(capsys.readouterr().out) == schema(name)


def test_the_schemas_have_the_numbers_of_the_formats() -> None:
    assert REPORT["$id"] == json_file.SCHEMA == f"urn:leakhunt:schema:report:{json_file.FORMAT}"
    assert RUN_FILE["$id"] == run_file.SCHEMA == f"urn:leakhunt:schema:run-file:{run_file.FORMAT}"
    assert report_of()["$schema"] == REPORT["$id"]
    known = RUN_FILE["$defs"]["header"]["properties"]["format"]["enum"]
    assert known == list(range(1, run_file.FORMAT + 1))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_committed_report_is_as_the_schema_says(folder: Path) -> None:
    document = json.loads((folder / "report.json").read_text("utf-8"))
    assert faults(_REPORT, document) == []


@pytest.mark.parametrize("file", RUN_FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_a_committed_run_file_of_any_format_is_as_the_schema_says(file: Path) -> None:
    assert file_faults(file) == []


def test_the_example_of_a_hunt_has_what_only_hunts_have() -> None:
    """So that the test above sees them."""
    document = json.loads((EXAMPLES / "fsmn-vad-hunt" / "report.json").read_text("utf-8"))
    (run,), trials = document["runs"], document["trials"]
    assert run["attribution"]["suspects"] and run["ceiling"] and trials


@pytest.fixture
def documents(make_run: MakeRun) -> dict[str, Any]:
    """Reports of runs that no example has."""
    start = {"rss": 100 * MIB, "live_heap": 50 * MIB, "python_live": MIB}
    leak = make_run(
        readings={"start": start, "end": start | {"rss": 200 * MIB}},
        limits={"the memory limit": 300 * MIB},
        results={0: 1},
        live_heap=[50 * MIB + 65_536 * call for call in range(300)],
        rss=[100 * MIB + 65_536 * call for call in range(300)],
        duration=[20_000_000] * 300,
    )
    killed = replace(leak, outcome=Outcome(Ending.KILLED, "SIGKILL", "SIGKILL", "oom", -9))
    other = replace(leak, plan=replace(leak.plan, variant="other"), results={0: 2})
    return {
        "no run": report_of(),
        "no sample": report_of(make_run()),
        "one sample": report_of(make_run(rss=[5])),
        "leak": report_of(leak, other),
        "killed": report_of(killed),
        "hostile": report_of(hostile_run(killed)),
    }


@pytest.mark.parametrize("kind", ["no run", "no sample", "one sample", "leak", "killed", "hostile"])
def test_a_report_of_any_sort_is_as_the_schema_says(documents: dict[str, Any], kind: str) -> None:
    assert faults(_REPORT, documents[kind]) == []


def test_those_reports_have_what_they_are_there_for(documents: dict[str, Any]) -> None:
    leak, other = documents["leak"]["runs"]
    assert leak["forecast"]["calls"] > 0 and leak["ledger"]["lines"] and other["difference"]
    assert documents["killed"]["runs"][0]["kind"] == "killed while growing"


def test_a_property_that_is_not_described_is_refused(documents: dict[str, Any]) -> None:
    document = documents["leak"]
    document["runs"][0]["trends"]["live_heap"]["colour"] = "red"
    (fault,) = faults(_REPORT, document)
    assert "'colour' was unexpected" in fault
    del document["runs"][0]["trends"]["live_heap"]["colour"]
    del document["runs"][0]["plan"]["seed"]
    (fault,) = faults(_REPORT, document)
    assert "'seed' is a required property" in fault


@pytest.mark.parametrize(
    "line",
    [
        {"record": "sample", "call": 1},
        {"record": "sample", "call": 1, "values": [1.5]},
        {"record": "sample", "call": 1, "values": [1], "rss": 5},
        {"record": "hologram"},
        {"record": "note", "kind": "hologram"},
        {"record": "note", "kind": "stopped", "why": "x"},
        {"record": "note", "kind": "errors", "errors": [["500"]]},
        {"call": 1, "values": [1]},
    ],
)
def test_a_line_that_leakhunt_does_not_write_is_refused(line: dict[str, Any]) -> None:
    assert faults(_LINE, line)


@pytest.mark.parametrize(
    "line",
    [
        {"record": "note", "kind": "stopped"},
        {"record": "note", "kind": "input", "unit": "byte"},
        {"record": "note", "kind": "peaks", "calls": [[5, 100, 300, 120]], "ended": ""},
        {"record": "note", "kind": "disk-full", "text": "No space left on device"},
        {"record": "note", "kind": "error", "text": "ValueError: x", "exit_code": 8},
        {"record": "note", "kind": "watched", "caveats": ["none"]},
        {"record": "note", "kind": "errors", "errors": [["500 Internal Server Error", 12]]},
        {"record": "note", "kind": "restarted", "text": "a process was replaced"},
        {"record": "note", "kind": "lost-inside", "text": "no process listened"},
        {"record": "note", "kind": "not-quiet", "text": "a slow request was in flight"},
        {"record": "note", "kind": "resumed", "text": "it goes on"},
        {"record": "note", "kind": "service", "pid": 4711, "created": 1795272984.93},
        {"record": "result", "call": 0, "value": {"any": ["thing"]}},
        {"record": "note", "kind": "error", "text": to_record(_TEXT), "exit_code": 8},
        {"record": "note", "kind": "watched", "caveats": [to_record(_TEXT), "plain"]},
    ],
)
def test_a_line_that_no_example_has_is_as_the_schema_says(line: dict[str, Any]) -> None:
    assert faults(_LINE, line) == []


def test_a_run_file_is_as_the_schema_says(tmp_path: Path) -> None:
    """Written by the writer of today, which the examples may be older than."""
    file = write_run(tmp_path / f"x{run_file.SUFFIX}", [(1, 2), (3, 4)], environment={"A": "1"})
    assert file_faults(file) == []


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_what_the_types_of_today_make(name: str) -> None:
    """Else: ``make schemas``, and where a text is missing, `tests/schema_texts.toml`."""
    file = schemas.FOLDER / SCHEMAS[name]
    assert json.loads(file.read_text("utf-8")) == json.loads(schemas.generated(name))
    assert file.read_text("utf-8") == schemas.generated(name)


def described(part: Any) -> Iterator[str]:
    """Every description in a schema."""
    if isinstance(part, dict):
        if isinstance(part.get("description"), str):
            yield part["description"]
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            yield from described(each)


def test_every_text_on_the_schemas_is_in_one_of_them() -> None:
    used = {text for name in SCHEMAS for text in described(schema(name))}
    texts = tomllib.loads((Path(schemas.__file__).parent / "schema_texts.toml").read_text("utf-8"))
    filled = re.compile(r"\{(series|measures|exit_codes|timeout)\}.*", re.DOTALL)
    unused = [
        f"{table}: {key}"
        for table, entries in texts.items()
        for key, text in entries.items()
        if not any(each.startswith(filled.sub("", text)) for each in used)
    ]
    assert unused == []
    assert all(text.endswith(".") for text in used)


def test_a_field_of_a_type_without_a_text_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    wider = make_dataclass("Phase", [("colour", str, "")], bases=(Phase,), frozen=True)
    with pytest.raises(KeyError, match=r"Phase\.colour"):
        schemas._typed(wider)


def test_a_soak_is_written_as_the_schema_says(tmp_path: Path) -> None:
    run = soak(Made(samples=10, failing=0.1))
    assert file_faults(write_soak(tmp_path / f"x{run_file.SUFFIX}", run)) == []
    assert faults(_REPORT, report_of(run)) == []


def test_a_run_has_a_property_for_each_that_is_written(documents: dict[str, Any]) -> None:
    described = REPORT["$defs"]["ReportJsonRun"]
    (run,) = documents["killed"]["runs"]
    assert list(run) == list(described["properties"])
    later = [each.partition(".")[2] for each in CAME_LATER if each.startswith("ReportJsonRun.")]
    assert described["required"] == [each for each in run if each not in later]
    assert list(documents["killed"]) == list(REPORT["properties"]) == REPORT["required"]


def test_every_series_of_ours_is_told_with_its_unit() -> None:
    ours = [facts.series for facts in SERIES.values() if facts.is_sampled]
    header = RUN_FILE["$defs"]["header"]["properties"]["series"]["description"]
    trends = REPORT["$defs"]["ReportJsonRun"]["properties"]["trends"]["description"]
    for series in ours:
        for text in (header, trends):
            assert f"{series.name} ({SERIES[series.name].short_title}, {series.unit})" in text
    assert asdict(ours[0]).keys() == RUN_FILE["$defs"]["Series"]["properties"].keys()


@pytest.mark.parametrize("text", ["", HOSTILE])
def test_claims_of_any_sort_are_as_the_schema_says(leaking: Run, text: str) -> None:
    evidence = Evidence(assemble([leaking], "test"), (leaking,))
    checked = claims_report(evidence, text, interrupted=bool(text))
    for report in (checked, ClaimsReport((), "test"), claims_report(Evidence(), text)):
        document = json.loads(claims_json.render(report))
        assert faults(_CLAIMS, document) == []
        assert list(document) == list(CLAIMS["properties"]) == CLAIMS["required"]

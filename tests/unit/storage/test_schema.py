"""The published schemas say what is written: all of it, and nothing else."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, make_dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from conftest import HOSTILE, MakeRun, hostile_run, write_run
from jsonschema import Draft202012Validator
from made_claims import claims_report
from made_soaks import Made, soak, write_soak
from schema_types import disagreements, faults, parts_of, schema

from leakhunt.analysis.claims import Evidence
from leakhunt.analysis.report import assemble
from leakhunt.cli.main import main
from leakhunt.model.attribution import Finding, RemedyTrial
from leakhunt.model.claims import CheckedScenario, ClaimsReport, JudgedClaim
from leakhunt.model.plan import Plan, PlannedLoad
from leakhunt.model.report import JudgedRun
from leakhunt.model.run import Ending, Outcome, Phase, Reading, Run
from leakhunt.model.series import SERIES, Series
from leakhunt.model.verdict import Verdict
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


# What follows holds the schemas against the types, so that neither changes without the other.


# What of these is in report.json is put together by hand, in `json_report`.
_BY_HAND = (JudgedRun, Run, Verdict)
REPORTED = sorted(
    {
        part
        for root in (*_BY_HAND, RemedyTrial, JudgedClaim)
        for field, hint in get_type_hints(root).items()
        if (root, field) not in {(Run, "series"), (Run, "findings")}
        for part in parts_of(hint)
    }
    - {*_BY_HAND, Series, Finding}
    | {RemedyTrial, JudgedClaim},
    key=lambda kind: kind.__name__,
)


# What came to the format later: a report that was written before is one of the format all the same.
CAME_LATER = {
    "Outcome": ("last_rss_bytes",),
    "Plan": ("concurrency",),
    "Run": ("peak", "recommended_limit"),
}


def required_of(name: str) -> list[str]:
    later = CAME_LATER.get(name, ())
    return [each for each in REPORT["$defs"][name]["properties"] if each not in later]


def test_all_that_a_report_can_hold_is_defined_and_nothing_else() -> None:
    told = {name for name in REPORT["$defs"] if name not in ("Run", "Note", "Text")}
    assert told == {kind.__name__ for kind in REPORTED}


@pytest.mark.parametrize("kind", REPORTED, ids=lambda kind: kind.__name__)
def test_a_definition_of_the_report_is_what_its_type_says(kind: type) -> None:
    described = REPORT["$defs"][kind.__name__]
    assert described["description"]
    if issubclass(kind, StrEnum):
        assert described["enum"] == [str(each) for each in kind]
        return
    assert disagreements(kind, described) == []
    assert described["required"] == required_of(kind.__name__)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (Phase, "phase"),
        (Reading, "settle"),
        (Finding, "finding"),
        (Series, "Series"),
        (Plan, "Plan"),
        (PlannedLoad, "PlannedLoad"),
    ],
)
def test_a_record_of_the_run_file_is_what_its_type_says(kind: type, name: str) -> None:
    assert disagreements(kind, RUN_FILE["$defs"][name]) == []


def test_a_soak_is_written_as_the_schema_says(tmp_path: Path) -> None:
    run = soak(Made(samples=10, failing=0.1))
    assert file_faults(write_soak(tmp_path / f"x{run_file.SUFFIX}", run)) == []
    assert faults(_REPORT, report_of(run)) == []


def test_the_footer_is_an_outcome_with_its_seconds() -> None:
    footer = RUN_FILE["$defs"]["footer"]
    assert set(footer["properties"]) == {
        "record", "seconds", *(field.name for field in fields(Outcome)),
    }  # fmt: skip


def test_a_field_that_the_schema_lacks_is_found() -> None:
    wider = make_dataclass("Phase", [("colour", str, "")], bases=(Phase,), frozen=True)
    (found,) = disagreements(wider, REPORT["$defs"]["Phase"])
    assert found.startswith("Phase.colour: {'type': 'string'}")
    changed = {**REPORT["$defs"]["Phase"]}
    changed["properties"] = {
        **changed["properties"],
        "samples": {"description": "Text.", "type": "string"},
    }
    assert len(disagreements(Phase, changed)) == 1


def test_a_run_has_a_property_for_each_that_is_written(documents: dict[str, Any]) -> None:
    described = REPORT["$defs"]["Run"]
    (run,) = documents["killed"]["runs"]
    assert list(run) == list(described["properties"])
    assert described["required"] == required_of("Run")
    assert list(documents["killed"]) == list(REPORT["properties"]) == REPORT["required"]


def test_every_series_of_ours_is_told_with_its_unit() -> None:
    ours = [facts.series for facts in SERIES.values() if facts.is_sampled]
    header = RUN_FILE["$defs"]["header"]["properties"]["series"]["description"]
    trends = REPORT["$defs"]["Run"]["properties"]["trends"]["description"]
    for series in ours:
        assert series.name in header and series.name in trends
    assert asdict(ours[0]).keys() == RUN_FILE["$defs"]["Series"]["properties"].keys()


CHECKED = sorted({*parts_of(CheckedScenario)}, key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", CHECKED, ids=lambda kind: kind.__name__)
def test_a_definition_of_the_claims_is_what_its_type_says(kind: type) -> None:
    described = CLAIMS["$defs"][kind.__name__]
    assert described["description"]
    if issubclass(kind, StrEnum):
        assert described["enum"] == [str(each) for each in kind]
        return
    assert disagreements(kind, described) == []
    assert described["required"] == list(described["properties"])


def test_all_that_claims_can_hold_is_defined_and_nothing_else() -> None:
    assert set(CLAIMS["$defs"]) == {"Text"} | {kind.__name__ for kind in CHECKED}
    assert CLAIMS["$id"] == claims_json.SCHEMA
    assert CLAIMS["properties"]["format"]["const"] == claims_json.FORMAT


@pytest.mark.parametrize("text", ["", HOSTILE])
def test_claims_of_any_sort_are_as_the_schema_says(leaking: Run, text: str) -> None:
    evidence = Evidence(assemble([leaking], "test"), (leaking,))
    checked = claims_report(evidence, text, interrupted=bool(text))
    for report in (checked, ClaimsReport((), "test"), claims_report(Evidence(), text)):
        document = json.loads(claims_json.render(report))
        assert faults(_CLAIMS, document) == []
        assert list(document) == list(CLAIMS["properties"]) == CLAIMS["required"]

"""The published schemas say what is written: all of it, and nothing else."""

from __future__ import annotations

import json
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass, make_dataclass, replace
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
from conftest import MakeRun, hostile_run, write_run
from jsonschema import Draft202012Validator

from leakhunt import store
from leakhunt.assemble import assemble
from leakhunt.cli.main import main
from leakhunt.cli.schema import SCHEMAS
from leakhunt.findings import Finding, RemedyTrial
from leakhunt.model import Ending, JudgedRun, Outcome, Phase, Plan, Reading, Run, Series, Verdict
from leakhunt.probes import DURATION, choose
from leakhunt.probes.cuda import CudaProbe
from leakhunt.reporting import json_report

EXAMPLES = Path(__file__).parents[2] / "reports" / "examples"
FOLDERS = sorted(path for path in EXAMPLES.iterdir() if path.is_dir())
RUN_FILES = [
    *sorted(EXAMPLES.glob(f"*/*{store.SUFFIX}")),
    *sorted((Path(__file__).parent / "data").glob(f"*{store.SUFFIX}")),
]
MIB = 1 << 20
_NAMES: Mapping[Any, str] = {
    str: "string", int: "integer", float: "number", bool: "boolean", types.NoneType: "null",
}  # fmt: skip


def schema(name: str) -> dict[str, Any]:
    text = (resources.files("leakhunt.reporting") / "schemas" / SCHEMAS[name]).read_text("utf-8")
    read: dict[str, Any] = json.loads(text)
    return read


REPORT = schema("report")
RUN_FILE = schema("run-file")
_REPORT = Draft202012Validator(REPORT)
_LINE = Draft202012Validator(RUN_FILE)


def faults(validator: Draft202012Validator, document: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]


def report_of(*runs: Run) -> Any:
    return json.loads(json_report.render(assemble(runs, "leakhunt test")))


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
    assert REPORT["$id"] == json_report.SCHEMA == f"urn:leakhunt:schema:report:{json_report.FORMAT}"
    assert RUN_FILE["$id"] == store.SCHEMA == f"urn:leakhunt:schema:run-file:{store.FORMAT}"
    assert report_of()["$schema"] == REPORT["$id"]
    known = RUN_FILE["$defs"]["header"]["properties"]["format"]["enum"]
    assert known == list(range(1, store.FORMAT + 1))


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
        {"call": 1, "values": [1]},
    ],
)
def test_a_line_that_leakhunt_does_not_write_is_refused(line: dict[str, Any]) -> None:
    assert faults(_LINE, line)


@pytest.mark.parametrize(
    "line",
    [
        {"record": "note", "kind": "stopped"},
        {"record": "note", "kind": "disk-full", "text": "No space left on device"},
        {"record": "note", "kind": "error", "text": "ValueError: x", "exit_code": 8},
        {"record": "note", "kind": "watched", "caveats": ["none"]},
        {"record": "result", "call": 0, "value": {"any": ["thing"]}},
    ],
)
def test_a_line_that_no_example_has_is_as_the_schema_says(line: dict[str, Any]) -> None:
    assert faults(_LINE, line) == []


def test_a_run_file_is_as_the_schema_says(tmp_path: Path) -> None:
    """Written by the writer of today, which the examples may be older than."""
    file = write_run(tmp_path / f"x{store.SUFFIX}", [(1, 2), (3, 4)], environment={"A": "1"})
    assert file_faults(file) == []


# What follows holds the schemas against the types, so that neither changes without the other.


def shape(hint: Any) -> dict[str, Any]:
    """What a schema must say of a type; dataclasses and enumerations by their names."""
    origin, parts = get_origin(hint), get_args(hint)
    if hint is Any or hint in _NAMES:
        return {} if hint is Any else {"type": _NAMES[hint]}
    if origin in (types.UnionType, Union):
        return _either([shape(part) for part in parts])
    if origin is tuple and parts[-1] is not Ellipsis:
        each = [shape(part) for part in parts]
        return {"type": "array", "prefixItems": each, "items": False, "minItems": len(each)}
    if origin in (tuple, Sequence):
        return {"type": "array", "items": shape(parts[0])}
    if origin is Mapping:
        return {"type": "object", "additionalProperties": shape(parts[1])}
    assert is_dataclass(hint) or issubclass(hint, StrEnum), hint
    return {"$ref": f"#/$defs/{hint.__name__}"}


def _either(shapes: list[dict[str, Any]]) -> dict[str, Any]:
    if any(set(each) != {"type"} for each in shapes):
        return {"anyOf": shapes}
    names = [each["type"] for each in shapes]
    return {"type": [name for name in names if name != "integer" or "number" not in names]}


def bare(described: Mapping[str, Any]) -> dict[str, Any]:
    """A property without its description, which it must have."""
    assert described["description"].strip().endswith(".")
    return {key: value for key, value in described.items() if key != "description"}


def disagreements(kind: type, described: Mapping[str, Any]) -> list[str]:
    """Where a schema says something else than the dataclass `kind`."""
    hints = get_type_hints(kind)
    wanted = {field.name: shape(hints[field.name]) for field in fields(kind)}
    told = {name: bare(value) for name, value in described["properties"].items()}
    found = [
        f"{kind.__name__}.{name}: {wanted.get(name)}, the schema has {told.get(name)}"
        for name in sorted(wanted.keys() | (told.keys() - {"record"}))
        if wanted.get(name) != told.get(name)
    ]
    assert described["type"] == "object" and described["additionalProperties"] is False
    return found


def parts_of(hint: Any) -> Iterator[type]:
    """The dataclasses and enumerations that a type names, at any depth."""
    if isinstance(hint, type) and is_dataclass(hint):
        yield hint
        for inner in get_type_hints(hint).values():
            yield from parts_of(inner)
    elif isinstance(hint, type) and issubclass(hint, StrEnum):
        yield hint
    for part in get_args(hint):
        yield from parts_of(part)


# What of these is in report.json is put together by hand, in `json_report`.
_BY_HAND = (JudgedRun, Run, Verdict)
REPORTED = sorted(
    {
        part
        for root in (*_BY_HAND, RemedyTrial)
        for field, hint in get_type_hints(root).items()
        if (root, field) not in {(Run, "series"), (Run, "findings")}
        for part in parts_of(hint)
    }
    - {*_BY_HAND, Series, Finding}
    | {RemedyTrial},
    key=lambda kind: kind.__name__,
)


def test_all_that_a_report_can_hold_is_defined_and_nothing_else() -> None:
    told = {name for name in REPORT["$defs"] if name not in ("Run", "Note")}
    assert told == {kind.__name__ for kind in REPORTED}


@pytest.mark.parametrize("kind", REPORTED, ids=lambda kind: kind.__name__)
def test_a_definition_of_the_report_is_what_its_type_says(kind: type) -> None:
    described = REPORT["$defs"][kind.__name__]
    assert described["description"]
    if issubclass(kind, StrEnum):
        assert described["enum"] == [str(each) for each in kind]
        return
    assert disagreements(kind, described) == []
    assert described["required"] == list(described["properties"])


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (Phase, "phase"),
        (Reading, "settle"),
        (Finding, "finding"),
        (Series, "Series"),
        (Plan, "Plan"),
    ],
)
def test_a_record_of_the_run_file_is_what_its_type_says(kind: type, name: str) -> None:
    assert disagreements(kind, RUN_FILE["$defs"][name]) == []


def test_the_footer_is_an_outcome_with_its_seconds() -> None:
    footer = RUN_FILE["$defs"]["footer"]
    assert set(footer["properties"]) == {
        "record", "seconds", *(field.name for field in fields(Outcome)),
    }  # fmt: skip


def test_a_field_that_the_schema_lacks_is_found() -> None:
    wider = make_dataclass("Phase", [("colour", str)], bases=(Phase,), frozen=True)
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
    assert list(run) == list(described["properties"]) == described["required"]
    assert list(documents["killed"]) == list(REPORT["properties"]) == REPORT["required"]


def test_every_series_of_ours_is_told_with_its_unit() -> None:
    ours = (*choose("cpu").series, *CudaProbe.series, DURATION)
    header = RUN_FILE["$defs"]["header"]["properties"]["series"]["description"]
    trends = REPORT["$defs"]["Run"]["properties"]["trends"]["description"]
    for series in ours:
        assert series.name in header and series.name in trends
    assert asdict(ours[0]).keys() == RUN_FILE["$defs"]["Series"]["properties"].keys()

"""Makes the published JSON Schemas of `leakhunt/storage/schemas/` from the types of the package.

``python tests/schemas.py`` (``make schemas``) writes them anew; a test says when they differ. Types
say what is in a file, `tests/schema_texts.toml` says what it means, and what no type has (the
records of a run file, the patterns of a policy) is declared below.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, get_type_hints

from schema_types import parts_of, shape

from leakhunt.config import policy_file
from leakhunt.model.attribution import Finding
from leakhunt.model.claims import MEASURES
from leakhunt.model.gate import SECONDS_PER_CALL, GateAnswer
from leakhunt.model.options import TIMEOUT_SECONDS
from leakhunt.model.plan import Plan
from leakhunt.model.policy import COLLECT, DEVICES, ScenarioPolicy, budgeted
from leakhunt.model.processes import ProcessRole
from leakhunt.model.routes import RequestOutcome
from leakhunt.model.run import Outcome, Phase, Reading
from leakhunt.model.series import GARBAGE_OBJECTS, PEAK_RSS, SERIES, Series, Unit
from leakhunt.reporting.attached import json_file as attach_json
from leakhunt.reporting.benchmark import json_file as benchmark_json
from leakhunt.reporting.bisect import json_file as bisect_json
from leakhunt.reporting.claims import json_file as claims_json
from leakhunt.reporting.comparison import json_file as compare_json
from leakhunt.reporting.fleet import json_file as analyze_json
from leakhunt.reporting.gate import json_file as gate_json
from leakhunt.reporting.matrix import json_file as matrix_json
from leakhunt.reporting.retained import json_file as retained_json
from leakhunt.reporting.run import json_file as report_json
from leakhunt.reporting.suite import json_file as suite_json
from leakhunt.storage import run_file
from leakhunt.storage.schema_files import SCHEMAS
from leakhunt.text.message import Text

FOLDER = Path(run_file.__file__).parent / "schemas"
_TEXTS: Mapping[str, Mapping[str, str]] = tomllib.loads(
    (Path(__file__).parent / "schema_texts.toml").read_text("utf-8")
)
_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_POLICY_FORMAT = 1
_SERIES = "; ".join(
    f"{row.name} ({row.short_title}, {row.unit})" for row in SERIES.values() if row.is_sampled
)
_FILLED = {
    "{series}": _SERIES,
    "{measures}": ", ".join(MEASURES),
    "{exit_codes}": ", ".join(f"{answer:d} {answer.name.lower()}" for answer in GateAnswer),
    "{timeout}": f"{TIMEOUT_SECONDS:g}",
}
_TEXT_TYPES: Mapping[str, Any] = {
    "text": str,
    "message": str,
    "values": {"type": "object"},
    "value": str,
    "parts": tuple[Text, ...],
}

# The root of each JSON file: its dataclass, its format, and whether it names its schema.
_FILES: Mapping[str, tuple[type, int, bool]] = {
    "report": (report_json.ReportJson, report_json.FORMAT, True),
    "claims": (claims_json.ClaimsJson, claims_json.FORMAT, True),
    "gate": (gate_json.GateJson, gate_json.FORMAT, True),
    "compare": (compare_json.CompareJson, compare_json.FORMAT, False),
    "retained": (retained_json.RetainedJson, retained_json.FORMAT, True),
    "attach": (attach_json.AttachJson, attach_json.FORMAT, True),
    "analyze": (analyze_json.AnalyzeJson, analyze_json.FORMAT, True),
    "matrix": (matrix_json.MatrixJson, matrix_json.FORMAT, True),
    "bisect": (bisect_json.BisectJson, bisect_json.FORMAT, True),
    "benchmark": (benchmark_json.BenchmarkJson, benchmark_json.FORMAT, True),
    "suite": (suite_json.SuiteJson, suite_json.FORMAT, True),
}
_GATE_UNITS = [
    *(f"{unit}{per}" for unit in (*Unit, "seconds") for per in ("/call", "")),
    "share",
]
# What came to a format after it was published: files that were written before have it not.
CAME_LATER = (
    "Outcome.last_rss_bytes", "Plan.concurrency", "Plan.visit", "Plan.watch", "ReportJsonRun.peak",
    "ReportJsonRun.recommended_limit",
    "ReportJson.conclusion", "Attribution.garbage", "Suspect.cycle", "Cause.distributions",
    "Suspect.distribution", "ReportJsonRun.processes", "PlannedLoad.agent",
    "PlannedLoad.by_route", "ReportJsonRun.routes", "Peak.holders",
    "RecommendedLimit.starting_bytes", "Trend.rate_in_bytes",
)  # fmt: skip
# What a schema says besides the type.
_NARROWER: Mapping[str, Mapping[str, Any]] = {
    "GateJson.exit_code": {"enum": list(map(int, GateAnswer))},
    "GateJsonCheck.unit": {"enum": _GATE_UNITS},
    "GateJsonAcceptance.until": {"type": "string", "format": "date"},
    "GateJsonVariant.attempts": {"type": "integer", "minimum": 0},
    "ReportJsonRun.notes": {"type": "array", "items": {"$ref": "#/$defs/Note"}},
}


def generated(name: str) -> str:
    """The text of the schema file of that name, one of `SCHEMAS`."""
    others = {"run-file": _run_file, "policy": _policy}
    made = others[name]() if name in others else _of_file(name)
    return json.dumps(made, indent=2, ensure_ascii=False) + "\n"


def _said(key: str, table: str = "types") -> str:
    text = _TEXTS[table][key]
    for name, value in _FILLED.items():
        text = text.replace(name, value)
    return text


def _object(
    described: str, properties: Mapping[str, Any], required: Iterable[str]
) -> dict[str, Any]:
    return {
        "description": described,
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
    }


def _property(key: str, hint: Any) -> dict[str, Any]:
    """A field with its description; `hint` is a type, or what the schema says."""
    narrowed = _NARROWER.get(key) or (hint if isinstance(hint, dict) else shape(hint))
    return {"description": _said(key), **narrowed}


def _typed(kind: Any) -> dict[str, Any]:
    """The definition of a dataclass or an enumeration."""
    name: str = kind.__name__
    if not is_dataclass(kind):
        return {"description": _said(name), "enum": list(map(str, kind))}
    hints = _hints(kind)
    properties = {field: _property(f"{name}.{field}", hint) for field, hint in hints.items()}
    required = [each for each in properties if f"{name}.{each}" not in CAME_LATER]
    return _object(_said(name), properties, required)


def _types_in(*kinds: Any) -> list[Any]:
    """These and all that they hold, each once, by name."""
    found = {part for kind in kinds for part in parts_of(kind)}
    return sorted(found, key=lambda kind: str(kind.__name__))


def _of_file(name: str) -> dict[str, Any]:
    kind, number, is_named = _FILES[name]
    urn = f"urn:leakhunt:schema:{name}:{number}"
    head = {"$schema": {"description": _said("schema", "document"), "const": urn}}
    top = _typed(kind)
    properties = {
        **(head if is_named else {}),
        "format": {"description": _said("format", "document"), "const": number},
        **top["properties"],
    }
    defs = {each.__name__: _typed(each) for each in _types_in(kind) if each is not kind}
    text = {key: _property(f"Text.{key}", hint) for key, hint in _TEXT_TYPES.items()}
    if name == "report":
        defs["Note"] = _note_of_report()
    defs["Text"] = _object(_said("Text"), text, ["text"])
    return {
        "$schema": _DRAFT,
        "$id": urn,
        "title": f"leakhunt {name}.json",
        **_object(top["description"], properties, properties),
        "$defs": defs,
    }


def _note_of_report() -> dict[str, Any]:
    note = {
        "record": _property("Note.record", {"const": "note"}),
        "kind": _property("Note.kind", str),
    }
    return {
        "description": _said("Note"), "type": "object", "properties": note, "required": ["record"],
    }  # fmt: skip


# The run file: its records, and the kinds of its notes.
_RECORDS: Mapping[str, Any] = {
    "header": {
        "format": {"enum": list(range(1, run_file.FORMAT + 1))},
        "started_at": str,
        "plan": Plan,
        "facts": Mapping[str, Text],
        "environment": Mapping[str, str],
        "series": tuple[Series, ...],
        "unavailable": Mapping[str, Text],
        "limits": Mapping[str, int],
        "process_series": tuple[str, ...],
    },
    "phase": Phase,
    "sample": {
        "call": {"type": "integer", "minimum": 0},
        "values": {
            "type": "array",
            "items": {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
        },
        "processes": tuple[tuple[int | None, ...], ...],
        "routes": tuple[tuple[int, int], ...],
    },
    "route": {"number": int, "method": str, "name": str, "outcome": RequestOutcome},
    "process": {
        "number": int,
        "pid": int,
        "role": ProcessRole,
        "worker": int,
        "parent": int | None,
        "command": str,
    },
    "process-reading": {"number": int, "step": str, "values": Mapping[str, int]},
    "result": {"call": {"type": "integer", "minimum": 0}, "value": {}},
    "settle": Reading,
    "mark": {"calls": int},
    "finding": Finding,
    "note": None,
    "footer": Outcome,
}
_COUNTED = tuple[tuple[str, int], ...]
_NOTES: Mapping[str, Mapping[str, Any]] = {
    "types": {"growth": _COUNTED, "calls": int},
    "mappings": {"growth": tuple[tuple[str, int, int], ...]},
    "watched": {"caveats": tuple[Text, ...]},
    "input": {"unit": str},
    "peaks": {"calls": tuple[tuple[int, int, int, int], ...], "ended": str},
    "stopped": {},
    "disk-full": {"text": Text},
    "error": {"text": Text, "exit_code": int},
    "advice": {"text": Text},
    "errors": {"text": Text, "errors": _COUNTED},
    "response-times": {"sample": int, "times": tuple[tuple[int, int], ...]},
    "restarted": {"text": Text},
    "resumed": {"text": Text},
    "lost-inside": {"text": Text},
    "not-quiet": {"text": Text},
    "no-turns": {"text": Text},
    "shared-files": {"text": Text, "growth": tuple[tuple[str, int, int], ...]},
    "service": {"pid": int, "created": float},
    "watching": {"pid": int, "ticks": int, "boot": str, "origin": float},
    "verdict": {"state": str, "alarmed": bool, "text": Text},
    "alarm": {"short": bool, "text": Text},
    "alarm-raised": {"text": Text},
    "visit": {
        "text": Text,
        "way": str,
        "seconds_to_enter": float,
        "seconds": float,
        "longest_pause_ns": int,
        "objects": int,
        "lost_references": int,
    },
}
_MESSAGES: Mapping[str, Mapping[str, Any]] = {
    "Message": {
        "text": str,
        "message": str,
        "template": str,
        "values": {"type": "object", "additionalProperties": {}},
        "plural": str,
    },
    "Joined": {
        "text": str, "parts": tuple[Text, ...], "joint": str, "end": str, "capital": bool,
    },
}  # fmt: skip
# The format that brought a definition or a property, if that was not the first one.
_SINCE: Mapping[str, int] = {
    **dict.fromkeys(["phase", "header.limits", "settle.sample"], 2),
    **{f"Plan.{name}": 2 for name in ("source", "calls_per_sample", "collect", "resolve")},
    **dict.fromkeys(["mark", "finding"], 3),
    **{f"Plan.{name}": 3 for name in ("instrument", "environment", "role", "remedy", "round")},
    **dict.fromkeys(["Plan.load", "phase.pauses"], 4),
    **{f"note-{name}": 4 for name in ("errors", "restarted", "resumed", "lost-inside")},
    **dict.fromkeys(["note-not-quiet", "note-service"], 4),
    **dict.fromkeys(["Message", "Joined"], 5),
    **dict.fromkeys(["process", "process-reading", "header.process_series", "sample.processes"], 5),
    **dict.fromkeys(["route", "sample.routes", "note-no-turns", "note-shared-files"], 5),
    **{f"note-{name}": 5 for name in ("watching", "verdict", "alarm", "alarm-raised")},
}
# Further properties that may be missing.
_OPTIONAL = (
    "PlannedLoad.agent", "PlannedLoad.by_route", "Plan.budget_seconds", "Plan.concurrency",
    "Plan.limit_bytes", "Plan.visit", "Plan.watch",
    "footer.last_rss_bytes",
    "note-types.calls", "note-watched.caveats", "note-errors.text",
    "Message.plural", "Joined.capital",
)  # fmt: skip


def _since(key: str) -> str:
    return f" Since format {_SINCE[key]}." if key in _SINCE else ""


def _record(name: str, hints: Mapping[str, Any], kind: type | None, head: Mapping[str, Any]) -> Any:
    """A record: the fields of `kind` with their own descriptions, and those of `hints`."""
    properties = dict(head)
    for field, hint in hints.items():
        key = f"{name}.{field}"
        owner = kind.__name__ if kind is not None and key not in _TEXTS["types"] else name
        described = _property(f"{owner}.{field}", hint)
        described["description"] += _since(key)
        properties[field] = described
    optional = [each for each in properties if f"{name}.{each}" in (*_SINCE, *_OPTIONAL)]
    required = [each for each in properties if each not in optional]
    return _object(_said(name) + _since(name), properties, required)


def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _run_file() -> dict[str, Any]:
    record = _said("record", "document")
    defs: dict[str, Any] = {}
    for name, described in _RECORDS.items():
        if name == "note":
            defs[name] = _notes()
            continue
        kind = described if isinstance(described, type) else None
        hints = described if kind is None else _hints(kind)
        if name == "footer":
            hints = {"seconds": float, **hints}
        head = {"record": {"description": record, "const": name}}
        defs[name] = _record(name, hints, kind, head)
    for name, hints in _NOTES.items():
        head = {
            "record": {"description": record, "const": "note"},
            "kind": {"description": _said("kind", "document"), "const": name},
        }
        defs[f"note-{name}"] = _record(f"note-{name}", hints, None, head)
    roots = [each for each in _RECORDS.values() if isinstance(each, type)]
    for each in _types_in(Plan, Series, ProcessRole, RequestOutcome, *roots):
        if each not in roots:
            name, is_enum = each.__name__, issubclass(each, StrEnum)
            defs[name] = _typed(each) if is_enum else _record(name, _hints(each), each, {})
    for name, hints in _MESSAGES.items():
        defs[name] = _record(name, hints, None, {})
    texts = [{"type": "string"}, *({"$ref": f"#/$defs/{name}"} for name in _MESSAGES)]
    defs["Text"] = {"description": _said("RecordedText"), "anyOf": texts}
    return {
        "$schema": _DRAFT,
        "$id": run_file.SCHEMA,
        "title": "a line of a leakhunt run file (NAME.run.jsonl)",
        "description": _said("run-file", "files"),
        "type": "object",
        "properties": {"record": {"description": record, "enum": list(_RECORDS)}},
        "required": ["record"],
        "allOf": [_if("record", name, name) for name in _RECORDS],
        "$defs": defs,
    }


def _notes() -> dict[str, Any]:
    kind = {"description": _said("kind", "document"), "enum": list(_NOTES)}
    return {
        "description": _said("note"),
        "type": "object",
        "properties": {"kind": kind},
        "required": ["kind"],
        "allOf": [_if("kind", name, f"note-{name}") for name in _NOTES],
    }


def _if(key: str, value: str, definition: str) -> dict[str, Any]:
    condition = {"properties": {key: {"const": value}}}
    return {"if": condition, "then": {"$ref": f"#/$defs/{definition}"}}


# The policy: what its readers take (`policy_file`, `budgets`), for an editor.
_WHOLE = {"type": "integer", "minimum": 0}
_COUNT = {"type": "integer", "minimum": 1}
_SIZE = r"\d+(\.\d+)?\s*(([KkMmGgTt][Ii]?)?[Bb])?"
_PER = r"(\s*/\s*(call|request)|\s+total)\s*$"
_BUDGETS = {
    Unit.BYTES: ("BytesBudget", rf"^\s*\+?\s*{_SIZE}{_PER}"),
    Unit.BLOCKS: ("BlocksBudget", rf"^\s*\+?\s*\d+(\.\d+)?\s*(blocks|count)?{_PER}"),
    Unit.COUNT: ("CountBudget", rf"^\s*\+?\s*\d+(\.\d+)?\s*(count)?{_PER}"),
}
_TIME = (
    r"^\s*(\+?\s*\d+(\.\d+)?\s*(s|ms|us|µs|μs|ns)(\s*/\s*(call|request))?"
    r"|\+\s*\d+(\.\d+)?\s*%)\s*$"
)

_GARBAGE = r"^\s*\d+(\.\d+)?\s*(count)?\s*/\s*(call|request)\s*$"
_PEAK = rf"^\s*(\+?\s*{_SIZE}|\+\s*\d+(\.\d+)?\s*%)\s*$"


def _policy() -> dict[str, Any]:
    default = ScenarioPolicy("", "")
    budgets = {"$ref": "#/$defs/Budgets"}
    attempts = {
        "repeats": _COUNT | {"default": default.repeats},
        "retries": _WHOLE | {"default": default.retries},
        "most_calls": _COUNT | {"default": default.most_calls},
    }
    top: dict[str, Any] = {
        "baselines": {"type": "string"},
        **attempts,
        "budgets": budgets,
        "scenarios": {"type": "object", "additionalProperties": {"$ref": "#/$defs/Scenario"}},
        "accept": {"type": "array", "items": {"$ref": "#/$defs/PolicyAcceptance"}},
    }
    scenario: dict[str, Any] = {
        "variants": {"type": "array", "minItems": 1, "items": {"type": "string"}},
        "only_clean": {"type": "boolean", "default": default.only_clean},
        "options": {"type": "object", "additionalProperties": {"type": ["string", "number"]}},
        "calls": _COUNT,
        "warmup": _WHOLE,
        **attempts,
        "seed": _WHOLE | {"default": default.seed},
        "threads": _COUNT,
        "device": {"enum": list(DEVICES), "default": default.device},
        "limit": {"type": "string", "pattern": rf"^\s*{_SIZE}\s*$"},
        "memory_limit": {"type": "string", "pattern": rf"^\s*{_SIZE}\s*$"},
        "timeout": {"type": "number", "exclusiveMinimum": 0},
        "collect": {"enum": list(COLLECT), "default": default.collect},
        "budgets": budgets,
        "variant": {"type": "object", "additionalProperties": {"$ref": "#/$defs/Variant"}},
    }
    acceptance = {
        "fingerprint": {"type": "string", "pattern": "^[0-9a-f]{12}$"},
        "reason": {"type": "string", "pattern": r"\S"},
        "until": {"type": "string", "format": "date"},
        "up_to": {"type": "string"},
        "scenario": {"type": "string"},
    }
    return {
        "$schema": _DRAFT,
        "$id": f"urn:leakhunt:schema:policy:{_POLICY_FORMAT}",
        "title": "leakhunt.toml, or [tool.leakhunt] of pyproject.toml",
        **_keys("policy", policy_file.KEYS, top, _said("policy", "files")),
        "$defs": {
            "Scenario": _keys("Scenario", policy_file.SCENARIO_KEYS, scenario),
            "Variant": _keys("Variant", policy_file.VARIANT_KEYS, {"budgets": budgets}),
            "Budgets": _budgets(),
            **{name: _budget(name, pattern) for name, pattern in _BUDGETS.values()},
            "TimeBudget": _budget("TimeBudget", _TIME, "exclusiveMinimum"),
            "PeakBudget": _budget("PeakBudget", _PEAK, "exclusiveMinimum"),
            "GarbageBudget": _budget("GarbageBudget", _GARBAGE),
            "PolicyAcceptance": {
                **_keys("PolicyAcceptance", policy_file.ACCEPT_KEYS, acceptance),
                "required": ["fingerprint", "reason", "until"],
            },
        },
    }


def _keys(
    name: str, keys: Sequence[str], texts: Mapping[str, Mapping[str, Any]], about: str = ""
) -> dict[str, Any]:
    """A table of the policy, with the keys that its reader takes in the reader's order."""
    return {
        "description": about or _said(name, "policy"),
        "type": "object",
        "properties": {
            key: {"description": _said(f"{name}.{key}", "policy"), **texts[key]} for key in keys
        },
        "additionalProperties": False,
    }


def _budgets() -> dict[str, Any]:
    properties = {}
    for name in budgeted():
        if name == SECONDS_PER_CALL:
            title, definition = "time of a call", "TimeBudget"
        elif name == PEAK_RSS:
            title, definition = "highest RSS of a run", "PeakBudget"
        elif name == GARBAGE_OBJECTS:
            title, definition = "objects of cyclic garbage per call", "GarbageBudget"
        else:
            title, definition = SERIES[name].title, _BUDGETS[SERIES[name].unit][0]
        described = f"Budget for {name}: {title}."
        properties[name] = {"description": described, "$ref": f"#/$defs/{definition}"}
    return {
        "description": _said("Budgets", "policy"), "type": "object", "properties": properties,
        "additionalProperties": False,
    }  # fmt: skip


def _budget(name: str, pattern: str, least: str = "minimum") -> dict[str, Any]:
    one = [{"type": "number", least: 0}, {"type": "string", "pattern": pattern}]
    several = {"type": "array", "minItems": 1, "items": {"anyOf": one}}
    return {"description": _said(name, "policy"), "anyOf": [*one, several]}


def main() -> None:
    """Write every schema."""
    for name, file in SCHEMAS.items():
        (FOLDER / file).write_text(generated(name), "utf-8")


if __name__ == "__main__":
    main()

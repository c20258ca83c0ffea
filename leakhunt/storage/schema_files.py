"""The JSON Schemas (draft 2020-12) of the files that leakhunt writes or reads."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType

# The file of each schema, by its name. They are generated: ``make schemas``.
SCHEMAS: Mapping[str, str] = MappingProxyType(
    {
        "report": "report.schema.json",
        "claims": "claims.schema.json",
        "compare": "compare.schema.json",
        "retained": "retained.schema.json",
        "attach": "attach.schema.json",
        "analyze": "analyze.schema.json",
        "suite": "suite.schema.json",
        "matrix": "matrix.schema.json",
        "bisect": "bisect.schema.json",
        "benchmark": "benchmark.schema.json",
        "gate": "gate.schema.json",
        "run-file": "run-file.schema.json",
        "policy": "policy.schema.json",
    }
)


def schema_text(name: str) -> str:
    """The JSON Schema of that name, one of `SCHEMAS`."""
    place = resources.files("leakhunt.storage") / "schemas" / SCHEMAS[name]
    return place.read_text(encoding="utf-8")

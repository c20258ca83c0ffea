"""What a JSON Schema says of a type of ours; and documents that are checked by a schema."""

from __future__ import annotations

import json
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from enum import StrEnum
from importlib import resources
from typing import Any, Union, get_args, get_origin, get_type_hints

from jsonschema import Draft202012Validator

from leakhunt.storage.schema_files import SCHEMAS
from leakhunt.text.message import Joined, Message, Text

_SIMPLE: Mapping[Any, Mapping[str, str]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    types.NoneType: {"type": "null"},
    Any: {},
}
# What `leakhunt.text.message.to_json` writes of each of them is one definition, ``Text``.
_TEXTS = (Message, Joined)


def schema(name: str) -> dict[str, Any]:
    text = (resources.files("leakhunt.storage") / "schemas" / SCHEMAS[name]).read_text("utf-8")
    read: dict[str, Any] = json.loads(text)
    return read


def faults(validator: Draft202012Validator, document: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]


def shape(hint: Any) -> dict[str, Any]:
    """What a schema must say of a type; dataclasses and enumerations by their names."""
    origin, parts = get_origin(hint), get_args(hint)
    if hint in _SIMPLE:
        return dict(_SIMPLE[hint])
    if origin in (types.UnionType, Union):
        return _either(parts)
    if origin is tuple and parts[-1] is not Ellipsis:
        each = [shape(part) for part in parts]
        return {"type": "array", "prefixItems": each, "items": False, "minItems": len(each)}
    if origin in (tuple, Sequence):
        return {"type": "array", "items": shape(parts[0])}
    if origin is Mapping:
        return {"type": "object", "additionalProperties": shape(parts[1])}
    assert is_dataclass(hint) or issubclass(hint, StrEnum), hint
    return {"$ref": f"#/$defs/{hint.__name__}"}


def _either(parts: Sequence[Any]) -> dict[str, Any]:
    texts = [{"$ref": "#/$defs/Text"}] if Message in parts else []
    shapes = [*texts, *(shape(part) for part in parts if not texts or part not in get_args(Text))]
    if len(shapes) == 1:
        return shapes[0]
    if any(set(each) != {"type"} for each in shapes):
        return {"anyOf": shapes}
    names = [each["type"] for each in shapes]
    return {"type": [name for name in names if name != "integer" or "number" not in names]}


def parts_of(hint: Any) -> Iterator[type]:
    """The dataclasses and enumerations that a type names, at any depth."""
    if hint in _TEXTS:
        return
    if isinstance(hint, type) and is_dataclass(hint):
        yield hint
        for inner in get_type_hints(hint).values():
            yield from parts_of(inner)
    elif isinstance(hint, type) and issubclass(hint, StrEnum):
        yield hint
    for part in get_args(hint):
        yield from parts_of(part)

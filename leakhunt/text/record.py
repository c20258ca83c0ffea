"""Messages as files hold them: what they say in English, and what it takes to say it otherwise.

A recorded text is ``{"text": English, "message": id, "template": English, "values": {...}}``, of a
number with ``"plural"`` too; several after one another are ``{"text", "parts", "joint", "end"}``.
A plain string is from outside, or from a file of a version that recorded no messages. A file may
come from anywhere: a template that cannot be filled in as ours are counts for nothing, and the
English text is what is said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from math import isfinite
from string import Formatter
from typing import Any

from leakhunt.text.message import Joined, Message, Quantity, Text, english, word

# Makes the quantity that `Quantity.to_json` recorded; None: it is none.
ReadQuantity = Callable[[Mapping[str, Any]], Quantity | None]

# How numbers are formatted in our templates; a width would let a file fill the memory.
_FORMAT = re.compile(r",?(\.\d)?[dfgs%]?")
# Texts in texts: ours are three deep.
_DEEPEST = 12


def to_record(text: Text) -> Any:
    """`text` as JSON has it; a plain string as it is."""
    if isinstance(text, str):
        return text
    if isinstance(text, Joined):
        parts = list(map(_recorded, text.parts))
        both = {"text": english(text), "parts": parts, "joint": text.joint, "end": text.end}
        return both | {"capital": True} if text.capital else both
    record: dict[str, Any] = {
        "text": english(text),
        "message": text.id,
        "template": text.text,
        "values": {name: _recorded(value) for name, value in text.values.items()},
    }
    return record | {"plural": text.plural} if text.plural else record


def _recorded(value: Any) -> Any:
    if isinstance(value, Message | Joined):
        return to_record(value)
    if isinstance(value, Enum) and isinstance(value, str):
        return to_record(word(str(value)))
    if isinstance(value, tuple):
        return [_recorded(each) for each in value]
    if isinstance(value, Quantity):
        return value.to_json()
    if isinstance(value, float):
        return value if isfinite(value) else str(value)
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def as_json(value: Any) -> Any:
    """What `json.dumps` cannot do by itself: texts, and nouns with texts in them (its `default`).

    Raises:
        TypeError: nor can this.
    """
    if isinstance(value, Message | Joined):
        return to_record(value)
    if isinstance(value, Mapping):
        return dict(value)
    if is_dataclass(value) and not isinstance(value, type):
        return fields_of(value)
    raise TypeError(f"{type(value).__name__} cannot be recorded")


def fields_of(noun: Any) -> dict[str, Any]:
    """The fields of a noun, a dataclass, by name; texts in it stay the messages that they are."""
    return {field.name: getattr(noun, field.name) for field in fields(noun)}


def from_record(recorded: Any, quantity: ReadQuantity) -> Text:
    """The text that `to_record` recorded; `quantity` makes its values with a unit.

    Raises:
        ValueError: it is no text.
    """
    return _text(recorded, quantity, _DEEPEST)


def _text(recorded: Any, quantity: ReadQuantity, depth: int) -> Text:
    if isinstance(recorded, str):
        return recorded
    if not isinstance(recorded, Mapping) or not isinstance(recorded.get("text"), str):
        raise ValueError("no text")
    plain: str = recorded["text"]
    try:
        text = _parts(recorded, quantity, depth) or _message(recorded, quantity, depth) or plain
        english(text)
        if isinstance(text, Message) and text.plural:  # each form has to go with the values
            text.plural.format(**text.values)
            if type(text.values["n"]) is not int:  # in other languages it is computed with
                return plain
    except (ArithmeticError, LookupError, TypeError, ValueError):
        return plain
    return text


def _parts(recorded: Mapping[str, Any], quantity: ReadQuantity, depth: int) -> Joined | None:
    parts, joint, end = (recorded.get(name) for name in ("parts", "joint", "end"))
    if not (isinstance(parts, list) and isinstance(joint, str) and isinstance(end, str)):
        return None
    read = tuple(_text(each, quantity, _deeper(depth)) for each in parts)
    return Joined(read, joint, end, capital=recorded.get("capital") is True)


def _message(recorded: Mapping[str, Any], quantity: ReadQuantity, depth: int) -> Message | None:
    words = [recorded.get(name, "") for name in ("message", "template", "plural")]
    values = recorded.get("values")
    if not (isinstance(values, Mapping) and all(isinstance(each, str) for each in words)):
        return None
    id_, template, plural = words
    if not (id_ and template and _is_ours(template, values) and _is_ours(plural, values)):
        return None
    read = {name: _value(each, quantity, _deeper(depth)) for name, each in values.items()}
    return Message(id_, template, read, plural)


def _value(recorded: Any, quantity: ReadQuantity, depth: int) -> Any:
    if isinstance(recorded, list):
        return tuple(_value(each, quantity, _deeper(depth)) for each in recorded)
    if not isinstance(recorded, Mapping):
        return recorded
    if "text" in recorded:
        return _text(recorded, quantity, depth)
    read = quantity(recorded)
    if read is None:
        raise ValueError("no quantity")
    return read


def _is_ours(template: str, values: Mapping[str, Any]) -> bool:
    """Whether every placeholder is the plain name of a value, formatted as we format numbers."""
    return not values or all(
        name is None
        or (name in values and name.isidentifier() and _FORMAT.fullmatch(spec or "") is not None)
        for _, name, spec, _ in Formatter().parse(template)
    )


def _deeper(depth: int) -> int:
    if not depth:
        raise ValueError("too deep")
    return depth - 1

"""A dataclass as JSON has it, with its texts as `leakhunt.text.message.to_json` writes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

from leakhunt.text.message import Joined, Message, Text, to_json


def as_json(value: Any, text: Callable[[Text], Any] = to_json) -> Any:
    """As `dataclasses.asdict`, but for fields that are a `Text`, which `text` writes.

    A text is said in the language spoken; with `text` `str`, it is a plain string.
    """
    if isinstance(value, Message | Joined):
        return text(value)
    if is_dataclass(value) and not isinstance(value, type):
        alone, several = _text_fields(type(value))
        return {
            field.name: _field(value, field.name, field.name in alone, field.name in several, text)
            for field in fields(value)
        }
    if isinstance(value, Mapping):
        return {name: as_json(each, text) for name, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [as_json(each, text) for each in value]
    return value


def _field(
    owner: Any, name: str, is_text: bool, are_texts: bool, text: Callable[[Text], Any]
) -> Any:
    value = getattr(owner, name)
    if value is None or not (is_text or are_texts):
        return as_json(value, text)
    return text(value) if is_text else [text(each) for each in value]


@cache
def _text_fields(kind: type) -> tuple[frozenset[str], frozenset[str]]:
    """The fields of a dataclass that are a text, and those that are several."""
    hints = get_type_hints(kind)
    alone = {name for name, hint in hints.items() if hint in (Text, Text | None)}
    several = {
        name
        for name, hint in hints.items()
        if get_origin(hint) is tuple and get_args(hint)[0] == Text
    }
    return frozenset(alone), frozenset(several)

"""What is to be said, before it is said: an id, an English template, and raw values.

Analysis returns messages and speaks no language: `str(message)` is the text, in the language spoken
there and then. Programs read the id and the values, by `to_json`. Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias, runtime_checkable

from leakhunt.text.interval import with_one_unit
from leakhunt.text.language import ENGLISH, mark, ntr, speaking, tr

# The id of what is no sentence, but a word: the member of an enum, what the system calls an error.
WORD = "word"
# What stands between two messages, in the catalogue too.
_JOINTS = (mark(". "), mark("; "), mark(", "), mark(": "), mark(" and "), mark("."))
_NO_VALUES: Mapping[str, Any] = MappingProxyType({})


@runtime_checkable
class Quantity(Protocol):
    """A value with a unit (`leakhunt.amounts`): text for people, numbers for programs."""

    def to_json(self) -> Any:
        """Numbers and words, as JSON has them."""


@dataclass(frozen=True, slots=True)
class Message:
    """What is said: `id` for programs, `text` in English with ``{placeholders}``, and `values`.

    Values are raw: numbers, names, quantities, members of enums (translated when it is said),
    further messages, and tuples of these, which are joined by commas. With `plural`, the form of
    `text` for any other number than one, the value ``n`` is that number. An id stays the same from
    version to version; the wording does not. Where a file recorded a message, `text` is as it was
    worded then.
    """

    id: str
    text: str
    values: Mapping[str, Any] = field(default_factory=lambda: _NO_VALUES)
    plural: str = ""

    def __str__(self) -> str:
        formatted = {name: _formatted(value) for name, value in self.values.items()}
        formatted = with_one_unit(self.text, formatted)
        if self.plural:
            return ntr(self.text, self.plural, formatted.pop("n"), **formatted)
        return tr(self.text, **formatted)

    def __hash__(self) -> int:
        return hash((self.id, self.text))


@dataclass(frozen=True, slots=True)
class Joined:
    """Messages after one another, with `joint` between two and `end` after the last.

    With `capital`, each begins with a capital letter, as a sentence does.
    """

    parts: tuple[Text, ...]
    joint: str = ". "
    end: str = "."
    capital: bool = False

    def __str__(self) -> str:
        if not self.parts:
            return ""
        formatted = [str(_formatted(part)) for part in self.parts]
        if self.capital:
            formatted = [each[:1].upper() + each[1:] for each in formatted]
        return tr(self.joint).join(formatted) + (tr(self.end) if self.end else "")

    def __bool__(self) -> bool:
        return bool(self.parts)


# A plain text is from outside, or from a file of a version that recorded no messages.
Text: TypeAlias = Message | Joined | str


def message(id_: str, text: str, /, **values: Any) -> Message:
    """A message; `text` is found by `make translations` where it is written."""
    return Message(id_, text, values)


def plural_message(id_: str, singular: str, plural: str, n: int, /, **values: Any) -> Message:
    """A message in the form that goes with the number `n`, which is the value ``{n}`` too."""
    return Message(id_, singular, {"n": n, **values}, plural)


def joined(parts: Iterable[Text], joint: str = ". ", end: str = ".") -> Joined:
    """Messages as sentences after one another; other joints, such as ``; ``, make a list."""
    return Joined(tuple(parts), joint, end)


def word(text: str) -> Message:
    """A fixed word of ours, or of the system's, as a message: it is translated as it stands."""
    return Message(WORD, text)


def said(text: Text) -> str:
    """A message, or a fixed word of ours such as a title, in the language spoken."""
    return tr(text) if isinstance(text, str) else str(text)


def read_back(id_: str, template: str, text: str) -> Message | None:
    """The message that says `text` in English by this template, values as words; None: none."""
    pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+)", re.escape(template))
    found = re.fullmatch(pattern, text)
    return Message(id_, template, found.groupdict()) if found else None


def english(text: Text) -> str:
    """What `text` is in English, whatever is spoken: what programs compare."""
    with speaking(ENGLISH):
        return str(text)


def part_of(text: Text, id_: str) -> Message | None:
    """The message of that id, which `text` is or holds; None: it does not."""
    if isinstance(text, Message):
        if text.id == id_:
            return text
        inner = [each for each in text.values.values() if isinstance(each, Message | Joined)]
        found = [part_of(each, id_) for each in inner]
    else:
        found = [part_of(each, id_) for each in text.parts] if isinstance(text, Joined) else []
    return next((each for each in found if each is not None), None)


def mentions(text: Text, id_: str) -> bool:
    """Whether `text` is the message of that id, or holds it."""
    return part_of(text, id_) is not None


def sentences(parts: Iterable[Text]) -> Joined:
    """Messages as whole sentences after one another; sentences among them become part of these."""
    flat: list[Text] = []
    for part in parts:
        flat += part.parts if isinstance(part, Joined) and part.capital else (part,)
    return Joined(tuple(flat), capital=True)


def to_json(text: Text) -> dict[str, Any]:
    """``text`` as it is said, and beside it ``message`` (the id) and ``values``, or ``parts``."""
    document: dict[str, Any] = {"text": str(text)}
    if isinstance(text, Message):
        document["message"] = text.id
        document["values"] = {name: _as_json(value) for name, value in text.values.items()}
    elif isinstance(text, Joined):
        document["parts"] = [to_json(part) for part in text.parts]
    elif isinstance(text, Enum):
        document = {"text": str(_formatted(text)), "value": text.value}
    return document


def _formatted(value: Any) -> Any:
    """A value as it is filled in: what has words is translated, numbers keep their format."""
    if isinstance(value, Enum) and isinstance(value, str):
        return tr(str(value))
    if isinstance(value, tuple):
        return tr(", ").join(str(_formatted(each)) for each in value)
    return value


def _as_json(value: Any) -> Any:
    if isinstance(value, Message | Joined):
        return to_json(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return [_as_json(each) for each in value]
    if isinstance(value, Quantity):
        return value.to_json()
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)

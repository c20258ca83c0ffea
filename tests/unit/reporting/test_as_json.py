"""Dataclasses as JSON: their texts are objects with an id, whatever else is as it stands."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from leakhunt.model.attribution import Frame, Origin
from leakhunt.reporting.formats.as_json import as_json
from leakhunt.text.message import Text, message, to_json

HELLO = message("test.hello", "hello, {name}", name="world")


@dataclass(frozen=True, slots=True)
class Made:
    name: str
    text: Text
    more: tuple[Text, ...] = ()
    parts: tuple[Made, ...] = ()
    perhaps: Text | None = None


def test_texts_are_objects_and_names_are_names() -> None:
    made = Made("x", HELLO, (HELLO, "plain"), (Made("y", "as recorded"),))
    document = as_json(made)
    assert document["name"] == "x" and document["perhaps"] is None
    assert document["text"] == to_json(HELLO) == {
        "text": "hello, world", "message": "test.hello", "values": {"name": "world"},
    }  # fmt: skip
    assert document["more"] == [to_json(HELLO), {"text": "plain"}]
    assert document["parts"][0]["text"] == {"text": "as recorded"}


def test_texts_can_be_plain_strings() -> None:
    document = as_json(Made("x", HELLO, (HELLO,)), text=str)
    assert (document["text"], document["more"]) == ("hello, world", ["hello, world"])


def test_without_texts_it_is_as_ever() -> None:
    spot = Frame("app/serve.py", 12, "handle", "", Origin.YOURS)
    assert as_json(spot) == asdict(spot)

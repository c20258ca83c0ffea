"""A message is said in the language spoken where it is shown, and programs read its id."""

from __future__ import annotations

import json

import pytest

from leakhunt.amounts import Amount, Count, Rate, Seconds
from leakhunt.model.kinds import Kind
from leakhunt.model.plan import Work
from leakhunt.model.series import Unit
from leakhunt.text.language import speaking
from leakhunt.text.message import (
    joined,
    message,
    plural_message,
    read_back,
    sentences,
    to_json,
)

GROWS = message("test.grows", "{kind}: {rate} for {time}", kind=Kind.PYTHON_LEAK,
                rate=Rate(65_638.4, Unit.BYTES, Work.REQUEST), time=Seconds(7_380.0))  # fmt: skip


def test_values_are_said_with_their_units() -> None:
    assert str(GROWS) == "leak in Python: 64.1 KiB/request for 2 h 3 min"


def test_the_language_is_that_of_the_place_where_it_is_said() -> None:
    with speaking("zh"):
        text = str(GROWS)
    assert "Python 内存泄漏" in text and "leak" not in text
    assert str(GROWS).startswith("leak in Python")


def test_a_message_in_a_message_is_said_in_the_same_language() -> None:
    inner = message("test.kind", "{kind}", kind=Kind.CLEAN)
    with speaking("zh"):
        outer = str(message("test.outer", "<{inner}>", inner=inner))
        assert outer == f"<{inner}>" != "<clean>"


def test_programs_get_the_id_and_raw_values() -> None:
    document = json.loads(json.dumps(to_json(GROWS)))
    assert document["message"] == "test.grows"
    assert document["values"] == {
        "kind": "leak in Python",
        "rate": {"value": 65_638.4, "unit": "bytes", "per": "request"},
        "time": {"value": 7_380.0, "unit": "s"},
    }


def test_sentences_come_after_one_another_and_keep_their_ids() -> None:
    both = joined([GROWS, "as it was recorded"])
    assert str(both) == f"{GROWS}. as it was recorded."
    assert [part.get("message") for part in to_json(both)["parts"]] == ["test.grows", None]
    assert not joined([]) and str(joined([])) == ""


def test_the_form_goes_with_the_number() -> None:
    one, more = (plural_message("test.runs", "{n} run", "{n} runs", n) for n in (1, 2))
    assert (str(one), str(more)) == ("1 run", "2 runs")
    assert (str(Count(1)), str(Count(389_430, Work.REQUEST))) == ("1 call", "389,430 requests")


def test_several_of_a_kind_are_joined() -> None:
    text = message("test.kinds", "{kinds}", kinds=(Kind.CLEAN, Amount(3, Unit.BLOCKS)))
    assert str(text) == "clean, 3 blocks"
    assert to_json(text)["values"] == {"kinds": ["clean", {"value": 3, "unit": "blocks"}]}


def test_sentences_begin_with_a_capital_letter_and_are_one_row() -> None:
    one = sentences([message("test.kind", "{kind}", kind=Kind.PYTHON_LEAK)])
    both = sentences([one, "as it was recorded"])
    assert str(both) == "Leak in Python. As it was recorded."
    assert both == sentences([*one.parts, "as it was recorded"])
    assert to_json(one)["parts"][0]["text"] == "leak in Python"


def test_words_of_a_list_are_said_in_the_language_spoken() -> None:
    kinds = joined([Kind.CLEAN, Kind.GARBAGE], " and ", "")
    assert str(kinds) == f"{Kind.CLEAN} and {Kind.GARBAGE}"
    with speaking("zh"):
        assert str(Kind.CLEAN) not in str(kinds)
    assert to_json(kinds)["parts"][0] == {"text": "clean", "value": "clean"}


def test_equal_messages_are_the_same_key() -> None:
    assert len({GROWS, message(GROWS.id, GROWS.text, **GROWS.values)}) == 1


def test_a_recorded_text_is_read_back_as_the_message_that_said_it() -> None:
    template = "cgroup v{version}, {size_bytes}"
    text = read_back("limit.cgroup", template, "cgroup v2, 1.50 GiB")
    assert text == message("limit.cgroup", template, version="2", size_bytes="1.50 GiB")
    with speaking("zh"):
        assert str(text) == "cgroup v2，1.50 GiB"
    assert read_back("limit.cgroup", template, "none") is None


@pytest.mark.parametrize(
    ("form", "value", "shown"),
    [(".2g", 99.4, "99"), (".2g", 100, "100"), (".2g", 123, "120"), (".3g", 7734.0, "7,730"),
     (".3g", 999.4, "999"), (".3g", 0.01234, "0.0123")],
)  # fmt: skip
def test_large_numbers_have_no_exponent(form: str, value: float, shown: str) -> None:
    assert str(message("made.number", f"{{n:{form}}} %", n=value)) == f"{shown} %"

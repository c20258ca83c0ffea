"""TOML of the user's: whichever way it is written, an error names the line it is about."""

from __future__ import annotations

import re
import tomllib
from datetime import date
from typing import Any

import pytest

from leakhunt.errors import BadFile
from leakhunt.toml_file import Path, Source, Table, header, read_table, shown

# Each key on the line that its own value names.
SPELLINGS = '''\
# a comment
one = 2
dotted.name = 3

inline = { a = 5, b = { c = [5] } }
many = [
    6,  # a bracket ] in a comment
    [6, 6],
]
text = """
seven = 10
[ten]
"""
literal = \'\'\'
]\'\'\'
quoted."a b.py" = 16

[table]  # 18
key = 19
[table.below]
key = 21
[other.deep.down]
[[list]]
key = 24
[[list]]
key = 26
    [list.inner]
    key = 28
    [[list.items]]
    key = 30
[table.late]
wide = "\\u2028 \u2028 ]"
after = 33
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ((), 1),
        (("one",), 2),
        (("dotted",), 3),
        (("dotted", "name"), 3),
        (("inline",), 5),
        (("inline", "a"), 5),
        (("inline", "b", "c", 0), 5),
        (("many",), 6),
        (("many", 1, 1), 6),
        (("text",), 10),
        (("literal",), 14),
        (("quoted", "a b.py"), 16),
        (("table",), 18),
        (("table", "key"), 19),
        (("table", "below"), 20),
        (("table", "below", "key"), 21),
        (("other",), 22),
        (("other", "deep", "down"), 22),
        (("list",), 23),
        (("list", 0), 23),
        (("list", 0, "key"), 24),
        (("list", 1), 25),
        (("list", 1, "key"), 26),
        (("list", 1, "inner"), 27),
        (("list", 1, "inner", "key"), 28),
        (("list", 1, "items", 0), 29),
        (("list", 1, "items", 0, "key"), 30),
        (("table", "late"), 31),
        (("table", "late", "wide"), 32),
        (("table", "late", "after"), 33),
        # Of what is missing, the line of what it would stand in.
        (("table", "below", "missing"), 20),
        (("list", 2), 23),
        (("list", 1, "inner", "missing", 0, "x"), 27),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_every_way_to_write_a_key_has_its_line(path: Path, line: int, newline: str) -> None:
    whole = read_table(SPELLINGS.replace("\n", newline).encode(), "x.toml")
    assert whole.source.line_of(path) == line


def test_a_file_without_an_end_of_line_or_with_a_mark_of_bytes_is_the_same() -> None:
    assert read_table(b"\xef\xbb\xbfa = 1\nb = 2", "x.toml").source.line_of(("b",)) == 2
    assert read_table(b"", "x.toml").source.line_of(()) == 1


def test_a_list_of_very_many_lines_is_not_read_again_at_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """That would cost minutes: only a line that may end it is tried."""
    sizes: list[int] = []

    def counted(text: str) -> dict[str, Any]:
        sizes.append(len(text))
        return loads(text)

    loads = tomllib.loads
    monkeypatch.setattr(tomllib, "loads", counted)
    text = "before = 1\nlist = [\n" + '"x",\n' * 2000 + "]\nafter = 1\n"
    assert Source("x.toml", text).line_of(("after",)) == 2004
    assert sum(sizes) < 10 * len(text)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a = 1\nb = \n", "x.toml:2: invalid TOML (Invalid value). Fix the syntax"),
        (
            b"a = 1\n\n[run\n",
            "x.toml:3: invalid TOML (Expected ']' at the end of a table declaration). Fix the",
        ),
        (b"a = 1\na = 2\n", "x.toml:2: invalid TOML (Cannot overwrite a value). Fix the syntax"),
        (b'a = 1\nb = """\nc\n', "x.toml:3: invalid TOML (Unterminated string). Fix the syntax"),
        (b"a = 1\nb = [1,", "x.toml:2: invalid TOML (Invalid value). Fix the syntax"),
        (
            b"a = 1\nb = 2027-02-30\n",
            "x.toml:2: invalid TOML (Invalid date or datetime). Fix the syntax",
        ),
        (
            b"a = 1\n<<<<<<< HEAD\na = 2\n",
            "x.toml:2: invalid TOML (<<<<<<<: unresolved merge conflict). Fix the syntax",
        ),
        (
            b"a = 1\n=======\n",
            "x.toml:2: invalid TOML (=======: unresolved merge conflict). Fix the syntax",
        ),
        (
            b"a = 1\n>>>>>>> branch\n",
            "x.toml:2: invalid TOML (>>>>>>>: unresolved merge conflict). Fix the syntax",
        ),
        (
            b"a = [\n  1,\n<<<<<<< HEAD\n",
            "x.toml:3: invalid TOML (<<<<<<<: unresolved merge conflict). Fix the syntax",
        ),
        (b'a = 1\nb = "\xff\xfe"\n', "x.toml:2: not UTF-8. Save the file as UTF-8"),
        (b"\xef\xbb\xbfa = 1\n\n\xff", "x.toml:3: not UTF-8"),
        ("a = 1\n".encode("utf-16"), "x.toml:1: not UTF-8"),
        (b"a = 1\n\x00", "x.toml:2: invalid TOML (Invalid statement). Fix the syntax"),
        (
            b"a = 1\nb = " + b"[" * 9000 + b"]" * 9000,
            "x.toml:2: invalid TOML (nested too deeply). Fix the syntax",
        ),
        (
            b"a = 1\nb = " + b"{x=" * 9000,
            "x.toml:2: invalid TOML (nested too deeply). Fix the syntax",
        ),
        (
            b"a = 1\nb = 2\nc = " + b"9" * 5000 + b"\n",
            "x.toml:3: invalid TOML (Exceeds the limit (4300 digits) for integer string",
        ),
    ],
    ids=range(17),
)
def test_what_is_no_toml_is_told_with_its_line(content: bytes, expected: str) -> None:
    with pytest.raises(BadFile, match=re.escape(expected)) as caught:
        read_table(content, "x.toml")
    assert "\n" not in str(caught.value) and str(caught.value).startswith("x.toml:")


TABLE = read_table(
    b"""\
text = "a"
number = 5
half = 0.5
huge = 0x8000000000000000
enormous = 0x%s
nothing = nan
yes = true
day = 2027-03-01
moment = 2027-03-01T10:00:00
clock = 10:00:00
list = [1]
[table]
%s = 1
"""
    % (b"f" * 5000, b".".join([b"deep"] * 900)),
    "x.toml",
)


def test_what_is_there_is_read() -> None:
    assert TABLE.text("text") == "a"
    assert TABLE.whole_number("number", 5) == 5
    assert TABLE.number_above_0("number") == 5
    assert TABLE.number_above_0("half") == 0.5
    assert TABLE.truth("yes") is True
    assert TABLE.needed_day("day") == date(2027, 3, 1)
    assert TABLE.table("table").place == "x.toml:12"
    assert TABLE.table("missing").items == {}


def test_what_is_not_there_is_nothing() -> None:
    assert TABLE.whole_number("missing", 0) is None
    assert TABLE.number_above_0("missing") is None
    assert TABLE.truth("missing") is False


def read_wrongly(table: Table, method: str, key: str) -> None:
    arguments = {"whole_number": (6,)}.get(method, ())
    getattr(table, method)(key, *arguments)


@pytest.mark.parametrize(
    ("method", "key", "expected"),
    [
        ("text", "number", "2: the file: number: expected a quoted text, got 5"),
        ("texts", "list", "11: the file: list: expected a list of quoted texts, got [1]"),
        ("needed", "missing", "1: the file: missing missing. Add it as a quoted text"),
        (
            "whole_number",
            "number",
            "2: the file: number: expected a whole number, 6 or more, got 5",
        ),
        ("whole_number", "half", "3: the file: half: expected a whole number, 6 or more, got 0.5"),
        ("whole_number", "yes", "7: the file: yes: expected a whole number, 6 or more, got True"),
        (
            "whole_number",
            "huge",
            "4: the file: huge: expected a whole number, 6 or more, got 0x8000000000000000...",
        ),
        (
            "whole_number",
            "enormous",
            "5: the file: enormous: expected a whole number, 6 or more, got",
        ),
        (
            "whole_number",
            "table",
            "12: the file: table: expected a whole number, 6 or more, got {'deep': {'deep':",
        ),
        ("number_above_0", "nothing", "6: the file: nothing: expected a number above 0, got nan"),
        ("number_above_0", "yes", "7: the file: yes: expected a number above 0, got True"),
        (
            "number_above_0",
            "enormous",
            "5: the file: enormous: expected a number above 0, got 0xffffffffffffffffff...",
        ),
        ("truth", "number", "2: the file: number: expected true or false, got 5"),
        ("table", "number", "2: the file: number: expected a table, [number], got 5"),
        (
            "needed_day",
            "missing",
            "1: the file: missing missing. Add a date, for example 2027-03-01",
        ),
        (
            "needed_day",
            "text",
            "1: the file: text: expected a date without quotes, such as 2027-03-01, got 'a'",
        ),
        (
            "needed_day",
            "moment",
            "9: the file: moment: expected a date without quotes, such as 2027-03-01, got",
        ),
        (
            "needed_day",
            "clock",
            "10: the file: clock: expected a date without quotes, such as 2027-03-01, got",
        ),
    ],
)
def test_a_value_of_another_kind_is_told_with_its_line(
    method: str, key: str, expected: str
) -> None:
    with pytest.raises(BadFile, match=re.escape(f"x.toml:{expected}")) as caught:
        read_wrongly(TABLE, method, key)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 200


def test_an_unknown_key_is_told_with_its_line_and_what_was_meant() -> None:
    table = read_table(b"[a]\nfirst = 1\nsecnod = 2\n", "x.toml").table("a")
    pattern = r"^x\.toml:3: \[a\]: unknown key 'secnod' \(did you mean 'second'\?\)\. Known keys: "
    with pytest.raises(BadFile, match=pattern):
        table.only(("first", "second"))


def test_what_is_there_twice_is_told_with_the_line_of_the_second() -> None:
    whole = read_table(b"[[a]]\n[[a]]\n[[a]]\n", "x.toml")
    with pytest.raises(BadFile, match=r"^x\.toml:2: the file: name 'b' is defined twice\."):
        whole.refuse_twice("name", "a", ["b", "b", "c"])
    whole.refuse_twice("name", "a", ["b", "c", "d"])


def test_tables_of_a_list_know_their_lines_and_their_new_names() -> None:
    first, second = read_table(b"[[a]]\nx = 1\n[[a]]\n", "x.toml").tables("a", "a")
    assert (first.place, second.place) == ("x.toml:1", "x.toml:3")
    with pytest.raises(BadFile, match=r"^x\.toml:2: first: no$"):
        first.named("first").bad("no", "x")
    with pytest.raises(BadFile, match=r"^x\.toml:3: \[\[a\]\] 2: no$"):
        second.bad("no", "x")


def test_a_header_is_written_as_toml_has_it() -> None:
    assert header("tool", "a-b_1", 3, "my service.py", "x") == "tool.a-b_1.'my service.py'.x"
    assert "\n" not in header("a\nb")


def test_a_shown_value_is_short_and_on_one_line() -> None:
    assert shown("a\nb") == r"'a\nb'"
    assert len(shown("x" * 10_000)) <= 80
    assert len(shown([["x" * 100] * 1000] * 1000)) < 1000
    assert shown(date(2027, 3, 1)) == "2027-03-01"

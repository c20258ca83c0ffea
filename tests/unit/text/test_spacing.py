"""Spaces of Chinese where a text and its values meet."""

from __future__ import annotations

import pytest

from leakhunt.text.language import one_after_another, speaking, tr
from leakhunt.text.spacing import filled, spaced


@pytest.mark.parametrize(("template", "values", "expected"), [
    ("多 {count} 个 {what} 在", {"count": 1, "what": "元素"}, "多 1 个元素在"),
    ("多 {count} 个 {what} 在", {"count": 1, "what": "dict"}, "多 1 个 dict 在"),
    ("还够 {calls}，{time}", {"calls": "约 3 个请求", "time": "1 h"}, "还够约 3 个请求，1 h"),
    ("{series}为 {used:.1f} MiB", {"series": "RSS", "used": 1}, "RSS 为 1.0 MiB"),
    ("{series}为 {used}", {"series": "存活堆", "used": "1 B"}, "存活堆为 1 B"),
    ("每个请求的{title}", {"title": "RSS"}, "每个请求的 RSS"),
    ("{rate} {bounds}", {"rate": "16 块/次", "bounds": "（16 至 17）"}, "16 块/次（16 至 17）"),
    ("占 {grows} 的 90%", {"grows": "629 B/请求"}, "占 629 B/请求的 90%"),
    ("{place}:{line} {{x}} {none}是", {"place": "a.py", "line": 3, "none": ""}, "a.py:3 {x} 是"),
    ("时间{seconds:>6}", {"seconds": "1 s"}, "时间   1 s"),
    ("参数 {name!r} 无效", {"name": "体"}, "参数 '体' 无效"),
])  # fmt: skip
def test_values_are_spaced_as_what_is_around_them(
    template: str, values: dict[str, object], expected: str
) -> None:
    assert filled(template, values) == expected


def test_several_spaces_align_columns_and_stay() -> None:
    assert spaced(["名称  ", "值"]) == "名称  值"


def test_english_is_left_as_it_is_written() -> None:
    assert tr("of {what}to", what="体 ") == "of 体 to"
    assert one_after_another("16 blocks/call", "(16 to 17)") == "16 blocks/call (16 to 17)"
    with speaking("zh"):
        assert one_after_another("16 块/次", "（16 至 17）") == "16 块/次（16 至 17）"
        assert one_after_another("", "（16）") == "（16）"

"""The README in Chinese is the README: the same parts, commands, links and figures, in order."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENGLISH = (ROOT / "README.md").read_text("utf-8")
CHINESE = (ROOT / "README.zh-CN.md").read_text("utf-8")
BLOCK = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
# Each links to the other in its first lines.
EACH_OTHER = {"README.md", "README.zh-CN.md"}


def levels(text: str) -> list[int]:
    return [len(marks) for marks in re.findall(r"^(#+) ", BLOCK.sub("", text), re.MULTILINE)]


def links(text: str) -> list[str]:
    return [to for to in re.findall(r"\]\(([^)]+)\)", BLOCK.sub("", text)) if to not in EACH_OTHER]


def code(text: str) -> Counter[str]:
    return Counter(re.findall(r"`([^`\n]+)`", BLOCK.sub("", text)))


def tables(text: str) -> list[int]:
    return [line.count("|") for line in text.splitlines() if line.startswith("|")]


def test_both_have_the_same_parts() -> None:
    assert levels(CHINESE) == levels(ENGLISH)
    assert tables(CHINESE) == tables(ENGLISH)
    bullets = [len(re.findall(r"^- ", text, re.MULTILINE)) for text in (CHINESE, ENGLISH)]
    assert bullets[0] == bullets[1]


def test_both_have_the_same_commands() -> None:
    assert BLOCK.findall(CHINESE) == BLOCK.findall(ENGLISH)
    assert code(CHINESE) == code(ENGLISH)


def test_both_have_the_same_links() -> None:
    assert links(CHINESE) == links(ENGLISH)
    assert "](README.zh-CN.md)" in ENGLISH[:200]
    assert "](README.md)" in CHINESE[:200]
    for to in links(ENGLISH):
        assert (ROOT / to).exists(), to


def test_both_have_the_same_figures() -> None:
    """A number that was corrected in one alone."""
    found = [set(re.findall(r"\d[\d,.]*\d", BLOCK.sub("", text))) for text in (CHINESE, ENGLISH)]
    assert found[0] == found[1]


def test_both_are_short_and_begin_with_the_two_commands() -> None:
    for text in (ENGLISH, CHINESE):
        assert len(text.splitlines()) <= 120
        assert text.count("![") == 1
        first = BLOCK.findall(text)[0].splitlines()[1:3]
        assert [line.split("#")[0].split() for line in first] == [
            ["$", "make", "demo"],
            ["$", "make", "test"],
        ]

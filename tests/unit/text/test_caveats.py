"""Caveats stand beside sentences in reports, so each is one: a capital, and an end."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import leakhunt

PACKAGE = Path(leakhunt.__file__).parent
# What an instrument notes is told after "Blind spot: " as well, and is made a sentence elsewhere.
_SHOWN_AS_THEY_ARE = ("analysis", "foreign")


def _is_of_caveats(node: ast.AST) -> bool:
    if isinstance(node, ast.FunctionDef):
        return "caveats" in node.name
    if isinstance(node, ast.Assign | ast.AnnAssign):
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        return isinstance(target, ast.Name) and target.id == "caveats"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return isinstance(node.func.value, ast.Name) and node.func.value.id == "caveats"
    return False


def _texts() -> Iterator[str]:
    for folder in _SHOWN_AS_THEY_ARE:
        for file in (PACKAGE / folder).rglob("*.py"):
            for node in filter(_is_of_caveats, ast.walk(ast.parse(file.read_text("utf-8")))):
                calls = (each for each in ast.walk(node) if isinstance(each, ast.Call))
                for call in calls:
                    if isinstance(call.func, ast.Name) and call.func.id == "message":
                        yield ast.literal_eval(call.args[1])


TEXTS = sorted(set(_texts()))


def test_they_are_found() -> None:
    assert len(TEXTS) >= 8
    assert any("less than two days" in text.lower() for text in TEXTS)


@pytest.mark.parametrize("text", TEXTS)
def test_each_is_a_sentence(text: str) -> None:
    assert not text[0].islower()
    assert text.endswith((".", "{text}"))

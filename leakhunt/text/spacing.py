"""Spaces in Chinese, where a text and the values in it meet.

Between Chinese and Latin letters or digits there is a space, between Chinese and Chinese there is
none, and none beside full-width punctuation. What a template has cannot know what its values begin
with: ``{count} 个 {what}`` is right for a type's name and wrong for a Chinese word.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from string import Formatter

_HAN = range(0x4E00, 0xA000)
_FULL_WIDTH = frozenset("，。；：！？（）、“”《》")


def filled(template: str, values: Mapping[str, object]) -> str:
    """The template with its values, as `str.format` does it, and the spaces of Chinese."""
    return spaced(_parts(template, values))


def spaced(parts: Iterable[str]) -> str:
    """Chinese texts after one another, with a space between two where there belongs one."""
    text = ""
    for part in parts:
        text = _joined(text, part) if text and part else text + part
    return text


def _parts(template: str, values: Mapping[str, object]) -> Iterable[str]:
    for literal, name, form, conversion in Formatter().parse(template):
        yield literal
        if name is not None:
            field = f"{name}!{conversion}" if conversion else name
            yield f"{{{field}:{form}}}".format(**values)


def _joined(left: str, right: str) -> str:
    before, after = left.rstrip(" "), right.lstrip(" ")
    spaces = len(left) - len(before) + len(right) - len(after)
    if not before or not after or spaces > 1:  # columns are aligned by several
        return left + right
    one, other = before[-1], after[0]
    if spaces:
        return before + after if _needs_none(one, other) else left + right
    is_mixed = (_is_han(one) and _is_latin(other)) or (_is_latin(one) and _is_han(other))
    return f"{left} {right}" if is_mixed else left + right


def _needs_none(one: str, other: str) -> bool:
    return (_is_han(one) and _is_han(other)) or one in _FULL_WIDTH or other in _FULL_WIDTH


def _is_han(character: str) -> bool:
    return ord(character) in _HAN


def _is_latin(character: str) -> bool:
    return character.isascii() and character.isalnum()

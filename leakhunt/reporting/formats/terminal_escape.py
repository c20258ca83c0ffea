"""Text from outside on a terminal, where it must not steer the terminal."""

from __future__ import annotations


def visible(text: str) -> str:
    """`text` with a question mark for each character that would not be seen."""
    return "".join(each if each.isprintable() else "?" for each in text)


def one_line(text: str) -> str:
    """The same on one line, for what programs show: spaces in place of line breaks and tabs."""
    return visible(" ".join(text.split()))

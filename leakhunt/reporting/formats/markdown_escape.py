"""Text from outside in Markdown, where it must not become markup."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator

from leakhunt.text.controls import STEERING, text_bytes

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~!$&])")


def markdown_bytes(lines: Iterable[str]) -> bytes:
    """A document of these lines, in UTF-8."""
    return text_bytes("\n".join(lines) + "\n")


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """The lines of a table."""
    heads = list(heads)
    yield f"| {' | '.join(map(escaped, heads))} |"
    yield f"|{' --- |' * len(heads)}"
    for cells in rows:
        yield f"| {' | '.join(map(escaped, cells))} |"


def escaped(text: str) -> str:
    """`text` on one line, as it stands."""
    return _SPECIAL.sub(r"\\\1", _one_line(text))


def inside_html(text: str) -> str:
    """`text` between HTML tags of ours, where Markdown is not read."""
    return html.escape(_one_line(text), quote=False)


def code(text: str) -> str:
    """Inline code whose fence is longer than any run of backticks inside."""
    text = _one_line(text)
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    pad = " " if "`" in text else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def _one_line(text: str) -> str:
    """`text` on one line, with a question mark for each character that steers."""
    return STEERING.sub("?", " ".join(text.split()))

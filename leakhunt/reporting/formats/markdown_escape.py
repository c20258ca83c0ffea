"""Text from outside in Markdown, where it must not become markup."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~!$&])")


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """The lines of a table."""
    heads = list(heads)
    yield f"| {' | '.join(map(escaped, heads))} |"
    yield f"|{' --- |' * len(heads)}"
    for cells in rows:
        yield f"| {' | '.join(map(escaped, cells))} |"


def escaped(text: str) -> str:
    """`text` on one line, as it stands."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def inside_html(text: str) -> str:
    """`text` between HTML tags of ours, where Markdown is not read."""
    return html.escape(" ".join(text.split()), quote=False)


def code(text: str) -> str:
    """Inline code whose fence is longer than any run of backticks inside."""
    text = " ".join(text.split())
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    pad = " " if "`" in text else ""
    return f"{fence}{pad}{text}{pad}{fence}"

"""A table as a notebook shows it: one element of HTML, all texts escaped. No script, no file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from leakhunt.reporting.formats.xml_escape import xml_text


def notebook_table(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A title, and below it a table."""
    head = "".join(f"<th>{notebook_text(heading)}</th>" for heading in headings)
    body = "".join(
        "<tr>" + "".join(f"<td>{notebook_text(cell)}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return (
        f'<div style="max-width:64em;margin-bottom:1em"><strong>{notebook_text(title)}</strong>'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def notebook_text(text: str) -> str:
    """`text` as HTML shows it, and nothing that no page can hold."""
    return escape(xml_text(text))

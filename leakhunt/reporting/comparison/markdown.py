"""``compare.md``: short enough for a pull request."""

from __future__ import annotations

from collections.abc import Iterator

from leakhunt.model.comparison import Comparison, Pair
from leakhunt.reporting.comparison.differences import (
    MISMATCH_HEADINGS,
    FactTable,
    alone_lines,
    refusal_box,
    shown_box,
)
from leakhunt.reporting.comparison.looks import look_sections, look_sentences
from leakhunt.reporting.comparison.tables import (
    HOW_IT_IS_READ,
    SUSPECT_HEADINGS,
    basis,
    headings,
    not_hunted,
    pair_title,
    rows,
    sign,
    suspect_row,
    title,
)
from leakhunt.reporting.formats.markdown_escape import escaped, inside_html, markdown_bytes, table
from leakhunt.text.language import tr


def render(comparison: Comparison) -> bytes:
    """UTF-8 GitHub-flavoured Markdown."""
    return markdown_bytes(_lines(comparison))


def _lines(comparison: Comparison) -> Iterator[str]:
    yield f"## leakhunt: {escaped(title(comparison))}"
    yield ""
    for pair in comparison.pairs:
        yield f"- {sign(pair, comparison.despite)} {escaped(str(pair.sentence))}"
    for line in (*look_sentences(comparison), *alone_lines(comparison)):
        yield f"- {escaped(line)}"
    refusal = refusal_box(comparison)
    if refusal is not None:
        yield ""
        yield f"**{escaped(refusal.title)}**"
        yield from _box_rows(refusal)
    for pair in comparison.pairs:
        yield from _details(pair)
    for section in look_sections(comparison):
        yield ""
        yield f"**{escaped(section.title)}**"
        yield ""
        yield from table(section.headings, section.rows)
    shown = shown_box(comparison)
    if shown is not None:
        yield ""
        yield "<details>"
        yield f"<summary>{inside_html(shown.title)}</summary>"
        yield from _box_rows(shown)
        yield ""
        yield "</details>"
    yield ""
    yield f"{escaped(tr(HOW_IT_IS_READ))} ({escaped(comparison.generator)})"


def _box_rows(box: FactTable) -> Iterator[str]:
    yield ""
    yield from table(tuple(map(tr, MISMATCH_HEADINGS)), box.rows)


def _details(pair: Pair) -> Iterator[str]:
    yield ""
    yield "<details>"
    yield f"<summary>{inside_html(pair_title(pair))}</summary>"
    yield ""
    yield from table(headings(pair), rows(pair))
    if pair.suspects:
        yield ""
        yield from table(
            tuple(map(tr, SUSPECT_HEADINGS)),
            (suspect_row(change, pair.work) for change in pair.suspects),
        )
    for line in (not_hunted(pair), basis(pair)):
        if line:
            yield ""
            yield escaped(line)
    yield ""
    yield "</details>"

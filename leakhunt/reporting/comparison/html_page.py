"""``compare.html``: one file, opens offline, asks for nothing from anywhere, needs no script."""

from __future__ import annotations

from leakhunt.model.comparison import Comparison
from leakhunt.reporting.comparison.differences import (
    MISMATCH_HEADINGS,
    alone_lines,
    refusal_box,
    shown_box,
)
from leakhunt.reporting.comparison.figure import comparison_svg
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
from leakhunt.reporting.formats.jinja import template
from leakhunt.text.controls import text_bytes
from leakhunt.text.language import tr


def render(comparison: Comparison) -> bytes:
    """UTF-8 HTML. Every text from outside is escaped by the template engine."""
    from markupsafe import Markup

    page = template("compare.html.j2").render(
        comparison=comparison,
        title=title(comparison),
        sign=sign,
        alone=[*look_sentences(comparison), *alone_lines(comparison)],
        looks=list(look_sections(comparison)),
        refusal=refusal_box(comparison),
        shown=shown_box(comparison),
        mismatch_headings=tuple(map(tr, MISMATCH_HEADINGS)),
        # Ours but for its texts, which matplotlib escapes when it writes the SVG.
        curves=Markup(comparison_svg(comparison)),  # noqa: S704
        pair_title=pair_title,
        headings=headings,
        rows=rows,
        basis=basis,
        suspect_headings=tuple(map(tr, SUSPECT_HEADINGS)),
        suspect_row=suspect_row,
        not_hunted=not_hunted,
        how_it_is_read=tr(HOW_IT_IS_READ),
    )
    return text_bytes(page)

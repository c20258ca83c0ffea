"""The formats of a comparison. Each renderer takes a `Comparison` and returns bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from leakhunt.model.comparison import Comparison
from leakhunt.text.language import ENGLISH


@dataclass(frozen=True, slots=True)
class Format:
    """The name of a file, and how a comparison becomes its bytes.

    `language` is the one that it is always written in; None: the one spoken.
    """

    file_name: str
    render: Callable[[Comparison], bytes]
    language: str | None = None


def _html(comparison: Comparison) -> bytes:
    from leakhunt.reporting.comparison.html_page import render

    return render(comparison)


def _png(comparison: Comparison) -> bytes:
    from leakhunt.reporting.comparison.figure import comparison_png

    return comparison_png(comparison)


def _markdown(comparison: Comparison) -> bytes:
    from leakhunt.reporting.comparison.markdown import render

    return render(comparison)


def _json(comparison: Comparison) -> bytes:
    from leakhunt.reporting.comparison.json_file import render

    return render(comparison)


# Imported on use, as those of a report are.
COMPARISON_FORMATS: tuple[Format, ...] = (
    Format("compare.html", _html),
    Format("compare.png", _png),
    Format("compare.md", _markdown),
    Format("compare.json", _json, ENGLISH),
)

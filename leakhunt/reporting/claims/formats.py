"""The formats of checked claims. Each renderer takes a `ClaimsReport` and returns bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from leakhunt.model.claims import ClaimsReport
from leakhunt.text.language import ENGLISH


@dataclass(frozen=True, slots=True)
class Format:
    """A file of checked claims: as `leakhunt.reporting.registry.Renderer`."""

    format: str
    file_name: str
    render: Callable[[ClaimsReport], bytes]
    language: str | None = None


def _html(report: ClaimsReport) -> bytes:
    from leakhunt.reporting.claims.html_page import render

    return render(report)


def _markdown(report: ClaimsReport) -> bytes:
    from leakhunt.reporting.claims.markdown import render

    return render(report)


def _json(report: ClaimsReport) -> bytes:
    from leakhunt.reporting.claims.json_file import render

    return render(report)


# Imported on use, as those of a report are.
CLAIMS_FORMATS: tuple[Format, ...] = (
    Format("html", "claims.html", _html),
    Format("md", "claims.md", _markdown),
    Format("json", "claims.json", _json, ENGLISH),
)

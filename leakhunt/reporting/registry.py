"""One renderer a file. Each takes a `Report` and returns bytes; several may share a format.

To add one: a module with a function from `Report` to bytes, and a line in `RENDERERS`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

from leakhunt.model.report import Report
from leakhunt.text.language import ENGLISH


@dataclass(frozen=True, slots=True)
class Renderer:
    """A file of a report: its format, its name and how a report becomes its bytes.

    `by_default`: written where no format is asked for. `requires` are the modules of the optional
    extra `extra` that it needs. `language` is the one that it is always written in, whatever is
    spoken, since programs read it; None: the one spoken.
    """

    format: str
    file_name: str
    render: Callable[[Report], bytes]
    by_default: bool = False
    requires: tuple[str, ...] = ()
    extra: str = ""
    language: str | None = None


def _in(module: str, function: str) -> Callable[[Report], bytes]:
    """A function of a module beside this one, imported on use.

    matplotlib, jinja2 and pyarrow take longer to load than most commands take to run.
    """

    def render(report: Report) -> bytes:
        loaded = importlib.import_module(f"{__package__}.{module}")
        rendered: bytes = getattr(loaded, function)(report)
        return rendered

    return render


RENDERERS: tuple[Renderer, ...] = (
    Renderer("html", "report.html", _in("run.html_page", "render"), by_default=True),
    Renderer("png", "curves.png", _in("charts.curves", "curves_png"), by_default=True),
    Renderer("png", "ledger.png", _in("charts.ledger", "ledger_png"), by_default=True),
    Renderer("png", "remedies.png", _in("charts.remedies", "remedies_png"), by_default=True),
    Renderer("md", "report.md", _in("run.markdown", "render"), by_default=True),
    Renderer(
        "json", "report.json", _in("run.json_file", "render"), by_default=True, language=ENGLISH
    ),
    Renderer("svg", "curves.svg", _in("charts.curves", "curves_svg")),
    Renderer("svg", "ledger.svg", _in("charts.ledger", "ledger_svg")),
    Renderer("svg", "remedies.svg", _in("charts.remedies", "remedies_svg")),
    Renderer("junit", "junit.xml", _in("run.junit", "render"), language=ENGLISH),
    Renderer("csv", "samples.csv", _in("run.samples", "samples_csv"), language=ENGLISH),
    Renderer(
        "parquet",
        "samples.parquet",
        _in("run.samples", "samples_parquet"),
        requires=("pyarrow",),
        extra="frames",
        language=ENGLISH,
    ),
)


def formats() -> tuple[str, ...]:
    """The names of the formats, in the order in which they are written."""
    return tuple(dict.fromkeys(renderer.format for renderer in RENDERERS))

"""Every file that there is of anything: its format, its name, and how a noun becomes its bytes.

To add one: a module with a function from the noun to bytes, and a line in the list of that noun.
Several files may share a format. Annotations of a gate are no file: they are printed.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from leakhunt.model.attached import AttachReport
from leakhunt.model.benchmark import BenchmarkReport
from leakhunt.model.bisection import BisectReport
from leakhunt.model.claims import ClaimsReport
from leakhunt.model.comparison import Comparison
from leakhunt.model.fleet import FleetReport
from leakhunt.model.gate import GateResult
from leakhunt.model.matrix import MatrixReport
from leakhunt.model.report import Report
from leakhunt.model.retained import RetainedReport
from leakhunt.reporting.charts.contents import has_board, has_flames, has_ledgers
from leakhunt.reporting.gate.source_lines import Repository
from leakhunt.text.language import ENGLISH

Noun = TypeVar("Noun")


# Without slots, in which typing could not note what it is a renderer of.
@dataclass(frozen=True)
class Renderer(Generic[Noun]):
    """A file of a noun: its format, its name and how the noun becomes its bytes.

    `by_default`: written where no format is asked for. `requires` are the modules of the optional
    extra `extra` that it needs. `language` is the one that it is always written in, whatever is
    spoken, since programs read it; None: the one spoken. `has_content`: whether it says anything
    of a noun; where not, it is not written. None: it always does.
    """

    format: str
    file_name: str
    render: Callable[[Noun], bytes]
    by_default: bool = False
    requires: tuple[str, ...] = ()
    extra: str = ""
    language: str | None = None
    has_content: Callable[[Noun], bool] | None = None

    def is_of(self, noun: Noun) -> bool:
        """Whether the file says anything of the noun."""
        return self.has_content is None or self.has_content(noun)


@dataclass(frozen=True, slots=True)
class GateDocument:
    """What a renderer of a gate gets: the answers, and the repository that holds the sources."""

    result: GateResult
    repository: Repository


RunRenderer: TypeAlias = Renderer[Report]
GateRenderer: TypeAlias = Renderer[GateDocument]
RetainedRenderer: TypeAlias = Renderer[RetainedReport]
AttachRenderer: TypeAlias = Renderer[AttachReport]
AnalyzeRenderer: TypeAlias = Renderer[FleetReport]
MatrixRenderer: TypeAlias = Renderer[MatrixReport]
BisectRenderer: TypeAlias = Renderer[BisectReport]
BenchmarkRenderer: TypeAlias = Renderer[BenchmarkReport]


def _in(module: str, function: str = "render") -> Callable[[Any], bytes]:
    """A function of a module beside this one, imported on use.

    matplotlib, jinja2 and pyarrow take longer to load than most commands take to run.
    """

    def render(noun: Any) -> bytes:
        return bytes(_function(module, function)(noun))

    return render


def _of_gate(module: str) -> Callable[[GateDocument], bytes]:
    """One that names no lines of the repository, imported on use."""
    return lambda made: bytes(_function(module, "render")(made.result))


def _of_gate_with_lines(module: str) -> Callable[[GateDocument], bytes]:
    """One that does, imported on use."""
    return lambda made: bytes(_function(module, "render")(made.result, made.repository))


def _function(module: str, name: str) -> Any:
    return getattr(importlib.import_module(f"{__package__}.{module}"), name)


RENDERERS: tuple[RunRenderer, ...] = (
    Renderer("html", "report.html", _in("run.html_page"), by_default=True),
    Renderer("png", "curves.png", _in("charts.curves", "curves_png"), by_default=True),
    Renderer(
        "png",
        "ledger.png",
        _in("charts.ledger", "ledger_png"),
        by_default=True,
        has_content=has_ledgers,
    ),
    Renderer(
        "png",
        "remedies.png",
        _in("charts.remedies", "remedies_png"),
        by_default=True,
        has_content=has_board,
    ),
    Renderer("md", "report.md", _in("run.markdown"), by_default=True),
    Renderer("json", "report.json", _in("run.json_file"), by_default=True, language=ENGLISH),
    Renderer("svg", "curves.svg", _in("charts.curves", "curves_svg")),
    Renderer("svg", "ledger.svg", _in("charts.ledger", "ledger_svg"), has_content=has_ledgers),
    Renderer("svg", "remedies.svg", _in("charts.remedies", "remedies_svg"), has_content=has_board),
    Renderer("flame", "flame.html", _in("run.flame_page"), has_content=has_flames),
    Renderer(
        "speedscope",
        "flame.speedscope.json",
        _in("run.speedscope"),
        language=ENGLISH,
        has_content=has_flames,
    ),
    Renderer("junit", "junit.xml", _in("run.junit"), language=ENGLISH),
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
# What ``hunt --flame`` writes beside the files that are asked for.
FLAME_FORMATS = ("flame", "speedscope")
COMPARISON_RENDERERS: tuple[Renderer[Comparison], ...] = (
    Renderer("html", "compare.html", _in("comparison.html_page"), by_default=True),
    Renderer("png", "compare.png", _in("comparison.figure", "comparison_png"), by_default=True),
    Renderer("md", "compare.md", _in("comparison.markdown"), by_default=True),
    Renderer(
        "json", "compare.json", _in("comparison.json_file"), by_default=True, language=ENGLISH
    ),
)
GATE_RENDERERS: tuple[GateRenderer, ...] = (
    Renderer("md", "gate.md", _of_gate("gate.markdown")),
    Renderer("json", "gate.json", _of_gate("gate.json_file"), language=ENGLISH),
    Renderer("junit", "gate.junit.xml", _of_gate("gate.junit"), language=ENGLISH),
    Renderer("sarif", "gate.sarif", _of_gate_with_lines("gate.sarif"), language=ENGLISH),
    Renderer(
        "codequality",
        "gl-code-quality.json",
        _of_gate_with_lines("gate.codequality"),
        language=ENGLISH,
    ),
    # Written last and shown last: it leads to all else.
    Renderer("html", "gate.html", _of_gate("gate.html_page")),
)
CLAIMS_RENDERERS: tuple[Renderer[ClaimsReport], ...] = (
    Renderer("html", "claims.html", _in("claims.html_page"), by_default=True),
    Renderer("md", "claims.md", _in("claims.markdown"), by_default=True),
    Renderer("json", "claims.json", _in("claims.json_file"), by_default=True, language=ENGLISH),
)

RETAINED_RENDERERS: tuple[RetainedRenderer, ...] = (
    Renderer("html", "retained.html", _in("retained.html_page"), by_default=True),
    Renderer("png", "retained.png", _in("retained.treemap", "treemap_png"), by_default=True),
    Renderer("json", "retained.json", _in("retained.json_file"), by_default=True, language=ENGLISH),
)
ATTACH_RENDERERS: tuple[AttachRenderer, ...] = (
    Renderer("html", "attach.html", _in("attached.html_page"), by_default=True),
    Renderer("md", "attach.md", _in("attached.markdown"), by_default=True),
    Renderer("json", "attach.json", _in("attached.json_file"), by_default=True, language=ENGLISH),
)
BENCHMARK_RENDERERS: tuple[BenchmarkRenderer, ...] = (
    Renderer("html", "benchmark.html", _in("benchmark.html_page"), by_default=True),
    Renderer("md", "benchmark.md", _in("benchmark.markdown"), by_default=True),
    Renderer(
        "json", "benchmark.json", _in("benchmark.json_file"), by_default=True, language=ENGLISH
    ),
)
BISECT_RENDERERS: tuple[BisectRenderer, ...] = (
    Renderer("html", "bisect.html", _in("bisect.html_page"), by_default=True),
    Renderer("png", "bisect.png", _in("bisect.chart", "chart_png"), by_default=True),
    Renderer("md", "bisect.md", _in("bisect.markdown"), by_default=True),
    Renderer("json", "bisect.json", _in("bisect.json_file"), by_default=True, language=ENGLISH),
)
ANALYZE_RENDERERS: tuple[AnalyzeRenderer, ...] = (
    Renderer("html", "analyze.html", _in("fleet.html_page"), by_default=True),
    Renderer("md", "analyze.md", _in("fleet.markdown"), by_default=True),
    Renderer("json", "analyze.json", _in("fleet.json_file"), by_default=True, language=ENGLISH),
)
MATRIX_RENDERERS: tuple[MatrixRenderer, ...] = (
    Renderer("html", "matrix.html", _in("matrix.html_page"), by_default=True),
    Renderer("png", "matrix.png", _in("matrix.curves", "heat_map_png"), by_default=True),
    Renderer("png", "curves.png", _in("matrix.curves", "curves_png"), by_default=True),
    Renderer("md", "matrix.md", _in("matrix.markdown"), by_default=True),
    Renderer("json", "matrix.json", _in("matrix.json_file"), by_default=True, language=ENGLISH),
    Renderer(
        "parquet",
        "matrix.parquet",
        _in("matrix.cells_table"),
        by_default=True,
        requires=("pyarrow",),
        extra="frames",
        language=ENGLISH,
    ),
)


def formats() -> tuple[str, ...]:
    """The formats of a report on runs, in the order in which they are written."""
    return tuple(dict.fromkeys(renderer.format for renderer in RENDERERS))

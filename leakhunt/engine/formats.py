"""Which files are written: the formats that are asked for, and those of them that can be."""

from __future__ import annotations

from collections.abc import Collection, Sequence, Set
from importlib.util import find_spec
from typing import Any

from leakhunt.engine.events import SILENT, Events
from leakhunt.errors import MissingRequirement, UsageError
from leakhunt.reporting.registry import (
    ANALYZE_RENDERERS,
    ATTACH_RENDERERS,
    BENCHMARK_RENDERERS,
    BISECT_RENDERERS,
    FLAME_FORMATS,
    MATRIX_RENDERERS,
    RENDERERS,
    RETAINED_RENDERERS,
    AnalyzeRenderer,
    AttachRenderer,
    BenchmarkRenderer,
    BisectRenderer,
    MatrixRenderer,
    Noun,
    Renderer,
    RetainedRenderer,
    RunRenderer,
    formats,
)
from leakhunt.text.message import Message, message

ALL = "all"
# Files of a gate as a whole, and of each scenario's report: these unless others are asked for.
GATE_FILES = "md,json,junit,sarif,codequality,html"
# The files of a report, where no format is asked for.
BY_DEFAULT = ",".join(dict.fromkeys(each.format for each in RENDERERS if each.by_default))


def renderers_named(names: str, events: Events = SILENT) -> tuple[RunRenderer, ...]:
    """The renderers of the formats in `names` (``html,md``), in the order they are written in.

    With ``all``, those that need what is not installed are left out, and `events` are told so.

    Raises:
        UsageError: there is no such format.
        MissingRequirement: a format that was named needs what is not installed.
    """
    return possible(RENDERERS, names_among(names, formats()), events)


def with_flames(renderers: Sequence[RunRenderer]) -> tuple[RunRenderer, ...]:
    """These renderers and those of flame graphs, in the order they are written in."""
    wanted = {each.file_name for each in renderers}
    return tuple(
        each for each in RENDERERS if each.file_name in wanted or each.format in FLAME_FORMATS
    )


def retained_renderers_named(names: str) -> tuple[RetainedRenderer, ...]:
    """The files of what is retained, of the formats in `names`; others have none.

    Raises:
        UsageError: there is none of any of them.
    """
    requested = {name.strip().lower() for name in names.split(",")}
    known = tuple(dict.fromkeys(each.format for each in RETAINED_RENDERERS))
    found = [each for each in RETAINED_RENDERERS if ALL in requested or each.format in requested]
    if not found:
        names_among(",".join(sorted(requested)), known)
    return tuple(found)


def attach_renderers_named(names: str) -> tuple[AttachRenderer, ...]:
    """The files of a visit, of the formats in `names`; others have none."""
    requested = {name.strip().lower() for name in names.split(",")}
    return tuple(each for each in ATTACH_RENDERERS if ALL in requested or each.format in requested)


def analyze_renderers_named(names: str) -> tuple[AnalyzeRenderer, ...]:
    """The files of an analysis, of the formats in `names`.

    Raises:
        UsageError: there is no such format.
    """
    return _named(ANALYZE_RENDERERS, names)


def matrix_renderers_named(names: str, events: Events = SILENT) -> tuple[MatrixRenderer, ...]:
    """The files of a matrix, of the formats in `names`; those that cannot be are left out.

    Raises:
        UsageError: there is no such format.
        MissingRequirement: a format that was named needs what is not installed.
    """
    return _named(MATRIX_RENDERERS, names, events)


def benchmark_renderers_named(names: str) -> tuple[BenchmarkRenderer, ...]:
    """The files of a benchmark, of the formats in `names`.

    Raises:
        UsageError: there is no such format.
    """
    return _named(BENCHMARK_RENDERERS, names)


def bisect_renderers_named(names: str) -> tuple[BisectRenderer, ...]:
    """The files of a bisection, of the formats in `names`.

    Raises:
        UsageError: there is no such format.
    """
    return _named(BISECT_RENDERERS, names)


def _named(
    renderers: Sequence[Renderer[Noun]], names: str, events: Events = SILENT
) -> tuple[Renderer[Noun], ...]:
    known = tuple(dict.fromkeys(each.format for each in renderers))
    return possible(renderers, names_among(names, known), events)


def names_among(requested: str, known: Collection[str]) -> set[str]:
    """The formats that `requested` names.

    Raises:
        UsageError: one is not `known`.
    """
    names = {name.strip().lower() for name in requested.split(",")}
    unknown = sorted(names - {ALL, *known})
    if unknown:
        raise UsageError(
            message(
                "formats.unknown",
                "--format {asked!r}: unknown format {unknown!r}. Use {formats}"
                " (comma-separated), or {all}",
                asked=requested,
                unknown=unknown[0],
                formats=", ".join(known),
                all=ALL,
            )
        )
    return names


def possible(
    renderers: Sequence[Renderer[Noun]], names: Set[str], events: Events = SILENT
) -> tuple[Renderer[Noun], ...]:
    """Those of the formats that are named; with ``all``, those that can be written here.

    Raises:
        MissingRequirement: a format that was named needs what is not installed.
    """
    found = []
    for renderer in renderers:
        if ALL not in names and renderer.format not in names:
            continue
        lack = _lack_of(renderer)
        if lack is None:
            found.append(renderer)
        elif renderer.format in names:
            raise MissingRequirement(message("formats.missing", "--format {told}", told=lack))
        else:
            events.noted(message("left-out", "skipped: {error}", error=lack), warning=True)
    return tuple(found)


def _lack_of(renderer: Renderer[Any]) -> Message | None:
    """Why a format cannot be written here; None: it can."""
    missing = [module for module in renderer.requires if find_spec(module) is None]
    if not missing:
        return None
    return message(
        "format.missing",
        "{format} needs {missing}. Install with: pip install 'leakhunt-ml[{extra}]'",
        format=renderer.format,
        missing=", ".join(missing),
        extra=renderer.extra,
    )

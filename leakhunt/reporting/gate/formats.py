"""The files of a gate, for people and for CI, each made of a `GateResult` and a `Repository`.

Annotations are no file: they are printed (`gate_annotations`).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from leakhunt.model.gate import GateResult
from leakhunt.reporting.gate.source_lines import Repository
from leakhunt.text.language import ENGLISH


@dataclass(frozen=True, slots=True)
class GateRenderer:
    """A file of a gate: its format, its name and how the answers become its bytes.

    `language` is the one that it is always written in, since programs read it; None: the one
    spoken.
    """

    format: str
    file_name: str
    render: Callable[[GateResult, Repository], bytes]
    language: str | None = None


def _plain(module: str) -> Callable[[GateResult, Repository], bytes]:
    """One that names no lines of the repository, imported on use."""
    return lambda gated, _: bytes(_module(module).render(gated))


def _placed(module: str) -> Callable[[GateResult, Repository], bytes]:
    """One that does, imported on use."""
    return lambda gated, repository: bytes(_module(module).render(gated, repository))


def _module(name: str) -> Any:
    return importlib.import_module(f"{__package__}.{name}")


GATE_RENDERERS: tuple[GateRenderer, ...] = (
    GateRenderer("md", "gate.md", _plain("markdown")),
    GateRenderer("json", "gate.json", _plain("json_file"), ENGLISH),
    GateRenderer("junit", "gate.junit.xml", _plain("junit"), ENGLISH),
    GateRenderer("sarif", "gate.sarif", _placed("sarif"), ENGLISH),
    GateRenderer("codequality", "gl-code-quality.json", _placed("codequality"), ENGLISH),
    # Written last and told last: it leads to all else.
    GateRenderer("html", "gate.html", _plain("html_page")),
)

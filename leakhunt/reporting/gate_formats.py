"""The files of a gate, for people and for CI. Each renderer takes a `Gated` and a `Repository`.

Annotations are no file: they are printed (`gate_annotations`).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from leakhunt.gated import Gated
from leakhunt.language import ENGLISH
from leakhunt.reporting.repository import Repository


@dataclass(frozen=True, slots=True)
class GateRenderer:
    """A file of a gate: its format, its name and how the answers become its bytes.

    `language` is the one that it is always written in, since programs read it; None: the one
    spoken.
    """

    format: str
    file_name: str
    render: Callable[[Gated, Repository], bytes]
    language: str | None = None


def _plain(module: str) -> Callable[[Gated, Repository], bytes]:
    """One that names no lines of the repository, imported on use."""
    return lambda gated, _: bytes(_module(module).render(gated))


def _placed(module: str) -> Callable[[Gated, Repository], bytes]:
    """One that does, imported on use."""
    return lambda gated, repository: bytes(_module(module).render(gated, repository))


def _module(name: str) -> Any:
    return importlib.import_module(f"leakhunt.reporting.{name}")


GATE_RENDERERS: tuple[GateRenderer, ...] = (
    GateRenderer("md", "gate.md", _plain("gate_markdown")),
    GateRenderer("json", "gate.json", _plain("gate_json"), ENGLISH),
    GateRenderer("junit", "gate.junit.xml", _plain("gate_junit"), ENGLISH),
    GateRenderer("sarif", "gate.sarif", _placed("gate_sarif"), ENGLISH),
    GateRenderer("codequality", "gl-code-quality.json", _placed("gate_codequality"), ENGLISH),
    # Written last and told last: it leads to all else.
    GateRenderer("html", "gate.html", _plain("gate_html")),
)

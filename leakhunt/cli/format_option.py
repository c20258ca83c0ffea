"""``--format``: which files of a report are written; one option for every verb that writes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from leakhunt.cli.notes import Notes
from leakhunt.engine.formats import ALL, BY_DEFAULT, renderers_named
from leakhunt.reporting.registry import Renderer, RunRenderer, formats


def _chosen(
    context: click.Context, parameter: click.Parameter, requested: str
) -> tuple[RunRenderer, ...]:
    del context, parameter
    return renderers_named(requested, Notes())


# Checked while the options are read: nothing is measured for a report that cannot be written.
format_option = click.option(
    "--format",
    "renderers",
    default=BY_DEFAULT,
    show_default=True,
    callback=_chosen,
    metavar="NAME,...",
    help=f"Files to write: some of {', '.join(formats())}; or {ALL}.",
)


def formats_option(
    renderers: Sequence[Renderer[Any]],
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """``--format`` of a verb whose report has renderers of its own; all of them by default."""
    names = dict.fromkeys(renderer.format for renderer in renderers)
    return click.option(
        "--format",
        "formats",
        default=ALL,
        show_default=True,
        metavar="NAME,...",
        help=f"Files to write: some of {', '.join(names)}; or {ALL}.",
    )

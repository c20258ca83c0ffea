"""``--format``: which files of a report are written; one option for every verb that writes them."""

from __future__ import annotations

from collections.abc import Collection, Sequence, Set
from importlib.util import find_spec

import click

from leakhunt.errors import MissingRequirement, UsageError
from leakhunt.reporting.registry import RENDERERS, Renderer, formats
from leakhunt.text.language import tr

ALL = "all"


def chosen(asked: str) -> tuple[Renderer, ...]:
    """The renderers of the formats that `asked` names, in the order in which they are written.

    With ``all``, those that need what is not installed are left out, with a line that says so.

    Raises:
        UsageError: there is no such format.
        MissingRequirement: a format that was named needs what is not installed.
    """
    return possible(RENDERERS, names_among(asked, formats()))


def names_among(asked: str, known: Collection[str]) -> set[str]:
    """The formats that `asked` names.

    Raises:
        UsageError: one is not `known`.
    """
    names = {name.strip().lower() for name in asked.split(",")}
    unknown = sorted(names - {ALL, *known})
    if unknown:
        raise UsageError(
            tr(
                "--format {asked!r}: {unknown!r} is no format; use some of {formats}"
                " (comma-separated), or {all}",
                asked=asked,
                unknown=unknown[0],
                formats=", ".join(known),
                all=ALL,
            )
        )
    return names


def possible(renderers: Sequence[Renderer], names: Set[str]) -> tuple[Renderer, ...]:
    """Those of the formats that are named; with ``all``, those that can be written here.

    Raises:
        MissingRequirement: a format that was named needs what is not installed.
    """
    wanted = [each for each in renderers if ALL in names or each.format in names]
    return tuple(renderer for renderer in wanted if _is_possible(renderer, names))


def _is_possible(renderer: Renderer, names: Set[str]) -> bool:
    missing = [module for module in renderer.requires if find_spec(module) is None]
    if not missing:
        return True
    told = tr(
        "{format} needs {missing}; install the extra: pip install 'leakhunt[{extra}]'",
        format=renderer.format,
        missing=", ".join(missing),
        extra=renderer.extra,
    )
    if renderer.format in names:
        raise MissingRequirement(tr("--format {told}", told=told))
    click.echo(tr("leakhunt: left out: {told}", told=told), err=True)
    return False


def _chosen(context: click.Context, parameter: click.Parameter, asked: str) -> tuple[Renderer, ...]:
    del context, parameter
    return chosen(asked)


# Checked while the options are read: nothing is measured for a report that cannot be written.
format_option = click.option(
    "--format",
    "renderers",
    default=",".join(dict.fromkeys(each.format for each in RENDERERS if each.by_default)),
    show_default=True,
    callback=_chosen,
    metavar="NAME,...",
    help=f"Files to write: some of {', '.join(formats())}; or {ALL}.",
)

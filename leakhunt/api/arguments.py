"""What arguments of the verbs stand for: places, targets, formats of a report."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from leakhunt.engine.events import Events
from leakhunt.engine.formats import renderers_named
from leakhunt.errors import UsageError
from leakhunt.reporting.registry import RunRenderer
from leakhunt.text.message import message

PathLike: TypeAlias = str | os.PathLike[str]
Target: TypeAlias = str | os.PathLike[str] | Callable[..., Any]


def names_of(places: Sequence[PathLike]) -> tuple[str, ...]:
    return tuple(os.fspath(place) for place in places)


def path_of(place: PathLike | None) -> Path | None:
    return None if place is None else Path(place)


def renderers_of(formats: str | None, events: Events) -> tuple[RunRenderer, ...]:
    return renderers_named(formats, events) if formats is not None else ()


def target_of(target: Target, variants: Sequence[str]) -> str:
    """What names the target for a fresh process.

    Raises:
        UsageError: it is a function that no fresh process can import.
    """
    if not isinstance(target, str | os.PathLike):
        if variants:
            raise UsageError(
                message("argument.function-variants", "a function has no variants. Remove variants")
            )
        return _importable(target)
    named = os.fspath(target)
    return f"{named}:{','.join(variants)}" if variants else named


def _importable(function: Callable[..., Any]) -> str:
    """``file.py:function``, where the file gives that function to whoever imports it."""
    name = getattr(function, "__qualname__", "")
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    if (
        module is None
        or module.__name__ == "__main__"
        or not name.isidentifier()
        or getattr(module, name, None) is not function
    ):
        raise UsageError(
            message(
                "argument.cannot-import",
                "{function}: a fresh process cannot import it. Move it to a module, or use"
                " in_process=True",
                function=name or repr(function),
            )
        )
    file = inspect.getsourcefile(module) if getattr(module, "__file__", None) else None
    if file is None:
        raise UsageError(
            message(
                "argument.no-source",
                "{function}: its module has no Python source",
                function=name,
            )
        )
    return f"{file}:{name}"

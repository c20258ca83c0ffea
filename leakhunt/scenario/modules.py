"""The source of a module that is named as an import names it, found without importing anything.

`importlib.util.find_spec` of a dotted name imports the packages around it, which runs the user's
code. So only the topmost name is looked up that way, which runs nothing, and from there on the
path of each package is searched. The module itself is imported by a worker only.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from leakhunt.errors import UsageError
from leakhunt.text.message import message

_SOURCE = ".py"
_PACKAGE_FILE = "__init__.py"


def is_module_name(place: str) -> bool:
    """Whether it can name a module: ``mypackage.module``."""
    return all(part.isidentifier() for part in place.split("."))


def source_of(module: str, folder: Path) -> Path | None:
    """The source file of a module that is importable from `folder`, or installed; None: no module.

    Raises:
        UsageError: it has no source in Python.
    """
    spec = _spec(module, folder)
    if spec is None:
        return None
    if spec.origin is None or not spec.has_location or not spec.origin.endswith(_SOURCE):
        raise UsageError(
            message(
                "scenario.no-source",
                "{module}: no Python source. Measure a function of your own that calls it",
                module=module,
            )
        )
    return Path(spec.origin)


def _spec(module: str, folder: Path) -> ModuleSpec | None:
    top, *inner = module.split(".")
    found = PathFinder.find_spec(top, [str(folder), *sys.path]) or _by_any_finder(top)
    for at, part in enumerate(inner, 2):
        if found is None or found.submodule_search_locations is None:
            return None
        name = ".".join((*module.split(".")[: at - 1], part))
        found = PathFinder.find_spec(name, list(found.submodule_search_locations))
    return found


def _by_any_finder(top: str) -> ModuleSpec | None:
    """Packages that are installed as editable are found by import hooks of their own."""
    try:
        return importlib.util.find_spec(top)
    except (ImportError, ValueError):  # a module without a spec, or a hook that fails
        return None


def module_of(file: Path) -> str:
    """The dotted name of a file that is part of a package; empty: it stands alone."""
    folder = file.resolve().parent
    parts = [] if file.name == _PACKAGE_FILE else [file.stem]
    while (folder / _PACKAGE_FILE).is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    alone = len(parts) == (0 if file.name == _PACKAGE_FILE else 1)
    return "" if alone or not all(part.isidentifier() for part in parts) else ".".join(parts)


def import_root(module: str, file: Path) -> Path | None:
    """The folder from which `module` is imported as `file`; None: its folders are named otherwise.

    A package that is installed as editable may lie in a folder of another name.
    """
    parts: Sequence[str] = module.split(".")
    path = file.resolve()
    path = path.parent if path.name == _PACKAGE_FILE else path.with_suffix("")
    if list(path.parts[-len(parts) :]) != list(parts):
        return None
    return path.parents[len(parts) - 1]

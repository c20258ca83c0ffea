"""Finding a scenario by name, by path or as a module; and loading it, which only a worker does."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from leakhunt.errors import ScenarioFailed, UsageError
from leakhunt.model.scenario import Scenario, Variant
from leakhunt.scenario.describe import describe
from leakhunt.scenario.modules import import_root, is_module_name, source_of
from leakhunt.scenario.plain_functions import EVERY, is_pattern
from leakhunt.scenario.variants import variants_named
from leakhunt.text.message import message
from leakhunt.text.suggest import hint


def builtin_folder() -> Path:
    """The folder of the built-in scenarios: inside the wheel, or beside the package in a clone."""
    inside = Path(__file__).parents[1] / "scenarios"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "scenarios"


def builtin() -> Iterator[Scenario]:
    """The built-in scenarios, by name: a folder's, or for a folder of scenarios both joined."""
    for file in sorted(builtin_folder().rglob("scenario.py")):
        described = describe(file)
        family = file.parts[len(builtin_folder().parts) : -2]
        yield replace(described, name="-".join((*family, described.name)).replace("_", "-"))


def find(target: str) -> tuple[Scenario, tuple[Variant, ...]]:
    """The scenario and the variants that ``NAME_OR_FILE[:variant,...]`` names.

    Without variants: all of them. In a file or a module that marks none, functions are named.

    Raises:
        UsageError: no such scenario, file, variant or function.
        BadFile: the file is no scenario.
    """
    place, names = split_target(target)
    scenario = find_scenario(place, names.split(",") if names else ())
    if scenario.plain and is_pattern(names):
        names = ""
    owner = message("scenario.named", "scenario {name}", name=scenario.name)
    return scenario, variants_named(owner, names, scenario.variants)


def listed(target: str) -> Scenario:
    """The same, to be shown: of a plain file without names, all functions that can be measured.

    Raises:
        UsageError: no such scenario, file, variant or function.
        BadFile: the file is no scenario, and has no such function.
    """
    place, names = split_target(target)
    return find(target)[0] if names else find_scenario(place, EVERY)


def split_target(target: str) -> tuple[str, str]:
    """What is named, and the variants or functions of it."""
    # os.path, not Path: a long list of variants is no possible file name, and no error either.
    if not os.path.exists(target) and ":" in target:  # noqa: PTH110
        place, _, names = target.rpartition(":")
        return place, names
    return target, ""


def find_scenario(
    place: str, functions: Sequence[str] = (), folder: Path | None = None
) -> Scenario:
    """The scenario of a name, a path, or a module that is importable from `folder` (default: here).

    `functions` are the names of its variants, where it marks none.

    Raises:
        UsageError: no such scenario, file or function.
        BadFile: the file is no scenario.
    """
    known = {found.name: found for found in builtin()}
    if place in known:
        return known[place]
    path = Path(place)
    if os.path.isdir(place):  # noqa: PTH112
        path = path / "scenario.py"
    if os.path.isfile(path):  # noqa: PTH113
        return describe(path, functions)
    if path.suffix == ".py" or "/" in place:
        raise UsageError(
            message(
                "scenario.no-such-file",
                "{place}: scenario file not found. Check the path",
                place=place,
            )
        )
    if is_module_name(place):
        source = source_of(place, folder or Path.cwd())
        if source is not None:
            return describe(source, functions, place)
        if functions or "." in place:
            raise UsageError(
                message(
                    "scenario.no-module",
                    "{place!r}: module or scenario not found{hint}. Run from its folder,"
                    " install it, or list scenarios with 'leakhunt list'",
                    place=place,
                    hint=hint(place, known),
                )
            )
    raise UsageError(
        message(
            "scenario.no-such-name",
            "scenario {place!r} not found{hint}. List scenarios with 'leakhunt list'",
            place=place,
            hint=hint(place, known),
        )
    )


def same_at(scenario: Scenario, file: Path) -> Scenario:
    """The scenario as another revision of its file has it.

    Raises:
        LeakhuntError: it is not there, or is none.
    """
    if not scenario.plain:
        return describe(file)
    functions = [variant.function for variant in scenario.variants]
    there = [name for name in functions if _has(file, name)]
    return replace(describe(file, there or functions), name=scenario.name, module=scenario.module)


def _has(file: Path, function: str) -> bool:
    """Whether there is such a function that can be called."""
    try:
        return describe(file, [function]).plain
    except UsageError:
        return False


def settle_options(scenario: Scenario, given: Mapping[str, str]) -> dict[str, str]:
    """The scenario's options with `given` over the defaults.

    Raises:
        UsageError: an option it does not have, or a word it does not know.
    """
    known = {option.name: option for option in scenario.options}
    for name, value in given.items():
        if name not in known:
            has = (
                message("scenario.known-options", "known options: {known}", known=", ".join(known))
                if known
                else message("scenario.has-no-options", "it has no options")
            )
            raise UsageError(
                message(
                    "scenario.no-option",
                    "scenario {scenario} has no option {name!r}{hint}; {has}",
                    scenario=scenario.name,
                    name=name,
                    hint=hint(name, known),
                    has=has,
                )
            )
        choices = known[name].choices
        if choices and value not in choices:
            raise UsageError(
                message(
                    "scenario.option-value",
                    "{name}={value!r}: unknown value. Use one of {choices}",
                    name=name,
                    value=value,
                    choices=", ".join(filter(None, choices)),
                )
            )
    return {name: given.get(name, option.default) for name, option in known.items()}


def load(file: str, module: str = "") -> ModuleType:
    """Run the scenario file, as ``python FILE`` would: its folder comes first on the path.

    A `module` is imported by its name. Only a worker calls this.

    Raises:
        ScenarioFailed: the file cannot be imported, or ends the process.
        Exception: whatever it raises.
    """
    try:
        return _imported(module, Path(file)) if module else _run(Path(file).resolve())
    except SystemExit as error:
        raise ScenarioFailed(
            message(
                "scenario.exits",
                "{file}: importing it calls sys.exit({code!r}). Guard that call with 'if"
                " __name__ == {main!r}'",
                file=Path(file).name,
                code=error.code,
                main="__main__",
            )
        ) from error


def _imported(module: str, file: Path) -> ModuleType:
    root = import_root(module, file)
    if root is not None and str(root) not in sys.path:
        sys.path.insert(0, str(root))
    return importlib.import_module(module)


def _run(path: Path) -> ModuleType:
    sys.path.insert(0, str(path.parent))
    name = f"leakhunt_scenario_{path.parent.name if path.name == 'scenario.py' else path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ScenarioFailed(
            message("scenario.cannot-import", "{file}: cannot be imported as Python", file=path)
        )
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module

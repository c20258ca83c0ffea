"""Scenarios: the contract, finding them by name, and loading them, which only a worker does.

A scenario is one Python file (or a folder with a ``scenario.py`` and helpers beside it)::

    \"\"\"What this workload is, in one line.\"\"\"
    from leakhunt import variant

    def setup(context):              # once; what it returns is handed to every call
        return {}

    def make_input(state, call):     # optional: the input of call 0, 1, 2 ..., outside the timing
        return f"key-{call}"

    @variant                         # the first variant is the reference of all others
    def naive(state, item):
        \"\"\"One line for ``leakhunt list``.\"\"\"
        state[item] = bytearray(1000)

Optional functions: ``teardown(state)``; ``summarize(state, result)``, a JSON value by which a
call's result is compared with the reference's; ``audio_seconds(state, item)``, how much audio an
input is, so that curves can be drawn by minutes of audio; ``prepare(context)``, run once in a
process of its own before all variants, which may leave files in ``context.scratch`` and returns
facts (text by name) for the header of every run.

Optional constants, each a literal, since the file is described without being run: ``EXTRA`` and
``REQUIRES`` (the pip extra and the modules it needs), ``DEVICES``, ``OPTIONS``, ``RESULT``
(``"intervals"``: the summary is a list of [start, end] in milliseconds; default ``"equal"``) and
``CALLS`` (how many calls unless the user says otherwise; default: as many as the verdict needs).

What is only reached on an error path, or only for new keys or new shapes, leaks only there: let
``make_input`` bring about the error, or give each call a key of its own.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar, overload

from leakhunt.errors import ScenarioFailed, UsageError
from leakhunt.model.scenario import Scenario, Variant
from leakhunt.scenario.describe import describe
from leakhunt.scenario.variants import variants_named
from leakhunt.text.language import tr
from leakhunt.text.suggest import hint

_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Context:
    """What a scenario's ``setup`` and ``prepare`` are told.

    `calls` is None where there will be as many as the verdict needs. `device` is ``cpu`` or
    ``cuda``; `scratch` is a folder shared by all variants of this run and removed after it,
    `folder` this worker's own, likewise removed.
    """

    variant: str
    calls: int | None
    seed: int
    threads: int
    device: str
    options: Mapping[str, str]
    scratch: Path
    folder: Path


@overload
def variant(function: _Function) -> _Function: ...
@overload
def variant(
    *,
    name: str = ...,
    devices: tuple[str, ...] = ...,
    expect: str | tuple[str, ...] = ...,
    rate: float = ...,
    culprit: str = ...,
    cause: str = ...,
) -> Callable[[_Function], _Function]: ...
def variant(  # noqa: PLR0913 - keywords that a reader of a scenario sees by name
    function: _Function | None = None,
    *,
    name: str = "",
    devices: tuple[str, ...] = (),
    expect: str | tuple[str, ...] = (),
    rate: float = 0,
    culprit: str = "",
    cause: str = "",
) -> _Function | Callable[[_Function], _Function]:
    """Mark a function of a scenario file as a variant.

    It is called as ``function(state, item)``. `name` is the function's own with hyphens unless
    given; `devices` are those it makes sense on (default: all of the scenario's). Where the truth
    is known, `expect` is what the verdict must be (a `leakhunt.model.kinds.Kind`, or several)
    and `rate` the growth a call in bytes (or descriptors, threads, children): ``leakhunt truth``
    holds the verdict against them. `culprit` is what the first suspect must name (part of the
    retention chain or of the line that allocates) and `cause` its id in the catalogue: for
    ``leakhunt truth --hunt``. The mark is read from the source, so its arguments must be
    literals; at run time it changes nothing.
    """
    if function is not None:
        return function
    return lambda decorated: decorated


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

    Without variants: all of them.

    Raises:
        UsageError: no such scenario, file or variant.
        BadFile: the file is no scenario.
    """
    place, names = target, ""
    # os.path, not Path: a long list of variants is no possible file name, and no error either.
    if not os.path.exists(target) and ":" in target:  # noqa: PTH110
        place, _, names = target.rpartition(":")
    scenario = _find_scenario(place)
    owner = tr("scenario {name}", name=scenario.name)
    return scenario, variants_named(owner, names, scenario.variants)


def _find_scenario(place: str) -> Scenario:
    known = {found.name: found for found in builtin()}
    if place in known:
        return known[place]
    path = Path(place)
    if os.path.isdir(place):  # noqa: PTH112
        path = path / "scenario.py"
    if os.path.isfile(path):  # noqa: PTH113
        return describe(path)
    if path.suffix == ".py" or "/" in place:
        raise UsageError(tr("{place}: no such scenario file; check the path", place=place))
    raise UsageError(
        tr(
            "no scenario {place!r}{hint}; 'leakhunt list' shows them",
            place=place,
            hint=hint(place, known),
        )
    )


def settle_options(scenario: Scenario, given: Mapping[str, str]) -> dict[str, str]:
    """The scenario's options with `given` over the defaults.

    Raises:
        UsageError: an option it does not have, or a word it does not know.
    """
    known = {option.name: option for option in scenario.options}
    for name, value in given.items():
        if name not in known:
            has = tr("it has {known}", known=", ".join(known)) if known else tr("it has none")
            raise UsageError(
                tr(
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
                tr(
                    "{name}={value!r}: use one of {choices}",
                    name=name,
                    value=value,
                    choices=", ".join(choices),
                )
            )
    return {name: given.get(name, option.default) for name, option in known.items()}


def load(file: str) -> ModuleType:
    """Run the scenario file, as ``python FILE`` would: its folder comes first on the path.

    Only a worker calls this.

    Raises:
        ScenarioFailed: the file cannot be imported.
    """
    path = Path(file).resolve()
    sys.path.insert(0, str(path.parent))
    name = f"leakhunt_scenario_{path.parent.name if path.name == 'scenario.py' else path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ScenarioFailed(tr("{file}: cannot be imported as Python", file=file))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module

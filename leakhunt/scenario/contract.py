"""The contract of scenarios: what a scenario file may define, and what its functions are given.

A scenario is Python code, and a plain function is enough: ``leakhunt run my_service.py:handle``,
or ``mypackage.module:handle``, calls it again and again. It is given what its parameters name:
``input`` (what ``make_input`` makes, else the number of the call), ``call`` (that number),
``state`` (what ``setup`` returned, else None). A single required parameter of another name is the
input; parameters with defaults that have other names keep them.

Who wants more marks variants in a file (or a folder with a ``scenario.py`` and helpers in it)::

    \"\"\"What this workload is, in one line.\"\"\"
    from leakhunt import variant

    def setup(context):              # optional: once; what it returns is handed to every call
        return {}

    def make_input(state, call):     # optional: the input of call 0, 1, 2 ..., outside the timing
        return f"key-{call}"

    @variant                         # the first variant is the reference of all others
    def naive(state, item):
        \"\"\"One line for ``leakhunt list``.\"\"\"
        state[item] = bytearray(1000)

Further optional functions: ``teardown(state)``; ``summarize(state, result)``, a JSON value by which
a call's result is compared with the reference's; ``audio_seconds(state, item)``, how much audio an
input is, so that curves can be drawn by minutes of audio; ``input_size(state, item)``, how big an
input is in any other unit (a whole number; ``INPUT_UNIT = "token"`` names the unit), so that the
peak of a call is told by it: of bytes, texts and arrays it is known without; ``prepare(context)``,
run once in a process of its own before all variants, which may leave files in ``context.scratch``
and returns facts (text by name) for the header of every run. In a file without ``@variant`` such a
name may well be something else: there a function counts only if its parameters are named as here.

Coroutine functions are awaited, all in one event loop; generator functions run to their end.

Optional constants, each a literal, since the file is described without being run: ``EXTRA`` and
``REQUIRES`` (the pip extra and the modules it needs), ``DEVICES``, ``OPTIONS``, ``RESULT``
(``"intervals"``: the summary is a list of [start, end] in milliseconds; default ``"equal"``);
``CALLS`` (how many calls unless the user says otherwise; default: as many as the verdict needs) and
``JOBS`` (how many variants are measured at the same time, likewise; default: 1): where they are
many, or their calls take long, and two of them fit into memory.

What is only reached on an error path, or only for new keys or new shapes, leaks only there: let
``make_input`` bring about the error, or give each call a key of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, overload

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

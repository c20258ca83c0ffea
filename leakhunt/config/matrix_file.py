"""Reading a matrix: strictly, so that no axis is forgotten because of a wrong name.

scenario = "my_service.py:handle"    # as for `leakhunt run`
repeats = 2                          # optional, as are all below
calls = 400
threads = 1
memory_limit = "2 GiB"
with = ["numpy==2.1.*"]              # requirements; one with .* is an axis of versions
isolated = false

[axes]
variant = ["naive", "cleaned"]
lengths = ["fixed", "varied"]        # an option of the scenario
threads = [1, 2]
allocator = ["glibc", "jemalloc"]
python = ["3.11", "3.12"]
"env.MALLOC_ARENA_MAX" = ["", "1"]   # "" is: not set
"package.funasr" = ["1.3.1", "1.3.*"]

[[exclude]]                          # a cell with all of these values is left out
variant = "cleaned"
threads = 2
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from leakhunt.errors import BadFile
from leakhunt.text.message import message
from leakhunt.text.system import system_text
from leakhunt.toml_file import Table, read_table

_KEYS = (
    "scenario", "repeats", "seed", "calls", "budget", "device", "threads", "memory_limit",
    "timeout", "with", "isolated", "hunt", "axes", "options", "environment", "exclude",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class MatrixFile:
    """A matrix as a file describes it; None: it says nothing of it.

    `axes` and `exclude` are words as the command line has them: ``threads=1,2``.
    """

    scenario: str
    folder: Path
    axes: tuple[tuple[str, tuple[str, ...]], ...]
    exclude: tuple[Mapping[str, str], ...] = ()
    requirements: tuple[str, ...] = ()
    isolated: bool = False
    hunt: bool = True
    repeats: int | None = None
    seed: int | None = None
    calls: int | None = None
    budget: float | None = None
    device: str = ""
    threads: int | None = None
    memory_limit: str = ""
    timeout: float | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


def read_matrix(file: Path) -> MatrixFile:
    """The matrix of a file; a scenario's path in it is looked for beside the file.

    Raises:
        BadFile: it cannot be read, is no TOML, or something in it is missing, unknown or wrong.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise BadFile(
            message(
                "file.cannot-read",
                "{file}: {strerror}. Check the path",
                file=file,
                strerror=system_text(error),
            )
        ) from error
    table = read_table(content, str(file))
    table.only(_KEYS)
    return MatrixFile(
        scenario=table.needed("scenario"),
        folder=file.resolve().parent,
        axes=_axes(table),
        exclude=tuple(_pairs(each) for each in table.tables("exclude", "exclude")),
        requirements=table.texts("with"),
        isolated=table.truth("isolated"),
        hunt=table.truth("hunt") if "hunt" in table.items else True,
        repeats=table.whole_number("repeats", 1),
        seed=table.whole_number("seed", 0),
        calls=table.whole_number("calls", 1),
        budget=table.number_above_0("budget"),
        device=table.text("device"),
        threads=table.whole_number("threads", 1),
        memory_limit=table.text("memory_limit"),
        timeout=table.number_above_0("timeout"),
        options=_pairs(table.table("options")),
        environment=_pairs(table.table("environment")),
    )


def _axes(table: Table) -> tuple[tuple[str, tuple[str, ...]], ...]:
    axes = table.table("axes")
    return tuple((name, _values(axes, name)) for name in axes.items)


def _values(axes: Table, name: str) -> tuple[str, ...]:
    value = axes.items[name]
    if not isinstance(value, list) or not value:
        axes.bad(
            message(
                "matrix-file.values",
                "{name}: expected a list of values, such as ['1', '2']",
                name=name,
            ),
            name,
        )
    return tuple(_word(axes, name, each) for each in value)


def _pairs(table: Table) -> Mapping[str, str]:
    return {name: _word(table, name, value) for name, value in table.items.items()}


def _word(table: Table, name: str, value: object) -> str:
    """A value as the command line has it."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (isinstance(value, str) or is_number):
        table.bad(
            message("matrix-file.value", "{name}: expected quoted texts or numbers", name=name),
            name,
        )
    return str(value)

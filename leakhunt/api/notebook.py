"""The cell magic ``%%leakhunt``, after ``%load_ext leakhunt``: a cell is what is measured.

    %%leakhunt --calls 400
    answer("question")

The cell is called in the notebook's process, with the names that are there. With ``--fresh`` it is
the body of a function in a process of its own: it imports what it needs, and if memory grows, the
lines that retain it are found. The result displays itself.
"""

from __future__ import annotations

import argparse
import ast
import shlex
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, Protocol

from leakhunt.amounts import parse_duration
from leakhunt.api.measuring import run
from leakhunt.engine.run import RunResult
from leakhunt.errors import UsageError
from leakhunt.model.options import BUDGET_SECONDS
from leakhunt.text.message import message

NAME = "leakhunt"
_FUNCTION = "cell"
_FILE = "notebook_cell.py"


class Shell(Protocol):
    """What of IPython's shell is used."""

    user_ns: dict[str, Any]

    def register_magic_function(
        self, func: Callable[[str, str], Any], magic_kind: str, magic_name: str
    ) -> None:
        """Let `func` carry out the magic of that name."""


def load_ipython_extension(shell: Shell) -> None:
    """What ``%load_ext leakhunt`` calls."""

    def magic(line: str, cell: str) -> RunResult:
        """Measure whether the cell leaks memory; see ``%%leakhunt --help``."""
        return measured(line, cell, shell.user_ns)

    shell.register_magic_function(magic, magic_kind="cell", magic_name=NAME)


def measured(line: str, cell: str, names: dict[str, Any]) -> RunResult:
    """Measure a cell with the options of the magic's line; `names` are the notebook's.

    Raises:
        LeakhuntError: as `run`; or the line makes no sense.
        SyntaxError: the cell is no Python.
    """
    parser = _parser()
    try:
        given = parser.parse_args(shlex.split(line))
    except ValueError as error:  # a quote that is not closed
        parser.error(str(error))
    options: dict[str, Any] = {"calls": given.calls, "budget": given.budget}
    tree = ast.parse(cell)
    if given.fresh:
        folder = Path(tempfile.mkdtemp(prefix="leakhunt-cell-"))
        file = folder / _FILE
        file.write_text(_as_function(cell), encoding="utf-8")
        return run(f"{file}:{_FUNCTION}", out=given.out or folder / "runs", **options)
    code = compile(tree, "<cell>", "exec")

    def cell_() -> None:
        exec(code, names)  # noqa: S102 - the cell that the user has just run

    cell_.__name__ = cell_.__qualname__ = _FUNCTION
    out = given.out or Path(tempfile.mkdtemp(prefix="leakhunt-cell-")) / "runs"
    return run(cell_, in_process=True, out=out, formats=None, **options)


def _as_function(cell: str) -> str:
    """The cell as a module whose function does what the cell does."""
    body = textwrap.indent(cell.strip("\n") or "pass", "    ")
    return f'"""A cell of a notebook."""\n\n\ndef {_FUNCTION}():\n{body}\n'


class _Parser(argparse.ArgumentParser):
    def error(self, text: str) -> NoReturn:
        """Not by ending the process, which is the notebook's.

        Raises:
            UsageError: always.
        """
        raise UsageError(message("notebook.usage", "%%leakhunt: {text}", text=text))


def _parser() -> _Parser:
    parser = _Parser(prog=f"%%{NAME}", description=__doc__)
    parser.add_argument("--calls", type=int, help="calls [default: until the verdict is clear]")
    parser.add_argument(
        "--budget", type=parse_duration, default=BUDGET_SECONDS, help="time where memory grows"
    )
    parser.add_argument("--fresh", action="store_true", help="in a process of its own")
    parser.add_argument("--out", type=Path, help="a new or empty folder for run files")
    return parser

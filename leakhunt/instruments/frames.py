"""Places in the code, told so that another machine and another version of the file know them."""

from __future__ import annotations

import ast
import linecache
import sysconfig
import tracemalloc
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import takewhile
from pathlib import Path

from leakhunt.instruments.distributions import installed_name
from leakhunt.instruments.native_frames import UNKNOWN, NativeFrame, is_interpreter, is_python
from leakhunt.model.attribution import STRIPPED, Frame, Origin

_PACKAGE = str(Path(__file__).parents[1])
# The built-in scenarios travel inside the package, and are watched like anybody's.
_SCENARIOS = f"{_PACKAGE}/scenarios/"
# What is watched is called from here.
_LOOP = str(Path(__file__).parents[1] / "worker" / "loop.py")
_STDLIB = tuple({sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")})
_INSTALLED = tuple({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
_PACKAGES = ("/site-packages/", "/dist-packages/")
_FROZEN = "<frozen"
# How the sources of CPython are named in its debug information.
_CPYTHON = ("Objects/", "Python/", "Modules/", "./Include/", "./Modules/", "Include/", "Parser/")
# Those of its extension modules are named by the folder that it was built in.
_BUILT_IN = sysconfig.get_config_var("abs_srcdir") or ""
_BEFORE_MAIN = ("_start", "__libc_start", "start_thread", "__clone", "clone")


class Places:
    """Frames from file names and lines, seen from the scenario's folder."""

    def __init__(self, scenario_file: str) -> None:
        self._folder = str(Path(scenario_file).resolve().parent)

    def frame(
        self, file: str, line: int, function: str = "", shared_object: str = ""
    ) -> Frame | None:
        """The frame, with its function and source looked up; None: it is leakhunt's own.

        A native one is told with the `shared_object` that it is in, if its source is not known.
        """
        if not is_python(file):
            return self._native(function, file, line, shared_object)
        name, origin = self._named(file)
        if origin is None:
            return None
        source = linecache.getline(file, line).strip()
        return Frame(name, line, function or _function_at(file, line), source, origin)

    def frames(self, stack: Iterable[tuple[str, int, str]]) -> tuple[Frame, ...]:
        """The frames of a stack of files, lines and functions, without leakhunt's own.

        What called the loop is no part of what is watched: all of pytest, of a test.
        """
        watched = takewhile(lambda place: not is_of_the_loop(place[0]), stack)
        found = (self.frame(file, line, function) for file, line, function in watched)
        return tuple(frame for frame in found if frame is not None)

    def hybrid(self, stack: Iterable[tuple[NativeFrame, str]]) -> tuple[tuple[Frame, str], ...]:
        """Those of memray, which tells the function first, each with its shared object."""
        watched = takewhile(lambda place: not is_of_the_loop(place[0][1]), stack)
        found = (
            (self.frame(file, line, name, where), where) for (name, file, line), where in watched
        )
        return tuple((frame, where) for frame, where in found if frame is not None)

    def traced(self, traceback: Sequence[tracemalloc.Frame]) -> tuple[Frame, ...]:
        """Those of tracemalloc, which has the innermost last and tells no functions."""
        return self.frames((place.filename, place.lineno, "") for place in reversed(traceback))

    def origin(self, file: str) -> Origin:
        """Whose a file is."""
        return self._named(file)[1] or Origin.LIBRARY

    def _named(self, file: str) -> tuple[str, Origin | None]:
        """The name without the machine's folders, and whose it is; None: leakhunt's own.

        Installed packages first: their environment may lie in the scenario's own folder.
        """
        if file.startswith(_SCENARIOS):
            return self._in_its_folder(file), Origin.YOURS
        if file.startswith(_PACKAGE + "/"):
            return file, None
        for mark in (*(f"{folder}/" for folder in _INSTALLED), *_PACKAGES):
            if mark in file:
                return file.rpartition(mark)[2], Origin.LIBRARY
        for folder in _STDLIB:
            if file.startswith((folder + "/", _FROZEN)):
                return file.removeprefix(folder + "/"), Origin.INTERPRETER
        if (name := installed_name(file)) is not None:
            return name, Origin.LIBRARY
        return self._in_its_folder(file), Origin.YOURS

    def _in_its_folder(self, file: str) -> str:
        if file.startswith(self._folder + "/"):
            return f"{Path(self._folder).name}/{file[len(self._folder) + 1 :]}"
        return "/".join(Path(file).parts[-2:])

    def _native(self, symbol: str, file: str, line: int, shared_object: str) -> Frame | None:
        if file.startswith(_CPYTHON) or symbol.startswith(_BEFORE_MAIN):
            return None  # the interpreter's own loop, between two Python frames
        if _BUILT_IN and file.startswith(f"{_BUILT_IN}/"):
            return None
        if shared_object and is_interpreter(shared_object):
            return None
        name = shared_object.rpartition("/")[2]
        function = STRIPPED if symbol == UNKNOWN else symbol
        if file == UNKNOWN:
            return Frame(name, 0, function, "", self._origin_of_object(shared_object))
        known = file.rpartition("/")[2] if file.startswith(("..", "/")) else file
        return Frame(known, line, function, "", Origin.LIBRARY)

    def _origin_of_object(self, file: str) -> Origin:
        of_stdlib = any(file.startswith(f"{folder}/lib-dynload/") for folder in _STDLIB)
        return Origin.INTERPRETER if of_stdlib else Origin.LIBRARY


def is_of_the_loop(file: str) -> bool:
    """Whether a file is the loop's, from which what is watched is called."""
    return file == _LOOP


@cache
def _spans(file: str) -> tuple[tuple[int, int, str], ...]:
    """First line of the body, last line and name of every function of a file.

    The line of the ``def`` runs in what is around it.
    """
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError, RecursionError):
        return ()
    return tuple(
        (node.body[0].lineno, node.end_lineno or node.lineno, node.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def _function_at(file: str, line: int) -> str:
    """The innermost function around a line; ``<module>`` outside of all."""
    around = [span for span in _spans(file) if span[0] <= line <= span[1]]
    return min(around, key=lambda span: span[1] - span[0])[2] if around else "<module>"

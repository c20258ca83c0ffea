"""Which shared object a native frame is in: memray names functions, and source lines it knows.

memray resolves an address by symbols and debug information, and tells what has neither as unknown.
The address itself is only in the capture file, which memray writes out as text.
"""

from __future__ import annotations

import re
import subprocess
import sys
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, partial
from itertools import chain, groupby, repeat, takewhile
from pathlib import Path

# How memray tells a function or a file that it does not know.
UNKNOWN = "<unknown>"
_DUMP = "import sys; from memray._memray import dump_all_records as dump; dump(sys.argv[1])"
_PATIENCE_SECONDS = 120.0
# The section with the source lines of a shared object; its name stands at the end of the file.
_LINES = b".debug_line"
_LONGEST_NAMES = 1 << 16
# What evaluates Python code, in whose place a stack of both languages has the Python frame.
_EVALUATES = ("_PyEval_EvalFrameDefault", "_TAIL_CALL_")
# The interpreter's own shared object, or its program; that of another process is another one.
_INTERPRETER = "libpython"
_ANY_PROGRAM = re.compile(r"python3(\.\d+)?t?")
_PROGRAM = Path(sys.executable).resolve().name
# Function, file and line.
NativeFrame = tuple[str, str, int]


class SharedObjects:
    """The shared objects of the native frames of one capture file."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._frames: list[tuple[int, int]] = []
        spans: dict[int, tuple[int, str]] = {}
        file, base = "", 0
        for line in lines:
            kind, *words = line.split(" ")
            if kind == "NATIVE_TRACE_INDEX":
                self._frames.append((_number(words[0]), int(words[1].partition("=")[2])))
            elif kind == "SEGMENT_HEADER":
                file = line.partition("filename=")[2].rpartition(" num_segments=")[0]
                base = _number(words[-1])
            elif kind == "SEGMENT":
                start = base + _address(words[0])
                spans[start] = (start + int(words[1], 16), file)
        self._starts = sorted(spans)
        self._spans = [spans[start] for start in self._starts]

    def of_stack(self, stack_id: int, native: Sequence[NativeFrame]) -> list[str]:
        """The object of each frame of a native stack, the innermost first; empty: not known.

        Debug information makes several frames of an address, where functions are inlined. Without,
        an address is one frame, whose file is not known: runs of these are reported one by one,
        from the innermost on, for as long as they agree.
        """
        found = [""] * len(native)
        at = 0
        runs = groupby(self.along(stack_id), key=lambda name: not has_lines(name))
        for is_plain, names in runs:
            length = sum(1 for _ in takewhile(partial(_is_plain, is_plain), native[at:]))
            if is_plain:
                objects = list(names)
                if len(objects) != length:
                    break
                found[at : at + length] = objects
            at += length
        return found

    def along(self, stack_id: int) -> Iterator[str]:
        """The object of each address of a native stack, the innermost first; empty: not known."""
        while 0 < stack_id <= len(self._frames):
            address, stack_id = self._frames[stack_id - 1]
            at = bisect_right(self._starts, address) - 1
            yield self._spans[at][1] if at >= 0 and address <= self._spans[at][0] else ""


def shared_objects(capture: Path) -> SharedObjects:
    """Those of a capture file; none where memray cannot write it out."""
    try:
        result = subprocess.run(
            [sys.executable, "-c", _DUMP, str(capture)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_PATIENCE_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return SharedObjects(())
    return SharedObjects(result.stdout.decode("utf-8", "replace").splitlines())


def with_objects(
    stack: Sequence[NativeFrame], native: Sequence[NativeFrame], objects: Sequence[str]
) -> list[tuple[NativeFrame, str]]:
    """The frames of a stack of both languages, each with its shared object, if that is known.

    The stack has the native frames in their order, but those that evaluate Python code.
    """
    found, at = [], 0
    for frame in stack:
        while at < len(native) and native[at] != frame and native[at][0].startswith(_EVALUATES):
            at += 1
        if at < len(native) and native[at] == frame:
            found.append((frame, objects[at]))
            at += 1
        else:
            found.append((frame, ""))
    return found


def below_python(native: Sequence[NativeFrame]) -> Sequence[NativeFrame]:
    """The frames of a native stack that the innermost frame of Python called."""
    return list(takewhile(lambda frame: not frame[0].startswith(_EVALUATES), native))


def tells_evaluation(native: Sequence[NativeFrame]) -> bool:
    """Whether it is known which frames of a native stack evaluate Python code.

    It is not of an interpreter that goes on by tail calls, if it comes without symbols.
    """
    return any(frame[0].startswith(_EVALUATES) for frame in native)


def certain_of(native: Sequence[NativeFrame], objects: Sequence[str]) -> Sequence[NativeFrame]:
    """The innermost frames that certainly evaluate no Python, by name or shared object."""
    pairs = zip(native, chain(objects, repeat("")), strict=False)
    return [frame for frame, _ in takewhile(lambda each: _is_certain(*each), pairs)]


def whole_stack(
    stack: Sequence[NativeFrame], native: Sequence[NativeFrame], objects: Sequence[str] = ()
) -> tuple[NativeFrame, ...]:
    """The stack of both languages: memray's, which has no native frames in some.

    It joins them by the frames that evaluate Python. Where it does not know these, it leaves out
    all of the native ones; those below the innermost of Python are certain.
    """
    if tells_evaluation(native) or not has_python(stack):
        return tuple(stack)
    return (*certain_of(native, objects), *stack)


def has_python(stack: Sequence[NativeFrame]) -> bool:
    """Whether Python code is in a stack."""
    return any(is_python(file) for _, file, _ in stack)


def _is_certain(frame: NativeFrame, name: str) -> bool:
    return frame[0] != UNKNOWN or (name != "" and not is_interpreter(name))


def is_interpreter(name: str) -> bool:
    """Whether a shared object is the interpreter's own, or its program."""
    file = name.rpartition("/")[2]
    return file.startswith((_INTERPRETER, _PROGRAM)) or _ANY_PROGRAM.fullmatch(file) is not None


@cache
def has_lines(file: str) -> bool:
    """Whether a shared object has debug information, by the names of its sections."""
    try:
        with Path(file).open("rb") as opened:
            opened.seek(40)
            table = int.from_bytes(opened.read(8), sys.byteorder)
            opened.seek(58)
            each, number, names = (int.from_bytes(opened.read(2), sys.byteorder) for _ in range(3))
            opened.seek(table + names * each + 24)
            start = int.from_bytes(opened.read(8), sys.byteorder)
            length = int.from_bytes(opened.read(8), sys.byteorder)
            opened.seek(start)
            return number > 0 and _LINES in opened.read(min(length, _LONGEST_NAMES))
    except OSError:
        return False


def is_python(file: str) -> bool:
    """Whether a file, as a stack of both languages has it, is Python's."""
    return file.endswith((".py", ".pyx")) or (file.startswith("<") and file != UNKNOWN)


def _is_plain(wanted: bool, frame: NativeFrame) -> bool:
    return (frame[1] == UNKNOWN) is wanted


def _number(word: str) -> int:
    return _address(word.partition("=")[2])


def _address(word: str) -> int:
    """Where something is mapped; an executable that is no PIE, at its own addresses: ``(nil)``."""
    return 0 if word == "(nil)" else int(word, 16)

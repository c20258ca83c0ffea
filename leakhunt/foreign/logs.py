"""Logs of other tools: psrecord, memory_profiler's mprof, and lines read from a memory cgroup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

from leakhunt.errors import BadFile
from leakhunt.foreign.units import number_in, time_in
from leakhunt.text.message import message

_MIB = 1 << 20
_SPACES = re.compile(r"\s+")


def is_mprof(lines: Sequence[str]) -> bool:
    """Whether it begins as ``mprofile_*.dat``."""
    return any(line.startswith(("CMDLINE ", "MEM ")) for line in lines[:5])


def mprof(lines: Iterable[str], file: str) -> Iterator[tuple[int, str, float, float]]:
    """``MEM <MiB> <unix time>``; ``CHLD <n> <MiB> <unix time>`` are child processes."""
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0] not in ("MEM", "CHLD"):
            continue  # the command, and entries and exits of functions
        try:
            if words[0] == "MEM":
                yield number, "", float(words[2]), float(words[1]) * _MIB
            else:
                name = f"child {words[1]}"
                yield number, name, float(words[3]), float(words[2]) * _MIB
        except (ValueError, IndexError):
            raise _damaged(file, number, line) from None


def is_psrecord(lines: Sequence[str]) -> bool:
    """Whether it begins as a log of psrecord."""
    return "Real (MB)" in lines[0] and lines[0].lstrip().startswith("#")


def psrecord(lines: Iterable[str], file: str) -> Iterator[tuple[int, str, float, float]]:
    """``elapsed, CPU, real MB, virtual MB``: psrecord's MB are MiB."""
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            yield number, "", float(words[0]), float(words[2]) * _MIB
        except (ValueError, IndexError):
            raise _damaged(file, number, line) from None


def is_cgroup(lines: Sequence[str]) -> bool:
    """Whether lines are a time and what a cgroup says, or end of ``memory.current`` or others."""
    return any("memory." in line or _STAT.match(line) for line in lines[:5])


_ANONYMOUS = ("anon", "total_rss", "memory.stat:anon")
# By so many lines it is known which groups tell their anonymous memory.
_PEEKED = 200
_STAT = re.compile(r"^\S+\s+(anon|file|kernel|total_rss)\s+\d+\s*$")
_LINE = re.compile(
    r"^(?P<time>\S+)[\s,]+(?:(?P<group>/?\S*?)[/:]?)?"
    r"(?P<what>memory\.current|memory\.usage_in_bytes|memory\.stat:anon|anon|total_rss)"
    r"[\s=:,]+(?P<value>\S+)\s*$"
)


def cgroup(lines: Iterable[str], file: str) -> Iterator[tuple[int, str, float, float]]:
    """``<time> [<group>/]memory.current <bytes>``, or ``anon <bytes>`` of ``memory.stat``.

    Of a group that tells both, the anonymous memory: the page cache is no growth of its own.
    """
    stream = iter(lines)
    ahead = list(islice(stream, _PEEKED))
    found_first = [_LINE.match(line.strip()) for line in ahead]
    anonymous = {_group(found) for found in found_first if found and found["what"] in _ANONYMOUS}
    for number, line in enumerate(chain(ahead, stream), 1):
        if not line.strip() or line.startswith("#"):
            continue
        found = _LINE.match(line.strip())
        if found is None:
            if "memory." in line or _STAT.match(line):
                continue  # what else a cgroup tells
            raise _damaged(file, number, line)
        seconds, size = time_in(found["time"]), number_in(found["value"])
        if seconds is None or size is None:
            raise _damaged(file, number, line)
        group = _group(found)
        if found["what"] in _ANONYMOUS or group not in anonymous:
            yield number, group, seconds, size


def _group(found: re.Match[str]) -> str:
    return (found["group"] or "").strip("/:")


def _damaged(file: str, line: int, text: str) -> BadFile:
    return BadFile(
        message(
            "analyze.damaged-line",
            "{file}, line {line}: cannot read {text!r}. Remove the line, or name the format with"
            " --from",
            file=file,
            line=line,
            text=_SPACES.sub(" ", text.strip())[:60],
        )
    )

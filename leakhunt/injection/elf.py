"""Where the functions of an ELF file are: its symbol tables, without a debugger. 64 bits only."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_PROGRAM = struct.Struct("<IIQQQQQQ")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_LITTLE_64 = b"\x7fELF\x02\x01"
_LOADED = 1
# Sections with symbols: those of the linker, which a stripped file has not, and the loader's.
_TABLES = (2, 11)
MACHINES = {62: "x86_64", 183: "aarch64"}


@dataclass(frozen=True, slots=True)
class Elf:
    """What we need of an ELF file: `first` is the address that its first page was linked for."""

    machine: str
    first: int
    symbols: Mapping[str, int]


def read_elf(path: Path, names: Sequence[str]) -> Elf | None:
    """The addresses of `names` as linked, as far as they are there; None: no such file."""
    try:
        with path.open("rb") as file:
            if file.read(len(_LITTLE_64)) != _LITTLE_64:
                return None
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _read(data, names)
    except (OSError, ValueError, struct.error):
        return None


def _read(data: mmap.mmap, names: Sequence[str]) -> Elf:
    head = _HEADER.unpack_from(data)
    machine, programs_at, sections_at, size, count = head[2], head[5], head[6], head[9], head[10]
    programs = (_PROGRAM.unpack_from(data, programs_at + size * at) for at in range(count))
    loaded = [(each[2], each[3]) for each in programs if each[0] == _LOADED]
    first = min((address - offset for offset, address in loaded), default=0)
    sections = [_SECTION.unpack_from(data, sections_at + head[11] * at) for at in range(head[12])]
    wanted = {name.encode(): name for name in names}
    found: dict[str, int] = {}
    for section in sections:
        if section[1] in _TABLES and len(found) < len(names):
            found |= dict(_symbols(data, section, sections[section[6]], wanted))
    return Elf(MACHINES.get(machine, str(machine)), first, found)


def _symbols(
    data: mmap.mmap,
    table: tuple[int, ...],
    texts: tuple[int, ...],
    wanted: Mapping[bytes, str],
) -> Iterator[tuple[str, int]]:
    strings = data[texts[4] : texts[4] + texts[5]]
    places = {strings.find(b"\0" + name + b"\0") + 1: name for name in wanted}
    longest = max(map(len, wanted), default=0) + 1
    rows = data[table[4] : table[4] + table[5] // _SYMBOL.size * _SYMBOL.size]
    for at, _, _, section, value, _ in _SYMBOL.iter_unpack(rows):
        if not section or not value:
            continue
        name = places.get(at) or strings[at : at + longest].partition(b"\0")[0]
        if name in wanted:
            yield wanted[name], value

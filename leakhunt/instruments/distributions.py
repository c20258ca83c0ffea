"""Which installed distribution a file is of: by its metadata, not by the name of a folder."""

from __future__ import annotations

import sys
from functools import cache
from importlib import metadata
from pathlib import Path

_LIBRARIES = ".libs"


@cache
def distribution_of(file: str) -> tuple[str, str] | None:
    """Name and version of the distribution that installed a file; None: none did.

    It lies where the distribution does: what is only beside it (an editable project, a copy in
    another folder) is nobody's.
    """
    for entry in sys.path:
        folder = str(Path(entry or ".").resolve())
        if not file.startswith(f"{folder}/"):
            continue
        top = file[len(folder) + 1 :].partition("/")[0]
        for found in _by_top_level().get((folder, _import_name(top)), ()):
            return found.metadata["Name"], found.version
    return None


def installed_name(file: str) -> str | None:
    """The file as its distribution has it (``made/core.py``); None: none installed it."""
    if distribution_of(file) is None:
        return None
    folders = [str(Path(entry or ".").resolve()) for entry in sys.path]
    folder = next(each for each in folders if file.startswith(f"{each}/"))
    return file[len(folder) + 1 :]


def read_records() -> None:
    """Read what is installed ahead of time: while allocations are traced it takes seconds."""
    _by_top_level()


@cache
def _by_top_level() -> dict[tuple[str, str], list[metadata.Distribution]]:
    """Distributions by the folder that they lie in, and the names at its top that are theirs."""
    found: dict[tuple[str, str], list[metadata.Distribution]] = {}
    for each in metadata.distributions():
        # Without a record of what was installed it is a project's own folder. Its lines are read as
        # they are: Distribution.files makes an object of each, which takes half a minute for torch.
        lines = (each.read_text("RECORD") or "").splitlines()
        tops = {line.partition(",")[0].strip('"').partition("/")[0] for line in lines}
        folder = str(Path(str(each.locate_file(""))).resolve())
        for name in {_import_name(top) for top in tops - {"", ".."}}:
            found.setdefault((folder, name), []).append(each)
    return found


def _import_name(top: str) -> str:
    """``ujson`` of ``ujson.cpython-311-x86_64-linux-gnu.so``; libraries of a wheel are its own."""
    return top if top.endswith(_LIBRARIES) else top.partition(".")[0]

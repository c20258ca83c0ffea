"""Files that are made of run files, each written whole or not at all."""

from __future__ import annotations

from pathlib import Path

from leakhunt.errors import CannotWrite
from leakhunt.text.message import message
from leakhunt.text.system import system_text


def write_file(path: Path, content: bytes, runs: Path) -> Path:
    """Write a file that is made of run files in the folder `runs`, whole or not at all; its path.

    Raises:
        CannotWrite: the disk does not take it; the run files are untouched.
    """
    try:
        write_whole(path, content)
    except OSError as error:
        raise CannotWrite(
            message(
                "file.cannot-write-report",
                "{path}: {strerror}. All samples are safe in the run files: free some space,"
                " or run 'leakhunt report {folder} --out ELSEWHERE'",
                path=path,
                strerror=system_text(error),
                folder=runs,
            )
        ) from error
    return path


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        OSError: the disk does not take it; what was there is as it was.
    """
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.write_bytes(content)
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise

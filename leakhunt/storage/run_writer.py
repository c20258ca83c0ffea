"""Writing run files, by three hands, never two at a time: supervisor, worker, supervisor again.

The supervisor starts one with its header and ends it with the footer; between them the worker (of a
soak: the soak itself) appends. What they hold is in `run_file`, which reads them.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from leakhunt.errors import CannotWrite
from leakhunt.model.run import Outcome
from leakhunt.storage.run_file import FORMAT, SUFFIX
from leakhunt.text.controls import json_text_bytes
from leakhunt.text.message import message
from leakhunt.text.record import as_json, fields_of
from leakhunt.text.system import system_text

# Windows has no quota of that name.
DISK_IS_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
# Windows has no O_CLOEXEC, and needs O_BINARY: a line feed is one character.
_APPENDING = os.O_WRONLY | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
# Room kept aside beside the run file while it is written: on a full disk it is given up, so that
# the sample in hand, the reason and the footer still fit. A few records are a few KiB.
BALLAST_BYTES = 32 << 10


def ballast_of(file: Path) -> Path:
    """The file that keeps the room aside."""
    return file.with_name(f".{file.name}.ballast")


def capture_of(file: Path) -> Path:
    """Where an instrument may leave a capture beside a run file, without the capture's suffix."""
    return file.with_name(file.name.removesuffix(SUFFIX))


def refuse_existing(file: Path) -> None:
    """Nothing, or an error.

    Raises:
        CannotWrite: there is such a file.
    """
    if file.exists():
        raise _exists(file)


def _exists(file: Path) -> CannotWrite:
    return CannotWrite(
        message(
            "file.exists",
            "{file}: already exists and is not overwritten. Choose another name",
            file=file,
        )
    )


def create(file: Path, header: Mapping[str, Any]) -> None:
    """Start a run file with its header, and its ballast.

    Raises:
        CannotWrite: it exists already, or the disk does not take it.
    """
    try:
        with open(file, "xb") as stream:
            stream.write(encode({"record": "header", "format": FORMAT, **header}))
        _lay_ballast(file)
    except FileExistsError:
        raise _exists(file) from None
    except OSError as error:
        raise CannotWrite(
            message(
                "file.cannot-write",
                "{file}: {strerror}. Free some space, or choose another name",
                file=file,
                strerror=system_text(error),
            )
        ) from error


def reopen(file: Path) -> None:
    """Make a run file that ended ready to be gone on with.

    Raises:
        CannotWrite: the disk has no room for its ballast.
    """
    try:
        _lay_ballast(file)
    except OSError as error:
        raise CannotWrite(
            message(
                "file.cannot-write",
                "{file}: {strerror}. Free some space, or choose another name",
                file=file,
                strerror=system_text(error),
            )
        ) from error


def _lay_ballast(file: Path) -> None:
    with open(ballast_of(file), "wb") as stream:
        stream.write(os.urandom(BALLAST_BYTES))
        stream.flush()
        os.fsync(stream.fileno())


def encode(record: Mapping[str, Any]) -> bytes:
    """One line of a run file; texts and nouns in it become JSON."""
    text = json.dumps(
        record, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=as_json
    )
    return json_text_bytes(text) + b"\n"


class DiskFull(Exception):
    """The disk took no more; everything handed over so far is in the file all the same."""


class Appender:
    """Appends whole lines to a run file, one write each, through one descriptor."""

    def __init__(self, file: Path) -> None:
        self._descriptor = os.open(file, _APPENDING)
        self._ballast = ballast_of(file)

    def append(self, lines: bytes) -> None:
        """Write `lines` (whole lines) and return when the kernel has them.

        Raises:
            DiskFull: no space is left. The lines were written into the room kept aside, or left out
                where they are longer than that.
            OSError: they could not be written at all; the file ends with its last whole line.
        """
        before = os.fstat(self._descriptor).st_size
        try:
            self._write(lines)
        except OSError as error:
            os.ftruncate(self._descriptor, before)
            if error.errno not in DISK_IS_FULL or not self._ballast.exists():
                raise
            self._ballast.unlink()
            try:
                self._write(lines)
            except OSError as again:  # more than the room kept aside: a whole line less, no stump
                os.ftruncate(self._descriptor, before)
                raise DiskFull(os.strerror(again.errno or errno.ENOSPC)) from again
            raise DiskFull(os.strerror(error.errno or errno.ENOSPC)) from error

    def _write(self, lines: bytes) -> None:
        written = os.write(self._descriptor, lines)
        while written < len(lines):
            written += os.write(self._descriptor, lines[written:])

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._descriptor)


def finish(file: Path, outcome: Outcome, seconds: float) -> None:
    """Append the footer, after a line that a killed worker may have left unfinished.

    Raises:
        CannotWrite: the disk does not take it; the samples before it are safe.
    """
    record = encode({"record": "footer", "seconds": round(seconds, 3), **fields_of(outcome)})
    ballast = ballast_of(file)
    ballast.unlink(missing_ok=True)
    try:
        with open(file, "r+b") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(size - 1, 0))
            unfinished = size > 0 and stream.read(1) != b"\n"
            stream.seek(0, os.SEEK_END)
            stream.write(b"\n" + record if unfinished else record)
    except OSError as error:
        raise CannotWrite(
            message(
                "run-file.no-room-for-footer",
                "{file}: {strerror}. The samples so far are in the file, without the footer",
                file=file,
                strerror=system_text(error),
            )
        ) from error

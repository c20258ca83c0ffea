"""Python's small objects, which malloc does not see."""

from __future__ import annotations

import sys
from array import array
from typing import ClassVar

from leakhunt.model.series import PYTHON_BLOCKS, SERIES, Series
from leakhunt.text.message import Text, message


class PythonBlocksProbe:
    """``sys.getallocatedblocks``: live blocks of pymalloc (objects up to 512 bytes)."""

    series: ClassVar[tuple[Series, ...]] = (SERIES[PYTHON_BLOCKS].series,)

    @classmethod
    def unavailable(cls) -> Text | None:
        """Why this interpreter does not count its blocks, or None."""
        if sys.implementation.name != "cpython":
            return message("probe.not-cpython", "only CPython counts its allocated blocks")
        if not sys.getallocatedblocks():
            return message("probe.no-pymalloc", "pymalloc is switched off (PYTHONMALLOC=malloc)")
        return None

    def read(self, into: array[int], at: int) -> None:
        """A count of blocks."""
        into[at] = sys.getallocatedblocks()

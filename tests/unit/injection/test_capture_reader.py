"""Captures of memray, read in a process of their own."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

import pytest

from leakhunt.injection.capture_reader import (
    CaptureOrder,
    UnreadableCaptureError,
    read_capture,
)
from leakhunt.storage.run_file import finding_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="attach needs Linux")


def captured(path: Path) -> CaptureOrder:
    import memray

    copy = ctypes.CDLL(None).strdup
    copy.restype, copy.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
    with memray.Tracker(
        destination=memray.FileDestination(path, overwrite=True, compress_on_exit=False),
        native_traces=True,
        file_format=memray.FileFormat.AGGREGATED_ALLOCATIONS,
    ):
        for _ in range(50):
            copy(b"x" * 10_000)
    return CaptureOrder(str(path), __file__, (0, 5))


@pytest.mark.parametrize("root", ["", "/"], ids=["our root", "another root"])
def test_the_largest_site_is_the_c_function(tmp_path: Path, root: str) -> None:
    if root and os.geteuid():
        pytest.skip("only root may change the root")
    order = captured(tmp_path / "capture.bin")
    records = read_capture(CaptureOrder(order.capture, order.main, order.calls, root))
    first = finding_of(records[0])
    assert first.sizes == (0, 50 * 10_001)
    assert (first.counts, first.calls) == ((0, 50), (0, 5))
    assert "strdup" in first.stack[0].function
    assert first.facts["objects"][0].startswith("libc")
    assert any(each.file.endswith("test_capture_reader.py") for each in first.stack)


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "no.bin").write_bytes(b"no capture")
    with pytest.raises(UnreadableCaptureError, match="OSError"):
        read_capture(CaptureOrder(str(tmp_path / "no.bin"), "main.py", (0, 5)))

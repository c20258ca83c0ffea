"""Reading opens no library: memray looks at all of them again whenever one is opened."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

# With LD_DEBUG=files the loader writes a line for whatever is opened; glibc 2.43 writes none for
# the program itself.
READER = """
import os
from array import array
from leakhunt.probes import choose
probes = [kind() for kind in choose("cpu").kinds]
into = array("q", [0]) * 16
for number in range(3):
    os.write(2, b"reading %d\\n" % number)
    for probe in probes:
        probe.read(into, 0)
os.write(2, b"opened next\\n")
import _ctypes
_ctypes.dlopen("libc.so.6", 1)
"""


@pytest.mark.skipif(
    sys.platform != "linux" or os.confstr("CS_GNU_LIBC_VERSION") is None,
    reason="the loader of glibc tells what it opens",
)
def test_no_probe_opens_a_library_to_read() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", READER],
        env={**os.environ, "LD_DEBUG": "files"},
        capture_output=True,
        text=True,
        check=True,
    )
    told = ended.stderr.rpartition("reading 1\n")[2]
    while_reading, _, after = told.partition("opened next\n")
    assert "reading 2\n" in while_reading
    assert "opening file=" in after, "the loader does not tell what is opened"
    assert "opening file=" not in while_reading

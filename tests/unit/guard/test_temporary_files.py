"""Temporary files that go with their scope."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from leakhunt.guard import (
    temporary_scope,
)
from leakhunt.guard.temporary_files import remove_leftovers


def test_temporary_files_go_whatever_happens(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), temporary_scope(tmp_path) as folder:
        (folder / "speech.wav").write_bytes(bytes(10))
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_files_of_a_killed_process_go_with_the_next_scope(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from leakhunt.guard import temporary_scope\n"
        "with temporary_scope(sys.argv[1]) as folder:\n"
        "    (folder / 'left.wav').write_bytes(bytes(10))\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 1
    with temporary_scope(tmp_path) as folder:
        assert list(tmp_path.iterdir()) == [folder]
        # Nobody takes away what belongs to a process that lives.
        assert remove_leftovers(tmp_path) == 0
    assert not list(tmp_path.iterdir())

"""A file that describes a matrix: what is wrong in it is told in a line, with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from leakhunt.config.matrix_file import read_matrix
from leakhunt.errors import BadFile

WHOLE = """
scenario = "service.py:handle"
repeats = 2
calls = 400
memory_limit = "2 GiB"
with = ["numpy==2.1.*"]

[axes]
threads = [1, 2]
"env.MALLOC_ARENA_MAX" = ["", "1"]

[options]
lengths = "fixed"

[[exclude]]
threads = 2
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "matrix.toml"
    file.write_text(text, "utf-8")
    return file


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    found = read_matrix(written(tmp_path, WHOLE))
    assert found.axes == (("threads", ("1", "2")), ("env.MALLOC_ARENA_MAX", ("", "1")))
    assert (found.repeats, found.calls, found.requirements) == (2, 400, ("numpy==2.1.*",))
    assert (found.exclude, found.options) == (({"threads": "2"},), {"lengths": "fixed"})
    assert found.hunt and not found.isolated


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "matrix.toml:1: the file: missing scenario"),
        ("scenario = 'a'\nrepeat = 2", "matrix.toml:2: the file: unknown key 'repeat' (did you"),
        ("scenario = 'a'\n[axes]\nthreads = 2", "matrix.toml:3: [axes]: threads: expected a list"),
        ("scenario = 'a'\n[axes]\nthreads = []", "matrix.toml:3: [axes]: threads: expected a list"),
        ("scenario = 'a'\n[axes]\nthreads = [true]", "matrix.toml:3: [axes]: threads: expected"),
        ("scenario = 'a'\nrepeats = 0", "matrix.toml:2: the file: repeats: expected a whole"),
        ("scenario = 'a'\nexclude = 1", "matrix.toml:2: the file: exclude: expected a list of"),
        ("scenario = ", "matrix.toml:1: "),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(BadFile) as caught:
        read_matrix(written(tmp_path, text))
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="Check the path"):
        read_matrix(tmp_path / "none.toml")

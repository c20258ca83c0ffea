"""`compare_places` from Python: the verb's comparison, without a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import write_run

from leakhunt.engine.compare import compare_into, compare_places
from leakhunt.errors import NothingMeasured, UsageError
from leakhunt.model.comparison import Conclusion

GROWING = [(1000 + 4096 * call, 5_000_000) for call in range(200)]
LEVEL = [(1000, 5_000_000) for _ in range(200)]


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    found = (tmp_path / "before", tmp_path / "after")
    for folder, rows in zip(found, (LEVEL, GROWING), strict=True):
        folder.mkdir()
        write_run(folder / "naive.run.jsonl", rows)
    return found


def test_a_comparison_is_a_value_and_prints_and_writes_nothing(
    places: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    comparison = compare_places(places)
    (pair,) = comparison.pairs
    assert (pair.before_label, pair.after_label) == ("before", "after")
    rss = next(line for line in pair.lines if line.name == "rss")
    assert rss.conclusion is Conclusion.INCREASE
    assert capsys.readouterr() == ("", "")
    assert sorted(tmp_path.iterdir()) == sorted(places)


def test_its_files_are_those_of_the_verb(places: tuple[Path, Path], tmp_path: Path) -> None:
    result = compare_into(tmp_path / "out", places, labels=("old", "new"))
    assert result.exit_code == 0
    names = ["compare.html", "compare.png", "compare.md", "compare.json"]
    assert [path.name for path in result.files] == names
    shown = result._repr_html_()
    assert "old" in shown and "new" in shown and "<table>" in shown


def test_what_cannot_be_compared_is_refused(places: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="compare needs two or more paths"):
        compare_places(places[:1])
    with pytest.raises(UsageError, match="same run"):
        compare_places((places[0], places[0]))
    (tmp_path / "empty").mkdir()
    with pytest.raises(NothingMeasured, match="no measured run found"):
        compare_places((places[0], tmp_path / "empty"))

"""Whose a file is, by the metadata of what is installed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from leakhunt.instruments import distributions
from leakhunt.instruments.distributions import distribution_of
from leakhunt.instruments.frames import Places
from leakhunt.model.attribution import Origin


@pytest.fixture(autouse=True)
def forgets() -> Iterator[None]:
    yield
    distribution_of.cache_clear()
    distributions._by_top_level.cache_clear()


def installed(folder: Path, monkeypatch: pytest.MonkeyPatch, *records: str) -> None:
    info = folder / "made_dist-2.3.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: made-dist\nVersion: 2.3\n")
    (info / "RECORD").write_text("".join(f"{name},,\n" for name in records))
    monkeypatch.syspath_prepend(folder)
    distribution_of.cache_clear()
    distributions._by_top_level.cache_clear()


def test_what_a_distribution_installed_is_its_wherever_it_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(
        tmp_path,
        monkeypatch,
        "_made.so",
        "made/core.py",
        "made/deep/down/core.py",
        "made_dist.libs/libm.so.6",
        '"quoted/a,b.py"',
    )
    for name in ("_made.so", "made/core.py", "made_dist.libs/libm.so.6", "quoted/a,b.py"):
        assert distribution_of(str(tmp_path / name)) == ("made-dist", "2.3")
    assert distribution_of(str(tmp_path / "other.py")) is None
    places = Places(str(tmp_path / "scenario.py"))
    assert places.origin(str(tmp_path / "made" / "core.py")) is Origin.LIBRARY
    frame = places.frame(str(tmp_path / "made" / "deep" / "down" / "core.py"), 1)
    assert frame is not None and frame.file == "made/deep/down/core.py"
    assert places.origin(str(tmp_path / "other.py")) is Origin.YOURS


def test_a_copy_in_another_folder_is_yours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path / "packages", monkeypatch, "made/core.py")
    assert distribution_of(str(tmp_path / "vendored" / "made" / "core.py")) is None


def test_an_editable_project_is_yours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "mine.egg-info"
    info.mkdir()
    (info / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1\n")
    (info / "SOURCES.txt").write_text("mine/core.py\n")
    installed(tmp_path, monkeypatch, "made/core.py")
    assert distribution_of(str(tmp_path / "mine" / "core.py")) is None

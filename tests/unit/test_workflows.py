"""The workflows check what the package says that it runs on."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def jobs(name: str) -> dict[str, Any]:
    file = ROOT / ".github" / "workflows" / f"{name}.yml"
    found: dict[str, Any] = yaml.safe_load(file.read_text("utf-8"))["jobs"]
    return found


def versions() -> list[str]:
    """Those of the classifiers."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return re.findall(r"Python :: (3\.\d+)", " ".join(project["classifiers"]))


def test_every_python_of_the_classifiers_is_checked() -> None:
    assert versions() == ["3.11", "3.12", "3.13", "3.14", "3.15"]
    assert jobs("test")["pythons"]["strategy"]["matrix"]["python"] == versions()
    assert jobs("truth")["zoo"]["strategy"]["matrix"]["python"] == versions()


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_what_the_workflows_run_is_there(file: Path) -> None:
    text = file.read_text("utf-8")
    for script in re.findall(r"tests/[\w/]+\.(?:py|sh)", text):
        assert (ROOT / script).is_file(), script
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    for target in re.findall(r"run: make (\S+)", text):
        assert target in targets, target
    document = yaml.safe_load(text)
    assert document["permissions"] == {"contents": "read"}
    assert all("timeout-minutes" in job or "needs" in job for job in document["jobs"].values())

"""Which scenarios the changes since HEAD may affect, in a repository made for it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import leakhunt
from leakhunt.config.find_policy import load_policy
from leakhunt.engine.changed import changed_scenarios
from leakhunt.errors import UsageError

POLICY = """
[scenarios."bench/answers.py:handle"]
[scenarios."bench/plain.py:call"]
[scenarios."bench/own/scenario.py"]
"""
FILES = {
    "leakhunt.toml": POLICY,
    "bench/answers.py": "from shop.cache import get\nimport os\n\n\ndef handle():\n    get()\n",
    "bench/plain.py": "def call():\n    pass\n",
    "bench/own/scenario.py": (
        '"""Own."""\nfrom leakhunt import variant\n\n\ndef setup(context):\n    pass\n\n\n'
        '@variant\ndef naive(state, item):\n    """Does nothing."""\n'
    ),
    "bench/own/clip.txt": "a",
    "src/shop/__init__.py": "",
    "src/shop/cache.py": "from . import keys\n\n\ndef get():\n    return keys\n",
    "src/shop/keys.py": "KEYS = []\n",
    "src/shop/unused.py": "",
    "README.md": "",
}
ANSWERS, PLAIN, OWN = "bench/answers.py:handle", "bench/plain.py:call", "bench/own/scenario.py"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "all")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def git(folder: Path, *words: str) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)


def affected(folder: Path, *wanted: str) -> set[str]:
    return set(changed_scenarios(load_policy(folder / "leakhunt.toml"), wanted))


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ("README.md", set()),
        ("src/shop/unused.py", set()),
        ("bench/plain.py", {PLAIN}),
        ("src/shop/keys.py", {ANSWERS}),
        ("src/shop/__init__.py", {ANSWERS}),
        ("bench/own/clip.txt", {OWN}),
        ("bench/own/new.txt", {OWN}),
        ("leakhunt.toml", {ANSWERS, PLAIN, OWN}),
    ],
)
def test_a_change_affects_what_has_the_file_or_imports_it(
    repository: Path, changed: str, expected: set[str]
) -> None:
    assert affected(repository) == set()
    with open(repository / changed, "a") as stream:
        stream.write("\n# changed\n")
    assert affected(repository) == expected
    git(repository, "add", ".")
    assert affected(repository) == expected, "staged"


def test_only_of_those_that_are_wanted_and_before_the_first_commit(
    repository: Path, tmp_path: Path
) -> None:
    (repository / "bench/plain.py").write_text("def call():\n    return 1\n")
    assert affected(repository, OWN) == set()
    assert affected(repository, PLAIN, OWN) == {PLAIN}
    git(repository, "update-ref", "-d", "HEAD")
    assert affected(repository) == {ANSWERS, PLAIN, OWN}


def test_nothing_affected_is_measured_by_nothing_and_passes(repository: Path) -> None:
    result = leakhunt.gate(changed=True)
    assert (result.exit_code, result.variants, result.folder) == (0, (), None)
    assert str(result.result.notes[0]).startswith("the changes since HEAD affect no scenario of")
    assert not (repository / "reports").exists()


def test_without_a_repository_it_is_refused(
    repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "leakhunt.toml").write_text("[scenarios.null]\n")
    with pytest.raises(UsageError, match="not in a git repository"):
        changed_scenarios(load_policy(folder / "leakhunt.toml"), ())
    with pytest.raises(UsageError, match="cannot be combined with run files"):
        leakhunt.gate("runs", changed=True)

"""The layers of ARCHITECTURE.md: imports point downwards only, and pure parts stay pure."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "leakhunt"
MODULES = sorted(PACKAGE.rglob("*.py"))

# Part of the package -> its layer. An import may go to a lower layer or stay within its own part.
LAYERS = {
    "errors": 0, "model": 0, "judged": 0, "findings": 0, "trials": 0, "units": 0, "checked": 0,
    "description": 0, "scenario": 0, "compared": 0, "language": 0, "claimed": 0,
    "gated": 0, "naming": 0, "tables": 0, "given": 0,
    "store": 1, "environment": 1, "probes": 1, "instruments": 1, "verdict": 1, "reporting": 1,
    "writing": 2, "attribution": 2, "comparison": 2,
    "measurement": 3, "assemble": 3, "loaded": 3, "claims": 3, "gate": 3,
    "inside": 4, "gating": 4,
    "service": 5,
    "cli": 6, "pytest_plugin": 7,
}  # fmt: skip
NOUNS = {
    "errors",
    "model",
    "judged",
    "findings",
    "trials",
    "compared",
    "units",
    "language",
    "claimed",
    "gated",
}
PURE = ("verdict", "attribution", "comparison", "assemble", "gate", "reporting", "claims")
EFFECTS = {"os", "sys", "subprocess", "time", "datetime", "socket", "tempfile", "psutil", "random"}
FRAMEWORKS = {"torch", "torchaudio", "modelscope", "funasr", "transformers"}
# It reads the data that comes with it, and nothing else.
OWN_DATA = {"attribution/causes.py"}
# They make tables for the terminal.
TERMINAL = {
    "reporting/terminal.py", "reporting/comparison_terminal.py", "reporting/claims_terminal.py",
    "reporting/baseline_terminal.py",
    "reporting/gate_terminal.py",
}  # fmt: skip
# These run in the worker, where the user's code and its frameworks are at home.
WORKER_SIDE = {"probes/cuda.py", "given.py"}


def name_of(module: Path) -> str:
    return module.relative_to(PACKAGE).as_posix()


def part_of(module: Path) -> str:
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(module: Path) -> Iterator[str]:
    """Every module that `module` imports, inside functions too, but not for types alone."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(module)} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_parts(module: Path) -> Iterator[str]:
    for name in imports(module):
        words = name.split(".")
        if words[0] == "leakhunt" and len(words) > 1 and words[1] in LAYERS:
            yield words[1]


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_imports_point_downwards(module: Path) -> None:
    part = part_of(module)
    if part in ("__init__", "__main__"):
        return
    assert part in LAYERS, f"{part} has no layer yet: give it one here and in ARCHITECTURE.md"
    for target in own_parts(module):
        assert target == part or LAYERS[target] < LAYERS[part] or LAYERS[target] == 0, (
            f"{name_of(module)} imports {target}"
        )


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_frameworks_are_imported_by_the_worker_side_only(module: Path) -> None:
    if name_of(module) in WORKER_SIDE or name_of(module) == "measurement/worker.py":
        return
    assert not {name.split(".")[0] for name in imports(module)} & FRAMEWORKS


@pytest.mark.parametrize(
    "module", [module for module in MODULES if part_of(module) in PURE], ids=name_of
)
def test_judging_and_reporting_have_no_effects(module: Path) -> None:
    assert not {name.split(".")[0] for name in imports(module)} & EFFECTS


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_only_the_command_line_prints(module: Path) -> None:
    if part_of(module) == "cli":
        return
    tree = ast.parse(module.read_text(encoding="utf-8"))
    called = {node.func.id for node in ast.walk(tree)
              if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}  # fmt: skip
    assert not called & {"print", "exit", "quit"}


@pytest.mark.parametrize(
    "module", [module for module in MODULES if part_of(module) in NOUNS], ids=name_of
)
def test_the_nouns_know_the_standard_library_only(module: Path) -> None:
    packages = {name.split(".")[0] for name in imports(module)} - {"leakhunt"}
    assert packages <= sys.stdlib_module_names
    assert set(own_parts(module)) <= NOUNS


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_the_terminal_is_for_the_command_line_and_its_tables_only(module: Path) -> None:
    if part_of(module) == "cli" or name_of(module) in TERMINAL:
        return
    assert not {name.split(".")[0] for name in imports(module)} & {"rich", "click"}


@pytest.mark.parametrize(
    "module",
    [module for module in MODULES if part_of(module) in PURE and name_of(module) not in OWN_DATA],
    ids=name_of,
)
def test_judging_and_reporting_open_no_file(module: Path) -> None:
    called = {
        node.func.id if isinstance(node.func, ast.Name) else node.func.attr
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute)
    }
    assert not called & {"open", "read_text", "read_bytes", "write_text", "write_bytes"}


def test_the_parents_side_loads_no_framework() -> None:
    code = (
        "import sys, leakhunt.cli.run, leakhunt.measurement.supervisor;"
        "import leakhunt.measurement.tail, leakhunt.measurement.limits, leakhunt.cli.soak;"
        "print(*sys.modules)"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "leakhunt.measurement.supervisor" in loaded
    assert not (FRAMEWORKS | {"locust", "gevent"}) & set(loaded)


def test_importing_leakhunt_loads_nothing_heavy() -> None:
    code = "import sys, leakhunt; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {"torch", "matplotlib", "numpy", "pandas", "pyarrow", "psutil", "rich"}
    assert not heavy & set(loaded)


def test_help_loads_neither_plots_nor_tables() -> None:
    code = (
        "import sys; from leakhunt.cli.main import main; main(['--help']);"
        "print('LOADED', *sys.modules)"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    loaded = set(output.partition("LOADED")[2].split())
    assert "Verbs" in output
    assert not {"torch", "matplotlib", "numpy", "rich", "jinja2"} & loaded

"""The layers of ARCHITECTURE.md: imports point downwards only, and pure parts stay pure."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "leakhunt"
MODULES = sorted(PACKAGE.rglob("*.py"))

# Package -> what it may import beside itself and the standard library; ARCHITECTURE.md says why.
_BASE = ("text", "errors", "model")
_SMALL = (*_BASE, "amounts")
_LOWER = (*_SMALL, "environment", "probes", "instruments", "scenario", "config", "storage",
          "analysis", "reporting", "worker", "runner", "agent", "guard", "injection",
          "service", "foreign")  # fmt: skip
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "text": (),
    "errors": ("text",),
    "model": ("text", "errors"),
    "amounts": _BASE,
    "environment": _SMALL,
    "probes": _SMALL,
    "instruments": _SMALL,
    "scenario": _SMALL,
    # Strict TOML, for what people write and for what they merge; neither may import the other.
    "toml_file": ("text", "errors"),
    "config": (*_SMALL, "scenario", "toml_file"),
    # A recorded message has amounts for its values.
    "storage": (*_SMALL, "toml_file"),
    "analysis": _SMALL,
    "foreign": _SMALL,
    "reporting": ("model", "amounts", "text"),
    "worker": (*_SMALL, "storage.run_writer", "scenario", "probes", "instruments", "environment"),
    "runner": (*_SMALL, "worker", "storage", "scenario", "environment", "probes", "analysis"),
    "agent": (*_SMALL, "worker.readings", "probes", "instruments"),
    # A service imports it: nothing but psutil beside the standard library.
    "guard": (*_SMALL, "probes"),
    "injection": (*_SMALL, "agent", "instruments", "probes", "worker.address_space"),
    "service": (*_SMALL, "runner", "agent", "storage", "config", "scenario", "probes",
                "environment", "analysis"),
    "engine": _LOWER,
    # `serve` starts the server; otherwise no door knows another.
    "api": (*_LOWER, "engine"),
    "cli": (*_LOWER, "engine", "server.app", "server.catalog"),
    "server": (*_LOWER, "engine"),
    "pytest_plugin": (*_LOWER, "engine"),
    # The name that `agent` had before; it goes with the next release.
    "inside": ("agent",),
}  # fmt: skip
# What does not obey the table yet. It may only shrink.
EXCEPTIONS: set[tuple[str, str]] = set()
PURE = ("analysis", "reporting")
EFFECTS = {"os", "sys", "subprocess", "time", "datetime", "socket", "tempfile", "psutil", "random"}
FRAMEWORKS = {"torch", "torchaudio", "modelscope", "funasr", "transformers"}
# It reads the data that comes with it, and nothing else.
OWN_DATA = {"analysis/attribution/known_causes.py"}
# They make tables for the terminal.
TERMINAL = {
    "reporting/run/terminal.py", "reporting/comparison/terminal.py",
    "reporting/claims/terminal.py", "reporting/baseline/terminal.py", "reporting/gate/terminal.py",
    "reporting/evaluation/terminal.py", "reporting/retained/terminal.py",
    "reporting/attached/terminal.py", "reporting/fleet/terminal.py",
    "reporting/matrix/terminal.py",
    "reporting/bisect/terminal.py", "reporting/benchmark/terminal.py",
}  # fmt: skip
# The doors' own work that is not theirs yet. It may only shrink.
NOT_YET_SILENT: set[str] = set()
# These run in the worker, where the user's code and its frameworks are at home.
WORKER_SIDE = {"probes/cuda.py", "scenario/inputs.py", "worker/__main__.py"}


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


def own_imports(module: Path) -> Iterator[str]:
    """The modules of ours that `module` imports, without ``leakhunt.``, as they are named there."""
    for name in imports(module):
        if name.startswith("leakhunt."):
            yield name.removeprefix("leakhunt.")


def may_import(part: str, target: str) -> bool:
    allowed = (part, *MAY_IMPORT[part])
    return any(target == each or target.startswith(f"{each}.") for each in allowed)


def against_the_table() -> set[tuple[str, str]]:
    """Module, and the module of another package that it should not import."""
    return {
        (name_of(module), target)
        for module in MODULES
        if part_of(module) not in ("__init__", "__main__")
        for target in map(module_named, own_imports(module))
        if target and not may_import(part_of(module), target)
    }


def module_named(name: str) -> str:
    """The module that holds what is imported: ``errors.BadFile`` is in ``errors``."""
    words = name.split(".")
    for count in range(len(words), 0, -1):
        place = PACKAGE.joinpath(*words[:count])
        if place.with_suffix(".py").exists() or (place / "__init__.py").exists():
            return ".".join(words[:count])
    return ""


def over_modules(check: Callable[[Path], None]) -> Callable[[], None]:
    """One test for all modules: a failure names the module by the path in its traceback."""

    def test() -> None:
        for module in MODULES:
            try:
                check(module)
            except AssertionError as error:
                raise AssertionError(f"{name_of(module)}: {error}") from error

    test.__name__ = check.__name__
    return test


def test_every_package_has_a_row_in_the_table() -> None:
    parts = {part_of(module) for module in MODULES} - {"__init__", "__main__"}
    assert parts == set(MAY_IMPORT)


def test_imports_are_those_of_the_table() -> None:
    assert against_the_table() == EXCEPTIONS


@over_modules
def test_frameworks_are_imported_by_the_worker_side_only(module: Path) -> None:
    if name_of(module) in WORKER_SIDE:
        return
    assert not {name.split(".")[0] for name in imports(module)} & FRAMEWORKS


@over_modules
def test_judging_and_reporting_have_no_effects(module: Path) -> None:
    if part_of(module) not in PURE:
        return
    assert not {name.split(".")[0] for name in imports(module)} & EFFECTS


@over_modules
def test_only_the_command_line_prints(module: Path) -> None:
    if part_of(module) == "cli":
        return
    tree = ast.parse(module.read_text(encoding="utf-8"))
    called = {node.func.id for node in ast.walk(tree)
              if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}  # fmt: skip
    assert not called & {"print", "exit", "quit"}


# They return messages, and speak no language. It may only grow.
SPEAKS_NO_LANGUAGE = ("analysis/verdict/", "analysis/report.py", "analysis/student.py")


@over_modules
def test_judging_speaks_no_language(module: Path) -> None:
    if name_of(module).startswith(SPEAKS_NO_LANGUAGE):
        assert not [name for name in own_imports(module) if name.startswith("text.language")]


NOUNS = ("errors", "model", "amounts", "text")


@over_modules
def test_the_nouns_know_the_standard_library_only(module: Path) -> None:
    if part_of(module) not in NOUNS:
        return
    packages = {name.split(".")[0] for name in imports(module)} - {"leakhunt"}
    assert packages <= sys.stdlib_module_names


@over_modules
def test_the_terminal_is_for_the_command_line_and_its_tables_only(module: Path) -> None:
    if part_of(module) == "cli" or name_of(module) in TERMINAL | NOT_YET_SILENT:
        return
    assert not {name.split(".")[0] for name in imports(module)} & {"rich", "click"}


@over_modules
def test_judging_and_reporting_open_no_file(module: Path) -> None:
    if part_of(module) not in PURE or name_of(module) in OWN_DATA:
        return
    called = {
        node.func.id if isinstance(node.func, ast.Name) else node.func.attr
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute)
    }
    assert not called & {"open", "read_text", "read_bytes", "write_text", "write_bytes"}


def test_the_parents_side_loads_no_framework() -> None:
    code = (
        "import sys, leakhunt.cli.run, leakhunt.runner.supervisor;"
        "import leakhunt.storage.follow, leakhunt.runner.memory_limit, leakhunt.cli.soak;"
        "print(*sys.modules)"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "leakhunt.runner.supervisor" in loaded
    assert not (FRAMEWORKS | {"locust", "gevent"}) & set(loaded)


def test_importing_leakhunt_loads_nothing_heavy() -> None:
    code = "import sys, leakhunt; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {"torch", "matplotlib", "numpy", "pandas", "pyarrow", "psutil", "rich"}
    assert not heavy & set(loaded)


def test_a_guarded_service_loads_nothing_but_psutil() -> None:
    code = "import sys, leakhunt.guard; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "leakhunt.guard.asgi" in loaded
    outside = {name.split(".")[0] for name in loaded} - sys.stdlib_module_names - {"__mp_main__"}
    # What site-packages load at every start of Python is none of ours.
    bare = subprocess.run(
        [sys.executable, "-c", "import sys; print(*sys.modules)"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert outside - {name.split(".")[0] for name in bare} == {"leakhunt", "psutil"}


HEAVY = {"torch", "matplotlib", "numpy", "jinja2", "psutil", "leakhunt.runner.supervisor"}
VERBS = (
    "", "run", "hunt", "soak", "list", "report", "claims", "compare", "schema", "serve", "truth",
    "gate", "baseline", "baseline save", "matrix", "bisect", "benchmark",
)  # fmt: skip


def test_help_loads_neither_plots_nor_tables_nor_the_engine() -> None:
    code = (
        "import sys; from leakhunt.cli.main import main\n"
        f"for verb in {VERBS!r}: assert main([*verb.split(), '--help']) == 0\n"
        "print('LOADED', *sys.modules)"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert output.count("Usage: ") == len(VERBS)
    assert not HEAVY & set(output.partition("LOADED")[2].split())


@over_modules
def test_an_error_carries_a_message_which_is_said_when_it_is_shown(module: Path) -> None:
    found = [
        node.lineno
        for raised in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(raised, ast.Raise)
        for node in ast.walk(raised)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("tr", "ntr")
    ]
    assert found == []


MAX_LINES_OF_A_VERB = 80


def test_a_verb_is_its_options_a_call_of_the_engine_and_what_it_prints() -> None:
    texts = {file.stem: file.read_text(encoding="utf-8") for file in (PACKAGE / "cli").glob("*.py")}
    verbs = {name: text for name, text in texts.items() if "\n@click.command(" in text}
    assert {"run", "hunt", "soak", "gate"} <= set(verbs)
    long = {name for name, text in verbs.items() if text.count("\n") > MAX_LINES_OF_A_VERB}
    assert not long


def test_the_table_of_the_document_is_the_table() -> None:
    text = (PACKAGE.parent / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \|$", text, flags=re.MULTILINE))
    assert set(rows) == set(MAY_IMPORT)
    for package, expected in rows.items():
        allowed = MAY_IMPORT[package]
        if expected.startswith("everything above"):
            allowed = tuple(each for each in allowed if each not in (*_LOWER, "engine"))
        assert re.findall(r"`([\w.]+)`", expected) == list(allowed), package


def test_class_names_are_unique_and_modules_shadow_none_of_the_standard_library() -> None:
    places: dict[str, list[str]] = {}
    for module in MODULES:
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(name_of(module))
    assert {name: where for name, where in places.items() if len(where) > 1} == {}
    stems = {module.stem for module in MODULES} - {"__init__", "__main__"}
    assert stems & sys.stdlib_module_names == set()


def test_files_of_tests_have_names_of_their_own() -> None:
    """They are imported by their names alone: of two, pytest refuses the whole run."""
    files = [each.name for each in Path(__file__).parent.rglob("*.py")]
    assert sorted({each for each in files if files.count(each) > 1} - {"__init__.py"}) == []


def test_the_tests_of_this_file_have_one_worker(request: pytest.FixtureRequest) -> None:
    """Else each worker starts what the tests of a file share, and nobody sees why it takes long."""
    if not getattr(request.config.option, "loadgroup", False):
        pytest.skip("only under pytest-xdist's --dist=loadgroup")
    assert request.node.nodeid.endswith(f"@{__file__}")

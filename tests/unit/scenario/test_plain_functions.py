from __future__ import annotations

import sys
from pathlib import Path

import pytest

from leakhunt.errors import BadFile, UsageError
from leakhunt.scenario import find
from leakhunt.scenario.arguments import Arguments, arguments_of, arguments_of_hook
from leakhunt.scenario.describe import describe
from leakhunt.scenario.modules import import_root, module_of, source_of
from leakhunt.scenario.plain_functions import Names

SERVICE = '''"""A service."""
raise RuntimeError("was run")
from elsewhere import imported
CALLS = 0
RESULT = compute()
OPTIONS = {"a": "b"}
def handle(number):
    """Answers."""
async def stream(input, *, timeout=3): ...
def two(request, database): ...
def _helper(): ...
def summarize(text): ...
made = functools.partial(handle)
class Model: ...
if True:
    def inside(): ...
'''


@pytest.fixture
def service(tmp_path: Path) -> Path:
    file = tmp_path / "my_service.py"
    file.write_text(SERVICE, encoding="utf-8")
    return file


def test_plain_functions_are_variants_by_their_names(service: Path) -> None:
    found, variants = find.find(f"{service}:handle,stream,made,imported,inside")
    assert [each.name for each in variants] == ["handle", "stream", "made", "imported", "inside"]
    assert (found.name, found.plain, variants[0].summary) == ("my-service", True, "Answers.")


def test_what_only_looks_like_a_scenarios_constant_or_hook_is_left_alone(service: Path) -> None:
    found = describe(service, ["handle"])
    assert (found.default_calls, found.options, found.result_kind) == (None, (), "equal")
    assert not found.prepares


def test_constants_and_hooks_that_fit_count(tmp_path: Path) -> None:
    file = tmp_path / "more.py"
    file.write_text(
        "CALLS = 7\nOPTIONS = {'size': ('3', (), 'how much')}\ndef prepare(context): ...\n"
        "def audio_seconds(state, item): ...\ndef handle(): ...\n"
    )
    found = describe(file, ["handle"])
    assert (found.default_calls, found.options[0].name) == (7, "size")
    assert (found.prepares, found.tells_audio) == (True, True)


@pytest.mark.parametrize(
    ("names", "cause"),
    [
        ("handel", r"my_service.py: function 'handel' not found \(did you mean 'handle'\?\)\."),
        ("two", r"my_service.py:two: unknown parameter 'request'.*'input'"),
        ("Model", "my_service.py:Model: is a class"),
        ("Model.run", "my_service.py:Model.run: is a method"),
        ("handle,handle", "handle is named twice"),
    ],
)
def test_what_cannot_be_called_is_refused_in_one_line(
    service: Path, names: str, cause: str
) -> None:
    with pytest.raises(UsageError, match=cause) as raised:
        find.find(f"{service}:{names}")
    assert "\n" not in str(raised.value)


def test_a_file_without_names_says_which_there_are(service: Path) -> None:
    with pytest.raises(BadFile, match=r"my_service.py:handle.*handle, stream, two, summarize"):
        find.find(str(service))


def test_a_file_is_listed_with_the_functions_that_can_be_measured(service: Path) -> None:
    found = find.listed(str(service))
    assert [each.name for each in found.variants] == ["handle", "stream", "summarize", "inside"]
    assert [each.name for each in find.listed(f"{service}:made").variants] == ["made"]
    empty = service.with_name("empty.py")
    empty.write_text("def two(a, b): ...\n")
    with pytest.raises(BadFile, match="Known functions: two"):
        find.listed(str(empty))


def test_patterns_stand_for_public_functions(service: Path) -> None:
    _, variants = find.find(f"{service}:*n*e")
    assert [each.name for each in variants] == ["handle", "inside"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f(): ...", Arguments((), {})),
        ("def f(state, input): ...", Arguments(("state", "input"), {})),
        ("def f(item, state): ...", Arguments(("input", "state"), {})),
        ("def f(number): ...", Arguments(("input",), {})),
        ("def f(number, call, retries=3): ...", Arguments(("input", "call"), {})),
        ("def f(retries=3, input=None): ...", Arguments((), {"input": "input"})),
        ("def f(*, call, **others): ...", Arguments((), {"call": "call"})),
        ("def f(state, /, *others): ...", Arguments(("state",), {})),
    ],
)
def test_arguments_go_by_the_names_of_parameters(source: str, expected: Arguments) -> None:
    assert arguments_of("f", _parameters(source)) == expected


@pytest.mark.parametrize("source", ["def f(a, b): ...", "def f(input, a): ...", "def f(*, a, b):0"])
def test_two_unknown_parameters_are_refused(source: str) -> None:
    with pytest.raises(UsageError, match="f: unknown parameter 'a'"):
        arguments_of("f", _parameters(source))


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        ("setup", "def f(context): ...", Arguments(("context",), {})),
        ("setup", "def f(): ...", Arguments((), {})),
        ("setup", "def f(app): ...", None),
        ("make_input", "def f(call): ...", Arguments(("call",), {})),
        ("summarize", "def f(text): ...", None),
        ("prepare", "def f(): ...", None),
    ],
)
def test_hooks_are_known_by_their_parameters(
    name: str, source: str, expected: Arguments | None
) -> None:
    assert arguments_of_hook(name, _parameters(source)) == expected


def _parameters(source: str):  # type: ignore[no-untyped-def]
    import ast

    from leakhunt.scenario.arguments import parameters_of

    return parameters_of(Names(ast.parse(source)).functions["f"])


def test_a_module_is_found_without_importing_it(tmp_path: Path) -> None:
    package = tmp_path / "made_package" / "inner"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").write_text("raise RuntimeError('was run')\n")
    file = package / "service.py"
    file.write_text(SERVICE)
    assert source_of("made_package.inner.service", tmp_path) == file
    assert source_of("made_package.inner", tmp_path) == package / "__init__.py"
    assert source_of("made_package.other", tmp_path) is None
    found = find.find_scenario("made_package.inner.service", ["handle"], tmp_path)
    assert (found.name, found.module) == (
        "made-package.inner.service",
        "made_package.inner.service",
    )
    assert "made_package" not in sys.modules


def test_an_installed_module_is_found_and_a_compiled_one_refused() -> None:
    assert find.find("json:dumps")[0].module == "json"
    with pytest.raises(UsageError, match=r"math: no Python source"):
        find.find("math:sqrt")
    with pytest.raises(
        UsageError, match=r"'no_such_package\.module': module or scenario not found"
    ):
        find.find("no_such_package.module:handle")


def test_a_file_of_a_package_is_imported_as_its_module(tmp_path: Path) -> None:
    package = tmp_path / "made_package"
    package.mkdir()
    (package / "__init__.py").touch()
    file = package / "service.py"
    assert module_of(file) == "made_package.service"
    assert module_of(package / "__init__.py") == "made_package"
    assert module_of(tmp_path / "alone.py") == ""
    assert import_root("made_package.service", file) == tmp_path
    assert import_root("made_package", package / "__init__.py") == tmp_path
    assert import_root("named_otherwise.service", file) is None


def test_another_revision_may_have_fewer_functions(service: Path, tmp_path: Path) -> None:
    older = tmp_path / "older.py"
    older.write_text("def handle(): ...\n")
    found = find.same_at(find.find(f"{service}:handle,stream")[0], older)
    assert [each.name for each in found.variants] == ["handle"]
    assert found.name == "my-service"

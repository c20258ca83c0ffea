from __future__ import annotations

from importlib import metadata

import pytest

from leakhunt.environment import describe_environment, describe_environment_of_service
from leakhunt.model.libraries import DISTRIBUTIONS, LIBRARIES, library_versions


def test_environment_variables_are_kept_by_allow_list_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "hunter2")
    facts = describe_environment({"AWS_SECRET_ACCESS_KEY": "hunter2", "MALLOC_ARENA_MAX": "2"})
    assert "hunter2" not in str(facts)
    assert facts["env MALLOC_ARENA_MAX"] == "2"


def test_a_preloaded_library_is_told_without_its_folder() -> None:
    facts = describe_environment({"LD_PRELOAD": "/home/someone/libjemalloc.so.2:/opt/other.so"})
    assert facts["env LD_PRELOAD"] == "libjemalloc.so.2 other.so"


def test_python_and_our_own_version_are_told() -> None:
    facts = describe_environment({})
    assert facts["python"].startswith("CPython 3.")
    assert facts["leakhunt"] and facts["numpy"]


def test_the_processor_is_told_by_its_model() -> None:
    assert describe_environment({})["cpu"].strip()


def test_of_a_service_with_another_interpreter_only_the_machine_is_known() -> None:
    variables = {"MALLOC_ARENA_MAX": "3", "SECRET": "x"}
    ours = describe_environment_of_service(variables, is_our_interpreter=True)
    other = describe_environment_of_service(variables, is_our_interpreter=False)
    assert ours == describe_environment(variables)
    assert "python" in ours
    assert {name: fact for name, fact in ours.items() if name in other} == other
    assert not {"python", "numpy", "psutil"} & other.keys()
    assert other["env MALLOC_ARENA_MAX"] == "3"


def test_versions_of_libraries_are_one_fact_by_allow_list() -> None:
    told = library_versions({LIBRARIES: describe_environment({})[LIBRARIES]})
    assert {name.lower() for name in told} <= {*DISTRIBUTIONS, LIBRARIES}
    assert all(told[name] == metadata.version(name) for name in set(told) - {LIBRARIES})

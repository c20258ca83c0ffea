"""Which differing facts forbid which conclusion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from conftest import MakeRun

from leakhunt.analysis.comparison.environments import mismatches
from leakhunt.model.comparison import Matter
from leakhunt.model.run import Run

ENVIRONMENT = {
    "python": "CPython 3.11.7",
    "system": "Linux 6.1.0 x86_64",
    "libc": "glibc 2.36",
    "cpu": "Some CPU",
    "cores": "2",
    "memory": "23.5 GiB",
    "torch": "2.10.0",
    "env MALLOC_ARENA_MAX": "2",
}
FACTS = {
    "weights": "stand-in",
    "weights_sha256": "aa",
    "audio": "generated",
    "gpu": "one",
    "memory limit": "none",
}


@pytest.fixture
def run(make_run: MakeRun) -> Run:
    made = make_run(live_heap=[1] * 8, plan_changes={"options": {"lengths": "varied"}})
    return replace(made, environment=ENVIRONMENT, facts=FACTS)


def changed(run: Run, where: str, changes: Mapping[str, Any]) -> Run:
    if where == "plan":
        return replace(run, plan=replace(run.plan, **changes))
    facts: dict[str, Any] = {**getattr(run, where), **changes}
    facts = {name: value for name, value in facts.items() if value is not None}
    return replace(run, facts=facts) if where == "facts" else replace(run, environment=facts)


def in_words(before: list[Run], after: list[Run]) -> list[tuple[str, str, str, Matter]]:
    found = mismatches(before, after)
    return [(each.fact, str(each.before), str(each.after), each.matter) for each in found]


def test_runs_of_the_same_differ_in_nothing(run: Run) -> None:
    assert mismatches([run], [run]) == ()


@pytest.mark.parametrize(
    ("where", "changes", "fact", "before", "after", "matter"),
    [
        ("plan", {"seed": 1}, "seed", "0", "1", Matter.INPUTS),
        ("plan", {"device": "cuda"}, "device", "cpu", "cuda", Matter.INPUTS),
        ("plan", {"options": {"lengths": ""}}, "option lengths", "varied", "(default)",
         Matter.INPUTS),
        ("plan", {"options": {}}, "option lengths", "varied", "not set", Matter.INPUTS),
        ("plan", {"threads": 2}, "threads", "1", "2", Matter.MEMORY),
        ("plan", {"collect": "always"}, "collections", "at the pauses",
         "before each reading", Matter.MEMORY),
        ("plan", {"memory_limit_bytes": 1 << 30}, "memory limit", "none", "1.00 GiB",
         Matter.MEMORY),
        ("plan", {"environment": {"A": "1"}}, "env A", "not set", "1", Matter.MEMORY),
        ("plan", {"calls": 9}, "calls asked for", "8", "9", Matter.SHOWN),
        ("facts", {"weights_sha256": "bb"}, "weights_sha256", "aa", "bb", Matter.INPUTS),
        ("facts", {"weights": "stand-in (URLError)"}, "weights", "stand-in",
         "stand-in (URLError)", Matter.SHOWN),
        ("facts", {"audio": "3 recordings"}, "audio", "generated", "3 recordings", Matter.INPUTS),
        ("facts", {"gpu": "another"}, "gpu", "one", "another", Matter.MACHINE),
        ("plan", {"options": {"lengths": 3}}, "option lengths", "varied", "3", Matter.INPUTS),
        ("facts", {"audio": None}, "audio", "generated", "not recorded", Matter.SHOWN),
        ("environment", {"libc": "glibc 2.41"}, "libc", "glibc 2.36", "glibc 2.41", Matter.MEMORY),
        ("environment", {"env MALLOC_ARENA_MAX": None}, "env MALLOC_ARENA_MAX", "2", "not set",
         Matter.MEMORY),
        ("environment", {"env LD_PRELOAD": "libjemalloc.so.2"}, "env LD_PRELOAD", "not set",
         "libjemalloc.so.2", Matter.MEMORY),
        ("environment", {"system": "Linux 6.9.1 x86_64"}, "kernel", "6.1.0", "6.9.1",
         Matter.MACHINE),
        ("environment", {"system": "Linux 6.1.0 aarch64"}, "system", "Linux x86_64",
         "Linux aarch64", Matter.MEMORY),
        ("environment", {"cpu": "Another"}, "cpu", "Some CPU", "Another", Matter.MACHINE),
        ("environment", {"cpu": "unknown"}, "cpu", "Some CPU", "not recorded", Matter.SHOWN),
        ("environment", {"cores": "4"}, "cores", "2", "4", Matter.MACHINE),
        ("environment", {"memory": "7.7 GiB"}, "memory", "23.5 GiB", "7.7 GiB", Matter.MACHINE),
        ("environment", {"torch": "2.11.0"}, "package torch", "2.10.0", "2.11.0", Matter.SHOWN),
        ("environment", {"torch": None}, "package torch", "2.10.0", "not installed",
         Matter.SHOWN),
        ("environment", {"python": "CPython 3.12.1"}, "python", "CPython 3.11.7",
         "CPython 3.12.1", Matter.SHOWN),
        ("environment", {"git commit": "abc"}, "git commit", "not recorded", "abc", Matter.SHOWN),
    ],
)  # fmt: skip
def test_a_differing_fact_is_told_with_both_values_and_what_it_matters(
    run: Run, where: str, changes: dict[str, Any], fact: str, before: str, after: str,
    matter: Matter,
) -> None:  # fmt: skip
    other = changed(run, where, changes)
    assert in_words([run], [other]) == [(fact, before, after, matter)]
    assert in_words([other], [run]) == [(fact, after, before, matter)]


def test_weights_without_a_checksum_are_told_by_their_words(run: Run) -> None:
    plain = replace(run, facts={"weights": "hub"})
    (found,) = mismatches([plain], [replace(plain, facts={"weights": "mine"})])
    assert found.matter is Matter.INPUTS


def test_the_hash_seed_that_leakhunt_sets_is_not_told_beside_the_seed(run: Run) -> None:
    runs = [
        changed(
            changed(run, "plan", {"seed": seed}), "environment", {"env PYTHONHASHSEED": expected}
        )
        for seed, expected in ((0, "0"), (3, "3"), (0, "77"))
    ]
    assert [each.fact for each in mismatches(runs[:1], runs[1:2])] == ["seed"]
    assert [each.fact for each in mismatches(runs[:1], runs[2:])] == ["env PYTHONHASHSEED"]


def test_repeats_that_differ_among_themselves_are_told_on_their_side(run: Run) -> None:
    other = changed(run, "environment", {"cores": "4"})
    found = in_words([run, other], [run, other])
    assert found == [("cores", "2 / 4", "2 / 4", Matter.MACHINE)]


def test_what_forbids_most_comes_first(run: Run) -> None:
    other = changed(run, "environment", {"torch": "3", "cores": "9", "libc": "musl"})
    other = changed(other, "plan", {"seed": 5})
    assert [each.matter for each in mismatches([run], [other])] == list(Matter)


def test_another_machine_forbids_conclusions_on_time_alone() -> None:
    assert [each.refuses_memory for each in Matter] == [True, True, False, False]
    assert [each.refuses_time for each in Matter] == [True, True, True, False]

"""What is gated: a policy is read as it is meant."""

from __future__ import annotations

import re
from datetime import date

import pytest
from made_policies import GIB, WHOLE, example_of_the_reader, in_pyproject, read

from leakhunt.config.budgets import parse_budget
from leakhunt.config.policy_file import has_policy
from leakhunt.errors import BadFile
from leakhunt.model.gate import Acceptance
from leakhunt.model.kinds import Kind
from leakhunt.model.policy import (
    MAX_CALLS,
    REPEATS,
    RETRIES,
    Policy,
    ScenarioPolicy,
)
from leakhunt.model.scenario import Variant


def test_all_of_a_file_is_read() -> None:
    policy = read(WHOLE)
    in_file = (
        parse_budget("live_heap", "2 KiB/call"),
        parse_budget("seconds_per_call", "+20 %"),
    )
    everywhere = ScenarioPolicy(
        "", "leakhunt.toml:1", budgets=in_file, repeats=2, retries=3, most_calls=5000
    )
    vad = ScenarioPolicy(
        target="fsmn-vad",
        where="leakhunt.toml:10",
        variants=("naive", "tensors-*"),
        only_clean=True,
        budgets=(
            in_file[0],
            parse_budget("rss", "1 KiB/call"),
            parse_budget("rss", "50 MiB total"),
            parse_budget("seconds_per_call", "50 ms"),
        ),
        variant_budgets={"naive": (parse_budget("live_heap", "4 KiB/call"),)},
        calls=300,
        warmup=75,
        repeats=1,
        retries=3,
        most_calls=5000,
        options={"lengths": "fixed", "clips": "5"},
        seed=7,
        threads=2,
        device="cpu",
        memory_limit_bytes=2 * GIB,
        limit_bytes=GIB,
        timeout_seconds=60,
        collect="always",
    )
    own = ScenarioPolicy(
        "services/my_service.py", "leakhunt.toml:32", budgets=in_file,
        repeats=2, retries=0, most_calls=5000,
    )  # fmt: skip
    here = Acceptance(
        "0123456789ab", "funasr keeps its segments", date(2027, 3, 1), "leakhunt.toml:35"
    )
    everywhere_too = (
        Acceptance("0123456789ab", "known everywhere", date(2026, 12, 31), "leakhunt.toml:41"),
        Acceptance("ba9876543210", "small", date(2026, 12, 31), "leakhunt.toml:46"),
    )
    assert policy == Policy(
        "leakhunt.toml", everywhere, (vad, own), {"fsmn-vad": (here,), "": everywhere_too},
        "leakhunt-baselines",
    )  # fmt: skip


def test_the_example_of_the_reader_is_a_policy() -> None:
    policy = read(example_of_the_reader(), "pyproject.toml")
    assert policy.scenarios[0].budgets_of("naive")
    assert policy.accepted_in("fsmn-vad", "naive")


def test_a_pyproject_has_the_same_below_its_table() -> None:
    policy = read("[project]\nname = 'x'\n" + in_pyproject(WHOLE), "somewhere/pyproject.toml")
    assert policy.everywhere.where == "somewhere/pyproject.toml:3"
    assert policy.scenarios[0].where == "somewhere/pyproject.toml:13"
    assert policy.scenarios[0].budgets == read(WHOLE).scenarios[0].budgets
    assert policy.accepted[""][1].where == "somewhere/pyproject.toml:49"


@pytest.mark.parametrize(
    ("text", "file"),
    [("", "leakhunt.toml"), ("[tool.leakhunt]", "pyproject.toml")],
)
def test_an_empty_policy_has_no_budgets_and_the_usual_effort(text: str, file: str) -> None:
    policy = read(text, file)
    assert policy == Policy(file, ScenarioPolicy("", f"{file}:1"))
    assert policy.everywhere.budgets_of("x") == ()
    found = policy.everywhere
    assert (found.repeats, found.retries, found.most_calls) == (REPEATS, RETRIES, MAX_CALLS)


@pytest.mark.parametrize("scenario", ["my-service", "services/my_service.py"])
def test_what_is_accepted_in_a_scenario_is_so_by_its_name_or_its_path(scenario: str) -> None:
    policy = read(
        "[scenarios.'services/my_service.py']\n[[accept]]\nfingerprint = '0123456789ab'\n"
        f"reason = 'known'\nuntil = 2027-03-01\nscenario = '{scenario}'\n"
    )
    assert [each.reason for each in policy.accepted_in("my-service", "handle")] == ["known"]
    assert not policy.accepted_in("another", "handle")


ACCEPT = "[[accept]]\nfingerprint = '0123456789ab'\nreason = '{reason}'\nuntil = 2027-03-01\n"


@pytest.mark.parametrize("entry", ["", "[scenarios.'app.py:handle,parse']\n"])
def test_what_is_accepted_in_a_function_is_so_in_no_other(entry: str) -> None:
    policy = read(
        f"{entry}{ACCEPT.format(reason='both')}scenario = 'app.py:handle,parse'\n"
        f"{ACCEPT.format(reason='load')}scenario = 'app.py:load'\n"
    )
    reasons = {
        name: [each.reason for each in policy.accepted_in("app", name)]
        for name in ("handle", "parse", "load", "store")
    }
    assert reasons == {"handle": ["both"], "parse": ["both"], "load": ["load"], "store": []}


def test_what_is_accepted_in_a_function_goes_before_the_file_and_everywhere() -> None:
    policy = read(
        f"{ACCEPT.format(reason='everywhere')}"
        f"{ACCEPT.format(reason='file')}scenario = 'app.py'\n"
        f"{ACCEPT.format(reason='function')}scenario = 'app.py:handle'\n"
    )
    reasons = [
        [each.reason for each in policy.accepted_in(*of)]
        for of in (("app", "handle"), ("app", "parse"), ("another", "handle"))
    ]
    assert reasons == [["function"], ["file"], ["everywhere"]]


@pytest.mark.parametrize(
    ("scenario", "problem"),
    [
        ("app.py:", "scenario not found"),
        ("app.py:a b", "scenario not found"),
        ("app.py:parse,handle", "accepted twice"),
    ],
)
def test_functions_where_something_is_accepted_are_checked(scenario: str, problem: str) -> None:
    with pytest.raises(BadFile, match=problem):
        read(
            f"{ACCEPT.format(reason='known')}scenario = 'app.py:handle'\n"
            f"{ACCEPT.format(reason='known')}scenario = '{scenario}'\n"
        )


@pytest.mark.parametrize(
    ("text", "is_meant"),
    [
        ("[tool.leakhunt]\nretries = = 1\n", True),
        ("[project]\nname = \n[[tool.leakhunt.accept]]\n", True),
        ("[tool.leakhunter]\nretries = = 1\n", False),
        ("[project]\nname = = 1\n", False),
        ("[tool.leakhunt]\n", True),
        ("[tool.other]\nleakhunt = 1\n", False),
    ],
)
def test_a_damaged_pyproject_that_was_meant_as_a_policy_is_one(text: str, is_meant: bool) -> None:
    assert has_policy(text.encode()) is is_meant


def test_a_variants_budgets_go_over_the_scenarios_over_the_files() -> None:
    policy = read(WHOLE)
    vad = policy.of("fsmn-vad", "any")
    values = {budget.text for budget in vad.budgets_of("naive")}
    assert values == {"4 KiB/call", "1 KiB/call", "50 MiB total", "50 ms"}
    values = {budget.text for budget in vad.budgets_of("tensors-few")}
    assert values == {"2 KiB/call", "1 KiB/call", "50 MiB total", "50 ms"}


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("fsmn-vad", "fsmn-vad"),
        ("my_service.py", "my-service"),
        ("./a b/my_service.py", "my-service"),
        ("services/my_vad/scenario.py", "my-vad"),
        ("services/my_vad", "my-vad"),
        ("services/my_vad/", "my-vad"),
    ],
)
def test_a_run_file_finds_its_policy_by_the_name_of_its_scenario(target: str, name: str) -> None:
    policy = read(f"[scenarios.'{target}']\ncalls = 5\n")
    assert policy.scenarios[0].name == name
    assert policy.of(name, "any").calls == 5
    assert policy.of("another", "any") == policy.everywhere


def test_functions_of_one_file_may_have_a_policy_each() -> None:
    policy = read(
        "[scenarios.'app.py:handle']\nbudgets = { rss = '1 MiB total' }\n"
        "[scenarios.'app.py:parse,load']\ncalls = 7\n"
        "[scenarios.'package.module:handle']\ncalls = 8\n"
    )
    assert [(each.place, each.name, each.variants) for each in policy.scenarios] == [
        ("app.py", "app", ("handle",)),
        ("app.py", "app", ("parse", "load")),
        ("package.module", "package.module", ("handle",)),
    ]
    assert [budget.text for budget in policy.of("app", "handle").budgets_of("handle")] == [
        "1 MiB total"
    ]
    assert (policy.of("app", "handle").calls, policy.of("app", "load").calls) == (None, 7)
    assert policy.of("package.module", "handle").calls == 8
    assert policy.of("app", "another") == policy.everywhere


def test_what_is_accepted_in_a_scenario_goes_before_what_is_everywhere() -> None:
    policy = read(WHOLE)
    assert [each.reason for each in policy.accepted_in("fsmn-vad", "naive")] == [
        "funasr keeps its segments",
        "small",
    ]
    assert [each.reason for each in policy.accepted_in("x", "naive")] == [
        "known everywhere",
        "small",
    ]


def variant(name: str, *expect: Kind) -> Variant:
    return Variant(name, name, "", ("cpu",), expect)


VARIANTS = (
    variant("naive", Kind.PYTHON_LEAK),
    variant("tensors-few", Kind.CLEAN, Kind.GARBAGE),
    variant("tensors-many", Kind.CLEAN, Kind.NATIVE_LEAK),
    variant("unknown"),
    variant("killed", Kind.KILLED),
    variant("cached", Kind.BOUNDED_CACHE),
)


@pytest.mark.parametrize(
    ("lines", "names"),
    [
        ("", [each.name for each in VARIANTS]),
        ("variants = ['naive', 'tensors-*']", ["naive", "tensors-few", "tensors-many"]),
        ("variants = ['*-few', 'tensors-few']", ["tensors-few"]),
        ("only_clean = true", ["tensors-few", "cached"]),
        ("only_clean = true\nvariants = ['tensors-*']", ["tensors-few"]),
    ],
)
def test_variants_are_chosen_by_name_pattern_and_known_truth(lines: str, names: list[str]) -> None:
    (policy,) = read(f"[scenarios.x]\n{lines}\n").scenarios
    assert [each.name for each in policy.gated(VARIANTS)] == names


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (
            "variants = ['naiv']",
            "x has no variant 'naiv' (did you mean 'naive'?). Known variants: naive,",
        ),
        ("variants = ['naive', 'lazy-*']", "x has no variant 'lazy-*'"),
        (
            "variant.naif.budgets.rss = 0",
            "x has no variant 'naif' (did you mean 'naive'?). Known variants: naive,",
        ),
        ("variant.'tensors-*'.budgets.rss = 0", "x has no variant 'tensors-*'"),
        (
            "variants = ['naive']\nonly_clean = true",
            "x has no variant marked clean. Remove only_clean",
        ),
    ],
)
def test_a_choice_of_no_variant_is_told_with_its_place(lines: str, expected: str) -> None:
    (policy,) = read(f"\n[scenarios.x]\n{lines}\n").scenarios
    with pytest.raises(BadFile, match=re.escape(f"leakhunt.toml:2: {expected}")):
        policy.gated(VARIANTS)


def test_a_scenario_that_asks_for_more_calls_than_the_files_most_has_them() -> None:
    policy = read("most_calls = 100\n[scenarios.x]\ncalls = 500\n[scenarios.y]\ncalls = 50\n")
    assert [each.most_calls for each in policy.scenarios] == [500, 100]

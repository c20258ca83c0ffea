"""What is gated: a policy is read as it is meant, and what is wrong is told with its line."""

from __future__ import annotations

import json
import re
import tomllib
from datetime import date
from importlib import resources
from textwrap import dedent
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from leakhunt.config import policy_file
from leakhunt.config.budgets import parse_budget
from leakhunt.config.policy_file import has_policy, read_policy
from leakhunt.errors import BadFile
from leakhunt.model.gate import Acceptance
from leakhunt.model.kinds import Kind
from leakhunt.model.policy import (
    COLLECT,
    DEVICES,
    MOST_CALLS,
    REPEATS,
    RETRIES,
    Policy,
    ScenarioPolicy,
    budgeted,
)
from leakhunt.model.scenario import Variant
from leakhunt.storage.schema_files import SCHEMAS

GIB = 1 << 30
WHOLE = """\
baselines = "leakhunt-baselines"
repeats = 2
retries = 3
most_calls = 5000

[budgets]
live_heap = "2 KiB/call"
seconds_per_call = "+20 %"

[scenarios.fsmn-vad]
variants = ["naive", "tensors-*"]
only_clean = true
options = { lengths = "fixed", clips = 5 }
calls = 300
warmup = 75
repeats = 1
seed = 7
threads = 2
device = "cpu"
memory_limit = "2 GiB"
timeout = 60
collect = "always"

[scenarios.fsmn-vad.budgets]
rss = ["1 KiB/call", "50 MiB total"]
seconds_per_call = "50 ms"

[scenarios.fsmn-vad.variant.naive.budgets]
live_heap = "4 KiB/call"

[scenarios."services/my_service.py"]
retries = 0

[[accept]]
fingerprint = "0123456789ab"
reason = "funasr keeps its segments"
until = 2027-03-01
scenario = "fsmn-vad"

[[accept]]
fingerprint = "0123456789ab"
reason = "known everywhere"
until = 2026-12-31

[[accept]]
fingerprint = "ba9876543210"
reason = "small"
until = 2026-12-31
"""


def read(text: str, file: str = "leakhunt.toml") -> Policy:
    return read_policy(text.encode(), file)


def in_pyproject(text: str) -> str:
    """The same below [tool.leakhunt]."""
    return "[tool.leakhunt]\n" + re.sub(r"(?m)^(\[+)", r"\1tool.leakhunt.", text)


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
        timeout_seconds=60,
        collect="always",
    )
    own = ScenarioPolicy(
        "services/my_service.py", "leakhunt.toml:31", budgets=in_file,
        repeats=2, retries=0, most_calls=5000,
    )  # fmt: skip
    here = Acceptance(
        "0123456789ab", "funasr keeps its segments", date(2027, 3, 1), "leakhunt.toml:34"
    )
    everywhere_too = (
        Acceptance("0123456789ab", "known everywhere", date(2026, 12, 31), "leakhunt.toml:40"),
        Acceptance("ba9876543210", "small", date(2026, 12, 31), "leakhunt.toml:45"),
    )
    assert policy == Policy(
        "leakhunt.toml", everywhere, (vad, own), {"fsmn-vad": (here,), "": everywhere_too},
        "leakhunt-baselines",
    )  # fmt: skip


def test_the_example_of_the_reader_is_a_policy() -> None:
    example = dedent(str(policy_file.__doc__).partition("::\n")[2])
    policy = read(example, "pyproject.toml")
    assert policy.scenarios[0].budgets_of("naive")
    assert policy.accepted_in("fsmn-vad")
    assert faults(example, "tool", "leakhunt") == []


def test_a_pyproject_has_the_same_below_its_table() -> None:
    policy = read("[project]\nname = 'x'\n" + in_pyproject(WHOLE), "somewhere/pyproject.toml")
    assert policy.everywhere.where == "somewhere/pyproject.toml:3"
    assert policy.scenarios[0].where == "somewhere/pyproject.toml:13"
    assert policy.scenarios[0].budgets == read(WHOLE).scenarios[0].budgets
    assert policy.accepted[""][1].where == "somewhere/pyproject.toml:48"


@pytest.mark.parametrize(
    ("text", "file"),
    [("", "leakhunt.toml"), ("[tool.leakhunt]", "pyproject.toml")],
)
def test_an_empty_policy_has_no_budgets_and_the_usual_effort(text: str, file: str) -> None:
    policy = read(text, file)
    assert policy == Policy(file, ScenarioPolicy("", f"{file}:1"))
    assert policy.everywhere.budgets_of("x") == ()
    found = policy.everywhere
    assert (found.repeats, found.retries, found.most_calls) == (REPEATS, RETRIES, MOST_CALLS)


@pytest.mark.parametrize("scenario", ["my-service", "services/my_service.py"])
def test_what_is_accepted_in_a_scenario_is_so_by_its_name_or_its_path(scenario: str) -> None:
    policy = read(
        "[scenarios.'services/my_service.py']\n[[accept]]\nfingerprint = '0123456789ab'\n"
        f"reason = 'known'\nuntil = 2027-03-01\nscenario = '{scenario}'\n"
    )
    assert [each.reason for each in policy.accepted_in("my-service")] == ["known"]
    assert not policy.accepted_in("another")


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
    told = {budget.text for budget in vad.budgets_of("naive")}
    assert told == {"4 KiB/call", "1 KiB/call", "50 MiB total", "50 ms"}
    told = {budget.text for budget in vad.budgets_of("tensors-few")}
    assert told == {"2 KiB/call", "1 KiB/call", "50 MiB total", "50 ms"}


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
    assert [each.reason for each in policy.accepted_in("fsmn-vad")] == [
        "funasr keeps its segments",
        "small",
    ]
    assert [each.reason for each in policy.accepted_in("x")] == ["known everywhere", "small"]


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
    ("lines", "told"),
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
def test_a_choice_of_no_variant_is_told_with_its_place(lines: str, told: str) -> None:
    (policy,) = read(f"\n[scenarios.x]\n{lines}\n").scenarios
    with pytest.raises(BadFile, match=re.escape(f"leakhunt.toml:2: {told}")):
        policy.gated(VARIANTS)


def test_a_scenario_that_asks_for_more_calls_than_the_files_most_has_them() -> None:
    policy = read("most_calls = 100\n[scenarios.x]\ncalls = 500\n[scenarios.y]\ncalls = 50\n")
    assert [each.most_calls for each in policy.scenarios] == [500, 100]


ACCEPT = '[[accept]]\nfingerprint = "0123456789ab"\nreason = "r"\nuntil = 2027-03-01\n'


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        # Budgets of nonsense.
        (
            "[budgets]\n\nlive_heap = 'much'\n",
            3,
            "[budgets]: live_heap: invalid value 'much'. Examples: '2 KiB/call', '50 MiB total'",
        ),
        (
            "[budgets]\nlive_heap = -1\n",
            2,
            "[budgets]: live_heap: invalid value -1. Examples: '2 KiB/call', '50 MiB total' or",
        ),
        (
            "[budgets]\nlive_heap = nan\n",
            2,
            "live_heap: invalid value nan. Examples: '2 KiB/call', '50 MiB total' or '+1",
        ),
        (
            "[budgets]\nlive_heap = true\n",
            2,
            "live_heap: invalid value True. Examples: '2 KiB/call', '50 MiB total' or '+1",
        ),
        (
            "[budgets]\nlive_heap = 2027-03-01\n",
            2,
            "live_heap: invalid value 2027-03-01. Examples: '2 KiB/call', '50 MiB total' or '+1",
        ),
        (
            "[budgets]\nlive_heap = '+20 %'\n",
            2,
            "live_heap: a percentage of growth near 0 is undefined (got '+20 %'). Examples: '2",
        ),
        (
            "[budgets]\nlive_heep = 0\n",
            2,
            "unknown key 'live_heep' (did you mean 'live_heap'?). Known keys: live_heap,",
        ),
        ("[budgets]\nduration = 0\n", 2, "unknown key 'duration'"),
        (
            "[budgets]\nrss = [\n'1 KiB/call',\n'2',\n]\n",
            2,
            "rss: invalid value '2'. Examples: '2 KiB/call', '50 MiB total' or '+1 KiB/call'",
        ),
        (
            "[budgets.rss]\ntotal = 5\n",
            1,
            "rss: invalid value {'total': 5}. Examples: '2 KiB/call', '50 MiB total' or '+1",
        ),
        ("x = 1\nbudgets = 5\n", 1, "unknown key 'x'"),
        ("budgets = 5\n", 1, "budgets: expected a table, [budgets], got 5"),
        ("[[budgets]]\nrss = 5\n", 1, "budgets: expected a table, [budgets], got [{'rss': 5}]"),
        (
            "[scenarios.x]\nbudgets = { rss = 0,\tthreads = 'x' }\n",
            2,
            "threads: invalid value 'x'. Examples: 0, '0.1/call', '2 total' or '+0.1/call'",
        ),
        (
            "[scenarios.x.variant.naive.budgets]\nthreads = '2 KiB/call'\n",
            2,
            "[scenarios.x.variant.naive.budgets]: threads: invalid value '2 KiB/call'. Examples:",
        ),
        ("[scenarios.x.variant.a]\nbudget.rss = 5\n", 2, "mean 'budgets'?"),
        (
            "[scenarios.x]\nvariant.a = 5\n",
            2,
            "a: expected a table, [scenarios.x.variant.a], got 5",
        ),
        # The file.
        (
            "repeats = 1\nretrys = 2\n",
            2,
            "unknown key 'retrys' (did you mean 'retries'?). Known keys: baselines, repeats,",
        ),
        ("\nrepeats = 0\n", 2, "repeats: expected a whole number, 1 or more, got 0"),
        ("retries = -1\n", 1, "retries: expected a whole number, 0 or more, got -1"),
        ("most_calls = 1.5\n", 1, "most_calls: expected a whole number, 1 or more, got 1.5"),
        ("baselines = 5\n", 1, "baselines: expected a quoted text, got 5"),
        (
            "\n[tool.leakhunt]\nrepeats = 1\n",
            2,
            "this file takes its keys at the top level. Remove the prefix tool.leakhunt",
        ),
        # Scenarios.
        ("scenarios = ['x']\n", 1, "scenarios: expected a table, [scenarios], got ['x']"),
        ("[scenarios]\nx = 5\n", 2, "[scenarios]: x: expected a table, [scenarios.x], got 5"),
        (
            "[scenarios]\n'' = {}\n",
            2,
            "'': scenario not found. Use NAME, FILE, FILE:FUNCTION or MODULE:FUNCTION",
        ),
        (
            "[scenarios]\n'scenario.py' = {}\n",
            2,
            "'scenario.py': scenario not found. Use NAME, FILE, FILE:FUNCTION or MODULE:FUNCTION",
        ),
        (
            "[scenarios]\n'../scenario.py' = {}\n",
            2,
            "'../scenario.py': scenario not found. Use NAME, FILE, FILE:FUNCTION or",
        ),
        (
            "[scenarios.'x.py:']\n",
            1,
            "'x.py:': scenario not found. Use NAME, FILE, FILE:FUNCTION or MODULE:FUNCTION",
        ),
        (
            "[scenarios.'a:b:c']\n",
            1,
            "'a:b:c': scenario not found. Use NAME, FILE, FILE:FUNCTION or MODULE:FUNCTION",
        ),
        (
            "[scenarios.'x.py:f']\nvariants = ['g']\n",
            2,
            "'x.py:f' names its variants already. Remove variants",
        ),
        (
            "[scenarios.'x.py:f']\n[scenarios.'x.py:g,f']\n",
            2,
            "'x.py:g,f' has the same name as 'x.py:f'. Remove one of them",
        ),
        (
            "[scenarios.'x.py:f']\n[scenarios.'x.py']\n",
            2,
            "'x.py' has the same name as 'x.py:f'. Remove one of them",
        ),
        (
            '[scenarios."a\\nb"]\ncalls = 0\n',
            2,
            "[scenarios.'a\\nb']: calls: expected a whole number, 1 or more, got 0",
        ),
        (
            "[scenarios.a-b]\n[scenarios.'c/a_b.py']\n",
            2,
            "'c/a_b.py' has the same name as 'a-b'. Remove one of them",
        ),
        (
            "[scenarios.x]\ncals = 5\n",
            2,
            "unknown key 'cals' (did you mean 'calls'?). Known keys: variants, only_clean,",
        ),
        (
            "[scenarios.x]\ncalls = 0\n",
            2,
            "[scenarios.x]: calls: expected a whole number, 1 or more, got 0",
        ),
        ("[scenarios.x]\ncalls = '5'\n", 2, "calls: expected a whole number, 1 or more, got '5'"),
        (
            "[scenarios.x]\ncalls = 9223372036854775808\n",
            2,
            "calls: expected a whole number, 1 or more, got 0x8000000000000000...",
        ),
        (
            "[scenarios.x]\ncalls = 5\nwarmup = 5\n",
            3,
            "warmup 5 leaves no measured call of 5. Use a smaller value",
        ),
        (
            "[scenarios.x]\nwarmup = 5\n",
            2,
            "warmup needs calls (without calls, warm-up ends by itself)",
        ),
        (
            "[scenarios.x]\ncalls = 5\nmost_calls = 4\n",
            3,
            "most_calls 4 is smaller than calls 5. Raise it, or remove it",
        ),
        (
            "[scenarios.x]\nvariants = 'a'\n",
            2,
            "variants: expected a list of quoted texts, got 'a'",
        ),
        ("[scenarios.x]\nvariants = []\n", 2, "variants is empty. Remove it to select all"),
        ("[scenarios.x]\nonly_clean = 'yes'\n", 2, "only_clean: expected true or false, got 'yes'"),
        (
            "[scenarios.x.options]\na = true\n",
            2,
            "[scenarios.x.options]: a: expected a quoted text, got True",
        ),
        ("[scenarios.x.options]\na = inf\n", 2, "a: expected a quoted text, got inf"),
        ("[scenarios.x]\noptions.a.b = 5\n", 2, "a: expected a quoted text, got {'b': 5}"),
        ("[scenarios.x]\nseed = -1\n", 2, "seed: expected a whole number, 0 or more, got -1"),
        ("[scenarios.x]\nthreads = 0\n", 2, "threads: expected a whole number, 1 or more, got 0"),
        (
            "[scenarios.x]\ndevice = 'gpu'\n",
            2,
            "device: unknown value 'gpu' (did you mean 'cpu'?). Known values: auto, cpu, cuda",
        ),
        (
            "[scenarios.x]\ndevice = ''\n",
            2,
            "device: unknown value ''. Known values: auto, cpu, cuda",
        ),
        (
            "[scenarios.x]\ncollect = 'ever'\n",
            2,
            "collect: unknown value 'ever' (did you mean 'never'?). Known values: auto, always,",
        ),
        ("[scenarios.x]\nmemory_limit = '2'\nmemory_limt = 1", 3, "did you mean 'memory_limit'?"),
        (
            "[scenarios.x]\nmemory_limit = '2 XiB'\n",
            2,
            "memory_limit: invalid size '2 XiB'; examples: '512 MiB', '1.5 GB'",
        ),
        ("[scenarios.x]\nmemory_limit = 5\n", 2, "memory_limit: expected a quoted text, got 5"),
        ("[scenarios.x]\ntimeout = 0\n", 2, "timeout: expected a number above 0, got 0"),
        ("[scenarios.x]\ntimeout = inf\n", 2, "timeout: expected a number above 0, got inf"),
        # What is accepted.
        (
            "[accept]\nreason = 'r'\n",
            1,
            "accept: expected a list of tables. Write each as [[accept]]",
        ),
        (
            "[[accept]]\nreason = 'r'\n",
            1,
            "[[accept]] 1: missing fingerprint. Add it as a quoted text",
        ),
        (ACCEPT.replace("fingerprint", "fingerprnt"), 2, "did you mean 'fingerprint'?"),
        (
            ACCEPT.replace("0123456789ab", "xyz"),
            2,
            "fingerprint: expected the 12 digits a report shows for the suspect, got 'xyz'",
        ),
        (ACCEPT.replace('reason = "r"\n', ""), 1, "missing reason. Add it as a quoted text"),
        (ACCEPT.replace('"r"', '" "'), 3, "missing reason. Add it as a quoted text"),
        (
            ACCEPT.replace("until = 2027-03-01\n", ""),
            1,
            "missing until. Add a date, for example 2027-03-01",
        ),
        (
            ACCEPT.replace("2027-03-01", '"2027-03-01"'),
            4,
            "until: expected a date without quotes, such as 2027-03-01, got '2027-03-01'",
        ),
        (
            ACCEPT.replace("2027-03-01", "2027-03-01T00:00:00Z"),
            4,
            "until: expected a date without quotes, such as 2027-03-01, got",
        ),
        (
            ACCEPT.replace("2027-03-01", "2027-02-30"),
            4,
            "invalid TOML (Invalid date or datetime). Fix the syntax",
        ),
        (ACCEPT + ACCEPT, 6, "[[accept]] 2: fingerprint 0123456789ab is accepted twice"),
        ((ACCEPT + "scenario = 'x'\n") * 2, 7, "[[accept]] 2: fingerprint 0123456789ab is acc"),
        (ACCEPT + "scenario = 5\n", 5, "scenario: expected a quoted text, got 5"),
        # What is no TOML.
        (
            "repeats = 1\n<<<<<<< HEAD\nretries = 1\n",
            2,
            "invalid TOML (<<<<<<<: unresolved merge conflict). Fix the syntax",
        ),
        (
            "repeats = 1\n[budgets\n",
            2,
            "invalid TOML (Expected ']' at the end of a table declaration). Fix the syntax",
        ),
        (
            "repeats = 1\nrepeats = 2\n",
            2,
            "invalid TOML (Cannot overwrite a value). Fix the syntax",
        ),
        ("repeats = " + "[" * 9000, 1, "nested too deeply"),
        (
            "\nrepeats." + "a." * 1500 + "b = 1",
            2,
            "repeats: expected a whole number, 1 or more, got {'a': {'a': {...}}}",
        ),
        (
            "\nrepeats = 0x" + "f" * 5000,
            2,
            "repeats: expected a whole number, 1 or more, got 0xffffffffffffffffff...",
        ),
    ],
)
def test_what_is_wrong_is_told_in_one_line_with_its_place(text: str, line: int, told: str) -> None:
    with pytest.raises(BadFile) as caught:
        read(text)
    message = str(caught.value)
    assert message.startswith(f"leakhunt.toml:{line}: ") and told in message
    assert message.isprintable() and len(message) < 400


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        (
            "[project]\nname = 'x'\n",
            1,
            "missing [tool.leakhunt]. Add it, with scenarios and budgets",
        ),
        (
            "[project]\n[tool.ruff]\n",
            2,
            "missing [tool.leakhunt]. Add it, with scenarios and budgets",
        ),
        ("tool = 5\n", 1, "tool: expected a table, [tool], got 5"),
        ("[tool]\nleakhunt = 5\n", 2, "[tool]: leakhunt: expected a table, [tool.leakhunt], got 5"),
        (
            "[tool.leakhunt.scenarios.fsmn-vad.budgets]\nlive_heap = 'x'\n",
            2,
            "[tool.leakhunt.scenarios.fsmn-vad.budgets]: live_heap: invalid value 'x'. Examples:",
        ),
        (
            "[tool.leakhunt]\n[[tool.leakhunt.accept]]\n",
            2,
            "[[tool.leakhunt.accept]] 1: missing fingerprint. Add it as a quoted text",
        ),
        (
            "[tool.leakhunt]\naccept = [{}]\n",
            2,
            "[[tool.leakhunt.accept]] 1: missing fingerprint. Add it as a quoted text",
        ),
    ],
)
def test_a_pyproject_is_told_with_its_own_headers(text: str, line: int, told: str) -> None:
    with pytest.raises(BadFile) as caught:
        read(text, "pyproject.toml")
    assert str(caught.value).startswith(f"pyproject.toml:{line}: ")
    assert told in str(caught.value)


def test_bytes_that_are_no_text_are_told_with_their_line() -> None:
    with pytest.raises(BadFile, match=r"^leakhunt\.toml:2: not UTF-8"):
        read_policy(b"repeats = 1\n\xff\xfe", "leakhunt.toml")


SCHEMA: dict[str, Any] = json.loads(
    (resources.files("leakhunt.storage") / "schemas" / SCHEMAS["policy"]).read_text("utf-8")
)


def faults(text: str, *path: str) -> list[str]:
    """What an editor would underline in the table of `path`; TOML's dates are texts to it."""
    document = json.loads(json.dumps(tomllib.loads(text), default=date.isoformat))
    for key in path:
        document = document[key]
    validator = Draft202012Validator(SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER)
    return [error.message for error in validator.iter_errors(document)]


def test_the_schema_has_the_keys_that_are_read_each_described() -> None:
    known = {
        "Scenario": policy_file.SCENARIO_KEYS,
        "Variant": policy_file.VARIANT_KEYS,
        "PolicyAcceptance": policy_file.ACCEPT_KEYS,
        "Budgets": budgeted(),
    }
    assert list(SCHEMA["properties"]) == list(policy_file.KEYS)
    for name, keys in known.items():
        assert list(SCHEMA["$defs"][name]["properties"]) == list(keys)
    for place in (SCHEMA, *(SCHEMA["$defs"][name] for name in known)):
        assert place["additionalProperties"] is False and place["description"].endswith(".")
        assert all(each["description"].endswith(".") for each in place["properties"].values())


def test_the_schema_has_the_words_and_defaults_that_are_read() -> None:
    scenario = SCHEMA["$defs"]["Scenario"]["properties"]
    assert scenario["device"]["enum"] == list(DEVICES)
    assert scenario["collect"]["enum"] == list(COLLECT)
    default = ScenarioPolicy("", "")
    for place in (SCHEMA["properties"], scenario):
        for name, described in place.items():
            if "default" in described:
                assert described["default"] == getattr(default, name)


@pytest.mark.parametrize("text", [WHOLE, "", "[scenarios]\nnull = {}\n", ACCEPT])
def test_the_schema_takes_what_is_read(text: str) -> None:
    read(text)
    assert faults(text) == []


GOOD = ["'0/call'", "'2 KiB / call'", "'+ 1.5 total'", "0", "0.5", "['1/call', '+2 total']"]
BAD = ["'x'", "'1'", "-1", "true", "'-1/call'", "'1/s'", "'1 K/call'", "'5 %'", "[]", "['x']",
       "{}", "'1total'", "'5 ms'"]  # fmt: skip
GOOD_TIMES = ["'50 ms'", "'+5us'", "'1 \u00b5s/call'", "'+ 20 %'", "'+7.5%'", "0.05"]
GOOD_PEAKS = ["'2 GiB'", "'+50MiB'", "'+ 10 %'", "1000000", "['2 GiB', '+10 %']"]
BAD_PEAKS = ["'2 KiB/call'", "'2 GiB total'", "'10 %'", "0", "'x'", "'5 ms'", "[]"]
BAD_TIMES = ["'50'", "'20 %'", "'1 total'", "'1 min'", "0", "'+x %'", "'1 ms total'"]


@pytest.mark.parametrize(
    ("series", "value", "is_one"),
    [
        *(("rss", value, True) for value in GOOD if "KiB" in value),
        *(("threads", value, True) for value in GOOD if "KiB" not in value),
        *(("python_blocks", value, False) for value in BAD),
        *(("rss", value, False) for value in BAD),
        *(("threads", value, False) for value in BAD),
        *(("seconds_per_call", value, True) for value in GOOD_TIMES),
        *(("seconds_per_call", value, False) for value in BAD_TIMES),
        *(("peak_rss", value, True) for value in GOOD_PEAKS),
        *(("peak_rss", value, False) for value in BAD_PEAKS),
    ],
)
def test_the_schema_and_the_reader_agree_on_budgets(series: str, value: str, is_one: bool) -> None:
    text = f"[budgets]\n{series} = {value}\n"
    assert (faults(text) == []) is is_one
    if is_one:
        read(text)
    else:
        with pytest.raises(BadFile):
            read(text)


@pytest.mark.parametrize(
    "text",
    [
        "retrys = 1",
        "[scenarios.x]\ncalls = 0",
        "[scenarios.x]\ndevice = 'gpu'",
        "[scenarios.x]\nvariants = []",
        "[scenarios.x]\nmemory_limit = '2 XiB'",
        "[scenarios.x.options]\na = true",
        ACCEPT.replace('reason = "r"', ""),
        ACCEPT.replace('"r"', '" "'),
        ACCEPT.replace("2027-03-01", "'soon'"),
    ],
)
def test_the_schema_refuses_what_the_reader_refuses(text: str) -> None:
    assert faults(text)
    with pytest.raises(BadFile):
        read(text)

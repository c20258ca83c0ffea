"""What is wrong in a policy is told with its line."""

from __future__ import annotations

import pytest
from made_policies import ACCEPT, read

from leakhunt.config.policy_file import read_policy
from leakhunt.errors import BadFile


@pytest.mark.parametrize(
    ("text", "line", "expected"),
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
        ("[scenarios.x]\nlimit = 'much'\n", 2, "limit: invalid size 'much'"),
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
            "\nrepeats." + "a." * 900 + "b = 1",
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
def test_what_is_wrong_is_told_in_one_line_with_its_place(
    text: str, line: int, expected: str
) -> None:
    with pytest.raises(BadFile) as caught:
        read(text)
    message = str(caught.value)
    assert message.startswith(f"leakhunt.toml:{line}: ") and expected in message
    assert message.isprintable() and len(message) < 400


@pytest.mark.parametrize(
    ("text", "line", "expected"),
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
def test_a_pyproject_is_told_with_its_own_headers(text: str, line: int, expected: str) -> None:
    with pytest.raises(BadFile) as caught:
        read(text, "pyproject.toml")
    assert str(caught.value).startswith(f"pyproject.toml:{line}: ")
    assert expected in str(caught.value)


def test_bytes_that_are_no_text_are_told_with_their_line() -> None:
    with pytest.raises(BadFile, match=r"^leakhunt\.toml:2: not UTF-8"):
        read_policy(b"repeats = 1\n\xff\xfe", "leakhunt.toml")

"""Reading a policy: ``leakhunt.toml``, or ``[tool.leakhunt]`` of ``pyproject.toml``. Pure.

::

    [tool.leakhunt]                            # in leakhunt.toml all this is without tool.leakhunt
    baselines = "leakhunt-baselines"           # folder of baselines, seen from this file
    repeats = 1                                # of every scenario, unless it says otherwise
    retries = 2
    most_calls = 20000                         # a retry is no longer (of short calls: samples)

    [tool.leakhunt.budgets]                    # of every scenario, unless it has its own
    live_heap = "2 KiB/call"                   # how they are written: `leakhunt.config.budgets`
    rss = ["4 KiB/call", "50 MiB total"]
    peak_rss = ["2 GiB", "+10 %"]              # highest RSS of a run

    [tool.leakhunt.scenarios.fsmn-vad]         # a built-in one; or scenarios."my_service.py",
                                               # "my_service.py:handle", "package.module:handle"
    variants = ["naive", "tensors-*"]          # names or patterns; default: all
    only_clean = true                          # of these, those that are known not to leak
    options = { lengths = "fixed" }
    calls = 300
    warmup = 75
    device = "cpu"                             # and: threads, seed, repeats, retries, most_calls
    memory_limit = "2 GiB"                     # the worker is killed above it
    limit = "2 GiB"                            # forecast against it, nothing is killed
    timeout = 600                              # seconds without a new sample
    collect = "auto"                           # or always, never

    [tool.leakhunt.scenarios.fsmn-vad.budgets]
    rss = "50 MiB total"

    [tool.leakhunt.scenarios.fsmn-vad.variant.naive.budgets]
    live_heap = "4 KiB/call"

    [[tool.leakhunt.accept]]                   # an accepted suspect
    fingerprint = "0123456789ab"               # as shown beside it
    reason = "funasr keeps its segments, issue 123"
    until = 2027-03-01
    up_to = "2 KiB/call"                       # if it keeps no more; default: whatever it keeps
    scenario = "fsmn-vad"                      # only there; default: everywhere
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isfinite
from pathlib import PurePath

from leakhunt.amounts import parse_rate, parse_size
from leakhunt.config.budgets import parse_budgets
from leakhunt.errors import BadFile, UsageError
from leakhunt.model.gate import Acceptance, Budget
from leakhunt.model.policy import (
    COLLECT,
    DEVICES,
    Policy,
    ScenarioPolicy,
    budgeted,
    merged_budgets,
)
from leakhunt.model.series import Unit
from leakhunt.text.message import message
from leakhunt.toml_file import Table, header, read_table, shown

PYPROJECT = "pyproject.toml"
# The keys of the file, of a scenario, of a variant in it, and of what is accepted.
KEYS = ("baselines", "repeats", "retries", "most_calls", "budgets", "scenarios", "accept")
SCENARIO_KEYS = (
    "variants", "only_clean", "options", "calls", "warmup", "repeats", "retries", "most_calls",
    "seed", "threads", "device", "memory_limit", "limit", "timeout", "collect", "budgets",
    "variant",
)  # fmt: skip
VARIANT_KEYS = ("budgets",)
ACCEPT_KEYS = ("fingerprint", "reason", "until", "up_to", "scenario")
# What may stand behind the colon of a scenario's key.
_FUNCTIONS = re.compile(r"\w[\w.-]*(,\w[\w.-]*)*")
# A header of a policy, in a file that is no TOML.
_MEANT = re.compile(rb"(?m)^\s*\[+\s*tool\s*\.\s*[\"']?leakhunt\b")
# As a suspect shows it: `leakhunt.analysis.attribution.suspects`.
_FINGERPRINT = re.compile(r"[0-9a-f]{12}")


def read_policy(content: bytes, file: str) -> Policy:
    """The policy in a file's `content`; `file` is its name, and what it is called in errors.

    In a ``pyproject.toml`` it is below ``[tool.leakhunt]``, in every other file at the top.

    Raises:
        BadFile: it is no TOML, or something in it is missing, unknown, twice there or senseless.
    """
    top = _top(read_table(content, file), file)
    top.only(KEYS)
    everywhere = ScenarioPolicy("", top.place, budgets=_budgets(top.table("budgets")))
    everywhere = _with_attempts(everywhere, top)
    entries = top.table("scenarios")
    scenarios: list[ScenarioPolicy] = []
    for target in entries.items:
        found = _scenario(entries.table(target), target, everywhere)
        twin = next((each for each in scenarios if each.shares_with(found)), None)
        if twin is not None:
            entries.bad(
                message(
                    "policy.same-name",
                    "{target!r} has the same name as {twin!r}. Remove one of them",
                    target=target,
                    twin=twin.target,
                ),
                target,
            )
        scenarios.append(found)
    return Policy(file, everywhere, tuple(scenarios), _accepted(top), top.text("baselines"))


def has_policy(content: bytes) -> bool:
    """Whether the content of a ``pyproject.toml`` holds a policy, or is meant to.

    Where it is no TOML, a header of it tells: another file's policy may not stand in for it.
    """
    try:
        tool = read_table(content, PYPROJECT).items.get("tool")
    except BadFile:
        return _MEANT.search(content) is not None
    return isinstance(tool, dict) and "leakhunt" in tool


def _top(whole: Table, file: str) -> Table:
    """The table with the policy."""
    if PurePath(file).name != PYPROJECT:
        if "tool" in whole.items:
            whole.bad(
                message(
                    "policy.prefix",
                    "this file takes its keys at the top level. Remove the prefix tool.leakhunt",
                ),
                "tool",
            )
        return whole
    tool = whole.table("tool")
    if "leakhunt" not in tool.items:
        whole.bad(
            message(
                "policy.missing-table",
                "missing [tool.leakhunt]. Add it, with scenarios and budgets",
            ),
            "tool",
        )
    return tool.table("leakhunt")


def _scenario(table: Table, target: str, everywhere: ScenarioPolicy) -> ScenarioPolicy:
    table.only(SCENARIO_KEYS)
    policy = replace(everywhere, target=target, where=table.place)
    functions = _functions(policy, table)
    if functions and "variants" in table.items:
        table.bad(
            message(
                "policy.variants-named",
                "{target!r} names its variants already. Remove variants",
                target=target,
            ),
            "variants",
        )
    if "variants" in table.items and not table.texts("variants"):
        table.bad(
            message("policy.variants-empty", "variants is empty. Remove it to select all"),
            "variants",
        )
    variants = table.table("variant")
    policy = replace(
        policy,
        variants=functions or table.texts("variants"),
        only_clean=table.truth("only_clean"),
        budgets=merged_budgets(everywhere.budgets, _budgets(table.table("budgets"))),
        variant_budgets={name: _variant(variants.table(name)) for name in variants.items},
        options=_options(table.table("options")),
        seed=table.whole_number("seed", 0) or 0,
        threads=table.whole_number("threads", 1),
        device=_word(table, "device", DEVICES),
        memory_limit_bytes=_size(table, "memory_limit"),
        limit_bytes=_size(table, "limit"),
        timeout_seconds=table.number_above_0("timeout"),
        collect=_word(table, "collect", COLLECT),
    )
    return _with_calls(_with_attempts(policy, table), table)


def _functions(policy: ScenarioPolicy, table: Table, *at: str) -> tuple[str, ...]:
    """The functions that the target of `policy` names; an error is placed `at` a key of `table`."""
    functions = policy.target.removeprefix(policy.place).removeprefix(":")
    is_empty = policy.names_functions and not _FUNCTIONS.fullmatch(functions)
    if policy.name in ("", "..") or ":" in policy.place or is_empty:
        table.bad(
            message(
                "policy.scenario-not-found",
                "{target!r}: scenario not found. Use NAME, FILE, FILE:FUNCTION or MODULE:FUNCTION",
                target=policy.target,
            ),
            *at,
        )
    return tuple(dict.fromkeys(functions.split(","))) if functions else ()


def _with_attempts(policy: ScenarioPolicy, table: Table) -> ScenarioPolicy:
    """The policy with what `table` says of how often it is measured."""
    repeats = table.whole_number("repeats", 1)
    retries = table.whole_number("retries", 0)
    most_calls = table.whole_number("most_calls", 1)
    return replace(
        policy,
        repeats=policy.repeats if repeats is None else repeats,
        retries=policy.retries if retries is None else retries,
        most_calls=policy.most_calls if most_calls is None else most_calls,
    )


def _with_calls(policy: ScenarioPolicy, table: Table) -> ScenarioPolicy:
    """The policy with the calls that `table` asks for: never above the most that it names."""
    calls, warmup = table.whole_number("calls", 1), table.whole_number("warmup", 0)
    if calls is None:
        if warmup is not None:
            table.bad(
                message(
                    "policy.warmup-needs-calls-without",
                    "warmup needs calls (without calls, warm-up ends by itself)",
                ),
                "warmup",
            )
        return policy
    if warmup is not None and warmup >= calls:
        table.bad(
            message(
                "policy.warmup-too-long",
                "warmup {warmup} leaves no measured call of {calls}. Use a smaller value",
                warmup=warmup,
                calls=calls,
            ),
            "warmup",
        )
    if "most_calls" in table.items and policy.most_calls < calls:
        table.bad(
            message(
                "policy.most-calls-too-small",
                "most_calls {most} is smaller than calls {calls}. Raise it, or remove it",
                most=policy.most_calls,
                calls=calls,
            ),
            "most_calls",
        )
    return replace(policy, calls=calls, warmup=warmup, most_calls=max(policy.most_calls, calls))


def _budgets(table: Table) -> tuple[Budget, ...]:
    table.only(budgeted())
    found: list[Budget] = []
    for series, value in table.items.items():
        try:
            found += parse_budgets(series, value)
        except UsageError as error:
            table.bad(str(error), series)
    return tuple(found)


def _variant(table: Table) -> tuple[Budget, ...]:
    table.only(VARIANT_KEYS)
    return _budgets(table.table("budgets"))


def _word(table: Table, key: str, known: Sequence[str]) -> str:
    """One of the words that are known; the first where nothing is said."""
    return table.one_of(key, table.text(key), known) if key in table.items else known[0]


def _options(table: Table) -> Mapping[str, str]:
    """Options as texts, as the command line has them."""
    for name, value in table.items.items():
        is_number = type(value) is int or (type(value) is float and isfinite(value))
        if not isinstance(value, str) and not is_number:
            table.bad(
                message(
                    "policy.expected-text",
                    "{key}: expected a quoted text, got {value}",
                    key=name,
                    value=shown(value),
                ),
                name,
            )
    return {name: str(value) for name, value in table.items.items()}


def _size(table: Table, key: str) -> int | None:
    if key not in table.items:
        return None
    try:
        return parse_size(table.needed(key))
    except UsageError as error:
        table.bad(message("policy.size", "{key}: {told}", key=key, told=error), key)


def _up_to(table: Table) -> float | None:
    """What an accepted suspect may keep, in bytes per call."""
    text = table.text("up_to")
    if not text:
        return None
    try:
        return parse_rate(text, Unit.BYTES)
    except UsageError as error:
        table.bad(message("policy.up-to", "up_to: {error}", error=error), "up_to")


def _accepted(top: Table) -> Mapping[str, tuple[Acceptance, ...]]:
    """What is accepted, by the name of the scenario; everywhere: empty.

    A scenario is given by its name or by a target, as in ``[scenarios]``.
    """
    found: dict[str, tuple[Acceptance, ...]] = {}
    for table in top.tables("accept", header(*top.path, "accept")):
        table.only(ACCEPT_KEYS)
        fingerprint, target = table.needed("fingerprint"), table.text("scenario")
        if not _FINGERPRINT.fullmatch(fingerprint):
            table.bad(
                message(
                    "policy.invalid-fingerprint",
                    "fingerprint: expected the 12 digits a report shows for the suspect, got"
                    " {value}",
                    value=shown(fingerprint),
                ),
                "fingerprint",
            )
        named = ScenarioPolicy(target, table.place)
        variants = _functions(named, table, "scenario") if target else ()
        others = found.get(named.name, ())
        if any(
            each.fingerprint == fingerprint
            and bool(each.variants) == bool(variants)
            and (not variants or set(each.variants) & set(variants))
            for each in others
        ):
            table.bad(
                message(
                    "policy.accepted-twice",
                    "fingerprint {value} is accepted twice. Remove one",
                    value=fingerprint,
                ),
                "fingerprint",
            )
        acceptance = Acceptance(
            fingerprint=fingerprint,
            reason=table.needed("reason"),
            until=table.needed_day("until"),
            where=table.place,
            up_to=_up_to(table),
            variants=variants,
        )
        found[named.name] = (*others, acceptance)
    return found

"""Which scenarios of a policy are measured, and with which settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from leakhunt.engine.settings import sampling_of
from leakhunt.environment import available_cores
from leakhunt.errors import BadFile, UsageError
from leakhunt.model.options import BUDGET_SECONDS, TIMEOUT_SECONDS, Settings
from leakhunt.model.policy import Policy, ScenarioPolicy
from leakhunt.scenario import find
from leakhunt.text.message import message
from leakhunt.text.suggest import hint


@dataclass(frozen=True, slots=True)
class Job:
    """A scenario of the policy that is to be measured, and where its runs go."""

    policy: ScenarioPolicy
    settings: Settings
    folder: Path


def jobs_of(policy: Policy, wanted: Sequence[str], base: Path) -> list[Job]:
    """The scenarios of a policy (those that are `wanted`, as ``NAME[:VARIANT,...]``), checked.

    `base` is the folder of the policy's file; the jobs' folders are named after the scenarios.

    Raises:
        LeakhuntError: a scenario, a variant or an option is not there, or makes no sense.
    """
    chosen = list(_chosen(policy, wanted))
    names = [each.name for each in chosen]
    return [
        Job(each, _placed(each, base), _folder(each, names.count(each.name) > 1)) for each in chosen
    ]


def _folder(policy: ScenarioPolicy, is_one_of_several: bool) -> Path:
    """Functions of one file, each with a policy of its own, have a folder of their own."""
    return Path(f"{policy.name}.{policy.variants[0]}" if is_one_of_several else policy.name)


def _placed(policy: ScenarioPolicy, base: Path) -> Settings:
    """Its settings; what makes no sense is told with the line of the policy.

    Raises:
        BadFile: the policy names what is not there.
    """
    try:
        return _settings(policy, base)
    except UsageError as error:
        raise BadFile(
            message("gate.in-policy", "{place}: {told}", place=policy.where, told=error)
        ) from error


def _chosen(policy: Policy, wanted: Sequence[str]) -> Iterator[ScenarioPolicy]:
    """Those that are wanted, each once; of one that is named without variants, all of them."""
    known: dict[str, list[ScenarioPolicy]] = {}
    for each in policy.scenarios:
        for word in dict.fromkeys((each.target, each.place, each.name)):
            known.setdefault(word, []).append(each)
    variants: dict[str, list[str]] = {}
    for word in wanted:
        for found, names in _named(policy, known, word):
            variants.setdefault(found.target, []).extend(names)
    for each in policy.scenarios:
        named = variants.get(each.target, [])
        if not wanted or "" in named:
            yield each
        elif named:
            yield replace(each, variants=tuple(dict.fromkeys(named)))


def _named(
    policy: Policy, known: Mapping[str, Sequence[ScenarioPolicy]], word: str
) -> Iterator[tuple[ScenarioPolicy, Sequence[str]]]:
    """The scenarios that a word names, by target, place or name, and the variants it asks for."""
    target, colon, names = (word, "", "") if word in known else word.rpartition(":")
    if target not in known:
        raise UsageError(
            message(
                "gate.no-such-scenario",
                "--scenario {word}: {file} has no scenario {target!r}{hint}. Known scenarios:"
                " {known}",
                word=word,
                file=policy.file,
                target=target or names,
                hint=hint(target or names, known),
                known=", ".join(each.target for each in policy.scenarios)
                or message("none", "none"),
            )
        )
    if colon and not names.strip(" ,"):
        raise UsageError(
            message(
                "gate.missing-variant",
                "--scenario {word}: missing variant after the colon. Remove the colon to"
                " select all",
                word=word,
            )
        )
    patterns = [name.strip() for name in names.split(",")]
    for each in known[target]:
        if not names or not each.names_functions:
            yield each, patterns
        elif own := [name for name in each.variants if _fits(name, patterns)]:
            yield each, own
    strangers = [
        name for name in patterns if names and not any(_has(each, name) for each in known[target])
    ]
    if strangers:
        functions = [name for each in known[target] for name in each.variants]
        raise UsageError(
            message(
                "gate.no-such-scenario",
                "--scenario {word}: {file} has no scenario {target!r}{hint}. Known scenarios:"
                " {known}",
                word=word,
                file=policy.file,
                target=f"{target}:{strangers[0]}",
                hint=hint(strangers[0], functions),
                known=", ".join(each.target for each in policy.scenarios),
            )
        )


def _fits(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _has(policy: ScenarioPolicy, pattern: str) -> bool:
    """Whether a policy may have a variant that fits; where it names none, the scenario says."""
    return not policy.names_functions or any(_fits(each, [pattern]) for each in policy.variants)


def _settings(policy: ScenarioPolicy, base: Path) -> Settings:
    # A scenario of the user's own is found beside the policy's file; else it is a built-in one.
    beside = base / policy.place
    # In a file that marks no variant, those that the policy names are its functions.
    functions = dict.fromkeys((*policy.variants, *policy.variant_budgets))
    place = str(beside) if beside.exists() else policy.place
    found = find.find_scenario(place, tuple(functions), base)
    return Settings(
        scenario=found,
        variants=policy.gated(found.variants),
        named=False,
        sampling=sampling_of(
            policy.calls or found.default_calls,
            policy.warmup,
            None,
            policy.collect,
            resolve=False,
            # What is open is measured again, longer: that is the gate's own way.
            budget=0 if policy.calls or found.default_calls else BUDGET_SECONDS,
        ),
        seed=policy.seed,
        threads=policy.threads or available_cores(),
        device=policy.device,
        options=find.settle_options(found, policy.options),
        memory_limit_bytes=policy.memory_limit_bytes,
        limit_bytes=policy.limit_bytes,
        timeout_seconds=policy.timeout_seconds or TIMEOUT_SECONDS,
    )

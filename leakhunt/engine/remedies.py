"""``hunt --try``: what may be tried, and trying it: before and after in turns, the same inputs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from leakhunt.analysis.attribution.allocator_board import tried_environments
from leakhunt.analysis.attribution.known_causes import catalogue
from leakhunt.analysis.verdict.schedule import same_calls
from leakhunt.engine.interleave import in_turns, interleaved
from leakhunt.engine.session import Session
from leakhunt.environment import installed_allocators
from leakhunt.errors import UsageError
from leakhunt.model.allocators import TRY_ALLOCATORS
from leakhunt.model.options import COLLECTOR_OFF, COLLECTOR_VARIABLE, FREEZE, Settings
from leakhunt.model.plan import Plan, Role
from leakhunt.model.run import Run
from leakhunt.model.scenario import Variant
from leakhunt.scenario import find
from leakhunt.text.message import message

# Of `gc.set_threshold`.
_MAX_THRESHOLDS = 3
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class TriedRemedy:
    """A remedy as it was named: an environment, options, or another variant."""

    name: str
    environment: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    variant: Variant | None = None


def remedies_named(words: Sequence[str], settings: Settings) -> tuple[TriedRemedy, ...]:
    """The remedies that these words name.

    Raises:
        UsageError: one names nothing that can be tried.
    """
    return tuple(_named(word, settings) for word in words)


def _named(word: str, settings: Settings) -> TriedRemedy:
    if word == TRY_ALLOCATORS:
        return TriedRemedy(word)
    known = {cause.id: cause for cause in catalogue()}
    if word in known:
        environment = known[word].remedy.environment
        if not environment:
            raise UsageError(
                message(
                    "remedy.changes-code",
                    "--try {word}: this fix changes the code. Put it into its own variant, and"
                    " use --try variant:NAME",
                    word=word,
                )
            )
        return TriedRemedy(word, environment=environment)
    kind, _, rest = word.partition(":")
    if kind == "variant":
        return TriedRemedy(word, variant=_variant(rest, settings))
    if kind == "gc":
        return TriedRemedy(word, environment={COLLECTOR_VARIABLE: _collector(word, rest)})
    if kind == "option":
        name, equals, value = rest.partition("=")
        if not equals:
            raise UsageError(
                message(
                    "remedy.expected-option",
                    "--try {word}: expected option:NAME=VALUE",
                    word=word,
                )
            )
        find.settle_options(settings.scenario, {name: value})
        return TriedRemedy(word, options={name: value})
    pairs = [pair.partition("=") for pair in word.split(",")]
    if not all(equals and _VARIABLE.fullmatch(name) for name, equals, _ in pairs):
        raise UsageError(
            message(
                "remedy.expected",
                "--try {word!r}: expected NAME=VALUE (environment), option:NAME=VALUE,"
                " variant:NAME, allocators, gc:freeze, or the id of a known cause",
                word=word,
            )
        )
    return TriedRemedy(word, environment={name: value for name, _, value in pairs})


def _collector(word: str, setting: str) -> str:
    """How a worker's collector is set: ``freeze``, ``off``, or up to three thresholds."""
    numbers = setting.split(",")
    if setting in (FREEZE, COLLECTOR_OFF) or (
        len(numbers) <= _MAX_THRESHOLDS and all(each.isdecimal() for each in numbers)
    ):
        return setting
    raise UsageError(
        message(
            "remedy.expected-collector",
            "--try {word}: expected gc:freeze, gc:off, or thresholds such as gc:50000,20,20",
            word=word,
        )
    )


def _variant(name: str, settings: Settings) -> Variant:
    for variant in settings.scenario.variants:
        if variant.name == name:
            return variant
    names = ", ".join(variant.name for variant in settings.scenario.variants)
    raise UsageError(
        message(
            "remedy.no-such-variant",
            "--try variant:{name}: variant not found. Known variants: {names}",
            name=name,
            names=names,
        )
    )


def try_remedies(
    prepared: Session, run: Run, remedies: Sequence[TriedRemedy], pairs: int
) -> Iterator[Run]:
    """Run every remedy on a measured run's plan, in pairs of runs before and after it."""
    for number, remedy in enumerate(remedies, 1):
        against_itself = remedy.variant is not None and remedy.variant.name == run.plan.variant
        if not run.calls_done or against_itself:
            continue
        if remedy.name == TRY_ALLOCATORS:
            yield from _try_allocators(prepared, run, remedy, number, pairs)
        else:
            yield from _try(prepared, run, remedy, number, pairs)


def _try(
    prepared: Session, run: Run, remedy: TriedRemedy, number: int, pairs: int
) -> Iterator[Run]:
    before = _plan(run, remedy)
    after = replace(
        before,
        role=Role.AFTER,
        environment={**before.environment, **remedy.environment},
        options={**before.options, **remedy.options},
        variant=remedy.variant.name if remedy.variant else before.variant,
    )
    plans = [
        (replace(plan, round=turn), f"{run.plan.variant}.try-{number}-{plan.role}-{turn}")
        for turn, plan in interleaved(before, after, pairs)
    ]
    group = tuple(name for _, name in plans)
    for plan, name in plans:
        yield prepared.carry_out(plan, name, group)


def _try_allocators(
    prepared: Session, run: Run, remedy: TriedRemedy, number: int, rounds: int
) -> Iterator[Run]:
    """The run as it is, and under every allocator and setting that can be had here, in turns."""
    first = _plan(run, remedy)
    environments = tried_environments(run, installed_allocators())
    others = (
        replace(first, role=Role.AFTER, environment={**first.environment, **environment})
        for environment in environments
    )
    sides = list(enumerate((first, *others)))
    plans = [
        (replace(plan, round=turn), f"{run.plan.variant}.try-{number}-allocator-{place}-{turn}")
        for turn, (place, plan) in in_turns(sides, rounds)
    ]
    group = tuple(name for _, name in plans)
    for plan, name in plans:
        yield prepared.carry_out(plan, name, group)


def _plan(run: Run, remedy: TriedRemedy) -> Plan:
    """The run's own calls again, as a fixed number; the reference is what is compared with."""
    return replace(
        same_calls(run),
        collect="never",
        reference=run.plan.variant,
        role=Role.BEFORE,
        remedy=remedy.name,
    )

"""``hunt --try``: what may be tried, and trying it: before and after in turns, the same inputs."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from leakhunt.analysis.attribution.known_causes import catalogue
from leakhunt.analysis.verdict.schedule import same_calls
from leakhunt.engine.run import Session, shown
from leakhunt.errors import UsageError
from leakhunt.model.options import Settings
from leakhunt.model.plan import Plan, Role
from leakhunt.model.run import Outcome, Run
from leakhunt.model.scenario import Variant
from leakhunt.scenario import find
from leakhunt.text.language import tr

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Tried:
    """A remedy as it was named: an environment, options, or another variant."""

    name: str
    environment: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    variant: Variant | None = None


def remedies_asked(words: Sequence[str], settings: Settings) -> tuple[Tried, ...]:
    """The remedies that these words name.

    Raises:
        UsageError: one names nothing that can be tried.
    """
    return tuple(_asked(word, settings) for word in words)


def _asked(word: str, settings: Settings) -> Tried:
    known = {cause.id: cause for cause in catalogue()}
    if word in known:
        environment = known[word].remedy.environment
        if not environment:
            raise UsageError(
                tr(
                    "--try {word}: this remedy is a change of the code; put it into a"
                    " variant of its own, and use --try variant:NAME",
                    word=word,
                )
            )
        return Tried(word, environment=environment)
    kind, _, rest = word.partition(":")
    if kind == "variant":
        return Tried(word, variant=_variant(rest, settings))
    if kind == "option":
        name, equals, value = rest.partition("=")
        if not equals:
            raise UsageError(tr("--try {word}: write option:NAME=VALUE", word=word))
        find.settle_options(settings.scenario, {name: value})
        return Tried(word, options={name: value})
    pairs = [pair.partition("=") for pair in word.split(",")]
    if not all(equals and _VARIABLE.fullmatch(name) for name, equals, _ in pairs):
        raise UsageError(
            tr(
                "--try {word!r}: write NAME=VALUE (environment), option:NAME=VALUE,"
                " variant:NAME, or the id of a known cause",
                word=word,
            )
        )
    return Tried(word, environment={name: value for name, _, value in pairs})


def _variant(name: str, settings: Settings) -> Variant:
    for variant in settings.scenario.variants:
        if variant.name == name:
            return variant
    names = ", ".join(variant.name for variant in settings.scenario.variants)
    raise UsageError(
        tr("--try variant:{name}: no such variant; use one of {names}", name=name, names=names)
    )


def try_remedies(
    prepared: Session, run: Run, remedies: Sequence[Tried], rounds: int
) -> Generator[Outcome]:
    """Run every remedy on a measured run's plan, before and after in turns."""
    for number, tried in enumerate(remedies, 1):
        against_itself = tried.variant is not None and tried.variant.name == run.plan.variant
        if run.calls_done and not against_itself:
            yield from _try(prepared, run, tried, number, rounds)


def _try(
    prepared: Session,
    run: Run,
    tried: Tried,
    number: int,
    rounds: int,
) -> Iterator[Outcome]:
    before = _plan(run, tried)
    after = replace(
        before,
        role=Role.AFTER,
        environment={**before.environment, **tried.environment},
        options={**before.options, **tried.options},
        variant=tried.variant.name if tried.variant else before.variant,
    )
    name = f"{run.plan.variant}.try-{number}"
    with prepared.displays(len(f"{name}-before-{rounds}")) as display:
        for turn in range(1, rounds + 1):
            # Before first, then after first, so that a machine that slows down slows down both.
            for plan in (before, after) if turn % 2 else (after, before):
                taken = replace(plan, round=turn)
                yield shown(display, prepared, taken, f"{name}-{plan.role}-{turn}")


def _plan(run: Run, tried: Tried) -> Plan:
    """The run's own calls again, as a fixed number; the reference is what is compared with."""
    return replace(
        same_calls(run),
        collect="never",
        reference=run.plan.variant,
        role=Role.BEFORE,
        remedy=tried.name,
    )

"""What is gated, how it is measured, and by which budgets: the nouns of a policy. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from leakhunt.errors import BadFile
from leakhunt.model.gate import SECONDS_PER_CALL, Acceptance, Budget
from leakhunt.model.kinds import Kind
from leakhunt.model.scenario import Variant
from leakhunt.model.series import GARBAGE_OBJECTS, PEAK_RSS, PYTHON_LIVE, judged_series
from leakhunt.text.message import message
from leakhunt.text.suggest import hint

DEVICES = ("auto", "cpu", "cuda")
COLLECT = ("auto", "always", "never")
# One run tells a leak from none at known error rates; repeats are for noisy times.
REPEATS = 1
# Each is longer than the one before; what two leave open is hardly worth a third.
RETRIES = 2
# Of calls that take 50 ms, these are a quarter of an hour: what a job in CI may still wait for.
MAX_CALLS = 20_000
# A variant whose right verdict is one of these does not leak.
_CLEAN = (
    Kind.CLEAN, Kind.BOUNDED_CACHE, Kind.ALLOCATOR_RETENTION, Kind.CUDA_RETENTION, Kind.GARBAGE,
)  # fmt: skip
_SCENARIO_FILE = "scenario.py"


def budgeted() -> tuple[str, ...]:
    """What can have a budget."""
    return (*judged_series(), PYTHON_LIVE, PEAK_RSS, GARBAGE_OBJECTS, SECONDS_PER_CALL)


def merged_budgets(general: Sequence[Budget], own: Sequence[Budget]) -> tuple[Budget, ...]:
    """`own`, and of the series that have none of their own the `general` ones."""
    owned = {budget.series for budget in own}
    found = [*own, *(budget for budget in general if budget.series not in owned)]
    order = budgeted()
    return tuple(sorted(found, key=lambda budget: order.index(budget.series)))


@dataclass(frozen=True, slots=True)
class ScenarioPolicy:
    """How a scenario is measured, and the budgets that it must keep.

    `target` is a built-in scenario's name, the path of one, seen from the policy's file, or a
    module; this is its `place`. After a colon it names the only variants or functions that it is
    about. `where` is the ``file:line`` that says so. `variants` are names or patterns (none: all),
    of which `only_clean` leaves those that are known not to leak. `budgets` are those of all its
    variants, the file's among them; `variant_budgets` what single variants have of their own. None:
    as ``leakhunt run`` has it without that option.
    """

    target: str
    where: str
    variants: tuple[str, ...] = ()
    only_clean: bool = False
    budgets: tuple[Budget, ...] = ()
    variant_budgets: Mapping[str, tuple[Budget, ...]] = field(default_factory=dict)
    calls: int | None = None
    warmup: int | None = None
    repeats: int = REPEATS
    retries: int = RETRIES
    most_calls: int = MAX_CALLS
    options: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    threads: int | None = None
    device: str = DEVICES[0]
    memory_limit_bytes: int | None = None
    limit_bytes: int | None = None
    timeout_seconds: float | None = None
    collect: str = COLLECT[0]

    @property
    def place(self) -> str:
        """The target without the functions that it names."""
        place, colon, _ = self.target.rpartition(":")
        return place if colon else self.target

    @property
    def names_functions(self) -> bool:
        """Whether the target says which variants or functions it is about."""
        return self.place != self.target

    def shares_with(self, other: ScenarioPolicy) -> bool:
        """Whether a variant may have its budgets from both."""
        if self.name != other.name:
            return False
        apart = self.place == other.place and self.names_functions and other.names_functions
        return not apart or not set(self.variants).isdisjoint(other.variants)

    @property
    def name(self) -> str:
        """The scenario's name, as run files have it."""
        path = PurePosixPath(self.place)
        if path.name == _SCENARIO_FILE:
            path = path.parent
        stem = path.stem if path.suffix == ".py" else path.name
        return stem.replace("_", "-")

    def budgets_of(self, variant: str) -> tuple[Budget, ...]:
        """The variant's own budgets over the scenario's over the file's, series by series."""
        return merged_budgets(self.budgets, self.variant_budgets.get(variant, ()))

    def gated(self, variants: Sequence[Variant]) -> tuple[Variant, ...]:
        """Those of the scenario's `variants` that are gated, in their order.

        Raises:
            BadFile: a name or a pattern is that of none of them, or none is left.
        """
        names = [variant.name for variant in variants]
        strangers = [name for name in self.variant_budgets if name not in names]
        strangers += [
            pattern
            for pattern in self.variants
            if not any(fnmatchcase(name, pattern) for name in names)
        ]
        if strangers:
            raise BadFile(
                message(
                    "policy.no-such-variant",
                    "{place}: {owner} has no variant {name!r}{hint}. Known variants: {known}",
                    place=self.where,
                    owner=self.target,
                    name=strangers[0],
                    hint=hint(strangers[0], names),
                    known=", ".join(names),
                )
            )
        found = tuple(variant for variant in variants if self._gates(variant))
        if not found:
            raise BadFile(
                message(
                    "policy.no-clean-variant",
                    "{place}: {owner} has no variant marked clean. Remove only_clean",
                    place=self.where,
                    owner=self.target,
                )
            )
        return found

    def _gates(self, variant: Variant) -> bool:
        if self.only_clean and not (variant.expect and set(variant.expect) <= set(_CLEAN)):
            return False
        return any(fnmatchcase(variant.name, pattern) for pattern in self.variants or ("*",))


@dataclass(frozen=True, slots=True)
class Policy:
    """What is gated.

    `everywhere` is what scenarios without an entry of their own are held to; its target is empty.
    `baselines` is the folder of baselines, seen from the policy's `file`; empty where none is
    named. `accepted` has all that is accepted, by the scenario where it is; everywhere: empty.
    """

    file: str
    everywhere: ScenarioPolicy
    scenarios: tuple[ScenarioPolicy, ...] = ()
    accepted: Mapping[str, tuple[Acceptance, ...]] = field(default_factory=dict)
    baselines: str = ""

    def of(self, scenario: str, variant: str) -> ScenarioPolicy:
        """What a variant of the scenario of that name, as run files have it, is held to."""
        for each in self.scenarios:
            if each.name == scenario and (not each.names_functions or variant in each.variants):
                return each
        return self.everywhere

    def accepted_in(self, scenario: str, variant: str) -> tuple[Acceptance, ...]:
        """What is accepted in a variant of the scenario of that name, one entry a fingerprint.

        The variant's entries go before the scenario's, and those before the ones of everywhere.
        """
        own = [each for each in self.accepted.get(scenario, ()) if each.applies_to(variant)]
        own.sort(key=lambda each: not each.variants)
        found: dict[str, Acceptance] = {}
        for each in (*own, *self.accepted.get("", ())):
            found.setdefault(each.fingerprint, each)
        return tuple(found.values())

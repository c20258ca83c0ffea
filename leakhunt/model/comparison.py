"""The nouns of ``leakhunt compare``: what differs between runs of two versions or machines.

Frozen, standard library only. The first of the `sides` of a `Comparison` is the baseline; a `Pair`
is one variant of it beside the same variant of another side.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from leakhunt.model.attached import LookDifference
from leakhunt.model.attribution import Interval, Suspect
from leakhunt.model.kinds import Kind
from leakhunt.model.plan import Work
from leakhunt.model.report import Difference, JudgedRun
from leakhunt.model.series import Unit
from leakhunt.text.language import mark
from leakhunt.text.message import Message, Text, message

# The names of the two lines that are no series.
RSS_TOTAL = "rss_total"
TIME = "time"
# What the names of these facts begin with.
OPTION = "option "
PACKAGE = "package "
VARIABLE = "env "
# How memory was limited.
LIMIT = mark("memory limit")
# What limits it, as a run records it: the id of the message and its template.
ADDRESS_SPACE_LIMIT = (
    "limit.address-space",
    mark("RLIMIT_AS {size_bytes} (no permission to create a memory cgroup)"),
)
CGROUP_LIMIT = ("limit.cgroup", mark("cgroup v{version}, {size_bytes}"))
# Facts whose values are words of ours as well.
CALLS_ARE = mark("calls are")
COLLECTIONS = mark("collections")
CALLS_REQUESTED = mark("calls asked for")
COLLECTS = mark("a collection before each reading")
IN_OUR_WORDS = (CALLS_ARE, COLLECTIONS, CALLS_REQUESTED, COLLECTS, LIMIT)
# Further names and values of facts that are words of ours, translated where they are shown.
WORDS = (
    mark("seed"),
    mark("device"),
    mark("threads"),
    mark("requests from"),
    mark("users"),
    mark("service"),
    mark("system"),
    mark("kernel"),
    mark("calls made"),
    mark("calls per sample"),
    mark("calls of a function"),
    mark("requests to a service"),
    mark("before each reading"),
    mark("at the pauses"),
    mark("until the verdict is clear"),
    mark("none"),
    mark("yes"),
    mark("no"),
)
# What stands for a value where a side has none.
NOT_RECORDED = mark("not recorded")
NOT_SET = mark("not set")
NOT_INSTALLED = mark("not installed")
DEFAULT = mark("(default)")
ABSENT = (NOT_RECORDED, NOT_SET, NOT_INSTALLED, DEFAULT)


def absent(name: str) -> str:
    """What it means that a run does not have this fact."""
    if name.startswith((VARIABLE, OPTION)):
        return NOT_SET
    return NOT_INSTALLED if name.startswith(PACKAGE) else NOT_RECORDED


class Matter(StrEnum):
    """Why a fact that differs matters: what can then not be concluded."""

    INPUTS = mark("different inputs")
    MEMORY = mark("different memory allocator settings")
    MACHINE = mark("different machine")
    SHOWN = mark("for information")

    @property
    def refuses_memory(self) -> bool:
        """Whether bytes cannot be compared."""
        return self in (Matter.INPUTS, Matter.MEMORY)

    @property
    def refuses_time(self) -> bool:
        """Whether seconds cannot be compared."""
        return self is not Matter.SHOWN


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A fact with another value on the other side; several values of one side stand together.

    Words of ours are messages; names of options and packages, and what was recorded, stay as they
    are.
    """

    fact: str
    before: Text
    after: Text
    matter: Matter

    @property
    def title(self) -> Text:
        """The fact's name."""
        if self.fact.startswith(OPTION):
            name = self.fact.removeprefix(OPTION)
            return message("comparison.option", "option {name}", name=name)
        if self.fact.startswith(PACKAGE):
            name = self.fact.removeprefix(PACKAGE)
            return message("comparison.package", "package {name}", name=name)
        return Message("comparison.fact", self.fact)


class Conclusion(StrEnum):
    """What can be said of one figure."""

    INCREASE = mark("increase")
    DECREASE = mark("decrease")
    NO_DIFFERENCE = mark("no significant difference")
    INCONCLUSIVE = mark("inconclusive")
    NOT_COMPARABLE = mark("not comparable")


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure on both sides, and what follows.

    `name` is a series', or ``rss_total`` (bytes in the whole run) or ``time``. `before` and `after`
    are in `unit`, per call but for ``rss_total``; for ``time`` in seconds. `difference` is after
    less before, for ``time`` the ratio of after to before, with its 99 % interval. `would_show` is
    the difference that would have been seen with 95 %: an amount, or a ratio above one. `reason`
    says why nothing can be told, or what the interval rests on. None: it cannot be worked out.
    """

    name: str
    title: Text
    unit: Unit
    before: float | None
    after: float | None
    difference: Interval | None
    would_show: float | None
    conclusion: Conclusion
    reason: Text


class Fate(StrEnum):
    """What became of a suspect between two versions."""

    NEW = mark("new")
    GONE = mark("gone")
    STILL = mark("still there")
    UNKNOWN = mark("only one side was hunted")
    REFUSED = mark("not compared")


@dataclass(frozen=True, slots=True)
class SuspectChange:
    """A suspect, by its fingerprint, and the bytes per call it keeps on either side.

    None: it was not found there, or what it keeps is no memory.
    """

    suspect: Suspect
    fate: Fate
    before: float | None
    after: float | None


@dataclass(frozen=True, slots=True)
class Side:
    """One of the things compared: its label, and its measured runs with their verdicts.

    `left_out` says what was given and is not compared: files that cannot be read, runs that a hunt
    made to explain or verify.
    """

    label: str
    entries: tuple[JudgedRun, ...]
    left_out: tuple[Text, ...] = ()


@dataclass(frozen=True, slots=True)
class VerdictCount:
    """A class of verdict, and how many of a side's runs have it."""

    kind: Kind
    runs: int


@dataclass(frozen=True, slots=True)
class Pair:
    """A variant on the baseline's side and on another one; several runs of it are repeats.

    `verdicts` are the classes of the runs on either side. `results`: what the calls returned, None
    where that is not comparable or not summarized. `sentence` says it all. `refusing` are the
    mismatches that forbid a conclusion, drawn all the same if the comparison is `despite` them.
    """

    name: str
    before: tuple[JudgedRun, ...]
    after: tuple[JudgedRun, ...]
    before_label: str
    after_label: str
    verdicts: tuple[tuple[VerdictCount, ...], tuple[VerdictCount, ...]]
    lines: tuple[Metric, ...]
    results: Difference | None
    suspects: tuple[SuspectChange, ...]
    mismatches: tuple[Mismatch, ...]
    sentence: Text

    @property
    def work(self) -> Work:
        """What is compared, one by one: calls, or the requests of a soak."""
        return self.after[0].run.plan.work

    @property
    def refusing(self) -> tuple[Mismatch, ...]:
        """The mismatches that forbid one conclusion at least."""
        return tuple(each for each in self.mismatches if each.matter is not Matter.SHOWN)


@dataclass(frozen=True, slots=True)
class Alone:
    """A variant that is not on every side: the labels of those that have it, and those that not."""

    name: str
    present: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LooksCompared:
    """What changed between two visits of running processes, which are called so."""

    before_label: str
    after_label: str
    difference: LookDifference


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a renderer of comparisons gets. `despite`: concluded though facts forbid it.

    `looks` are of sides that are visits of running processes.
    """

    sides: tuple[Side, ...]
    pairs: tuple[Pair, ...]
    alone: tuple[Alone, ...]
    despite: bool
    generator: str
    looks: tuple[LooksCompared, ...] = ()

    @property
    def is_refused(self) -> bool:
        """Whether a conclusion was refused."""
        return not self.despite and any(pair.refusing for pair in self.pairs)

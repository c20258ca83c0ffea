"""The nouns of ``leakhunt baseline``: the figures of measured runs, without their samples.

Frozen, standard library only. A `Profile` is one run's figures, as `leakhunt compare` takes them
too; a `BaselineVariant` is a baseline file: runs of one variant; a `Baseline` is all of them for
one environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from leakhunt.model.comparison import Matter, Metric, Mismatch
from leakhunt.model.kinds import Kind
from leakhunt.model.plan import Work

# The facts by which environments are told apart, beside variables that change how memory behaves.
SYSTEM, LIBC = "system", "libc"
PYTHON, DEVICE = "python", "device"
IDENTITY = (SYSTEM, PYTHON, LIBC, DEVICE)
# By name: what is known of a machine, device, `env` variables and the like.
Environment = Mapping[str, str]
# Value and matter by name.
Facts = Mapping[str, tuple[str, Matter]]


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds per call: the median, and the medians of eight blocks of calls, in order.

    None and empty: too few samples.
    """

    seconds: float | None
    blocks: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class GrowthCourse:
    """How one series grows, in its unit per call.

    `rate` is the mean of the `steps` between the floors of eight blocks. `rate_after_gc` is the
    growth rate after gc.collect(), between the `points`: calls made and reading after each.
    `by_collections`: the verdict used those; `leaks`: it was a leak. None and empty: too few
    readings, or not saved.
    """

    rate: float | None
    steps: tuple[float, ...]
    rate_after_gc: float | None
    points: tuple[tuple[int, int], ...]
    by_collections: bool
    leaks: bool

    @property
    def headline(self) -> float | None:
        """The rate that is shown: what the verdict went by, as far as it is known."""
        return self.rate_after_gc if self.by_collections or self.rate is None else self.rate


@dataclass(frozen=True, slots=True)
class Profile:
    """The figures of one run.

    `calls` are those that the samples behind the figures come after, None where they stand at no
    even distance; `judged` counts the run's judged samples. `rss_growth` is in bytes, from before
    the first call to after the last; `peak_rss` the highest RSS.
    """

    facts: Facts
    work: Work
    calls_done: int
    calls: range | None
    judged: int
    calls_per_sample: int
    collects: bool
    courses: Mapping[str, GrowthCourse]
    rss_growth: float | None
    times: Times | None
    peak_rss: float | None = None

    def pairs_with(self, other: Profile) -> bool:
        """Whether both are about the same calls, read in the same way."""
        same = (self.calls, self.collects) == (other.calls, other.collects)
        return self.calls is not None and same


@dataclass(frozen=True, slots=True)
class BaselineVariant:
    """What is kept of the runs of a variant in one environment.

    `profiles` has one for each run. `verdicts` and `measured` (when it began) too, as the runs tell
    them.
    """

    scenario: str
    variant: str
    environment: Environment
    profiles: tuple[Profile, ...]
    verdicts: tuple[str, ...]
    measured: tuple[str, ...]

    @property
    def name(self) -> str:
        """``scenario:variant``, as it is named on the command line."""
        return f"{self.scenario}:{self.variant}"

    @property
    def accepts_leak(self) -> bool:
        """Whether a run leaked for certain when it was kept."""
        return any(kind.is_leak for kind in Kind if kind in self.verdicts)


@dataclass(frozen=True, slots=True)
class Baseline:
    """All that is kept for one environment; `place` is the folder, as it was named."""

    place: str
    environment: Environment
    variants: tuple[BaselineVariant, ...]

    def variant(self, scenario: str, variant: str) -> BaselineVariant | None:
        """What is kept of that variant, if anything."""
        wanted = (scenario, variant)
        return next((e for e in self.variants if (e.scenario, e.variant) == wanted), None)


@dataclass(frozen=True, slots=True)
class BaselineChange:
    """What differs between a variant as it is kept now and as it was, and what forbids to say so.

    `is_new`: it was not kept before.
    """

    variant: BaselineVariant
    lines: tuple[Metric, ...] = ()
    refusing: tuple[Mismatch, ...] = ()
    is_new: bool = False

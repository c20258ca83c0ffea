"""What a process takes at its peak: peaks of calls, their line over input size, a memory limit.

Frozen, standard library only. Sizes are bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

from leakhunt.model.attribution import Frame
from leakhunt.model.plan import Work
from leakhunt.text.message import Text


@dataclass(frozen=True, slots=True)
class PeakPoint:
    """A call: the size of its `input`, and what it took at its peak over live memory."""

    input: float
    size_bytes: int


@dataclass(frozen=True, slots=True)
class PeakLine:
    """A least-squares line of peak over input size.

    `per_unit_bytes` for each `unit` of input (99 % interval), over `base_bytes`: RSS with a call
    that has no input, and nothing retained. `largest_input` is the largest that was seen. For
    intervals of what it predicts: `count` of points, their `mean_input`, `spread` (sum of squares)
    and `residual_bytes` (standard deviation about the line).
    """

    unit: str
    per_unit_bytes: float
    low: float
    high: float
    base_bytes: float
    largest_input: float
    count: int
    mean_input: float
    spread: float
    residual_bytes: float


@dataclass(frozen=True, slots=True)
class PredictedPeak:
    """The RSS that a call with an input of that size reaches, with its 99 % interval."""

    input: float
    size_bytes: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PeakHolder:
    """A place that holds `size_bytes` in `blocks` blocks when the calls hold most.

    `whole_bytes` are all that they hold then, beside what was there before. `place` is the
    innermost line of Python, or a native function where there is none; `caller` the innermost line
    of the user's code that called it, if `place` is not that.
    """

    size_bytes: int
    whole_bytes: int
    blocks: int
    place: Frame
    caller: Frame | None
    sentence: Text

    @property
    def share(self) -> float:
        """The part of the peak."""
        return self.size_bytes / self.whole_bytes


@dataclass(frozen=True, slots=True)
class Peak:
    """What the calls of a run take at their peak.

    `highest_bytes` is the highest RSS of a sample, reached by `call`; `call_bytes` the most that
    one call took: over live memory where calls were measured after the run (`points`), else over
    RSS before the sample. `unit` is what inputs are measured in (empty: nobody says). `line`: peak
    over input size, where it depends on it. `predicted` are peaks of larger inputs. `holders`, of
    a run that was also made under memray, are the places that hold most of it.
    """

    highest_bytes: int
    call: int
    call_bytes: int
    points: tuple[PeakPoint, ...]
    unit: str
    line: PeakLine | None
    predicted: tuple[PredictedPeak, ...]
    sentence: Text
    holders: tuple[PeakHolder, ...] = ()


@dataclass(frozen=True, slots=True)
class RecommendedLimit:
    """A memory limit that the process needs, and its parts; they add up with the margin.

    `base_bytes`: RSS before the first call. `ceiling_bytes`: live memory that came since, or what
    bounded caches come to when full. `retained_bytes`: freed memory that the allocator retains.
    `peak_bytes`: what one of `concurrency` calls (or requests) takes at its peak.
    `starting_bytes` is what it takes while it starts, where that is more than the parts: then the
    limit is that with the margin. `limit_bytes` is None where no limit lasts: the process leaks.
    """

    base_bytes: int
    ceiling_bytes: int
    retained_bytes: int
    peak_bytes: int
    concurrency: int
    margin_bytes: int
    limit_bytes: int | None
    work: Work
    sentence: Text
    starting_bytes: int = 0

"""The nouns of ``leakhunt benchmark``: published packages, tools, and what each tool said."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from leakhunt.text.message import Text

# Of tools that ask for a number of calls.
CALLS = 1000


@dataclass(frozen=True, slots=True)
class PublishedLeak:
    """A package with a version that leaks and one that does not, by the fix at `link`.

    `workload` defines ``call()`` (or ``make_input`` and ``call(x)``), which leaks in the one.
    `leak` says where, `found` is a pattern of what names it, `kind` the class of the growth; `also`
    are further requirements.
    """

    name: str
    leaking: str
    fixed: str
    kind: str
    leak: str
    found: str
    link: str
    workload: str
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolRow:
    """What a tool said of one version. `says` None: nothing, for the `reason`.

    `names`: its first finding, with its stack, has the function that loses the memory; None: the
    tool names none. `finding` is that finding, cut short.
    """

    tool: str
    package: str
    version: str
    leaks: bool
    says: bool | None
    names: bool | None = None
    finding: str = ""
    seconds: float = 0.0
    reason: Text = ""

    @property
    def is_right(self) -> bool:
        """Whether it says what is true."""
        return self.says is self.leaks


@dataclass(frozen=True, slots=True)
class ToolScore:
    """What a tool's rows come to.

    `found` of `leaking` versions were called a leak, `false_alarms` of `fixed` ones; `named` of the
    leaking ones with the function. `failed`: it said nothing. `median_seconds`: of all rows.
    """

    tool: str
    leaking: int
    found: int
    named: int | None
    fixed: int
    false_alarms: int
    failed: int
    median_seconds: float


@dataclass(frozen=True, slots=True)
class BenchmarkReport:
    """Every tool on every version, and the score of each tool."""

    rows: tuple[ToolRow, ...]
    scores: tuple[ToolScore, ...]
    packages: tuple[PublishedLeak, ...]
    facts: tuple[tuple[str, str], ...]
    generator: str
    interrupted: bool = False


def score_of(tool: str, rows: tuple[ToolRow, ...]) -> ToolScore:
    """The score of a tool."""
    own = [row for row in rows if row.tool == tool]
    leaking = [row for row in own if row.leaks]
    fixed = [row for row in own if not row.leaks]
    names = [row.names for row in leaking if row.names is not None]
    return ToolScore(
        tool=tool,
        leaking=len(leaking),
        found=sum(row.says is True for row in leaking),
        named=sum(names) if names else None,
        fixed=len(fixed),
        false_alarms=sum(row.says is True for row in fixed),
        failed=sum(row.says is None for row in own),
        median_seconds=median([row.seconds for row in own] or [0.0]),
    )

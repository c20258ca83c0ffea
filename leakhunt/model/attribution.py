"""The nouns of attribution: what an instrument found, and whom that makes suspect.

An instrument's run leaves `Finding`s in its run file, as counted at its marks; `attribute()` turns
them, beside the measured run, into `Suspect`s. Frozen, standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from leakhunt.text.message import Text


class Instrument(StrEnum):
    """What watches an instrumented run; a measured run has none."""

    TRACEMALLOC = "tracemalloc"
    OBJGRAPH = "objgraph"
    MEMRAY = "memray"
    CUDA = "cuda"
    RESOURCES = "resources"
    LINES = "lines"
    RETAINED = "retained"
    GARBAGE = "garbage"


# What `--with` names: those that see growth. The other one looks at what is there.
GROWTH_INSTRUMENTS = tuple(each for each in Instrument if each is not Instrument.RETAINED)
# memray counts in so many windows; in one more, tracemalloc says which line an object is from.
MEMRAY_WINDOWS = 3
# A share above this is a fault of ours: memory that was counted twice, or held against too little.
MAX_SHARE = 1.1
# The function of a native frame whose shared object has no symbol for it.
STRIPPED = "<stripped>"


class FindingKind(StrEnum):
    """What a finding counts."""

    SITE = "site"
    CONTAINER = "container"
    TYPE = "type"
    GRAPH = "graph"
    RESOURCE = "resource"
    LINE = "line"
    LOST = "lost"
    HOLDER = "holder"
    CYCLE = "cycle"
    PEAK = "peak"


class CycleKind(StrEnum):
    """What keeps a cycle of garbage together."""

    SELF = "self"
    BACK_REFERENCE = "back-reference"
    CLOSURE = "closure"
    EXCEPTION = "exception"
    CALLBACK = "callback"
    CLASS = "class"
    OTHER = "other"


class Origin(StrEnum):
    """Whose code a frame is."""

    YOURS = "yours"
    LIBRARY = "library"
    INTERPRETER = "interpreter"


@dataclass(frozen=True, slots=True)
class Frame:
    """A place in the code: `file` without the folders of the machine, `source` the line's text."""

    file: str
    line: int
    function: str
    source: str
    origin: Origin

    @property
    def is_python(self) -> bool:
        """Whether it is Python code: native frames have no source that is known here."""
        return self.file.endswith((".py", ".pyx")) or self.file.startswith("<")

    def __str__(self) -> str:
        if self.function == STRIPPED:
            return f"{self.file or 'native code'} (stripped)"
        name = self.function if self.is_python else plain_name(self.function)
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{name} ({where})" if where else name

    def to_json(self) -> Any:
        """As a value of a message: ``{"file": "app.py", "line": 7, "function": "handle"}``."""
        return {"file": self.file, "line": self.line, "function": self.function}


# How Rust's symbols spell what may not stand in one.
_OF_RUST = {"$LT$": "<", "$GT$": ">", "$u20$": " ", "$RF$": "&", "$C$": ",", "..": "::"}
_RUSTS_HASH = re.compile(r"::h[0-9a-f]{16}$")
_RUSTS_METHOD = re.compile(r"_?<(?P<kind>.+?) as .+>(?P<method>::.+)")


def plain_name(symbol: str) -> str:
    """A C++ or Rust symbol without its types: ``dnnl::impl::utils::lru_cache_t::add``."""
    symbol = _RUSTS_HASH.sub("", symbol)
    if "$" in symbol:
        for spelt, letter in _OF_RUST.items():
            symbol = symbol.replace(spelt, letter)
        if (found := _RUSTS_METHOD.fullmatch(symbol)) is not None:
            symbol = found["kind"] + found["method"]
    text = symbol.partition(" [clone")[0].replace("(anonymous namespace)", "{anonymous}")
    letters, depth = [], 0
    for letter in text:
        depth += letter in "<("
        if not depth:
            letters.append(letter)
        depth -= letter in ">)" and depth > 0
    words = "".join(letters).removesuffix(" const").split()
    if "operator" in words:
        return " ".join(words[words.index("operator") :])
    return words[-1] if words and "::" in words[-1] else text if not words else " ".join(words)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that an instrument counted at each of its marks.

    `calls` are the marks, `counts` the blocks (items, objects, descriptors ...) and `sizes` the
    bytes alive at each. `stack` says where they came from, innermost frame first; `chain` who
    holds them, from a module, frame, thread or the scenario's state down. `key` names a site, and
    `keeps` the sites whose blocks a container keeps alive. `facts` are what else was seen; a
    site is ``apart`` if each window was counted by itself, without what was there before. Of a
    peak, what was there of it when most was: `facts` have the ``whole``, in bytes.
    """

    instrument: Instrument
    sort: FindingKind
    what: str
    calls: tuple[int, ...]
    counts: tuple[int, ...]
    sizes: tuple[int, ...]
    stack: tuple[Frame, ...] = ()
    chain: tuple[str, ...] = ()
    key: str = ""
    keeps: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bound:
    """What ends the growth of a cache: so many `entries`.

    An entry is told by `blocks` allocations whose stack names `frame` (a regular expression).
    """

    entries: int
    frame: str
    blocks: int


@dataclass(frozen=True, slots=True)
class Remedy:
    """What helps: in words, and as the environment where that is enough."""

    text: str
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cause:
    """A known cause, from the catalogue. A finding matches if it has all that is asked for.

    Regular expressions: `frames` in one frame of the stack each, `types` in one of the types held
    or holding, `own_types` in the type of the suspect itself, `chain` in the retention chain.
    `facts` are names of facts that must be there; `sorts` what kinds of finding may match. A cause
    that `shows` in a verdict's class or a line of the ledger explains what is kept without leaking.

    `distributions` are requirements (``gradio<6.25``), of which the installed version must meet
    one; where none of them is known to be installed, what was found decides.
    """

    id: str
    title: str
    reason: str
    remedy: Remedy
    verify: str
    link: str
    versions: str = ""
    sorts: tuple[FindingKind, ...] = ()
    frames: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    own_types: tuple[str, ...] = ()
    chain: str = ""
    facts: tuple[str, ...] = ()
    shows: tuple[str, ...] = ()
    distributions: tuple[str, ...] = ()
    bound: Bound | None = None

    @property
    def is_bounded(self) -> bool:
        """Whether what it is the cause of ends."""
        return self.bound is not None or "most_items" in self.facts


@dataclass(frozen=True, slots=True)
class Cycle:
    """A cycle of garbage: what it is made of, and which references to `cut`, so that it is none.

    `cut` is empty where there is no such reference; `closed_at` is the line that sets the first of
    them. `weak_reference`: one may be in its place. A cycle has so many `objects`, with what hangs
    on it, and so many `native_bytes` of tensors and images.
    """

    kind: CycleKind
    types: str
    cut: tuple[str, ...]
    closed_at: Frame | None
    weak_reference: bool
    objects: float
    native_bytes: int


@dataclass(frozen=True, slots=True)
class Installed:
    """A distribution in the version that is installed, by its metadata."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True, slots=True)
class Suspect:
    """Who keeps memory, and how we know.

    `where` is the deepest frame of the user's own code, `holder` the deepest of the library that
    holds it. `bytes_per_call` is None where what grows is no memory; `share` is its part of the
    growth that the measured run saw (None where that is not known). `exact`: the blocks per call
    came to the same whole number in every window. `ceiling_bytes`: where a bounded cache is full.
    A `cycle` is kept until it is collected: then `share` is its part of all cyclic garbage.
    `distribution` has the extension that allocates it or loses a reference to it.
    """

    fingerprint: str
    title: Text
    origin: Origin
    per_call: float
    exact: bool
    bytes_per_call: float | None
    share: float | None
    where: Frame | None
    holder: Frame | None
    chain: tuple[str, ...]
    stack: tuple[Frame, ...]
    cause: Cause | None
    ceiling_bytes: float | None
    ceiling_calls: int | None
    evidence: tuple[Text, ...]
    instruments: tuple[Instrument, ...]
    cycle: Cycle | None = None
    distribution: Installed | None = None

    def __post_init__(self) -> None:
        assert self.share is None or self.share <= MAX_SHARE, self.share


@dataclass(frozen=True, slots=True)
class LineGrowth:
    """A line of the variant's function: what RSS grows by, and how often it runs, per call."""

    place: Frame
    bytes_per_call: float
    runs_per_call: float


@dataclass(frozen=True, slots=True)
class Attribution:
    """The suspects of a run, the gravest first, set against its growth.

    `growth` is the bytes per call to be explained (None: what grows is no memory, or nothing
    grows), `explained` how much of it the suspects come to. `bounded`: all but a rest of it is
    caches that end; `ceiling_bytes` is then what they come to. `retained` are known causes of
    memory that is retained without growing. `lines` are those of the variant's function, where
    memory-profiler watched them. `blind_spots` are those that matter here. `garbage` is what cyclic
    garbage comes to, in bytes per call, where it was looked at; its cycles come last.
    """

    suspects: tuple[Suspect, ...]
    growth: float | None
    explained: float | None
    bounded: bool
    ceiling_bytes: float | None
    ceiling_calls: int | None
    sentence: Text
    retained: tuple[Cause, ...]
    blind_spots: tuple[Text, ...]
    instruments: tuple[Instrument, ...]
    lines: tuple[LineGrowth, ...] = ()
    garbage: float | None = None

    @property
    def growing(self) -> tuple[Suspect, ...]:
        """Those that keep what grows."""
        return tuple(each for each in self.suspects if each.cycle is None)

    @property
    def cycles(self) -> tuple[Suspect, ...]:
        """Those that are cyclic garbage."""
        return tuple(each for each in self.suspects if each.cycle is not None)

    def __post_init__(self) -> None:
        most = MAX_SHARE * (self.growth or 0.0)
        assert self.growth is None or (self.explained or 0.0) <= most, self.explained


@dataclass(frozen=True, slots=True)
class Ceiling:
    """A bounded cache's ceiling, verified by a run past it: bytes of live memory above the start.

    `is_level`: nothing grew any more after `calls`.
    """

    predicted_bytes: float
    found_bytes: int
    calls: int
    is_level: bool
    sentence: Text


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with an interval around it, at the level that its owner says."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class RemedyTrial:
    """A remedy, run before and after on the same inputs, in so many interleaved `pairs` of runs.

    `before` and `after` are live bytes per call, `saved` their difference; None where one of the
    allocators does not tell what is in use, and `unread` says why. `rounding` is how far two
    allocators may be apart that count the same blocks. `saved_rss_bytes` is what RSS grew by less
    in a whole run. `time_ratio` is the time of a call after, as a multiple of that before. All
    three with their 95 % intervals, over the pairs. Of `compared` calls, `differing` returned
    something else.
    """

    variant: str
    remedy: str
    pairs: int
    before: float | None
    after: float | None
    saved: Interval | None
    saved_rss_bytes: Interval
    time_ratio: Interval
    compared: int
    differing: int
    sentence: Text
    rounding: float = 0.0
    unread: Text = ""

    @property
    def saves(self) -> bool:
        """Whether live memory grows less for certain, by more than two allocators round."""
        return self.saved is not None and self.saved.low > self.rounding


@dataclass(frozen=True, slots=True)
class AllocatorTrial:
    """One allocator, or a setting of one, among those that were tried in interleaved `runs`.

    `environment` is what it takes beside the process's own; the first of a board takes nothing.
    `allocator` is what served malloc, as it was found. `rss_bytes` is RSS after the last call,
    `live_bytes` what was in use then (None: the allocator does not tell), `seconds` those of a
    call. `saved_rss_bytes` and `time_ratio` compare it with the first, round by round; None: it is
    the first. All intervals are at 95 %, over the rounds. Of `compared` calls, `differing` returned
    something else than with the first.
    """

    name: Text
    environment: Mapping[str, str]
    allocator: str
    runs: int
    rss_bytes: Interval
    live_bytes: float | None
    seconds: Interval
    saved_rss_bytes: Interval | None
    time_ratio: Interval | None
    compared: int
    differing: int


@dataclass(frozen=True, slots=True)
class AllocatorBoard:
    """The allocators that a variant was tried with; the first of `trials` is as it is.

    `recommended` is the place in `trials` of the one that saves most RSS without being slower; None
    where none does for certain.
    """

    variant: str
    trials: tuple[AllocatorTrial, ...]
    recommended: int | None
    sentence: Text

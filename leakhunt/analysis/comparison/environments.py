"""Which facts differ between runs, and what may then not be concluded. Pure.

What makes the inputs another forbids every conclusion: other calls were made. What makes memory be
managed another way does as well: the same leak has another size under another malloc, and RSS
another course. Another machine is as fast as it is, but mallocs the same. Versions of packages, of
Python and of the code are what is compared: they are shown. So is a fact that one side did not
record: nobody knows whether it differs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from leakhunt.amounts import format_bytes
from leakhunt.model.allocators import ALLOCATOR, PYTHON_ALLOCATOR
from leakhunt.model.baseline import Facts
from leakhunt.model.comparison import (
    ABSENT,
    ADDRESS_SPACE_LIMIT,
    CALLS_ARE,
    CALLS_REQUESTED,
    CGROUP_LIMIT,
    COLLECTIONS,
    COLLECTS,
    DEFAULT,
    IN_OUR_WORDS,
    LIMIT,
    NOT_RECORDED,
    OPTION,
    PACKAGE,
    VARIABLE,
    Matter,
    Mismatch,
    absent,
)
from leakhunt.model.libraries import LIBRARIES
from leakhunt.model.plan import PlannedLoad, Work
from leakhunt.model.run import Run
from leakhunt.text.message import Message, Text, english, joined, read_back

_MACHINE = ("cpu", "cores", "memory", "gpu", "driver")
# Which of several equal GPUs it is.
_MACHINE_VARIABLES = ("env CUDA_VISIBLE_DEVICES",)
_HASH_SEED = "env PYTHONHASHSEED"
# Facts about the inputs that a scenario's ``prepare`` recorded: by these names, or a checksum.
_INPUT_FACTS = ("audio", "weights", "inputs", "data", "dataset")
_CHECKSUMS = ("sha256", "checksum", "md5", "crc32")
# Words about what a checksum says exactly.
_CHECKSUM_OF = {"weights": "weights_sha256"}
# What the machine does not say of itself, which is not recorded either.
_UNKNOWN = "unknown"
_CALLS_ARE = {
    Work.CALL: "calls of a function",
    Work.REQUEST: "requests to a service",
    Work.SECOND: "seconds of a process",
}


def mismatches(before: Sequence[Run], after: Sequence[Run]) -> tuple[Mismatch, ...]:
    """Every fact that is not the same in all these runs, what forbids a conclusion first.

    Repeats that differ among themselves are no repeats: their values stand together, ``2 / 4``.
    """
    return differing(*([facts(run) for run in runs] for runs in (before, after)))


def differing(before: Sequence[Facts], after: Sequence[Facts]) -> tuple[Mismatch, ...]:
    """`mismatches`, of runs of which the facts are known."""
    sides = [before, after]
    names = dict.fromkeys(name for side in sides for each in side for name in each)
    found = [each for name in names for each in _mismatch(name, sides)]
    order = list(Matter)
    return tuple(sorted(found, key=lambda each: order.index(each.matter)))


def _mismatch(name: str, sides: Sequence[Sequence[Facts]]) -> Iterator[Mismatch]:
    known = [facts_of[name] for side in sides for facts_of in side if name in facts_of]
    matter = min((each for _, each in known), key=list(Matter).index)
    lacking = absent(name)
    before, after = (
        dict.fromkeys(each[name][0] if name in each else lacking for each in side) for side in sides
    )
    values = {**before, **after}
    if len(values) > 1:
        unknown = len(values) == 2 and NOT_RECORDED in values
        yield mismatch(name, before, after, Matter.SHOWN if unknown else matter)


def mismatch(name: str, before: Iterable[str], after: Iterable[str], matter: Matter) -> Mismatch:
    """A fact that differs, from the values on either side."""
    texts = ([_value(name, each) for each in side] for side in (before, after))
    one, other = (side[0] if len(side) == 1 else joined(side, " / ", "") for side in texts)
    return Mismatch(name, one, other, matter)


def _value(name: str, value: str) -> Text:
    """A value of this fact: words of ours are a message, whatever else is as it is."""
    if name == LIMIT:
        for id_, template in (ADDRESS_SPACE_LIMIT, CGROUP_LIMIT):
            if (limit := read_back(id_, template, value)) is not None:
                return limit
    return Message("comparison.value", value) if name in IN_OUR_WORDS or value in ABSENT else value


def facts(run: Run) -> Facts:
    """What may matter about a run: value and matter by name, in reading order."""
    environment = dict(run.environment)
    if environment.get(_HASH_SEED) == str(run.plan.seed):
        del environment[_HASH_SEED]  # leakhunt set it: the seed says the same
    parts = (_of_plan(run), _of_inputs(run.facts), _of_environment(environment), _sampling(run))
    return dict(each for part in parts for each in part)


def _of_plan(run: Run) -> Iterator[tuple[str, tuple[str, Matter]]]:
    plan = run.plan
    yield CALLS_ARE, (_CALLS_ARE[plan.work], Matter.INPUTS)
    if plan.load is not None:
        yield from _of_load(plan.load)
    yield "seed", (str(plan.seed), Matter.INPUTS)
    yield "device", (str(plan.device), Matter.INPUTS)
    for name, value in plan.options.items():
        yield f"{OPTION}{name}", (str(value) or DEFAULT, Matter.INPUTS)
    yield "threads", (str(plan.threads), Matter.MEMORY)
    limit = plan.memory_limit_bytes
    size = format_bytes(limit) if limit is not None else "none"
    how = english(run.facts.get(LIMIT, ""))
    yield LIMIT, (size if how in ("", "none") else how, Matter.MEMORY)
    # What `auto` comes to is what the code does; what `always` takes out of the calls is not.
    collections = "before each reading" if plan.collect == "always" else "at the pauses"
    yield COLLECTIONS, (collections, Matter.MEMORY)
    for name, value in plan.environment.items():
        yield f"{VARIABLE}{name}", (str(value), Matter.MEMORY)


def _of_load(load: PlannedLoad) -> Iterator[tuple[str, tuple[str, Matter]]]:
    """Whose requests they are matters; the address is another at every start."""
    yield "requests from", (load.requests_from, Matter.INPUTS)
    yield "users", (f"{load.users:,}", Matter.MEMORY)
    yield "service", (load.service, Matter.SHOWN)


def _of_inputs(facts: Mapping[str, Text]) -> Iterator[tuple[str, tuple[str, Matter]]]:
    for name, value in facts.items():
        if name == LIMIT:
            continue
        exact = _CHECKSUM_OF.get(name, "") in facts
        about_inputs = name in _INPUT_FACTS or any(word in name for word in _CHECKSUMS)
        matter = Matter.INPUTS if about_inputs and not exact else Matter.SHOWN
        yield name, (english(value), Matter.MACHINE if name in _MACHINE else matter)


def _of_environment(facts: Mapping[str, str]) -> Iterator[tuple[str, tuple[str, Matter]]]:
    for name, value in facts.items():
        if name == "system":
            yield from _of_system(value)
        elif name.startswith(VARIABLE):
            machine = name in _MACHINE_VARIABLES
            yield name, (value, Matter.MACHINE if machine else Matter.MEMORY)
        elif name in ("libc", ALLOCATOR, PYTHON_ALLOCATOR):
            yield name, (value, Matter.MEMORY)
        elif name in _MACHINE and value != _UNKNOWN:
            yield name, (value, Matter.MACHINE)
        elif name in ("python", LIBRARIES) or "commit" in name:
            yield name, (value, Matter.SHOWN)
        elif name not in _MACHINE:
            yield f"{PACKAGE}{name}", (value, Matter.SHOWN)


def _of_system(value: str) -> Iterator[tuple[str, tuple[str, Matter]]]:
    """``Linux 6.18.44 x86_64``: another kernel is another machine, another system a malloc too."""
    words = value.split()
    yield "system", (" ".join([*words[:1], *words[2:]]), Matter.MEMORY)
    yield "kernel", (" ".join(words[1:2]), Matter.MACHINE)


def _sampling(run: Run) -> Iterator[tuple[str, tuple[str, Matter]]]:
    """How the calls were read: what both made is compared, so this is only shown."""
    calls = run.plan.calls
    yield (
        CALLS_REQUESTED,
        (f"{calls:,}" if calls else "as many as needed", Matter.SHOWN),
    )
    yield "calls made", (f"{run.calls_done:,}", Matter.SHOWN)
    yield "calls per sample", (f"{run.calls_per_sample:,}", Matter.SHOWN)
    yield (
        COLLECTS,
        ("yes" if run.collects else "no", Matter.SHOWN),
    )

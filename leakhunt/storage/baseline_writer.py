"""What is kept of a variant as text: TOML with a line for each figure, for people who review it.

Format history
    1 (2026-11): format, scenario, variant, verdict, measured, environment, what is known of the
        inputs, memory, machine and versions, calls, the series, rss_total, time, checksum; later
        peak_rss as well, which may be missing.

The last line is a checksum of the lines above. So a file that is cut off is noticed, and so are
figures of two measurements that were mixed, by hand or by a merge: two branches that renew the same
variant always change that line, and git says that they conflict.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from statistics import fmean

from leakhunt.model.baseline import PYTHON, BaselineVariant, GrowthCourse, Profile
from leakhunt.model.comparison import Matter, absent
from leakhunt.model.series import PEAK_RSS, Unit, compared_series

FORMAT = 1
CHECKSUM = "checksum"
# The figures of one run are taken over so many blocks of its calls: of format 1, for good.
BLOCKS = 8
# Under which key the facts of each matter stand.
FACTS = {
    "inputs": Matter.INPUTS,
    "memory": Matter.MEMORY,
    "machine": Matter.MACHINE,
    "shown": Matter.SHOWN,
}
# Decimals of a rate read after every call. Less is far below what counts as growth, which gets
# smaller with the calls between two readings.
_DECIMALS = {Unit.BYTES: 2, Unit.BLOCKS: 3, Unit.COUNT: 6, Unit.NANOSECONDS: 0}
# Of two runs, Student's interval is 64 times as wide as what they differ by.
_MORE_OF_REPEATS = 2
# Of a time: a hundredth of what two runs on a quiet machine differ by.
_SIGNIFICANT = 5
_MILLISECONDS = 1e3
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_CHECKSUM_DIGITS = 12


def text_of(variant: BaselineVariant) -> bytes:
    """The file of a variant, in UTF-8."""
    lines = list(_lines(variant))
    lines.append(f"{CHECKSUM} = {_text(checksum(lines))}")
    return "".join(f"{line}\n" for line in lines).encode()


def checksum(lines: Sequence[str]) -> str:
    """Of the lines above it; how they end does not count, which git may change."""
    text = "\n".join(line.rstrip() for line in lines)
    return sha256(text.encode("utf-8", "replace")).hexdigest()[:_CHECKSUM_DIGITS]


def _lines(variant: BaselineVariant) -> Iterator[str]:
    name = _comment(variant.name)
    yield f"# What {name} keeps and takes: a baseline, against which leakhunt gate"
    yield "# holds new runs. Made from run files, never by hand; made anew by"
    yield "#     leakhunt baseline update RUN_FOLDER"
    if variant.accepts_leak:
        yield "# IT ACCEPTS A LEAK: runs that leak as much as this one pass."
    yield f"format = {FORMAT}"
    yield f"scenario = {_text(variant.scenario)}"
    yield f"variant = {_text(variant.variant)}"
    yield f"verdict = {_list(map(_text, variant.verdicts))}"
    yield f"measured = {_list(map(_text, variant.measured))}"
    yield f"environment = {_table((name, _text(v)) for name, v in variant.environment.items())}"
    for key, matter in FACTS.items():
        yield f"{key} = {_table(_facts(variant, matter))}"
    yield f"calls = {_table(_calls(variant.profiles))}"
    for facts in compared_series():
        courses = [each.courses.get(facts.name) for each in variant.profiles]
        known = [course for course in courses if course is not None]
        if len(known) == len(courses):
            yield f"{facts.name} = {_table(_course(known, facts.unit, variant.profiles))}"
    totals = [each.rss_growth for each in variant.profiles if each.rss_growth is not None]
    if totals:
        yield f"rss_total = {_list(_number(total, 0) for total in totals)}"
    peaks = [each.peak_rss for each in variant.profiles if each.peak_rss is not None]
    if len(peaks) == len(variant.profiles):
        yield f"{PEAK_RSS} = {_list(_number(peak, 0) for peak in peaks)}"
    yield from _time(variant.profiles)


def _facts(variant: BaselineVariant, matter: Matter) -> Iterator[tuple[str, str]]:
    """The facts that the environment does not say, one value or one for each run."""
    names = dict.fromkeys(
        name for each in variant.profiles for name, (_, why) in each.facts.items() if why is matter
    )
    for name in names:
        if name == PYTHON or name not in variant.environment:
            values = [each.facts.get(name, (absent(name),))[0] for each in variant.profiles]
            same = len(set(values)) == 1
            yield name, _text(values[0]) if same else _list(map(_text, values))


def _calls(profiles: Sequence[Profile]) -> Iterator[tuple[str, str]]:
    first = profiles[0]
    yield "work", _text(first.work)
    yield "made", _list(str(each.calls_done) for each in profiles)
    yield "samples", _list(str(each.judged) for each in profiles)
    yield "per_sample", _list(str(each.calls_per_sample) for each in profiles)
    yield "collects", _list(str(each.collects).lower() for each in profiles)
    if len(profiles) == 1 and first.calls is not None:
        yield "judged", _list(map(str, (first.calls[0], first.calls[-1])))


def _course(
    courses: Sequence[GrowthCourse], unit: Unit, profiles: Sequence[Profile]
) -> Iterator[tuple[str, str]]:
    most = max(each.calls_per_sample for each in profiles)
    decimals = _DECIMALS[unit] + len(str(most)) - 1
    if len(courses) == 1:
        yield from _single(courses[0], decimals)
    else:
        yield from _repeats(courses, decimals + _MORE_OF_REPEATS)
    if any(course.by_collections for course in courses):
        yield "by", _text("collections")
    if any(course.leaks for course in courses):
        yield "leaks", "true"


def _single(course: GrowthCourse, decimals: int) -> Iterator[tuple[str, str]]:
    """The rate comes first, for people: it follows from the rest."""
    steps = [round(step, decimals) for step in course.steps]
    rate = replace(course, rate=fmean(steps) if steps else None).headline
    if rate is not None:
        yield "rate", _number(rate, decimals)
    if steps:
        yield "steps", _list(map(_plain, steps))
    if course.points:
        base = course.points[0][1]
        yield "collected", _list(f"[{calls}, {size - base}]" for calls, size in course.points)


def _repeats(courses: Sequence[GrowthCourse], decimals: int) -> Iterator[tuple[str, str]]:
    rates = [course.rate for course in courses if course.rate is not None]
    after_gc = [course.rate_after_gc for course in courses if course.rate_after_gc is not None]
    if len(rates) == len(courses):
        yield "rates", _list(_number(rate, decimals) for rate in rates)
    if len(after_gc) == len(courses):
        yield "collected_rates", _list(_number(rate, decimals) for rate in after_gc)


def _time(profiles: Sequence[Profile]) -> Iterator[str]:
    times = [each.times for each in profiles if each.times is not None]
    seconds = [each.seconds for each in times if each.seconds is not None]
    if len(seconds) < len(profiles):
        return
    items = [("milliseconds", _list(map(_milliseconds, seconds)))]
    if times[0].blocks:
        items.append(("blocks", _list(map(_milliseconds, times[0].blocks))))
    yield f"time = {_table(items)}"


def _milliseconds(seconds: float) -> str:
    return _plain(float(f"{seconds * _MILLISECONDS:.{_SIGNIFICANT}g}"))


def _number(value: float, decimals: int) -> str:
    return _plain(round(value, decimals))


def _plain(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _list(values: Iterator[str] | map[str]) -> str:
    return f"[{', '.join(values)}]"


def _table(items: Iterator[tuple[str, str]] | list[tuple[str, str]]) -> str:
    joined = ", ".join(f"{_key(name)} = {value}" for name, value in items)
    return f"{{ {joined} }}" if joined else "{}"


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _text(name)


def _text(text: str) -> str:
    """A basic string of TOML, which is JSON's but for what neither UTF-8 nor TOML takes."""
    clean = text.encode("utf-8", "replace").decode()
    return json.dumps(clean, ensure_ascii=False).replace("\x7f", "\\u007f")


def _comment(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text)

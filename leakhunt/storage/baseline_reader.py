"""Reading what is kept of a variant, strictly: what is wrong is told with its line. Pure."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, NoReturn

from leakhunt.analysis.comparison.environments import Facts, absent
from leakhunt.analysis.comparison.profile import RATES, GrowthCourse, Profile
from leakhunt.analysis.comparison.times import Times
from leakhunt.analysis.gate.baseline import DEVICE, IDENTITY, PYTHON, KeptVariant
from leakhunt.analysis.verdict.after_gc import remains_between
from leakhunt.analysis.verdict.trend import BLOCKS
from leakhunt.errors import BadFile
from leakhunt.model.comparison import NOT_RECORDED, Matter
from leakhunt.model.plan import Work
from leakhunt.storage.baseline_fields import Fields, is_number
from leakhunt.storage.baseline_writer import CHECKSUM, FACTS, FORMAT, checksum
from leakhunt.text.language import tr

_MARKS = re.compile(r"(<{7}|={7}|>{7}|\|{7})(?: |$)")
_KEYS = (
    "format", "scenario", "variant", "verdict", "measured", "environment", *FACTS, "calls",
    *RATES, "rss_total", "time", CHECKSUM,
)  # fmt: skip
_LINE = re.compile(r"at line (\d+)")


def read_kept(content: bytes, file: str) -> KeptVariant:
    """The variant that is kept in a file; `file` is what it is called in errors.

    Raises:
        BadFile: it is none, from a newer version, cut off, mixed from two, or has marks of a
            conflict.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        _bad(file, 1 + content[: error.start].count(b"\n"), tr("no text in UTF-8"))
    # Not `splitlines`: some of what it splits at may stand in a text.
    lines = text.removesuffix("\n").split("\n")
    for number, line in enumerate(lines, 1):
        if (found := _MARKS.match(line)) is not None:
            _bad(file, number, tr("git left a conflict here ({mark})", mark=found[1]))
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        at = _LINE.search(str(error))
        number = int(at[1]) if at is not None else len(lines)
        _bad(file, number, tr("no TOML ({error})", error=error))
    return _Document(file, lines, document).kept()


def _bad(file: str, line: int, told: str) -> NoReturn:
    raise BadFile(
        tr(
            "{file}, line {line}: {told}; resolve the conflict if there was one, or delete the file"
            " and run 'leakhunt baseline save' again",
            file=file, line=line, told=told,
        )
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Document:
    """The lines of a file, and what they say."""

    file: str
    lines: Sequence[str]
    items: Mapping[str, Any]

    def bad(self, key: str, told: str) -> NoReturn:
        """Say what is wrong with `key`, and in which line that is."""
        starts = [n for n, line in enumerate(self.lines, 1) if re.match(rf"{key}\s*=", line)]
        _bad(self.file, starts[0] if starts else max(len(self.lines), 1), told)

    def kept(self) -> KeptVariant:
        """The noun."""
        self._check_format()
        measured = self._texts("measured", self.items.get("measured"))
        count = len(measured)
        if count == 0:
            self.bad("measured", tr("measured has no run"))
        environment = self._environment()
        calls = Fields(self, "calls")
        profiles = self._profiles(count, environment, calls)
        kept = KeptVariant(
            scenario=self._text("scenario"),
            variant=self._text("variant"),
            environment=environment,
            profiles=profiles,
            verdicts=self._texts("verdict", self.items.get("verdict"), count),
            measured=measured,
        )
        self._check_sum()
        return kept

    def _check_format(self) -> None:
        version = self.items.get("format")
        if type(version) is not int or version < 1:
            self.bad("format", tr("format is {value!r}, no number of one", value=version))
        if version > FORMAT:
            raise BadFile(
                tr(
                    "{file}: baseline format {version}, this leakhunt reads up to {format}; read"
                    " it with a newer leakhunt",
                    file=self.file, version=version, format=FORMAT,
                )
            )  # fmt: skip
        for key in self.items:
            if key not in _KEYS:
                self.bad(re.escape(key), tr("unknown key {key!r}", key=key))

    def _check_sum(self) -> None:
        """What was cut off, or mixed from two measurements, is no measurement."""
        last = next((n for n, line in enumerate(self.lines) if line.startswith(CHECKSUM)), None)
        if last is None or any(line.strip() for line in self.lines[last + 1 :]):
            self.bad(CHECKSUM, tr("cut off, or lines after the last: no checksum at the end"))
        if self.items.get(CHECKSUM) != checksum(self.lines[:last]):
            self.bad(
                CHECKSUM,
                tr("the lines above are not those that were saved: edited, or merged from two"),
            )

    def _text(self, key: str) -> str:
        value = self.items.get(key)
        if not isinstance(value, str) or not value:
            self.bad(key, tr("{key} is {value!r}, no text", key=key, value=value))
        return value

    def _texts(self, key: str, value: object, count: int | None = None) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            self.bad(key, tr("{key} is {value!r}, no list of texts", key=key, value=value))
        if count is not None and len(value) != count:
            self.bad(key, tr("{key} is not one for each of {count} runs", key=key, count=count))
        return tuple(value)

    def _environment(self) -> dict[str, str]:
        table = Fields(self, "environment")
        told = {name: table.text(name) for name in table.items}
        if missing := [name for name in IDENTITY if name not in told]:
            self.bad("environment", tr("environment has no {name}", name=missing[0]))
        return told

    def _facts(self, count: int, environment: Mapping[str, str]) -> list[Facts]:
        """Value and matter by name, for each run; what a run did not have is not there."""
        found: list[dict[str, tuple[str, Matter]]] = [{} for _ in range(count)]
        for name, value in environment.items():
            if name != PYTHON and value != NOT_RECORDED:
                matter = Matter.INPUTS if name == DEVICE else Matter.MEMORY
                for facts in found:
                    facts[name] = (value, matter)
        for key, matter in FACTS.items():
            for name, value in Fields(self, key).items.items():
                values = [value] * count if isinstance(value, str) else value
                for facts, told in zip(found, self._texts(key, values, count), strict=True):
                    if told != absent(name):
                        facts[name] = (told, matter)
        return list(found)

    def _profiles(
        self, count: int, environment: Mapping[str, str], calls: Fields
    ) -> tuple[Profile, ...]:
        work = calls.items.get("work")
        if work not in list(Work):
            self.bad("calls", tr("work is {value!r}, neither call nor request", value=work))
        made, samples, per_sample = (
            calls.wholes(name, count) for name in ("made", "samples", "per_sample")
        )
        if min([*made, *samples, *per_sample]) < 1:
            self.bad("calls", tr("calls has a number below one"))
        collects = calls.list_of("collects", lambda each: isinstance(each, bool), count)
        courses = {series: self._courses(series, count) for series in RATES if series in self.items}
        totals = self._totals(count)
        times = self._times(count)
        return tuple(
            Profile(
                facts=facts,
                work=Work(work),
                calls_done=made[number],
                calls=self._judged(calls, per_sample[0]) if count == 1 else None,
                judged=samples[number],
                calls_per_sample=per_sample[number],
                collects=collects[number],
                courses={series: each[number] for series, each in courses.items()},
                rss_growth=totals[number],
                times=times[number],
            )
            for number, facts in enumerate(self._facts(count, environment))
        )

    def _judged(self, calls: Fields, per_sample: int) -> range | None:
        if "judged" not in calls.items:
            return None
        first, last = calls.wholes("judged", 2)
        if not 0 < first <= last or (last - first) % per_sample:
            self.bad("calls", tr("judged is no first and last call"))
        return range(first, last + 1, per_sample)

    def _courses(self, series: str, count: int) -> list[GrowthCourse]:
        table = Fields(self, series)
        flags = (table.items.get("by") == "collections", table.items.get("leaks") is True)
        if count == 1:
            return [self._single(table, *flags)]
        rates, left = (
            table.numbers(name, count) if name in table.items else [None] * count
            for name in ("rates", "collected_rates")
        )
        return [
            GrowthCourse(rate, (), kept, (), *flags) for rate, kept in zip(rates, left, strict=True)
        ]

    def _single(self, table: Fields, by_collections: bool, leaks: bool) -> GrowthCourse:
        steps = table.numbers("steps", BLOCKS - 1) if "steps" in table.items else []
        points = table.points("collected") if "collected" in table.items else []
        left = remains_between(points)
        return GrowthCourse(
            rate=fmean(steps) if steps else None,
            steps=tuple(steps),
            left=left.rate if left is not None else None,
            points=tuple(points),
            by_collections=by_collections,
            leaks=leaks,
        )

    def _totals(self, count: int) -> list[float | None]:
        """As many as were read; which run is without one does not matter."""
        value = self.items.get("rss_total", [])
        if not isinstance(value, list) or len(value) > count or not all(map(is_number, value)):
            self.bad("rss_total", tr("{key} is no list of numbers", key="rss_total"))
        return [*map(float, value), *[None] * (count - len(value))]

    def _times(self, count: int) -> list[Times | None]:
        if "time" not in self.items:
            return [None] * count
        table = Fields(self, "time")
        spent = table.numbers("milliseconds", count)
        blocks = table.numbers("blocks", BLOCKS) if "blocks" in table.items else []
        if min([*spent, *blocks]) <= 0:
            self.bad("time", tr("a time is not above nothing"))
        told = tuple(each / 1e3 for each in blocks)
        return [Times(each / 1e3, told) for each in spent]

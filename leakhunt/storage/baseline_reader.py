"""Reading what is kept of a variant, strictly: what is wrong is told with its line. Pure.

What comes back is what the file says. Rates that follow from that are `derived` where runs are
compared with it (`leakhunt.analysis.gate.baseline`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from leakhunt.errors import BadFile
from leakhunt.model.baseline import (
    DEVICE,
    IDENTITY,
    PYTHON,
    BaselineVariant,
    Facts,
    GrowthCourse,
    Profile,
    Times,
)
from leakhunt.model.comparison import NOT_RECORDED, Matter, absent
from leakhunt.model.plan import Work
from leakhunt.model.series import PEAK_RSS, compared_series
from leakhunt.storage.baseline_fields import Fields, is_number, list_of_texts
from leakhunt.storage.baseline_writer import BLOCKS, CHECKSUM, FACTS, FORMAT, checksum
from leakhunt.text.message import message
from leakhunt.toml_file import Table, read_table

_KEYS = (
    "format", "scenario", "variant", "verdict", "measured", "environment", *FACTS, "calls",
    "rss_total", PEAK_RSS, "time", CHECKSUM,
)  # fmt: skip


def read_variant(content: bytes, file: str) -> BaselineVariant:
    """The variant that is kept in a file; `file` is what it is called in errors.

    Raises:
        BadFile: it is none, from a newer version, cut off, mixed from two, or has marks of a
            conflict.
    """
    advice = message(
        "baseline.resolve-conflict",
        "Resolve the merge conflict, or delete the file and run 'leakhunt baseline save' again",
    )
    return _Document(read_table(content, file, advice)).variant()


@dataclass(frozen=True, slots=True)
class _Document:
    """The table that a file is, and what it says."""

    table: Table

    def variant(self) -> BaselineVariant:
        """The noun."""
        self._check_format()
        items = self.table.items
        measured = list_of_texts(self.table, "measured", items.get("measured"), None)
        count = len(measured)
        if count == 0:
            self.table.bad(message("baseline.missing-run", "measured: missing run"), "measured")
        environment = self._environment()
        variant = BaselineVariant(
            scenario=self._text("scenario"),
            variant=self._text("variant"),
            environment=environment,
            profiles=self._profiles(count, environment, Fields(self.table, "calls")),
            verdicts=list_of_texts(self.table, "verdict", items.get("verdict"), count),
            measured=measured,
        )
        self._check_sum()
        return variant

    def _check_format(self) -> None:
        version = self.table.items.get("format")
        if type(version) is not int or version < 1:
            self.table.bad(
                message(
                    "baseline.expected-number",
                    "format: expected a number, got {value!r}",
                    value=version,
                ),
                "format",
            )
        if version > FORMAT:
            raise BadFile(
                message("baseline.newer-format",
                    "{file}: baseline format {version} is newer than this leakhunt (format"
                    " {format}). Update leakhunt",
                    file=self.table.source.file, version=version, format=FORMAT,
                )
            )  # fmt: skip
        known = (*_KEYS, *(facts.name for facts in compared_series()))
        for key in self.table.items:
            if key not in known:
                self.table.bad(message("baseline.unknown-key", "unknown key {key!r}", key=key), key)

    def _check_sum(self) -> None:
        """What was cut off, or mixed from two measurements, is no measurement."""
        lines = self.table.source.text.removesuffix("\n").split("\n")
        last = next((n for n, line in enumerate(lines) if line.startswith(CHECKSUM)), None)
        if last is None or any(line.strip() for line in lines[last + 1 :]):
            problem = message(
                "baseline.incomplete",
                "incomplete file: missing checksum at the end",
            )
            raise self.table.source.error(len(lines), problem)
        if self.table.items.get(CHECKSUM) != checksum(lines[:last]):
            problem = message(
                "baseline.checksum-mismatch",
                "checksum mismatch: the file was edited, or merged from two",
            )
            self.table.bad(problem, CHECKSUM)

    def _text(self, key: str) -> str:
        value = self.table.items.get(key)
        if not isinstance(value, str) or not value:
            self.table.bad(
                message(
                    "baseline.expected-text",
                    "{key}: expected a text, got {value!r}",
                    key=key,
                    value=value,
                ),
                key,
            )
        return value

    def _environment(self) -> dict[str, str]:
        table = Fields(self.table, "environment")
        facts = {name: table.text(name) for name in table.items}
        if missing := [name for name in IDENTITY if name not in facts]:
            table.bad(
                message(
                    "baseline.missing-environment", "environment: missing {name}", name=missing[0]
                )
            )
        return facts

    def _facts(self, count: int, environment: Mapping[str, str]) -> list[Facts]:
        """Value and matter by name, for each run; what a run did not have is not there."""
        found: list[dict[str, tuple[str, Matter]]] = [{} for _ in range(count)]
        for name, value in environment.items():
            if name != PYTHON and value != NOT_RECORDED:
                matter = Matter.INPUTS if name == DEVICE else Matter.MEMORY
                for facts in found:
                    facts[name] = (value, matter)
        for key, matter in FACTS.items():
            table = Fields(self.table, key)
            for name in table.items:
                for facts, saved in zip(found, table.texts(name, count), strict=True):
                    if saved != absent(name):
                        facts[name] = (saved, matter)
        return list(found)

    def _profiles(
        self, count: int, environment: Mapping[str, str], calls: Fields
    ) -> tuple[Profile, ...]:
        work = calls.items.get("work")
        if work not in list(Work):
            calls.bad(
                message(
                    "baseline.invalid-work",
                    "work: expected call or request, got {value!r}",
                    value=work,
                )
            )
        made, samples, per_sample = (
            calls.wholes(name, count) for name in ("made", "samples", "per_sample")
        )
        if min([*made, *samples, *per_sample]) < 1:
            calls.bad(message("baseline.invalid-calls", "calls: expected numbers of 1 or more"))
        collects = calls.list_of("collects", lambda each: isinstance(each, bool), count)
        courses = {
            facts.name: self._courses(facts.name, count)
            for facts in compared_series()
            if facts.name in self.table.items
        }
        totals, peaks = self._of_runs("rss_total", count), self._of_runs(PEAK_RSS, count)
        times = self._times(count)
        return tuple(
            Profile(
                facts=facts,
                work=Work(work),
                calls_done=made[number],
                calls=_judged(calls, per_sample[0]) if count == 1 else None,
                judged=samples[number],
                calls_per_sample=per_sample[number],
                collects=collects[number],
                courses={series: each[number] for series, each in courses.items()},
                rss_growth=totals[number],
                times=times[number],
                peak_rss=peaks[number],
            )
            for number, facts in enumerate(self._facts(count, environment))
        )

    def _courses(self, series: str, count: int) -> list[GrowthCourse]:
        """One for each run; of one run the steps and points, of repeats their rates alone."""
        table = Fields(self.table, series)
        flags = (table.items.get("by") == "collections", table.items.get("leaks") is True)
        if count == 1:
            steps = table.numbers("steps", BLOCKS - 1) if "steps" in table.items else []
            points = table.points("collected") if "collected" in table.items else []
            return [GrowthCourse(None, tuple(steps), None, tuple(points), *flags)]
        rates, rates_after_gc = (
            table.numbers(name, count) if name in table.items else [None] * count
            for name in ("rates", "collected_rates")
        )
        return [
            GrowthCourse(rate, (), after_gc, (), *flags)
            for rate, after_gc in zip(rates, rates_after_gc, strict=True)
        ]

    def _of_runs(self, key: str, count: int) -> list[float | None]:
        """As many as were read; which run is without one does not matter."""
        value = self.table.items.get(key, [])
        if not isinstance(value, list) or len(value) > count or not all(map(is_number, value)):
            self.table.bad(
                message(
                    "baseline.expected-list-numbers",
                    "{key}: expected a list of numbers",
                    key=key,
                ),
                key,
            )
        return [*map(float, value), *[None] * (count - len(value))]

    def _times(self, count: int) -> list[Times | None]:
        if "time" not in self.table.items:
            return [None] * count
        table = Fields(self.table, "time")
        spent = table.numbers("milliseconds", count)
        blocks = table.numbers("blocks", BLOCKS) if "blocks" in table.items else []
        if min([*spent, *blocks]) <= 0:
            table.bad(message("baseline.invalid-times", "times must be above 0"))
        seconds = tuple(each / 1e3 for each in blocks)
        return [Times(each / 1e3, seconds) for each in spent]


def _judged(calls: Fields, per_sample: int) -> range | None:
    if "judged" not in calls.items:
        return None
    first, last = calls.wholes("judged", 2)
    if not 0 < first <= last or (last - first) % per_sample:
        calls.bad(
            message(
                "baseline.judged",
                "judged: expected the first and the last call",
            )
        )
    return range(first, last + 1, per_sample)

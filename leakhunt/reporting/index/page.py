"""The page that lists the reports of a folder: what each says, newest first, and a filter.

Made from what stands in ``report.json``, or in the headers of run files where there is no report
yet; no sample is looked at. All of it may come from strangers: what does not have the shape that is
expected is said to be damaged, and every text is escaped.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any
from urllib.parse import quote

from leakhunt.amounts import format_rate
from leakhunt.model.plan import Work, work_in
from leakhunt.model.series import Unit, short_title
from leakhunt.model.verdict import Status
from leakhunt.reporting.formats.jinja import template
from leakhunt.reporting.run.tables import NOTHING, SIGNS
from leakhunt.reporting.shared.headline import headline_series, shown_series
from leakhunt.text.controls import text_bytes
from leakhunt.text.language import tr
from leakhunt.text.message import message

_MAX_CHARACTERS = 300
_INSTANT = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)\S*")

# Shows the reports in whose text every word of the field occurs. The page works without it.
_SCRIPT = """
const field = document.querySelector("#filter");
const reports = [...document.querySelectorAll("article")];
const texts = reports.map((report) => report.textContent.toLowerCase());
function filter() {
  const words = field.value.toLowerCase().split(/\\s+/);
  let shown = 0;
  reports.forEach((report, at) => {
    report.hidden = !words.every((word) => texts[at].includes(word));
    shown += !report.hidden;
  });
  document.querySelector("#shown").textContent = `%SHOWN%`;
}
field.parentElement.hidden = false;
field.addEventListener("input", filter);
filter();
"""


def _script() -> str:
    """The script, and what it writes, in the language spoken."""
    return _SCRIPT.replace(
        "%SHOWN%", tr("{shown} of {all} shown", shown="${shown}", all="${reports.length}")
    )


def content_security_policy() -> str:
    """What the page may do: its own script and styles, nothing from anywhere else."""
    digest = base64.b64encode(hashlib.sha256(_script().encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


@dataclass(frozen=True, slots=True)
class ListedVariant:
    """One line of a report: ``▲``, ``leak``, ``leak in Python``, ``live heap 58.5 KiB/call``."""

    name: str
    sign: str
    status: str
    kind: str
    rate: str


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in a folder, as far as it can be told without its samples.

    `is_timed`: its runs make calls; others were only looked on.
    """

    title: str
    when: str
    variants: tuple[ListedVariant, ...] = ()
    weights: str = ""
    device: str = ""
    runs: int = 0
    is_timed: bool = True


@dataclass(frozen=True, slots=True)
class ListedFolder:
    """A folder of the listing.

    `place` is its path below the served folder, in whole names; () is that folder itself. `files`
    are the files that a reader can ask for, the page first; `problems` is what stands in the way;
    `is_on_demand`: there is no report yet, it is made from the run files when asked for.
    """

    place: tuple[bytes, ...]
    contents: Contents
    files: tuple[str, ...]
    is_on_demand: bool = False
    problems: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The path as text, as far as it is text."""
        return "/".join(part.decode("utf-8", "replace") for part in self.place) or "."

    def url(self, file: str) -> str:
        """Where a file of it is served."""
        return "/".join(["/reports", *(quote(part, safe="") for part in self.place), file])


def contents_of_report(document: bytes) -> Contents:
    """What a ``report.json`` says.

    Raises:
        ValueError: it is none; its text says so.
    """
    try:
        report = json.loads(document)
        runs = [_mapping(run) for run in report["runs"]]
        first = runs[0] if runs else {}
        return Contents(
            title=_text(report["title"]),
            when=max((_text(run["started_at"]) for run in runs), default=""),
            variants=tuple(map(_variant, runs)),
            weights=_text(_mapping(first.get("facts", {})).get("weights", "")),
            device=_text(_mapping(first["plan"])["device"]) if runs else "",
            runs=len(runs),
            is_timed=not runs or any(work_in(_mapping(run["plan"])).is_timed for run in runs),
        )
    except (
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        RecursionError,
        OverflowError,
    ) as error:
        raise ValueError(
            message(
                "index.damaged-summary",
                "damaged ({name}); render it again with: leakhunt report",
                name=type(error).__name__,
            )
        ) from error


def contents_of_headers(headers: Iterable[Mapping[str, Any]]) -> Contents:
    """What the headers of run files say; a header that makes no sense counts for nothing."""
    plans = []
    for header in headers:
        plan, facts = header.get("plan"), header.get("facts")
        if isinstance(plan, dict) and isinstance(facts, dict):
            plans.append((plan, facts, header.get("started_at")))
    texts = [_words(plan, "scenario") for plan, _, _ in plans]
    variants = dict.fromkeys(_words(plan, "variant") for plan, _, _ in plans)
    return Contents(
        title=tr(" and ").join(dict.fromkeys(text for text in texts if text)),
        when=max((each for _, _, each in plans if isinstance(each, str)), default=""),
        variants=tuple(
            ListedVariant(name, NOTHING, "unknown", tr("no verdict yet"), "") for name in variants
        ),
        weights=next((_words(facts, "weights") for _, facts, _ in plans), ""),
        device=next((_words(plan, "device") for plan, _, _ in plans), ""),
        runs=len(plans),
        is_timed=not plans or any(work_in(plan).is_timed for plan, _, _ in plans),
    )


def _variant(run: Mapping[str, Any]) -> ListedVariant:
    status = Status(run["status"])
    return ListedVariant(
        name=_text(run["variant"]),
        sign=SIGNS[status],
        status=str(status),
        kind=tr(_text(run["kind"])),
        rate=_rate(_text(run["kind"]), _mapping(run["trends"]), work_in(_mapping(run["plan"]))),
    )


def _rate(kind: str, trends: Mapping[str, Any], work: Work) -> str:
    read = {name: _mapping(trends[name]) for name in headline_series() if name in trends}
    known = [name for name, trend in read.items() if trend["rate"] is not None]
    leaking = [name for name in known if read[name]["status"] == Status.LEAK]
    if name := shown_series(kind, known, leaking):
        rate = float(read[name]["rate"])
        if not isfinite(rate):
            raise ValueError("rate")
        return f"{short_title(name)} {format_rate(rate, Unit(read[name]['unit']), work)}"
    return NOTHING


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("no object")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value[:_MAX_CHARACTERS]


def _words(table: Mapping[str, Any], name: str) -> str:
    """A text of a header, or nothing where it is none."""
    value = table.get(name, "")
    return value[:_MAX_CHARACTERS] if isinstance(value, str) else ""


def render_index(listed: Sequence[ListedFolder], folder: str) -> bytes:
    """The page as UTF-8 HTML; `folder` is what it is a listing of."""
    from markupsafe import Markup

    return _page(
        folder=folder,
        reports=sorted(listed, key=lambda each: (each.contents.when, each.place), reverse=True),
        when=when,
        script=Markup(_script()),  # noqa: S704 - ours
    )


def render_message(title: str, text: str) -> bytes:
    """A page that says why there is nothing to see."""
    return _page(folder=title, reports=None, message=text)


def when(contents: Contents) -> str:
    """``2026-11-21 03:48 UTC``; as it is told, where that is no time."""
    match = _INSTANT.fullmatch(contents.when)
    return f"{match[1]} {match[2]} UTC" if match else contents.when


def _page(**texts: object) -> bytes:

    page = template("index.html.j2").render(**texts)
    return text_bytes(page)

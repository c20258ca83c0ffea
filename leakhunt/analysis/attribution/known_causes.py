"""The catalogue of known causes: read, checked, and matched against findings. Pure but for reading.

The catalogue is data, `known_causes.toml` beside this file. The first cause that matches is taken,
so the special ones stand before the general ones. What concerns certain versions of a library is
left out where another version is installed.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from functools import cache
from importlib.resources import files
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from leakhunt.errors import BadFile
from leakhunt.model.attribution import Bound, Cause, Finding, FindingKind, Frame, Origin, Remedy
from leakhunt.model.libraries import library_versions
from leakhunt.text.message import Message, Text, message

_NEEDED = ("id", "title", "reason", "remedy", "verify", "link")
_ASKS = ("frames", "types", "own_types", "chain", "facts", "sorts", "shows")
_PATTERNS = ("frames", "types", "own_types")
_KNOWN = {field.name for field in fields(Cause)}


@cache
def catalogue() -> tuple[Cause, ...]:
    """The causes that come with leakhunt."""
    text = files("leakhunt.analysis.attribution").joinpath("known_causes.toml").read_text("utf-8")
    return read_catalogue(text, "known_causes.toml")


def read_catalogue(text: str, name: str) -> tuple[Cause, ...]:
    """The causes in a TOML text: ``[[cause]]`` tables with the fields of `Cause`.

    Raises:
        BadFile: it is no TOML, or an entry lacks something, asks for nothing or has a bad pattern.
    """
    try:
        entries = tomllib.loads(text).get("cause", [])
    except tomllib.TOMLDecodeError as error:
        raise BadFile(
            message(
                "cause.no-toml",
                "{name}: invalid TOML ({error}). Fix the syntax",
                name=name,
                error=error,
            )
        ) from error
    causes = tuple(_cause(entry, name) for entry in entries)
    twice = next((c.id for c in causes if sum(c.id == other.id for other in causes) > 1), None)
    if twice is not None:
        raise BadFile(
            message(
                "cause.same-id",
                "{name}: two causes have the id {twice!r}. Rename one",
                name=name,
                twice=twice,
            )
        )
    return causes


def _cause(entry: Mapping[str, Any], name: str) -> Cause:
    named = entry.get("id", message("cause.without-id", "without an id"))
    _check_keys(entry, name, named)
    try:
        return _built(entry)
    except (TypeError, ValueError, re.error, InvalidRequirement) as error:
        raise BadFile(
            message(
                "cause.bad-entry",
                "{name}: cause {cause}: {error}",
                name=name,
                cause=named,
                error=error,
            )
        ) from error


def _check_keys(entry: Mapping[str, Any], name: str, named: Text) -> None:
    missing = [word for word in _NEEDED if not entry.get(word)]
    if missing:
        raise BadFile(
            message(
                "cause.missing-fields",
                "{name}: cause {cause}: missing {missing}",
                name=name,
                cause=named,
                missing=", ".join(missing),
            )
        )
    unknown = sorted(set(entry) - _KNOWN)
    if unknown:
        raise BadFile(
            message(
                "cause.unknown-fields",
                "{name}: cause {cause}: unknown key {unknown}",
                name=name,
                cause=named,
                unknown=", ".join(unknown),
            )
        )
    if not any(entry.get(word) for word in _ASKS):
        raise BadFile(
            message(
                "cause.asks-for-nothing",
                "{name}: cause {cause}: no condition; it would match everything",
                name=name,
                cause=named,
            )
        )


def _built(entry: Mapping[str, Any]) -> Cause:
    remedy = Remedy(**entry["remedy"])
    bound = Bound(**entry["bound"]) if "bound" in entry else None
    patterns = [each for word in _PATTERNS for each in entry.get(word, ())]
    patterns.append(entry.get("chain", ""))
    for pattern in [*patterns, *([bound.frame] if bound else [])]:
        re.compile(pattern)
    return Cause(
        **{word: entry[word] for word in (*_NEEDED, "versions", "chain") if word in entry}
        | {"remedy": remedy, "bound": bound},
        sorts=tuple(map(FindingKind, entry.get("sorts", ()))),
        frames=tuple(entry.get("frames", ())),
        types=tuple(entry.get("types", ())),
        own_types=tuple(entry.get("own_types", ())),
        facts=tuple(entry.get("facts", ())),
        shows=tuple(entry.get("shows", ())),
        distributions=tuple(str(Requirement(each)) for each in entry.get("distributions", ())),
    )


def causes_for(environment: Mapping[str, str]) -> tuple[Cause, ...]:
    """The causes that come with leakhunt, as far as they concern what is installed there."""
    versions: dict[str, str] = {
        canonicalize_name(name): version for name, version in library_versions(environment).items()
    }
    return tuple(cause for cause in catalogue() if concerns(cause, versions))


def concerns(cause: Cause, versions: Mapping[str, str]) -> bool:
    """Whether a cause concerns these versions, by canonical name of the distribution.

    Where none that it names is known, its library is there all the same if a finding shows it.
    """
    needed = [Requirement(each) for each in cause.distributions]
    known = [each for each in needed if canonicalize_name(each.name) in versions]
    return not known or any(
        each.specifier.contains(versions[canonicalize_name(each.name)], prereleases=True)
        for each in known
    )


def title_of(cause: Cause) -> Message:
    """The title of a known cause, as a message."""
    return Message(f"cause.{cause.id}.title", cause.title)


def known_cause(findings: Sequence[Finding], causes: Sequence[Cause]) -> Cause | None:
    """The first of `causes` that one of `findings` (of one suspect) shows."""
    return next((c for c in causes if any(matches(finding, c) for finding in findings)), None)


def matches(finding: Finding, cause: Cause) -> bool:
    """Whether a finding has everything that a cause asks for."""
    if cause.shows or (cause.sorts and finding.sort not in cause.sorts):
        return False
    if finding.sort is FindingKind.CYCLE and not cause.sorts:
        return False  # those are about memory that is kept for good
    if not all(name in finding.facts for name in cause.facts):
        return False
    types = [finding.what, *finding.chain, *finding.facts.get("items", ())]
    return (
        _has_all(cause.types, types)
        and _has_all(cause.own_types, [finding.what])
        and (not cause.chain or _has_all((cause.chain,), finding.chain))
        and (not cause.frames or _has_all(cause.frames, map(_frame_text, finding.stack)))
    )


def _has_all(patterns: Sequence[str], texts: Iterable[str]) -> bool:
    """Whether each pattern is in one of the texts, all searched as the lines of one."""
    lines = "\n".join(texts)
    return all(re.search(pattern, lines, re.MULTILINE) for pattern in patterns)


def _frame_text(frame: Frame) -> str:
    """A frame as the patterns of causes see it."""
    return f"{frame.file}:{frame.function}:{frame.source}"


def frame_of(stack: Sequence[Frame], cause: Cause) -> Frame | None:
    """The library's frame by which a cause was recognized."""
    for frame in stack:
        text = _frame_text(frame)
        if frame.origin is Origin.LIBRARY and any(re.search(p, text) for p in cause.frames):
            return frame
    return None


def entries_per_call(sites: Sequence[tuple[Finding, float]], bound: Bound) -> float:
    """How many entries of a bounded cache each call adds, from blocks per call by site."""
    blocks = sum(
        per_call
        for finding, per_call in sites
        if any(re.search(bound.frame, frame.function) for frame in finding.stack[:2])
    )
    return blocks / bound.blocks

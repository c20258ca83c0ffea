"""What a suspect is called. Pure."""

from __future__ import annotations

from leakhunt.analysis.attribution.clusters import Cluster, named_frame, past_allocators
from leakhunt.analysis.attribution.known_causes import frame_of, title_of
from leakhunt.model.attribution import Cause, Finding, FindingKind, Frame
from leakhunt.text.message import Text, message, word


def suspect_title(cluster: Cluster, cause: Cause | None, where: Frame | None) -> Text:
    """What holds the memory, and from where; with the name of a known cause before it."""
    what = _what(cluster.lead, cause)
    if where is not None and str(where) != what:
        what = message("attribution.from", "{what}, from {where}", what=what, where=where)
    if cause is None:
        return what
    return message("attribution.known", "{cause}: {what}", cause=title_of(cause), what=what)


def _what(lead: Finding, cause: Cause | None) -> Text:
    """What holds the memory, or where it comes from."""
    if lead.sort is FindingKind.RESOURCE:
        return message(
            "attribution.resource",
            "{what} ({name})",
            what=word(lead.what),
            name=lead.facts.get("name", ""),
        )
    if lead.chain:
        return " -> ".join(lead.chain)
    if lead.stack:
        frame = frame_of(lead.stack, cause) if cause is not None else None
        return _shortened(str(frame or named_frame(past_allocators(lead.stack))))
    return word(lead.what) if lead.sort is FindingKind.GRAPH else lead.what


def _shortened(text: str, most: int = 110) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."

"""What a page of ours is made of, as a browser would find it."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any


class PageParts(HTMLParser):
    """The tags of a page, what it leads to or loads, and the names of its parts."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.found: list[str] = []
        self.ids: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        attributes: dict[str, Any] = dict(attrs)
        self.found += [attributes[name] for name in ("href", "src") if name in attributes]
        self.ids += [attributes["id"]] if "id" in attributes else []

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def inner(self) -> list[str]:
        """The parts of the page itself that it leads to."""
        return [link[1:] for link in self.found if link.startswith("#")]

    @property
    def outer(self) -> list[str]:
        """What it leads to elsewhere."""
        return [link for link in self.found if not link.startswith("#")]


def parsed(page: str) -> PageParts:
    """The parts of this page."""
    parts = PageParts()
    parts.feed(page)
    parts.close()
    return parts

"""How often each cell was begun on a cluster; an actor beside the driver, which outlives nodes."""

from __future__ import annotations


class AttemptCounter:
    """Counts beginnings: more than one is a retry after a node was lost."""

    def __init__(self) -> None:
        self._nodes: dict[str, list[str]] = {}

    def begun(self, key: str, node: str) -> int:
        """A cell begins on a node; which attempt this is."""
        self._nodes.setdefault(key, []).append(node)
        return len(self._nodes[key])

    def count(self, key: str) -> int:
        """How often it was begun."""
        return len(self._nodes.get(key, ()))

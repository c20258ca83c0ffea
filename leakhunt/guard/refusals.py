"""What a refused client is told."""

from __future__ import annotations

import json

from leakhunt.guard.guard import Refusal


def refusal_body(refusal: Refusal) -> bytes:
    """JSON as FastAPI's errors: ``{"detail": "memory"}``."""
    return json.dumps({"detail": str(refusal.reason)}).encode()


def is_exempt(path: str, exempt: tuple[str, ...]) -> bool:
    """Whether a path is one of these, or below one."""
    return any(path == each or path.startswith(each.rstrip("/") + "/") for each in exempt)

"""Requests that are not let in, and what their clients are told."""

from __future__ import annotations

import json
from dataclasses import dataclass

from leakhunt.errors import LeakhuntError
from leakhunt.guard.status import Reason
from leakhunt.text.message import message


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that is not worked on: 503, why, and when to come again."""

    reason: Reason
    retry_after_seconds: int
    status: int = 503


class RequestRefused(LeakhuntError):
    """Work that is not let in."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(message("guard.refused", "refused: {reason}", reason=str(refusal.reason)))
        self.refusal = refusal


def refusal_body(refusal: Refusal) -> bytes:
    """JSON as FastAPI's errors: ``{"detail": "memory"}``."""
    return json.dumps({"detail": str(refusal.reason)}).encode()


def is_exempt(path: str, exempt: tuple[str, ...]) -> bool:
    """Whether a path is one of these, or below one."""
    return any(path == each or path.startswith(each.rstrip("/") + "/") for each in exempt)

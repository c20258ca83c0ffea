"""What a soak is asked for is checked before a service is started."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leakhunt.engine.soak_request import Load, SoakRequest, effort_of
from leakhunt.errors import UsageError
from leakhunt.model.options import SERVICE_TIMEOUT_SECONDS, USERS

ASKED = SoakRequest(command="a {port}", load=Load("load.py"))


def test_defaults_are_those_of_the_verb() -> None:
    effort = effort_of(ASKED)
    assert (effort.users, effort.timeout_seconds) == (USERS, SERVICE_TIMEOUT_SECONDS)
    assert (effort.requests, effort.duration_seconds, effort.limit_bytes) == (None, None, None)


@pytest.mark.parametrize(
    ("limit", "size", "above"),
    [
        (None, None, False),
        (2 << 30, 2 << 30, False),
        ("2 GiB", 2 << 30, False),
        ("+1 MiB", 1 << 20, True),
    ],
)
def test_a_limit_is_bytes_or_a_size_perhaps_above_the_baseline(
    limit: int | str | None, size: int | None, above: bool
) -> None:
    effort = effort_of(replace(ASKED, memory_limit=limit))
    assert (effort.limit_bytes, effort.above_baseline) == (size, above)


@pytest.mark.parametrize("duration", [600, 600.0, "10m"])
def test_a_duration_is_seconds_or_text(duration: float | str) -> None:
    effort = effort_of(replace(ASKED, load=Load("load.py", duration=duration)))
    assert effort.duration_seconds == 600


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (replace(ASKED, timeout=float("nan")), "--timeout nan"),
        (replace(ASKED, timeout=0), "--timeout 0"),
        (replace(ASKED, pid=5, hunt=True), "--hunt restarts the service"),
        (replace(ASKED, resume="a.run.jsonl", hunt=True), "--hunt restarts the service"),
        (replace(ASKED, load=Load("load.py", users=0)), "users=0: expected 1 or more"),
        (replace(ASKED, load=Load("load.py", requests=0)), "requests=0: expected 1 or more"),
        (replace(ASKED, load=Load("load.py", duration=-1)), "duration=-1"),
        (replace(ASKED, load=Load("load.py", duration="soon")), "invalid duration 'soon'"),
        (replace(ASKED, memory_limit="much"), "invalid size 'much'"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong: SoakRequest, expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        effort_of(wrong)

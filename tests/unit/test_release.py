"""What a release needs of the changelog."""

from __future__ import annotations

import pytest
from release import NotReady, changes_of, release_version

from leakhunt import __version__

CHANGELOG = """\
# Changelog

## 0.3.0 (unreleased)

- Newer.

## 0.2.0 (2027-01-31)

- One.
- Two.

## 0.1.0 (2026-12-01)

- First.
"""


def test_the_section_of_a_version_ends_where_the_next_begins() -> None:
    assert changes_of(CHANGELOG, "0.2.0") == "- One.\n- Two."
    assert changes_of(CHANGELOG, "0.1.0") == "- First."


@pytest.mark.parametrize(
    ("version", "why"), [("0.3.0", "no date"), ("0.4.0", "no section"), ("0.2", "no section")]
)
def test_a_version_without_a_dated_section_is_no_release(version: str, why: str) -> None:
    with pytest.raises(NotReady, match=why):
        changes_of(CHANGELOG, version)


def test_the_version_is_the_packages() -> None:
    assert release_version() == __version__

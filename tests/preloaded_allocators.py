"""The allocators that tests preload, and what to install where one is missing."""

from __future__ import annotations

import pytest

from leakhunt.environment import installed_allocators

# The Debian package of each.
PACKAGES = {
    "jemalloc": "libjemalloc2",
    "tcmalloc": "libtcmalloc-minimal4",
    "mimalloc": "libmimalloc2.0",
}


def preloaded(name: str) -> str:
    """The allocator's library; the test that needs it is skipped where it is not installed."""
    library = installed_allocators().get(name)
    if library is None:
        pytest.skip(f"{name} is not installed (Debian: apt-get install {PACKAGES[name]})")
    return library

"""The collector of a worker, as a remedy sets it by an environment variable."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from leakhunt.instruments.free_lists import has_frozen
from leakhunt.worker.collector import set_collector


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """The collector of the tests' own process is put back."""
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.enable()
    gc.unfreeze()


def test_without_a_remedy_the_collector_is_as_it_is() -> None:
    before = gc.get_threshold()
    set_collector({})
    assert (gc.get_threshold(), gc.isenabled(), has_frozen()) == (before, True, False)


def test_what_there_is_after_setup_is_frozen() -> None:
    set_collector({"LEAKHUNT_GC": "freeze"})
    assert has_frozen()
    assert gc.isenabled()


def test_automatic_collections_are_switched_off() -> None:
    set_collector({"LEAKHUNT_GC": "off"})
    assert not gc.isenabled()


def test_thresholds_are_set() -> None:
    set_collector({"LEAKHUNT_GC": "50000,20,30"})
    assert gc.get_threshold() == (50_000, 20, 30)
    set_collector({"LEAKHUNT_GC": "900"})
    assert gc.get_threshold()[0] == 900

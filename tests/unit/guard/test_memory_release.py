"""Releasing memory: what helps is tried again, what does not is left alone."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from leakhunt.guard.release import Releaser

MIB = 1 << 20
LIMIT = 1000 * MIB


class Scene:
    """A releaser with one step of ours, which gives back what the test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("leakhunt.guard.release.gc.collect", lambda: 0)
        monkeypatch.setattr("leakhunt.guard.release.empty_framework_caches", lambda: None)
        self.now, self.used, self.gives, self.takes = 0.0, 800 * MIB, 0, 0.0
        self.tries = 0
        self.releaser = Releaser(lambda: self.used, lambda: self.now, [self.release])

    def release(self) -> None:
        self.tries += 1
        self.used -= self.gives
        self.now += self.takes

    def second_by_second(self, seconds: int) -> int:
        """How often ours is tried in so many seconds of need."""
        before = self.tries
        for _ in range(seconds):
            self.releaser.run(self.used, LIMIT)
            self.now += 1
        return self.tries - before


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(monkeypatch)


def test_what_came_back_is_measured(scene: Scene) -> None:
    scene.gives = 50 * MIB
    released = {each.step: each.freed_bytes for each in scene.releaser.run(scene.used, LIMIT)}
    assert released["release"] == 50 * MIB
    assert released["gc"] == 0
    counts = {each.step: each for each in scene.releaser.counts}
    assert (counts["release"].count, counts["release"].freed_bytes) == (1, 50 * MIB)


def test_what_helps_is_tried_every_second(scene: Scene) -> None:
    scene.gives = 2 * MIB
    assert scene.second_by_second(20) == 20


def test_what_gives_nothing_back_is_given_up_until_use_has_grown(scene: Scene) -> None:
    assert scene.second_by_second(1000) == 3
    scene.used += 49 * MIB
    assert scene.second_by_second(100) == 0
    scene.used += 2 * MIB
    assert scene.second_by_second(100) == 3


def test_it_takes_a_twentieth_of_the_time_at_most(scene: Scene) -> None:
    scene.gives, scene.takes = 2 * MIB, 0.5
    tries = scene.second_by_second(200)
    assert 10 <= tries <= 0.05 * scene.now / scene.takes + 1


def test_a_step_that_fails_hurts_nobody(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Any:
        raise RuntimeError("no")

    releaser = Releaser(lambda: scene.used, lambda: scene.now, [broken, scene.release])
    releaser.run(scene.used, LIMIT)
    assert scene.tries == 1
    assert "release step broken failed" in caplog.text


def test_two_threads_do_not_release_at_the_same_time(scene: Scene) -> None:
    begun, go_on, done = threading.Event(), threading.Event(), threading.Event()

    def slow() -> None:
        begun.set()
        assert go_on.wait(20)

    releaser = Releaser(lambda: scene.used, lambda: scene.now, [slow])
    assert releaser.start(scene.used, LIMIT, done.set)
    assert begun.wait(20)
    assert not releaser.start(scene.used, LIMIT, done.set)
    assert releaser.run(scene.used, LIMIT) == ()
    go_on.set()
    assert done.wait(20)


def test_memory_that_malloc_retains_comes_back_for_real() -> None:
    from leakhunt.guard import Guard

    guard = Guard()
    # Small blocks between others that stay: malloc retains the pages of the freed ones.
    blocks = [bytes(2000) for _ in range(60_000)]
    kept = blocks[::100]
    blocks.clear()
    before = guard.rss_bytes()
    released = guard.releaser.run(before, LIMIT)
    assert {each.step for each in released} == {"gc", "framework", "malloc_trim"}
    assert kept
    assert guard.rss_bytes() <= before

"""What PyTorch services leak on a GPU, and what the caching allocator only keeps."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from leakhunt import Context, variant

DEVICES = ("cuda",)
REQUIRES = ("torch",)
EXTRA = "fsmn-vad"


@dataclass
class State:
    """What the service keeps from call to call."""

    random: random.Random
    kept: list[Any] = field(default_factory=list)


def setup(context: Context) -> State:
    """An empty service."""
    return State(random.Random(context.seed))


def _tensor(numbers: int) -> Any:
    import torch

    return torch.ones(numbers, device="cuda")


@variant(expect="leak in CUDA", rate=1048576, culprit="State.kept", cause="tensors-kept")
def tensors_kept(state: State, item: int) -> None:
    """A megabyte of results per request goes into a list."""
    state.kept.append(_tensor(1 << 18))


@variant(expect=("clean", "CUDA caching or fragmentation"))
def tensors_dropped(state: State, item: int) -> None:
    """A megabyte of results per request, dropped."""
    _tensor(1 << 18)


@variant(expect=("CUDA caching or fragmentation", "clean"))
def sizes_that_vary(state: State, item: int) -> None:
    """Tensors of ever different sizes, freed: the caching allocator keeps segments for them."""
    _tensor(state.random.randint(1, 1 << 24))


@variant(expect="leak in CUDA", rate=1024, culprit="State.kept", cause="tensors-kept")
def small_results_kept(state: State, item: int) -> None:
    """A kilobyte per request."""
    state.kept.append(_tensor(256))

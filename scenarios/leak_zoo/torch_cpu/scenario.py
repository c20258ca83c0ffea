"""What PyTorch services leak on the CPU, and what only looks like it."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from leakhunt import Context, variant

REQUIRES = ("torch",)
EXTRA = "fsmn-vad"


@dataclass
class State:
    """A small model, and what the service keeps from call to call."""

    model: Any
    random: random.Random
    kept: list[Any] = field(default_factory=list)
    total: Any = 0.0


def setup(context: Context) -> State:
    """The model, on the CPU."""
    import torch

    torch.manual_seed(context.seed)
    torch.set_num_threads(1)
    model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1))
    return State(model, random.Random(context.seed))


def _batch(rows: int = 32) -> Any:
    import torch

    return torch.ones(rows, 64)


@variant(expect="leak in Python", rate=8700, culprit="State.kept", cause="tensors-kept")
def tensors_kept(state: State, item: int) -> None:
    """The features of every request go into a list."""
    import torch

    with torch.no_grad():
        state.kept.append(state.model[0](_batch()))


@variant(expect="leak in Python", rate=8500, culprit="State.kept", cause="unbounded-list")
def arrays_of_tensors_kept(state: State, item: int) -> None:
    """The features of every request go into a list as an array, which is the tensor's memory."""
    import torch

    with torch.no_grad():
        state.kept.append((str(item), state.model[0](_batch()).numpy()))


@variant(expect="clean")
def tensors_dropped(state: State, item: int) -> None:
    """The features of every request are dropped."""
    import torch

    with torch.no_grad():
        state.model[0](_batch())


@variant(expect="leak in Python", rate=23600, culprit="State.total", cause="autograd-graph-kept")
def graphs_kept(state: State, item: int) -> None:
    """A running total of the loss itself: it keeps every graph."""
    state.total = state.total + state.model(_batch()).mean()


@variant(expect="clean")
def graphs_detached(state: State, item: int) -> None:
    """A running total of the loss's number."""
    state.total = state.total + state.model(_batch()).mean().item()


@variant(expect="leak in Python", rate=306, culprit="_forward_hooks", cause="hooks-never-removed")
def hooks_per_call(state: State, item: int) -> None:
    """A forward hook registered at every request, never removed."""
    state.model[0].register_forward_hook(lambda module, inputs, output: None)
    if item % 50 == 0:  # the hooks make every call slower: not all calls use the model
        state.model(_batch(1))


@variant(expect="clean")
def hooks_removed(state: State, item: int) -> None:
    """A forward hook registered and removed."""
    handle = state.model[0].register_forward_hook(lambda module, inputs, output: None)
    state.model(_batch(1))
    handle.remove()


@variant(expect=("clean", "allocator retention", "bounded cache"))
def lengths_that_vary(state: State, item: int) -> float:
    """Batches of ever different sizes."""
    import torch

    with torch.no_grad():
        return float(state.model(_batch(state.random.randint(1, 400))).sum())


@variant(expect=("clean", "bounded cache", "allocator retention"))
def shapes_that_come_again(state: State, item: int) -> float:
    """Convolutions of a few shapes: oneDNN keeps one primitive for each."""
    import torch

    with torch.no_grad():
        length = 16 * (1 + item % 12)
        signal, kernel = torch.ones(1, 4, length), torch.ones(4, 4, 3)
        return float(torch.nn.functional.conv1d(signal, kernel).sum())

"""Caches of models on the CPU: each fills within 3,000 calls and is level then."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, field
from typing import Any

from leakhunt import Context, variant

REQUIRES = ("sympy", "tokenizers", "torch")
EXTRA = "vibevoice-tts"
WINDOW = 500


@dataclass
class State:
    """What the service keeps from call to call."""

    random: random.Random
    tokenizer: Any
    table: dict[Any, Any] = field(default_factory=dict)
    keys: list[Any] = field(default_factory=list)
    symbols: Any = None


def setup(context: Context) -> State:
    """A tokenizer of single letters, which merges some."""
    import sympy
    import torch
    from tokenizers import Tokenizer
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import Whitespace

    torch.manual_seed(context.seed)
    torch.set_num_threads(1)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = [*letters, "ab", "cd", "ef"]
    model = BPE(
        vocab={word: number for number, word in enumerate(words)},
        merges=[("a", "b"), ("c", "d"), ("e", "f")],
        cache_capacity=10_000,
    )
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = Whitespace()
    return State(random.Random(context.seed), tokenizer, symbols=sympy.symbols("x y"))


def work() -> bytes:
    """Some 3 ms, as a real call takes."""
    return hashlib.pbkdf2_hmac("sha256", b"key", b"salt", 9000)


@variant(expect=("bounded cache", "clean"))
def convolutions_by_length(state: State, item: int) -> float:
    """The caches of oneDNN and ideep keep 1,024 each; every call has a new length."""
    import torch

    with torch.no_grad():
        signal, kernel = torch.ones(2, 16, 40 + item), torch.ones(16, 16, 3)
        return float(torch.nn.functional.conv1d(signal, kernel)[0, 0, 0])


@variant(expect=("bounded cache", "clean"))
def convolutions_of_some_lengths(state: State, item: int) -> float:
    """The same with 400 lengths, at random: the cache is full when all were met."""
    import torch

    work()
    with torch.no_grad():
        signal, kernel = torch.ones(2, 16, 40 + state.random.randrange(400)), torch.ones(16, 16, 3)
        return float(torch.nn.functional.conv1d(signal, kernel)[0, 0, 0])


@variant(expect=("bounded cache", "clean"))
def positions_by_length(state: State, item: int) -> float:
    """A table of positions for each of 500 lengths of sentences."""
    import torch

    work()
    length = item * 7 % 500 + 1
    if length not in state.table:
        state.table[length] = torch.arange(length * 16, dtype=torch.float32).sin()
    return float(state.table[length][0])


@variant(expect=("bounded cache", "clean"))
def windows_by_rate(state: State, item: int) -> float:
    """A window and a filter bank for each of 120 sampling rates."""
    import torch

    work()
    size = 64 + item % 120
    if size not in state.table:
        state.table[size] = (torch.hann_window(size), torch.rand(80, size))
    window, bank = state.table[size]
    return float((bank @ window)[0])


@variant(expect=("bounded cache", "clean"))
def attention_with_a_window(state: State, item: int) -> int:
    """Keys and values of the last 500 tokens of an endless stream."""
    import torch

    work()
    state.keys.append(torch.rand(2, 8, 64))
    del state.keys[:-WINDOW]
    return len(state.keys)


@variant(expect=("bounded cache", "clean"))
def words_tokenized(state: State, item: int) -> int:
    """Tokenizers keeps the pieces of 10,000 words; twenty new ones a call."""
    work()
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ("".join(state.random.choices(letters, k=14)) for _ in range(20))
    return len(state.tokenizer.encode(" ".join(words)).ids)


@variant(expect=("bounded cache", "clean"))
def expressions_simplified(state: State, item: int) -> str:
    """SymPy keeps the last 1,000 results of each of its functions, as torch's shapes use it."""
    x, y = state.symbols
    return str((x + item).expand() * (y - item))

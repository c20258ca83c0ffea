"""What can be told of an object beyond its type: what a view pins, what an exception keeps."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import logging
import sys
import threading
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import compress
from typing import Any

from leakhunt.instruments.reference_chains import referents_of

# A view that keeps this many times its own size alive pins it.
_PINS_TIMES = 4
# The texts that a dict has as keys are counted from this length on.
_MIN_KEYS = 16
# Autograd graphs are counted to so many nodes.
MAX_NODES = 50_000
# Of an array of objects, so many are looked at.
MAX_ELEMENTS = 1_000_000


# What an object is, by the name of the fact that says so.
_KINDS: Mapping[str, type | tuple[type, ...]] = {
    "suspended": (types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType),
    "callback": (types.FunctionType, types.MethodType),
    "class_made_at_run_time": type,
    "module": types.ModuleType,
    "thread": threading.Thread,
    "task": asyncio.Future,
    "executor": concurrent.futures.Executor,
    "log_handler": logging.Handler,
}
_FUTURES = (asyncio.Future, concurrent.futures.Future)
_FINISHED = ("FINISHED", "CANCELLED", "CANCELLED_AND_NOTIFIED")


def traits(each: Any) -> dict[str, Any]:
    """Facts about an object by name; none for one that is what it seems."""
    # By the type: isinstance() would ask lazy proxies for their class, and so load them.
    found: dict[str, Any] = {
        fact: type(each).__qualname__
        for fact, kinds in _KINDS.items()
        if issubclass(type(each), kinds)
    }
    if _has_finished(each):
        found["finished"] = type(each).__qualname__
    if (pinned := _pinned_bytes(each)) is not None:
        found["pins_bytes"] = pinned
    if issubclass(type(each), BaseException) and each.__traceback__ is not None:
        found["traceback"] = type(each).__name__
    if _is_tensor(each):
        if _has_storage(each):
            found["tensor"] = f"{str(each.dtype).removeprefix('torch.')}{list(each.shape)}"
        if each.grad_fn is not None:
            found["grad_fn"] = type(each.grad_fn).__name__
    return found


def referents(each: Any) -> list[Any]:
    """What an object refers to, and of an array what it is a view of, which numpy does not say."""
    numpy = sys.modules.get("numpy")
    if numpy is not None and issubclass(type(each), numpy.ndarray) and each.base is not None:
        return [*referents_of(each), each.base]
    return referents_of(each)


def hidden_referents(each: Any) -> list[Any]:
    """What an object refers to without telling the collector.

    Of an array, its base and the objects in it; of a tensor, what it is a view of and its gradient.
    """
    kind = type(each)
    if _is_arrays(kind):
        base = [each.base] if each.base is not None else []
        if each.dtype.hasobject and not base:
            found: list[Any] = sys.modules["numpy"].ndarray.tolist(each.ravel()[:MAX_ELEMENTS])
            return found if each.dtype.names is None else list(_fields_of(found))
        return base
    if is_plain_tensors(kind):
        return [one for one in (each._base, each.grad if each.is_leaf else None) if one is not None]
    return []


def _fields_of(records: list[Any]) -> Iterator[Any]:
    """What the fields of an array's records have; records in records, and arrays of them, too."""
    for each in records:
        if type(each) in (tuple, list):
            yield from _fields_of(each)
        else:
            yield each


def has_hidden_referents(kind: type) -> bool:
    """Whether objects of a type refer to others that the collector is not told of."""
    return _is_arrays(kind) or is_plain_tensors(kind)


def inside(leaf: Any) -> list[Any]:
    """What hangs on something that is not tracked."""
    kind = type(leaf)
    if kind is tuple:
        return referents_of(leaf)
    if kind is dict:
        return with_text_keys(leaf, referents_of(leaf))
    if kind is types.CodeType:
        return [leaf.co_consts, leaf.co_names, leaf.co_linetable, leaf.co_exceptiontable]
    return hidden_referents(leaf)


def with_text_keys(each: Any, found: list[Any]) -> list[Any]:
    """What is `found` of a dict, with its keys: the collector is not told of them if all are texts.

    Small ones are mostly of attributes, whose names are everybody's.
    """
    length = dict.__len__(each)
    if length >= _MIN_KEYS and len(found) < 2 * length:  # else they are among them
        found += dict.keys(each)
    return found


def hides_some(kind: type) -> bool:
    """Whether objects of a type that are not tracked may have something inside."""
    return kind in (tuple, dict, types.CodeType) or has_hidden_referents(kind)


class Hides(dict[type, bool]):
    """`hides_some` of each type, found once."""

    def __missing__(self, kind: type) -> bool:
        found = self[kind] = hides_some(kind)
        return found


def _is_arrays(kind: type) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and issubclass(kind, numpy.ndarray)


def is_plain_tensors(kind: type) -> bool:
    """Whether they are torch's own: attributes of a subclass may do anything."""
    torch = sys.modules.get("torch")
    return torch is not None and kind in (torch.Tensor, torch.nn.Parameter)


def has_buffers(kind: type) -> bool:
    """Whether objects of a type have memory that their size does not tell."""
    return _is_tensors(kind) or _is_images(kind)


def native_sizes(objects: Iterable[Any]) -> Iterator[tuple[int, int]]:
    """The places of tensors and Pillow's images, each with the bytes that only `objects` have.

    On any device, each storage once; one that others use as well is theirs.
    """
    users: dict[int, int] = {}
    storages: dict[int, tuple[int, Any]] = {}
    for at, each in enumerate(objects):
        if _is_tensor(each) and _has_storage(each):
            storage = each.untyped_storage()
            users[storage._cdata] = users.get(storage._cdata, 0) + 1
            storages.setdefault(storage._cdata, (at, storage))
        elif _pixels(each) is not None:
            yield at, _pixel_bytes(each)
    count = getattr(getattr(sys.modules.get("torch"), "_C", None), "_storage_Use_Count", None)
    for name, (at, storage) in storages.items():
        # One more use is the storage as it was asked for here.
        if count is None or count(name) <= users[name] + 1:
            yield at, storage.nbytes()


def native_bytes(objects: Iterable[Any]) -> int:
    """The bytes of tensors' storages and Pillow's pixels among `objects`, each once.

    Neither is allocated by Python.
    """
    return sum(dict(each for one in objects for each in buffers(one)).values())


def buffers(each: Any) -> list[tuple[tuple[str, int], int]]:
    """What a tensor or a Pillow image has in native memory, by a name of its own, with its bytes.

    A storage that several tensors show has one name.
    """
    if _is_tensor(each):
        if _has_storage(each) and each.device.type == "cpu":
            storage = each.untyped_storage()
            return [(("storage", storage.data_ptr()), storage.nbytes())]
    elif (pixels := _pixels(each)) is not None:
        return [(("pixels", id(pixels)), _pixel_bytes(each))]
    return []


def _pixels(each: Any) -> Any:
    """The pixels of a Pillow image that is loaded, else None."""
    return vars(each).get("_im") if _is_images(type(each)) else None


def _is_images(kind: type) -> bool:
    pillow = sys.modules.get("PIL.Image")
    return pillow is not None and issubclass(kind, pillow.Image)


def _pixel_bytes(image: Any) -> int:
    """As Pillow keeps them: a byte for one band, two for 16 bits, else four."""
    own = vars(image)
    width, height = own.get("_size", (0, 0))
    mode = own.get("_mode", "")
    each = 1 if mode in ("1", "L", "P") else 2 if mode.startswith("I;16") else 4
    return int(width) * int(height) * each


def tensors_with_graphs(objects: Sequence[Any]) -> Iterator[Any]:
    """The tensors among `objects` that autograd could go back from."""
    return (each for each in of_kinds(objects, _is_tensors) if each.grad_fn is not None)


def graph_nodes(tensor: Any) -> int:
    """How many steps autograd would go back from `tensor`, counted to `MAX_NODES`."""
    seen: set[Any] = set()
    waiting = [tensor.grad_fn]
    while waiting and len(seen) < MAX_NODES:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting.extend(following for following, _ in node.next_functions)
    return len(seen)


def of_kinds(objects: Sequence[Any], accepts: Callable[[type], bool]) -> Iterator[Any]:
    """The objects of types that are accepted; each type is asked for once."""
    kinds = list(map(type, objects))  # once: each object's type is far from the last one's
    accepted = {kind for kind in set(kinds) if accepts(kind)}
    return compress(objects, map(accepted.__contains__, kinds))


def _has_finished(each: Any) -> bool:
    """Whether it is a future (a task is one) that is done."""
    # By its state, not done(), which a subclass may define, and which of a pool's takes a lock.
    return issubclass(type(each), _FUTURES) and getattr(each, "_state", "") in _FINISHED


def _is_tensor(each: Any) -> bool:
    return _is_tensors(type(each))


def _is_tensors(kind: type) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and issubclass(kind, torch.Tensor)


def _has_storage(tensor: Any) -> bool:
    """Whether a tensor has plain storage: not sparse, not lazy, not another backend's."""
    torch = sys.modules["torch"]
    lazy = getattr(torch.nn.parameter, "UninitializedTensorMixin", ())
    return tensor.layout is torch.strided and not issubclass(type(tensor), lazy)


def _pinned_bytes(each: Any) -> int | None:
    """The size of what a view keeps alive, if that is much more than the view shows."""
    numpy = sys.modules.get("numpy")
    if numpy is not None and issubclass(type(each), numpy.ndarray):
        whole = each
        while issubclass(type(whole.base), numpy.ndarray):
            whole = whole.base
        own, kept = each.nbytes, whole.nbytes
    elif _is_tensor(each) and _has_storage(each):
        own, kept = each.numel() * each.element_size(), each.untyped_storage().nbytes()
    elif type(each) is memoryview and isinstance(each.obj, bytes | bytearray):
        own, kept = each.nbytes, len(each.obj)
    else:
        return None
    return int(kept) if kept > _PINS_TIMES * max(own, 1) else None


class Sizes:
    """The bytes of objects, without calling a ``__sizeof__`` that is written in Python."""

    def __init__(self) -> None:
        self._functions: dict[type, Callable[[Any], int]] = {}

    def of(self, each: Any) -> int:
        """With what the collector keeps before it; 0 of a half-made object of C code."""
        own = self._functions.get(type(each))
        if own is None:
            own = self._functions[type(each)] = size_function(type(each))
        try:
            size = own(each)
        except Exception:  # a C class may refuse, of an object that is not ready
            return 0
        return size + (GC_HEAD_BYTES if gc.is_tracked(each) else 0)


# What the collector keeps before each object; a free-threaded build keeps it in the object.
GC_HEAD_BYTES = max(sys.getsizeof([]) - [].__sizeof__(), 0)


def size_function(kind: type) -> Callable[[Any], int]:
    """The ``__sizeof__`` of a type, or of the nearest base whose own is C code."""
    for base in kind.__mro__:
        own = vars(base).get("__sizeof__")
        if own is not None and not isinstance(own, types.FunctionType):
            found: Callable[[Any], int] = own
            return found
    return object.__sizeof__

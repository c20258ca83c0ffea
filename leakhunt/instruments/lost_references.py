"""References that a C function took and never gave back: seen by reference counts around it.

What the caller hands to a C function is allocated by the caller: only the counts of references
point at the function. They are read before and after each C call of a few calls: of what hangs on
the input, and of the local variables around the C call. What is still higher when the call is over,
and is no object's reference, is lost. So is a callback's result, which Python code returns to the C
code that called it. Of one example each the whole process is asked in the end. What is handed over
without ever having a name is not seen.
"""

from __future__ import annotations

import dis
import gc
import sys
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from types import BuiltinFunctionType, CodeType, FrameType, FunctionType
from typing import Any

from leakhunt.instruments import Call
from leakhunt.instruments.objects import is_everybodys
from leakhunt.instruments.reference_chains import referents_of, type_name
from leakhunt.instruments.references_to import ReferencesTo

# What hangs on an input is followed so deep, and to so many objects.
_LEVELS = 3
_MOST_WATCHED = 60
# Of the variables around a C call, so many are counted.
_MOST_LOCALS = 30
# Examples from earlier calls, kept beside the last: a block of C code may still hold the address
# that the block before it held there.
_EARLIER = 2
# What a list and the counting itself refer to.
_OWN_REFERENCES = 2
# What has more is the interpreter's own, never freed: strings have 999,999,999 before Python 3.12.
_MOST_REFERENCES = 1 << 24
# C calls that are followed in one call, and those of one place in the code that are looked at: a
# loop does the same again and again.
_MOST_C_CALLS = 50_000
_MOST_OF_A_PLACE = 50
# What follows an instruction in the code, and no instruction.
_CACHE = dis.opmap["CACHE"]
_INSTRUCTION_BYTES = 2
# What is there all the time, or has no block of its own.
_OF_NO_INTEREST = (type(None), int, bool)
_CODE = (FunctionType, BuiltinFunctionType, FrameType)
# Their methods keep what they are given where everybody can see it.
_CONTAINERS = (list, dict, set, deque, tuple, type, str, bytes)

# The C function, and the file, line and function that called it.
_Place = tuple[Any, str, int, str]
# File and name of the Python function that C code called; of none: nothing was returned to C code.
_Callback = tuple[str, str]
NO_CALLBACK = ("", "")


@dataclass
class Lost:
    """Objects that a C function lost: how many in how many calls, the last of them as example.

    `earlier` are one of the call before, and one of the call before that.
    What a `callback` returned may be lost by C code that is no function: an attribute, an operator.
    Then `function` is empty.
    """

    function: str
    module: str
    file: str
    line: int
    caller: str
    kind: str
    callback: _Callback = NO_CALLBACK
    number: int = 0
    calls: int = 0
    last_call: int = 0
    example: Any = None
    earlier: tuple[Any, ...] = ()


class LostReferences:
    """Looks at calls while it is switched on.

    `callers` are the C functions, and the modules of these, that were seen calling Python code.
    """

    def __init__(self) -> None:
        self.is_on = False
        self.callers: dict[_Callback, tuple[str, str]] = {}
        self._number = 0
        self._found: dict[tuple[str, str, int, str, _Callback], Lost] = {}

    def wrapped(self, call: Call) -> Call:
        """The call, looked at while it is switched on, and something may be lost in every one."""

        def called(state: Any, item: Any) -> Any:
            if self.is_on and (not self._number or self._lost_in_each()):
                return self._watched(call, state, item)
            return call(state, item)

        return called

    def candidates(self) -> list[Lost]:
        """What was lost in every call that was looked at, as far as the call could tell."""
        return self._lost_in_each() if self._number > 1 else []

    def _lost_in_each(self) -> list[Lost]:
        return [each for each in self._found.values() if each.calls == self._number]

    def found(self, candidates: Sequence[Lost] | None = None) -> list[Lost]:
        """Those of the candidates (default: all) that nothing refers to now either.

        Asked last of all: it searches the process.
        """
        gc.collect()  # of the last watch, whose frame has it, what it saw
        among = self.candidates() if candidates is None else list(candidates)
        found = _still_lost(_still_lost(among, _references), _known_or_hidden)
        earlier = {id(each.example): list(map(id, each.earlier)) for each in found}
        return _still_lost(found, partial(_with_structs, earlier))

    @property
    def own(self) -> list[Any]:
        """What of this process is only here because of the looking."""
        return [self, vars(self), self.callers, self._found, *self._found, *self._found.values()]

    def forget_examples(self) -> None:
        """Let the objects go that were lost, as far as we hold them."""
        for each in self._found.values():
            each.example, each.earlier = None, ()

    def _watched(self, call: Call, state: Any, item: Any) -> Any:
        watch = _Watch(item, state)
        before = sys.getprofile()
        watch.begin()
        sys.setprofile(watch.profile)
        try:
            result = call(state, item)
        finally:
            sys.setprofile(before)
        self._number += 1
        self.callers |= watch.callers
        for raised in watch.still_raised(result):
            key = (raised.function, raised.file, raised.line, raised.kind, raised.callback)
            known = self._found.setdefault(key, raised)
            known.number += raised.number if known is not raised else 0
            if known.last_call != self._number:
                known.last_call = self._number
                known.calls += 1
                known.earlier = (known.example, *known.earlier)[:_EARLIER]
            known.example = raised.example
        return result


class _Watch:
    """The counts of one call."""

    def __init__(self, item: Any, state: Any) -> None:
        self._watched = list(_hanging_on(item, state))
        self._first: list[int] = []
        self._counts: list[int] = []
        self._is_counted = False
        self._c_calls = 0
        self._looked_at: Counter[tuple[CodeType, int]] = Counter()
        # By the position of the object: the last C function after which its count was higher.
        self._raised: dict[int, _Place] = {}
        # The same of what the call itself made: variables around the C call, and those raised.
        self._names = set(map(id, (*self._watched, state)))
        self._locals: list[Any] = []
        self._local_counts: list[int] = []
        self._made: list[Any] = []
        self._made_raised: list[tuple[_Place, _Callback]] = []
        # The C calls that are not over, with the frame of each caller.
        self._under_way: list[tuple[FrameType, Any]] = []
        self.callers: dict[_Callback, tuple[str, str]] = {}

    def begin(self) -> None:
        """Count before the call, by the caller that will ask after it: it refers to the input."""
        self._first = self._count()

    def _count(self) -> list[int]:
        return list(map(sys.getrefcount, self._watched))

    def _count_locals(self) -> list[int]:
        return list(map(sys.getrefcount, self._locals))

    def profile(self, frame: FrameType, event: str, function: Any) -> None:
        """Compare around each C call."""
        if event == "c_call":
            self._c_calls += 1
            if self._c_calls > _MOST_C_CALLS:
                sys.setprofile(None)
                return
            self._under_way.append((frame, function))
            place = (frame.f_code, frame.f_lasti)
            self._looked_at[place] += 1
            self._is_counted = self._looked_at[place] <= _MOST_OF_A_PLACE
            if not self._is_counted:
                return
            self._counts = self._count()
            self._locals = list(islice(self._of_the_call(frame), _MOST_LOCALS))
            self._local_counts = self._count_locals()
            return
        if event == "return":
            self._see_returned(frame, function)
            return
        if event in ("c_return", "c_exception") and self._under_way:
            self._under_way.pop()
        if event == "c_return" and self._is_counted:
            if not isinstance(getattr(function, "__self__", None), _CONTAINERS):
                self._compare(frame, function)
            self._is_counted, self._locals = False, []

    def _see_returned(self, frame: FrameType, returned: Any) -> None:
        """Remember what Python code returns, where C code has called it."""
        caller = frame.f_back
        if caller is None:
            return
        callback = (frame.f_code.co_filename, frame.f_code.co_name)
        function = None
        if self._under_way and self._under_way[-1][0] is caller:
            function = self._under_way[-1][1]
            if callback not in self.callers:
                self.callers[callback] = name_of(function), module_of(function)
        if (
            len(self._made) >= _MOST_WATCHED
            or id(returned) in self._names
            or _is_of_no_interest(returned)
            or (function is None and _is_calling(caller))
        ):
            return
        self._names.add(id(returned))
        self._made.append(returned)
        place = (function, caller.f_code.co_filename, caller.f_lineno, caller.f_code.co_name)
        self._made_raised.append((place, callback))

    def _of_the_call(self, frame: FrameType) -> Iterator[Any]:
        """The variables of a frame that the call may have made: not what hangs on its input."""
        if frame.f_code.co_filename == __file__:
            return
        for each in frame.f_locals.values():
            if id(each) not in self._names and not _is_of_no_interest(each):
                yield each

    def _compare(self, frame: FrameType, function: Any) -> None:
        code = frame.f_code
        place = (function, code.co_filename, frame.f_lineno, code.co_name)
        for at, (before, after) in enumerate(zip(self._counts, self._count(), strict=True)):
            if after > before:
                self._raised[at] = place
        counts = self._count_locals()
        for at, (before, after) in enumerate(zip(self._local_counts, counts, strict=True)):
            if after > before and len(self._made) < _MOST_WATCHED:
                self._names.add(id(self._locals[at]))
                self._made.append(self._locals[at])
                self._made_raised.append((place, NO_CALLBACK))

    def still_raised(self, result: Any) -> Iterator[Lost]:
        """What is higher at the end of the call, and not because another object refers to it.

        Nor because it is what the call returned.
        """
        counts = self._count()
        more = {at: counts[at] - self._first[at] for at in self._raised}
        # What refers to what hangs on the input did so before.
        before = list(map(id, self._watched))
        for at, left in self._lost(self._watched, more, result, before):
            yield _lost(self._raised[at], self._watched[at], left)
        counts = list(map(sys.getrefcount, self._made))
        more = {at: count - _OWN_REFERENCES for at, count in enumerate(counts)}
        for at, left in self._lost(self._made, more, result):
            place, callback = self._made_raised[at]
            yield _lost(place, self._made[at], left, callback)

    def _lost(
        self, objects: list[Any], more: Mapping[int, int], result: Any, known: Collection[int] = ()
    ) -> list[tuple[int, int]]:
        """Which of some objects have more references than are to be seen, and how many more."""
        more = {at: left - (objects[at] is result) for at, left in more.items()}
        raised = [objects[at] for at, left in more.items() if left > 0]
        if not raised:
            return []
        ours = map(id, (self._watched, self._made, self._locals))
        seen = _references(raised, (*ours, *known))
        return [(at, left) for at, left in more.items() if left > seen[id(objects[at])]]


def _references(objects: list[Any], but: Collection[int] = ()) -> Counter[int]:
    """How many references to each, by its id, the collector knows of, without those of `but`."""
    asked = tuple(objects)  # from Python 3.13 on the arguments are among those that refer to them
    wanted, ours = set(map(id, objects)), {id(objects), id(asked), *but}
    found: Counter[int] = Counter()
    # A frame that runs is not tracked, and so is none of them; one that an exception keeps is.
    for each in gc.get_referrers(*asked):
        if id(each) not in ours:
            found.update(name for name in map(id, referents_of(each)) if name in wanted)
    return found


def _known_or_hidden(objects: list[Any]) -> Counter[int]:
    """Also those of what the collector does not track, or is not told of by C and C++ code.

    That is dicts and tuples of plain values, arrays; fields of extension types; tensors.
    """
    return ReferencesTo(objects).references


def _with_structs(earlier: Mapping[int, Collection[int]], objects: list[Any]) -> Counter[int]:
    """Also those of structs behind the fields of an object, by what was lost in calls `earlier`."""
    process = ReferencesTo(objects)
    process.references.update(process.of_structs(earlier))
    return process.references


def _still_lost(found: list[Lost], references: Callable[[list[Any]], Counter[int]]) -> list[Lost]:
    """Those whose example has more references than its own finding and what `references` sees."""
    examples = [each.example for each in found]
    if not examples:
        return []
    counts = list(map(sys.getrefcount, examples))
    seen = references(examples)  # the finding's own is one of them
    return [
        each
        for each, count in zip(found, counts, strict=True)
        if count - _OWN_REFERENCES > seen[id(each.example)]
    ]


def _lost(place: _Place, each: Any, number: int, callback: _Callback = NO_CALLBACK) -> Lost:
    """What one call lost; without the function itself, which may be a method of what is lost."""
    function, file, line, caller = place
    name = "" if function is None else name_of(function)
    module = "" if function is None else module_of(function)
    kind = type_name(each)
    return Lost(name, module, file, line, caller, kind, callback, number, example=each)


def _is_calling(frame: FrameType) -> bool:
    """Whether a frame is at a call as it is written, which may be one of Python code."""
    code, at = frame.f_code.co_code, frame.f_lasti
    while at > 0 and code[at] == _CACHE:  # before Python 3.15, it is at the last of a call's own
        at -= _INSTRUCTION_BYTES
    return 0 <= at < len(code) and "CALL" in dis.opname[code[at]]


def _is_of_no_interest(each: Any) -> bool:
    """What is there all the time, or has no block of its own."""
    kind = type(each)
    return (
        kind in _OF_NO_INTEREST
        or issubclass(kind, _CODE)
        or sys.getrefcount(each) > _MOST_REFERENCES
        or is_everybodys(each)
    )


def _hanging_on(item: Any, state: Any) -> Iterator[Any]:
    seen, level = {id(state)}, [item]
    for _ in range(_LEVELS):
        following = []
        for each in level:
            if id(each) in seen or _is_of_no_interest(each):
                continue
            seen.add(id(each))
            yield each
            if len(seen) > _MOST_WATCHED:
                return
            following += referents_of(each)
        level = following


def name_of(function: Any) -> str:
    """``module.function`` of a C function."""
    return f"{module_of(function)}.{getattr(function, '__qualname__', '?')}"


def module_of(function: Any) -> str:
    """The module of a C function; of a method, that of its object's type."""
    module = getattr(function, "__module__", None)
    if module is None:
        module = type(getattr(function, "__self__", None)).__module__
    return str(module)

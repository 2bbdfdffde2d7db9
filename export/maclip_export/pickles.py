"""Pickles read as data: a stack machine in which nothing can be called.

A pickle is a program, and Python's unpickler runs it. Torch's own writers use few of its instructions, and
weights need only those that build lists, tuples, dicts and numbers; here just these are followed. Where a
program would look a class up or call something, the caller of `read_pickle` gets the name and the
arguments, and decides what stands in its place.

`torch.load(weights_only=True)` allows names by a list as well, but hashes whatever is a key: a tuple nested
a million deep ends the process there. A key here is a string or a number.
"""

from __future__ import annotations

import pickletools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from maclip_export.errors import CheckpointError

_Key = (str, int, float, type(None))

# Instructions that push their own argument, and those that push a constant.
_LITERALS = frozenset(
    ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINSTRING")
)
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


@dataclass(frozen=True)
class Name:
    """The name of a class or function that a pickle mentions; never looked up."""

    name: str


class Thing:
    """What a call would have made: the name of what was to be called, and the state it was to be given."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.state: Any = None


def read_pickle(
    data: bytes,
    call: Callable[[str, tuple[Any, ...]], Any],
    load: Callable[[Any], Any],
) -> Any:
    """The data that a pickle of protocol 2 holds.

    call: what stands for a call of `name` with `arguments`, such as a Thing. load: what stands for a
    persistent id, which is how torch names storages. Raises CheckpointError for any instruction that
    torch's writers do not use, and for damage.
    """
    return _Machine(call, load).run(data)


class _Machine:
    """The stack, the marks on it, and the memo."""

    def __init__(
        self, call: Callable[[str, tuple[Any, ...]], Any], load: Callable[[Any], Any]
    ) -> None:
        self._call, self._load = call, load
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def run(self, data: bytes) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of text that pickletools decodes, in old opcodes
                for opcode, argument, _ in pickletools.genops(data):
                    if opcode.name == "STOP":
                        return self._stack.pop()
                    self._step(opcode.name, argument)
        except (ValueError, IndexError, KeyError, TypeError, ArithmeticError) as error:
            raise CheckpointError(f"its pickle is damaged ({error})") from None
        raise CheckpointError("its pickle ends early")

    def _step(self, name: str, argument: Any) -> None:
        stack = self._stack
        if name in _LITERALS:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name]())
        elif name in ("BINPUT", "LONG_BINPUT"):
            self._memo[argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(self._memo[argument])
        elif name == "MARK":
            self._marks.append(len(stack))
        elif name == "TUPLE":
            stack.append(tuple(self._pop_to_mark()))
        elif name in _TUPLES:
            stack.append(tuple(self._pop(_TUPLES[name])))
        elif name in ("APPEND", "APPENDS"):
            items = self._pop(1) if name == "APPEND" else self._pop_to_mark()
            if isinstance(stack[-1], list):
                stack[-1].extend(items)
        elif name in ("SETITEM", "SETITEMS"):
            items = self._pop(2) if name == "SETITEM" else self._pop_to_mark()
            if isinstance(stack[-1], dict):
                stack[-1].update(_pair(items))
        elif name == "GLOBAL":
            stack.append(Name(argument.replace(" ", ".")))
        elif name == "BINPERSID":
            stack.append(self._load(stack.pop()))
        elif name in ("REDUCE", "NEWOBJ"):
            callee, arguments = self._pop(2)
            called = callee.name if isinstance(callee, Name | Thing) else repr(type(callee))
            stack.append(self._call(called, arguments if isinstance(arguments, tuple) else ()))
        elif name == "BUILD":
            state = stack.pop()
            if isinstance(stack[-1], Thing):
                stack[-1].state = state
        elif name != "PROTO":
            raise CheckpointError(f"its pickle has {name}, which torch does not write")

    def _pop(self, count: int) -> list[Any]:
        if len(self._stack) < count:
            raise IndexError("nothing left on its stack")
        items = self._stack[-count:]
        del self._stack[-count:]
        return items

    def _pop_to_mark(self) -> list[Any]:
        mark = self._marks.pop()
        items = self._stack[mark:]
        del self._stack[mark:]
        return items


def _pair(items: list[Any]) -> dict[Any, Any]:
    keys = items[::2]
    if not all(isinstance(key, _Key) for key in keys):
        raise CheckpointError("its pickle has a dict whose keys are neither text nor numbers")
    return dict(zip(keys, items[1::2], strict=True))

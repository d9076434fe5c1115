"""Answers to arguments of the wrong kind, alike in every public verb."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import is_dataclass
from difflib import get_close_matches
from functools import wraps
from os import PathLike
from pathlib import Path
from types import FunctionType
from typing import Any, ParamSpec, TypeVar

import numpy as np

from sdcl_neuro.errors import InputError, SdclNeuroError

from .argument_types import means_tuple, wrong_argument
from .spec import IntNetwork

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def public(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Answer a call with unknown, missing, too many or wrong arguments by an `InputError`.

    The decorated function is called as it is, with numbers of numpy's as Python's. Only where
    Python refuses the call itself, or where the function fails over an argument that is not what
    its annotation says, is the signature looked at. Errors of ours, and those of calls with good
    arguments, are left as they are.
    """
    return _answering(function, compare=False)


def _answering(
    function: Callable[Parameters, Result], *, compare: bool
) -> Callable[Parameters, Result]:
    """Return `public`'s form of a function; `compare` looks at the arguments of good calls, too."""

    @wraps(function)
    def call(*given: Parameters.args, **named: Parameters.kwargs) -> Result:
        args = tuple(map(_plain, given))
        kwargs = {name: _plain(value) for name, value in named.items()}
        try:
            result = function(*args, **kwargs)  # type: ignore[arg-type]
        except SdclNeuroError:
            raise
        except Exception as error:
            begun = error.__traceback__ is not None and error.__traceback__.tb_next is not None
            if isinstance(error, TypeError) and not begun:
                raise _answer(function, args, kwargs) from None
            wrong = _wrong(function, args, kwargs)
            if wrong is None:
                raise
            raise wrong from error
        wrong = _wrong(function, args, kwargs) if compare else None
        if wrong is not None:
            raise wrong
        return result

    return call


def _plain(value: object) -> object:
    """Return a number of numpy's as Python's, also within a tuple; everything else as it is."""
    if isinstance(value, np.number | np.bool_ | np.str_):
        plain: object = value.item()
        return plain
    return tuple(map(_plain, value)) if type(value) is tuple else value


def _wrong(
    function: Callable[..., object], args: tuple[object, ...], kwargs: Mapping[str, object]
) -> InputError | None:
    found = wrong_argument(function, args, kwargs)
    if found is None:
        return None
    name, expected, value = found
    hint = f"help({_called(function)}) says what each argument is"
    if isinstance(value, str) and "[str]" in expected:
        hint = f"give a list: {name}=[{value!r}]"
    what = f"expected {expected} as {name}, got {kind_of(value)}"
    return InputError(what, where=_called(function), hint=hint)


def check_arguments(function: Callable[..., object], values: Mapping[str, object]) -> None:
    """See that arguments fit a function's annotations before they are used.

    For a function that would take its own failure over them for a fault of a file.

    Raises:
        InputError: one that does not.
    """
    wrong = _wrong(function, (), values)
    if wrong is not None:
        raise wrong


def public_class(cls: type[Result]) -> type[Result]:
    """Answer wrong arguments to a class and to its methods as `public` does; a decorator.

    Arguments of a dataclass, which only keeps them, are compared with its annotations always; a
    text where it wants a path becomes one, and a list where it wants a tuple.
    """
    described = is_dataclass(cls)
    for name, method in vars(cls).copy().items():
        # A torch module's methods are left to torch, which traces and compiles them.
        if isinstance(method, FunctionType) and name[0] != "_" and not _is_module(cls):
            setattr(cls, name, public(method))
    construct = _answering(cls.__init__, compare=described)
    if described:
        construct = _with_kinds(construct)
    setattr(cls, "__init__", construct)  # noqa: B010 (mypy refuses the assignment)
    return cls


def _is_module(cls: type) -> bool:
    return any(base.__module__ == "torch.nn.modules.module" for base in cls.__mro__)


def _with_kinds(
    construct: Callable[Parameters, Result],
) -> Callable[Parameters, Result]:
    """Return a constructor that takes a text where its annotation says path, and a list where it
    says tuple, so that what is kept compares and hashes.
    """
    parameters = inspect.signature(construct).parameters
    paths = {name for name, each in parameters.items() if each.annotation in _PATHS}

    def meant(name: str, value: object) -> object:
        if name in paths and isinstance(value, str):
            return Path(value)
        if isinstance(value, list | np.ndarray) and means_tuple(construct, name):
            return tuple(value.tolist() if isinstance(value, np.ndarray) else value)
        return value

    @wraps(construct)
    def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        placed = map(meant, parameters, args)
        named = {name: meant(name, value) for name, value in kwargs.items()}
        return construct(*placed, *args[len(parameters) :], **named)  # type: ignore[arg-type]

    return call


_PATHS = ("Path", "Path | None", Path, Path | None)


def _called(function: Callable[..., object]) -> str:
    """Return the name that a user calls: for a constructor, its class's; for a method, both."""
    name = function.__qualname__.rpartition("<locals>.")[2]
    return name.removesuffix(".__init__")


def _answer(
    function: Callable[..., object], args: Sequence[object], kwargs: Mapping[str, object]
) -> InputError:
    """Return the error for a call that does not fit a function's signature."""
    where, parameters = _called(function), inspect.signature(function).parameters
    known = [name for name, each in parameters.items() if each.kind is not each.VAR_KEYWORD]
    if known[:1] == ["self"]:  # a user neither gives nor names it
        known, args = known[1:], args[1:]
    for name in kwargs:
        if name not in known:
            near = get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"use {', '.join(known)}"
            return InputError(f"unknown keyword {name!r}", where=where, hint=hint)
    positional = [
        name for name in known if parameters[name].kind is not inspect.Parameter.KEYWORD_ONLY
    ]
    if len(args) > len(positional):
        named = [name for name in known if name not in positional]
        what = f"takes {_count(len(positional))} by position"
        if positional:
            what += f" ({', '.join(positional)})"
        hint = f"name the others: {', '.join(f'{name}=' for name in named)}" if named else ""
        return InputError(f"{what}, got {len(args)}", where=where, hint=hint)
    twice = [name for name in positional[: len(args)] if name in kwargs]
    if twice:
        what = f"{twice[0]!r} is given twice, by position and by name"
        return InputError(what, where=where, hint="give it once")
    absent = [
        name
        for name in known
        if parameters[name].default is inspect.Parameter.empty
        and name not in positional[: len(args)]
        and name not in kwargs
    ]
    hint = f"call {where}({', '.join(_sample(parameters[name]) for name in known[:4])})"
    return InputError(f"{', '.join(absent)} missing", where=where, hint=hint)


def _count(number: int) -> str:
    return {0: "no argument", 1: "one argument"}.get(number, f"{number} arguments")


def _sample(parameter: inspect.Parameter) -> str:
    only_named = parameter.kind is inspect.Parameter.KEYWORD_ONLY
    return f"{parameter.name}=..." if only_named else parameter.name


def kind_of(value: object) -> str:
    """Return what a value is, as a message says it: ``an OrderedDict``, ``None``."""
    if value is None:
        return "None"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    name = type(value).__name__
    return f"{'an' if name[0] in 'AEIOaeio' else 'a'} {name}"


def on_host(value: Any) -> Any:
    """Return a tensor as one that numpy takes: on the CPU, without gradient, dense, bfloat16 as
    float32; anything else as it is.
    """
    if not hasattr(value, "detach"):
        return value
    value = value.detach().cpu()
    if "sparse" in str(value.layout):
        value = value.to_dense()
    return value.float() if str(value.dtype) == "torch.bfloat16" else value


def need_number(value: object, where: str, hint: str) -> float:
    """Return `value` if it is a number; truth values are not.

    Raises:
        InputError: it is anything else.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise InputError(f"expected a number, got {kind_of(value)}", where=where, hint=hint)
    return float(value)


def need_integers(net: object, where: str) -> IntNetwork:
    """Return `net` if it is in a chip's integers.

    Raises:
        InputError: it is anything else.
    """
    if isinstance(net, IntNetwork):
        return net
    raise InputError(
        f"expected an IntNetwork, got {kind_of(net)}", where=where, hint=_to_integers(net)
    )


def _to_integers(net: object) -> str:
    if isinstance(net, str | PathLike):
        return "the network comes first: read it with load(path).need_integer()"
    if hasattr(net, "need_integer"):
        return "give its integers: model.need_integer()"
    quantised = "conversion.quantize(net, calibration=spikes)"
    if hasattr(net, "named_modules"):
        return (
            f"describe it first, net = conversion.from_snntorch(module, sample), then {quantised}"
        )
    return f"quantise it first: {quantised}"


def need_path(value: object, where: str, hint: str, *, to_write: bool = False) -> Path:
    """Return `value` as a path.

    Args:
        value: text or a path.
        where: the verb that was called.
        hint: what to do about anything else.
        to_write: the path is of a file to write, so it may not be a folder.

    Raises:
        InputError: anything else.
    """
    if not isinstance(value, str | PathLike):
        raise InputError(f"expected a path, got {kind_of(value)}", where=where, hint=hint)
    path = Path(value)
    if to_write and path.is_dir():
        what = "is a folder, where a file is to be written"
        raise InputError(what, where=str(path), hint=hint)
    return path


def check_indices(layers: object, count: int) -> tuple[int, ...]:
    """Return the indices of the layers to keep, in order, each once.

    Args:
        layers: indices; a single one; None is all of them.
        count: number of layers that there are.

    Raises:
        InputError: a layer that is not there, or something else than whole numbers.
    """
    if layers is None:
        return tuple(range(count))
    if isinstance(layers, int | np.integer) and not isinstance(layers, bool):
        layers = (layers,)
    listed: tuple[object, ...] | None = None
    if not isinstance(layers, str | bytes | Mapping):
        with suppress(TypeError):
            listed = tuple(layers)  # type: ignore[arg-type]
    if listed is None:
        what = f"expected indices of layers, got {layers!r}"
        raise InputError(what, where="layers", hint="give a list, such as [0, 2]")
    found = set()
    for index in listed:
        if isinstance(index, bool) or not isinstance(index, int | np.integer):
            what = f"expected indices of layers, got {index!r}"
            raise InputError(what, where="layers", hint="give whole numbers, such as [0, 2]")
        if not 0 <= index < count:
            hint = f"use 0 to {count - 1}" if count > 1 else "use 0, the only one"
            raise InputError(f"there is no layer {index}", where="layers", hint=hint)
        found.add(int(index))
    return tuple(sorted(found))

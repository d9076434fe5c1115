"""Arguments that are not what a signature says.

Nothing is checked before a call: what works is taken. Where a public function fails with an error
that is not ours, its arguments are compared with its annotations; one that does not fit is the
answer, and if all fit the error is left as it is. A description that is only kept (a dataclass)
cannot fail over its arguments, so they are compared once it is made.
"""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from numbers import Integral, Real
from typing import Any, Literal, Union, get_args, get_origin

import numpy as np

MEMBERS = 64
"""Members of a list that are looked at."""


def wrong_argument(
    function: Callable[..., object], args: tuple[object, ...], kwargs: Mapping[str, object]
) -> tuple[str, str, object] | None:
    """Find the first argument that does not fit its annotation.

    Returns:
        Its name, what was expected in words, and the argument; None if all fit, or if nothing can
        be said of them.
    """
    signature, hints = _stated(function)
    try:
        given = signature.bind_partial(*args, **kwargs).arguments
    except TypeError:
        return None
    for name, value in given.items():
        parameter = signature.parameters[name]
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        hint = hints[name]
        if hint is not None and value is not parameter.default and not fits(value, hint):
            return name, in_words(hint), value
    return None


def means_tuple(function: Callable[..., object], name: str) -> bool:
    """Tell whether an argument's annotation is a tuple, or one of several that it may be."""
    hint = _stated(function)[1].get(name)
    union = get_origin(hint) in (Union, types.UnionType)
    kinds = get_args(hint) if union else (hint,)
    return any((get_origin(kind) or kind) is tuple for kind in kinds)


@cache
def _stated(function: Callable[..., object]) -> tuple[inspect.Signature, dict[str, Any]]:
    """Return a function's signature and the types it states, None for those it does not."""
    signature = inspect.signature(function)
    hints = {
        name: None
        if parameter.annotation is parameter.empty
        else _resolved(parameter.annotation, function)
        for name, parameter in signature.parameters.items()
    }
    return signature, hints


def _resolved(annotation: object, function: Callable[..., object]) -> Any:
    """Return an annotation as a type; None where its names are known to type checkers only."""
    if not isinstance(annotation, str):
        return annotation
    names = vars(sys.modules[function.__module__])
    try:
        return eval(annotation, dict(names))
    except (NameError, AttributeError, TypeError, SyntaxError):
        return None


def fits(value: object, hint: Any) -> bool:
    """Tell whether a value may stand for an annotation; what cannot be decided fits."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return any(fits(value, each) for each in get_args(hint))
    if origin is Literal:
        return value in get_args(hint)
    if hint is None or hint is type(None):
        return value is None
    if hint is bool:
        return isinstance(value, bool | np.bool_)
    if hint is int:
        return isinstance(value, Integral) and not isinstance(value, bool)
    if hint is float:
        return isinstance(value, Real) and not isinstance(value, bool)
    kind = origin or hint
    if kind is Any or kind is object or not isinstance(kind, type):
        return True
    if getattr(kind, "_is_protocol", False):
        return value is not None
    if not issubclass(kind, Iterable) or kind in (str, bytes) or issubclass(kind, np.ndarray):
        return isinstance(value, kind)
    # A list does where a tuple is meant; a text is an iterable of letters by accident only.
    strict = issubclass(kind, Mapping) or kind.__module__ not in ("builtins", "collections.abc")
    if isinstance(value, str) or not isinstance(value, kind if strict else Iterable):
        return False
    return _members_fit(value, get_args(hint))


def _members_fit(value: object, hints: tuple[Any, ...]) -> bool:
    """Tell whether the first members of a list, a tuple or a dictionary fit what it may hold."""
    if isinstance(value, dict) and len(hints) == 2:
        return all(fits(each, hints[1]) for each in list(value.values())[:MEMBERS])
    if not isinstance(value, list | tuple) or not hints:
        return True
    if len(hints) > 1 and hints[1] is not Ellipsis:
        pairs = zip(value, hints, strict=False)
        return len(value) == len(hints) and all(fits(each, hint) for each, hint in pairs)
    return all(fits(each, hints[0]) for each in value[:MEMBERS])


def in_words(hint: Any) -> str:
    """Name what an annotation means, as an error says it."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(in_words(each) for each in get_args(hint))
    if origin is Literal:
        return " or ".join(map(repr, get_args(hint)))
    if hint is None or hint is type(None):
        return "None"
    named = {int: "a whole number", float: "a number", str: "a text", bool: "True or False"}
    named[np.ndarray] = "an array"
    kind = origin or hint
    if kind in named:
        return named[kind]
    name = getattr(kind, "__name__", str(kind))
    inner = [getattr(each, "__name__", "") for each in get_args(hint) if each is not Ellipsis]
    if inner and all(inner) and issubclass(kind, Iterable):
        name += f"[{', '.join(inner)}]"
    return f"{'an' if name[0] in 'AEIOaeio' else 'a'} {name}"

"""Modules built without values: shapes and names alone, in no memory and without delay.

On the device ``meta`` torch would run every initialiser through its Python decompositions, whose
first use loads its compiler and sympy: over a second, for numbers that are not there. So they are
passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_INITIALISERS = frozenset(
    ("normal_", "uniform_", "trunc_normal_", "fill_", "zero_", "zeros_", "ones_", "constant_")
)


class _Uninitialised(TorchFunctionMode):
    """Leaves tensors without values as they are where they would be filled."""

    def __torch_function__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        named = kwargs or {}
        if getattr(func, "__name__", "") in _INITIALISERS:
            target = args[0] if args else named.get("tensor")
            if isinstance(target, Tensor) and target.is_meta:
                return target
        return func(*args, **named)


@contextmanager
def weightless() -> Iterator[None]:
    """Let new tensors of this block have shapes and no values, and leave them unfilled."""
    with torch.device("meta"), _Uninitialised():
        yield

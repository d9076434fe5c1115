"""Modules whose forward takes several tensors a step, as modules of one.

All that follows drives a module with one tensor ``[T, B, ...]``. Here the inputs lie in it one
after another, flat, and the forward of a copy that shares everything with the user's module takes
them apart again. Tracing sees the parts (`graph_tracing`), so that the graph has all its inputs.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.spec import Shape

from .running import need_sample

PARTS = "_sdcl_neuro_parts"
"""Attribute of such a copy: input's name to its shape."""


def joined_module(
    module: nn.Module, samples: Mapping[str, Any], where: str
) -> tuple[nn.Module, Tensor]:
    """Return a copy of a module that takes all its inputs as one, and the samples so joined.

    Args:
        module: its forward takes each of the inputs by name.
        samples: argument of the forward to ``[T, B, ...]``.
        where: how to call it in messages.

    Returns:
        The copy, which shares children, parameters and buffers; and ``[T, B, N]``.

    Raises:
        InputError: inputs that the forward does not take, or of other steps or samples.
    """
    known = [name for name in inspect.signature(module.forward).parameters if name != "self"]
    strange = [name for name in samples if name not in known]
    if not samples or strange:
        what = f"inputs {', '.join(map(str, samples)) or 'none'}; its forward takes "
        raise InputError(what + ", ".join(known), where=where, hint="name the samples so")
    tensors = {
        str(name): torch.as_tensor(need_sample(each, f"{where}, {name}"))
        for name, each in samples.items()
    }
    sizes = {tuple(each.shape[:2]) for each in tensors.values()}
    if len(sizes) > 1 or min(each.ndim for each in tensors.values()) < 3:
        shapes = ", ".join(f"{name} {list(each.shape)}" for name, each in tensors.items())
        hint = "give each as [T, B, ...] with the same steps and samples"
        raise InputError(f"inputs of shapes {shapes}", where=where, hint=hint)
    parts: dict[str, Shape] = {name: tuple(each.shape[2:]) for name, each in tensors.items()}
    own = type(module)

    def forward(self: nn.Module, flat: Tensor) -> Any:
        return own.forward(self, **taken_apart(flat, parts))

    made = copy.copy(module)
    made.__class__ = type(own.__name__, (own,), {"forward": forward, PARTS: parts})
    return made, torch.cat([each.flatten(2).float() for each in tensors.values()], 2)


def taken_apart(flat: Tensor, parts: Mapping[str, Shape]) -> dict[str, Tensor]:
    """Return the inputs ``[..., *shape]`` by name, from all of them flat, ``[..., N]``."""
    pieces = flat.split([prod(shape) for shape in parts.values()], -1)
    return {
        name: piece.reshape(*flat.shape[:-1], *shape)
        for (name, shape), piece in zip(parts.items(), pieces, strict=True)
    }


def inputs_given(
    module: nn.Module, names: Sequence[str], args: Sequence[Any], named: Mapping[str, Any]
) -> dict[str, Tensor]:
    """Return the inputs of one call by name, as the caller of a module or of such a copy gave them.

    Args:
        module: what is called.
        names: of its inputs; the only one may have any name in the forward.
        args, named: of the call.
    """
    parts = parts_of(module)
    if parts is not None:
        return taken_apart(args[0], parts)
    if len(names) == 1:
        return {names[0]: args[0] if args else next(iter(named.values()))}
    given = inspect.signature(module.forward).bind(*args, **named).arguments
    return {name: given[name] for name in names}


def parts_of(module: nn.Module) -> Mapping[str, Shape] | None:
    """Return the inputs of such a copy; None for any other module."""
    found: Mapping[str, Shape] | None = getattr(type(module), PARTS, None)
    return found

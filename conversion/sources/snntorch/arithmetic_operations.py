"""Operations of torch that put tensors together: sums, multiples, concats, stacks and parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from ...lowering.graph.nodes import AddNode, ConcatNode, NormNode
from ...lowering.graph.shapes import Misfit
from .graph_refresh import Factor
from .graph_values import CHAIN_MEND, Recording, Value, known
from .layout_operations import same, slice_of, trimmed


def add(r: Recording, args: Sequence[Any], kwargs: Mapping[str, Any], out: Tensor) -> Value:
    """Return a sum."""
    return _sum(r, args, kwargs, out, sign=1.0)


def subtract(r: Recording, args: Sequence[Any], kwargs: Mapping[str, Any], out: Tensor) -> Value:
    """Return a difference: the second counts minus once."""
    return _sum(r, args, kwargs, out, sign=-1.0)


def _sum(
    r: Recording, args: Sequence[Any], kwargs: Mapping[str, Any], out: Tensor, *, sign: float
) -> Value:
    one, other = args[0], args[1] if len(args) > 1 else kwargs["other"]
    for number, value in ((one, other), (other, one)):
        if not isinstance(number, Tensor) and number == 0 and (sign > 0 or value is one):
            return replace(known(r, value))
    values = [known(r, one), known(r, other)]
    factor = sign * float(kwargs.get("alpha", 1))
    if factor != 1:
        values[1] = _scaled(r, values[1], factor)
    _expect_one_step(values)
    if r.shapes[values[0].node] != r.shapes[values[1].node]:
        shapes = " and ".join(str(list(r.shapes[v.node])) for v in values)
        raise Misfit(f"a sum of shapes that differ: {shapes}", "make them equal")
    del out
    name = r.put("add", "add", AddNode, [value.node for value in values])
    return replace(values[0], node=name)


def _expect_one_step(values: Sequence[Value]) -> None:
    if len({value.step for value in values}) > 1:
        what = "values of different steps put together"
        raise Misfit(what, "let a step's layers read that step only, recurrence by RLeaky")


def _scaled(r: Recording, value: Value, factor: float, learnt: Tensor | None = None) -> Value:
    """Return a multiple; `learnt` is the tensor that holds the factor, if one does."""
    make = lambda name, inputs: NormNode(  # noqa: E731
        name, inputs, gain=np.full(1, factor), shift=np.zeros(1)
    )
    key = ("scale", factor if learnt is None else id(learnt))
    node = r.put(key, "scale", make, [value.node])
    if learnt is not None:
        r.origins.factors[node] = Factor(learnt)
    return replace(value, node=node)


def multiply(r: Recording, args: Sequence[Any], kwargs: Mapping[str, Any], out: Tensor) -> Value:
    """Return a multiple by a number; a product of two tensors is none of a synapse."""
    del kwargs, out
    one, other = args[:2]
    learnt = next((t for t in (one, other) if _is_number(r, t)), None)
    one, other = (float(each) if _is_number(r, each) else each for each in (one, other))
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        what = "a product of two tensors, which no synapse computes"
        raise Misfit(what, "use a sum (ADD), not a product (IAND, gating)")
    tensor, factor = (one, other) if isinstance(one, Tensor) else (other, one)
    return _scaled(r, known(r, tensor), float(factor), learnt)


def _is_number(r: Recording, value: Any) -> bool:
    """Return whether a tensor is one number of the module's."""
    return isinstance(value, Tensor) and value.ndim == 0 and r.of(value) is None


def divide(r: Recording, args: Sequence[Any], kwargs: Mapping[str, Any], out: Tensor) -> Value:
    """Return a multiple by one over a number."""
    if isinstance(args[1], Tensor):
        raise Misfit("a division by a tensor", CHAIN_MEND)
    return multiply(r, [args[0], 1.0 / float(args[1])], kwargs, out)


def negate(r: Recording, args: Sequence[Any], kwargs: Mapping[str, Any], out: Tensor) -> Value:
    """Return a multiple by minus one."""
    return multiply(r, [args[0], -1.0], kwargs, out)


def concat(r: Recording, args: Sequence[Any], kwargs: Mapping[str, Any], out: Tensor) -> Value:
    """Return channels one after another."""
    tensors = list(args[0])
    dim = kwargs.get("dim", args[1] if len(args) > 1 else 0)
    values = [known(r, tensor) for tensor in tensors]
    _expect_one_step(values)
    shapes = [r.shapes[value.node] for value in values]
    front = tensors[0].ndim - len(trimmed(shapes[0], tensors[0]))
    if dim % tensors[0].ndim != front:
        raise Misfit(f"a concat along axis {dim}", "join along the channels")
    name = r.put("concat", "concat", ConcatNode, [value.node for value in values])
    found = r.laid_out(replace(values[0], node=name), tuple(out.shape))
    if found is None:
        raise Misfit(f"a concat to {list(out.shape)}", "join along the channels")
    return found


def stack(r: Recording, args: Sequence[Any], kwargs: Mapping[str, Any], out: Tensor) -> Value:
    """Return tensors along a new axis in front, which a sum or a reshape takes up."""
    del out
    tensors = list(args[0])
    dim = kwargs.get("dim", args[1] if len(args) > 1 else 0)
    values = [known(r, tensor) for tensor in tensors]
    _expect_one_step(values)
    front = tensors[0].ndim - len(trimmed(r.shapes[values[0].node], tensors[0]))
    if dim % (tensors[0].ndim + 1) not in (0, front):
        raise Misfit(f"a stack along axis {dim}", "stack in front, or join along the channels")
    return replace(values[0], stacked=tuple(value.node for value in values))


def sum_over(r: Recording, args: Sequence[Any], kwargs: Mapping[str, Any], out: Tensor) -> Value:
    """Return the sum over a stack; any other sum is done with what is read."""
    value = same(r, args, kwargs, out)
    if not value.stacked:
        raise Misfit("a sum over an axis", "sum what is read outside of the network")
    name = r.put("add", "add", AddNode, value.stacked)
    found = r.laid_out(replace(value, node=name, stacked=()), tuple(out.shape))
    if found is None:
        raise Misfit("a sum over an axis", "sum over the stack's own axis")
    return found


def part(r: Recording, args: Sequence[Any], kwargs: Mapping[str, Any], out: Tensor) -> Value:
    """Return one of `chunk`'s or `split`'s results; which one is in ``kwargs['part']``, its start
    too.
    """
    value, tensor = same(r, args, kwargs, out), args[0]
    start = kwargs["start"]
    front = tensor.ndim - len(trimmed(r.shapes[value.node], tensor))
    if kwargs["axis"] % tensor.ndim != front:
        raise Misfit("a split along another axis than the channels", "split the channels")
    stop = start + out.shape[front]
    return replace(value, node=slice_of(r, value.node, tuple(range(start, stop))))

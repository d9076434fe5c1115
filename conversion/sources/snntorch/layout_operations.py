"""Operations of torch that lay a tensor out anew, and take steps or channels of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from ...lowering.graph.nodes import ConcatNode, SliceNode
from ...lowering.graph.shapes import Misfit
from .graph_values import Recording, Value, known


def same(r: Recording, args: Sequence[Any], kwargs: Mapping[str, Any], out: Tensor) -> Value:
    """Return the very value."""
    del kwargs, out
    value = r.of(args[0])
    if not isinstance(value, Value):
        return known(r, args[0])
    return value


def laid_out(r: Recording, args: Sequence[Any], kwargs: Mapping[str, Any], out: Tensor) -> Value:
    """Return the same values in another shape."""
    value = same(r, args, kwargs, out)
    if value.stacked:
        return _unstacked(r, value, out)
    found = r.laid_out(value, tuple(out.shape))
    if found is None:
        what = f"a reshape of {list(r.shapes[value.node])} to {list(out.shape)}"
        raise Misfit(what, "keep (C, H, W), or flatten all of it")
    return found


def _unstacked(r: Recording, value: Value, out: Tensor) -> Value:
    """Return stacked in front of the channels and then flattened into them: a concat."""
    name = r.put("concat", "concat", ConcatNode, value.stacked)
    found = r.laid_out(replace(value, node=name, stacked=()), tuple(out.shape))
    if found is None:
        raise Misfit("a stack that is reshaped", "use torch.cat along the channels")
    return found


def transposed(r: Recording, args: Sequence[Any], kwargs: Mapping[str, Any], out: Tensor) -> Value:
    """Return steps and samples exchanged, and nothing else."""
    value, before = same(r, args, kwargs, out), args[0]
    lead = (r.steps, r.samples)[:: -1 if value.batch_first else 1]
    swapped = tuple(before.shape[:2]) == lead and before.shape[2:] == out.shape[2:]
    if value.step is not None or not swapped or tuple(out.shape[:2]) != lead[::-1]:
        raise Misfit("axes exchanged", "keep the axes' order, steps and samples apart")
    return replace(value, batch_first=not value.batch_first)


def item(r: Recording, args: Sequence[Any], kwargs: Mapping[str, Any], out: Tensor) -> Value:
    """Return one step of all; or some channels."""
    value = same(r, args, kwargs, out)
    index = args[1] if isinstance(args[1], tuple) else (args[1],)
    tensor: Tensor = args[0]
    if value.step is None and tuple(tensor.shape[:2]) == _lead(r, value):
        axis = 1 if value.batch_first else 0
        picked = index[axis] if len(index) > axis else slice(None)
        others = [part for k, part in enumerate(index) if k != axis]
        if isinstance(picked, int) and all(_whole(part) for part in others):
            return replace(value, step=picked % r.steps)
    shape = r.shapes[value.node]
    front = tensor.ndim - len(trimmed(shape, tensor))
    index = _without_ellipsis(index, tensor.ndim)
    if front < 1 or not all(_whole(part) for k, part in enumerate(index) if k != front):
        raise Misfit("an index that takes a tensor apart", "take whole steps, or channels")
    if len(index) <= front or _whole(index[front]):
        return value
    return _channels(r, value, index[front])


def select(r: Recording, args: Sequence[Any], kwargs: Mapping[str, Any], out: Tensor) -> Value:
    """Return one entry of an axis."""
    axis, index = _axis_and(args, kwargs, "index")
    return item(r, (args[0], (*[slice(None)] * axis, int(index))), {}, out)


def index_select(
    r: Recording, args: Sequence[Any], kwargs: Mapping[str, Any], out: Tensor
) -> Value:
    """Return entries of an axis, in an order of their own."""
    axis, index = _axis_and(args, kwargs, "index")
    return item(r, (args[0], (*[slice(None)] * axis, index.tolist())), {}, out)


def narrow(r: Recording, args: Sequence[Any], kwargs: Mapping[str, Any], out: Tensor) -> Value:
    """Return neighbours along an axis."""
    axis, start = _axis_and(args, kwargs, "start")
    first = int(start) % args[0].shape[axis]
    part = slice(first, first + out.shape[axis])
    return item(r, (args[0], (*[slice(None)] * axis, part)), {}, out)


def _axis_and(args: Sequence[Any], kwargs: Mapping[str, Any], name: str) -> tuple[int, Any]:
    """Return an operation's axis, counted from the front, and the argument after it."""
    axis = kwargs.get("dim", args[1] if len(args) > 1 else 0)
    return axis % args[0].ndim, kwargs.get(name, args[2] if len(args) > 2 else 0)


def _channels(r: Recording, value: Value, part: Any) -> Value:
    count = r.shapes[value.node][0]
    if isinstance(part, int):
        raise Misfit("one channel taken without its axis", "slice it: x[:, c:c + 1]")
    if isinstance(part, slice):
        channels = tuple(range(count)[part])
    else:
        channels = tuple(int(c) % count for c in np.asarray(part).reshape(-1))
    return replace(value, node=slice_of(r, value.node, channels))


def slice_of(r: Recording, node: str, channels: tuple[int, ...]) -> str:
    """Return the node that takes these channels of another."""
    return r.put(
        ("slice", channels),
        f"{node}.slice",
        lambda name, inputs: SliceNode(name, inputs, channels),
        [node],
    )


def _lead(r: Recording, value: Value) -> tuple[int, int]:
    return (r.samples, r.steps) if value.batch_first else (r.steps, r.samples)


def trimmed(shape: tuple[int, ...], tensor: Tensor) -> tuple[int, ...]:
    """Return a node's shape as it stands in a tensor: a line has no height there."""
    if len(shape) == 3 and shape[1] == 1 and tuple(tensor.shape[-3:]) != shape:
        return shape[0], shape[2]
    return shape


def _whole(part: Any) -> bool:
    return part is Ellipsis or (isinstance(part, slice) and part == slice(None))


def _without_ellipsis(index: tuple[Any, ...], rank: int) -> tuple[Any, ...]:
    if Ellipsis not in [part if part is Ellipsis else None for part in index]:
        return index
    place = next(k for k, part in enumerate(index) if part is Ellipsis)
    missing = rank - (len(index) - 1)
    return (*index[:place], *[slice(None)] * missing, *index[place + 1 :])

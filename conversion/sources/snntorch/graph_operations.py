"""What torch's functions and tensor methods do to the values of a graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from ...lowering.graph.nodes import (
    AddNode,
    ConcatNode,
    NormNode,
    PoolNode,
    SliceNode,
    UpsampleNode,
)
from ...lowering.graph.shapes import Misfit
from .graph_refresh import Factor
from .graph_values import CHAIN_MEND, Recording, Value

Handler = Callable[[Recording, Sequence[Any], Mapping[str, Any], Tensor], Value]


def apply_operation(
    recording: Recording, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], out: Tensor
) -> Value:
    """The value of an operation's result.

    Args:
        recording: the graph so far.
        name: of the function or method.
        args, kwargs: what it was given; at least one tensor has a value.
        out: what it gave.

    Raises:
        Misfit: the operation has no place in a graph.
    """
    handler = _HANDLERS.get(name)
    if handler is None:
        raise Misfit(f"the operation {name} outside the modules", CHAIN_MEND)
    return handler(recording, args, kwargs, out)


def known(recording: Recording, tensor: Any) -> Value:
    """The value of a tensor that has to have one."""
    value = recording.of(tensor)
    if isinstance(value, str):
        raise Misfit(value, CHAIN_MEND)
    if value is None:
        raise Misfit("a tensor that does not come from the input", CHAIN_MEND)
    if value.state:
        what = "a neuron's state, which the chip does not send"
        raise Misfit(what, "use its spikes, or a read-out at the end")
    return value


def _same(r: Recording, args: Sequence[Any], kwargs: Mapping[str, Any], out: Tensor) -> Value:
    del kwargs, out
    value = r.of(args[0])
    if not isinstance(value, Value):
        return known(r, args[0])
    return value


def _laid_out(r: Recording, args: Sequence[Any], kwargs: Mapping[str, Any], out: Tensor) -> Value:
    value = _same(r, args, kwargs, out)
    if value.stacked:
        return _unstacked(r, value, out)
    found = r.laid_out(value, tuple(out.shape))
    if found is None:
        what = f"a reshape of {list(r.shapes[value.node])} to {list(out.shape)}"
        raise Misfit(what, "keep (C, H, W), or flatten all of it")
    return found


def _unstacked(r: Recording, value: Value, out: Tensor) -> Value:
    """Stacked in front of the channels and then flattened into them: a concat."""
    name = r.put("concat", "concat", ConcatNode, value.stacked)
    found = r.laid_out(replace(value, node=name, stacked=()), tuple(out.shape))
    if found is None:
        raise Misfit("a stack that is reshaped", "use torch.cat along the channels")
    return found


def _transposed(r: Recording, args: Sequence[Any], kwargs: Mapping[str, Any], out: Tensor) -> Value:
    """Steps and samples exchanged, and nothing else."""
    value, before = _same(r, args, kwargs, out), args[0]
    lead = (r.steps, r.samples)[:: -1 if value.batch_first else 1]
    swapped = tuple(before.shape[:2]) == lead and before.shape[2:] == out.shape[2:]
    if value.step is not None or not swapped or tuple(out.shape[:2]) != lead[::-1]:
        raise Misfit("axes exchanged", "keep the axes' order, steps and samples apart")
    return replace(value, batch_first=not value.batch_first)


def _item(r: Recording, args: Sequence[Any], kwargs: Mapping[str, Any], out: Tensor) -> Value:
    """One step of all; or some channels."""
    value = _same(r, args, kwargs, out)
    index = args[1] if isinstance(args[1], tuple) else (args[1],)
    tensor: Tensor = args[0]
    if value.step is None and tuple(tensor.shape[:2]) == _lead(r, value):
        axis = 1 if value.batch_first else 0
        picked = index[axis] if len(index) > axis else slice(None)
        others = [part for k, part in enumerate(index) if k != axis]
        if isinstance(picked, int) and all(_whole(part) for part in others):
            return replace(value, step=picked % r.steps)
    shape = r.shapes[value.node]
    front = tensor.ndim - len(_trimmed(shape, tensor))
    index = _without_ellipsis(index, tensor.ndim)
    if front < 1 or not all(_whole(part) for k, part in enumerate(index) if k != front):
        raise Misfit("an index that takes a tensor apart", "take whole steps, or channels")
    if len(index) <= front or _whole(index[front]):
        return value
    return _channels(r, value, index[front])


def _channels(r: Recording, value: Value, part: Any) -> Value:
    count = r.shapes[value.node][0]
    if isinstance(part, int):
        raise Misfit("one channel taken without its axis", "slice it: x[:, c:c + 1]")
    if isinstance(part, slice):
        channels = tuple(range(count)[part])
    else:
        channels = tuple(int(c) % count for c in np.asarray(part).reshape(-1))
    return replace(value, node=_slice(r, value.node, channels))


def _slice(r: Recording, node: str, channels: tuple[int, ...]) -> str:
    return r.put(
        ("slice", channels),
        f"{node}.slice",
        lambda name, inputs: SliceNode(name, inputs, channels),
        [node],
    )


def _lead(r: Recording, value: Value) -> tuple[int, int]:
    return (r.samples, r.steps) if value.batch_first else (r.steps, r.samples)


def _trimmed(shape: tuple[int, ...], tensor: Tensor) -> tuple[int, ...]:
    """A node's shape as it stands in a tensor: a line has no height there."""
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


def _add(r: Recording, args: Sequence[Any], kwargs: Mapping[str, Any], out: Tensor) -> Value:
    return _sum(r, args, kwargs, out, sign=1.0)


def _subtract(r: Recording, args: Sequence[Any], kwargs: Mapping[str, Any], out: Tensor) -> Value:
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
    """A multiple; `learnt` is the tensor that holds the factor, if one does."""
    make = lambda name, inputs: NormNode(  # noqa: E731
        name, inputs, gain=np.full(1, factor), shift=np.zeros(1)
    )
    key = ("scale", factor if learnt is None else id(learnt))
    node = r.put(key, "scale", make, [value.node])
    if learnt is not None:
        r.origins.factors[node] = Factor(learnt)
    return replace(value, node=node)


def _multiply(r: Recording, args: Sequence[Any], kwargs: Mapping[str, Any], out: Tensor) -> Value:
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
    """Whether a tensor is one number of the module's."""
    return isinstance(value, Tensor) and value.ndim == 0 and r.of(value) is None


def _divide(r: Recording, args: Sequence[Any], kwargs: Mapping[str, Any], out: Tensor) -> Value:
    if isinstance(args[1], Tensor):
        raise Misfit("a division by a tensor", CHAIN_MEND)
    return _multiply(r, [args[0], 1.0 / float(args[1])], kwargs, out)


def _negate(r: Recording, args: Sequence[Any], kwargs: Mapping[str, Any], out: Tensor) -> Value:
    return _multiply(r, [args[0], -1.0], kwargs, out)


def _concat(r: Recording, args: Sequence[Any], kwargs: Mapping[str, Any], out: Tensor) -> Value:
    tensors = list(args[0])
    dim = kwargs.get("dim", args[1] if len(args) > 1 else 0)
    values = [known(r, tensor) for tensor in tensors]
    _expect_one_step(values)
    shapes = [r.shapes[value.node] for value in values]
    front = tensors[0].ndim - len(_trimmed(shapes[0], tensors[0]))
    if dim % tensors[0].ndim != front:
        raise Misfit(f"a concat along axis {dim}", "join along the channels")
    name = r.put("concat", "concat", ConcatNode, [value.node for value in values])
    found = r.laid_out(replace(values[0], node=name), tuple(out.shape))
    if found is None:
        raise Misfit(f"a concat to {list(out.shape)}", "join along the channels")
    return found


def _stack(r: Recording, args: Sequence[Any], kwargs: Mapping[str, Any], out: Tensor) -> Value:
    del out
    tensors = list(args[0])
    dim = kwargs.get("dim", args[1] if len(args) > 1 else 0)
    values = [known(r, tensor) for tensor in tensors]
    _expect_one_step(values)
    front = tensors[0].ndim - len(_trimmed(r.shapes[values[0].node], tensors[0]))
    if dim % (tensors[0].ndim + 1) not in (0, front):
        raise Misfit(f"a stack along axis {dim}", "stack in front, or join along the channels")
    return replace(values[0], stacked=tuple(value.node for value in values))


def _sum_over(r: Recording, args: Sequence[Any], kwargs: Mapping[str, Any], out: Tensor) -> Value:
    """The sum over a stack; any other sum is done with what is read."""
    value = _same(r, args, kwargs, out)
    if not value.stacked:
        raise Misfit("a sum over an axis", "sum what is read outside of the network")
    name = r.put("add", "add", AddNode, value.stacked)
    found = r.laid_out(replace(value, node=name, stacked=()), tuple(out.shape))
    if found is None:
        raise Misfit("a sum over an axis", "sum over the stack's own axis")
    return found


def _parts(r: Recording, args: Sequence[Any], kwargs: Mapping[str, Any], out: Tensor) -> Value:
    """One of `chunk`'s or `split`'s results; which one is in ``kwargs['part']``, its start too."""
    value, tensor = _same(r, args, kwargs, out), args[0]
    start = kwargs["start"]
    front = tensor.ndim - len(_trimmed(r.shapes[value.node], tensor))
    if kwargs["axis"] % tensor.ndim != front:
        raise Misfit("a split along another axis than the channels", "split the channels")
    stop = start + out.shape[front]
    return replace(value, node=_slice(r, value.node, tuple(range(start, stop))))


def _pool(kind: str, *, adaptive: bool = False, line: bool = False) -> Handler:
    def handler(r: Recording, args: Sequence[Any], kwargs: Mapping[str, Any], out: Tensor) -> Value:
        names = ["input", "kernel_size", "stride", "padding"]
        names += ["dilation", "ceil_mode"] if kind == "max" else ["ceil_mode", "count_include_pad"]
        if adaptive:
            names = ["input", "output_size"]
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        if line:
            given |= {
                key: _line(value, 0 if key == "padding" else 1)
                for key, value in given.items()
                if key in ("kernel_size", "stride", "padding", "dilation", "output_size")
            }
        value = known(r, given["input"])
        fields = pool_fields(kind, given, r.shapes[value.node])
        key = (kind, tuple(sorted(fields.items())))
        make = lambda name, inputs: PoolNode(name, inputs, **fields)  # noqa: E731
        del out
        return replace(value, node=r.put(key, f"{kind}_pool", make, [value.node]))

    return handler


def pool_fields(kind: str, given: Mapping[str, Any], shape: tuple[int, ...]) -> dict[str, Any]:
    """Fields of a `PoolNode` from torch's arguments; along a line the height is one."""
    if given.get("return_indices"):
        raise Misfit("a max pooling that returns indices", "use return_indices=False")
    if "output_size" in given:
        size = _pair(given["output_size"], 1)
        whole = [old if new is None else new for old, new in zip(shape[1:], size, strict=True)]
        return {"kind": kind, "size": tuple(whole)}
    kernel = _pair(given["kernel_size"], 1)
    stride = given.get("stride")
    fields: dict[str, Any] = {
        "kind": kind,
        "kernel": kernel,
        "stride": kernel if stride in (None, []) else _pair(stride, 1),
        "padding": _pair(given.get("padding", 0), 0),
        "ceil": bool(given.get("ceil_mode", False)),
    }
    if kind == "max":
        fields["dilation"] = _pair(given.get("dilation", 1), 1)
    elif given.get("divisor_override") is not None:
        fields |= {"kind": "sum", "divisor": float(given["divisor_override"])}
    else:
        fields["count_padding"] = bool(given.get("count_include_pad", True))
    return fields


def _pair(value: Any, other: int) -> tuple[Any, Any]:
    """(vertical, horizontal); `other` is the height's where one number in a tuple is a line's."""
    if isinstance(value, tuple | list):
        return (other, value[0]) if len(value) == 1 else (value[0], value[1])
    return value, value


def _line(value: Any, other: int) -> Any:
    """(vertical, horizontal) along a line; what is left out stays so."""
    if value in (None, [], ()):
        return value
    return other, value[0] if isinstance(value, tuple | list) else value


def _interpolate(
    r: Recording, args: Sequence[Any], kwargs: Mapping[str, Any], out: Tensor
) -> Value:
    value = known(r, args[0])
    mode = kwargs.get("mode", args[3] if len(args) > 3 else "nearest")
    name = upsample(r, value.node, mode, tuple(out.shape))
    return replace(value, node=name)


def upsample(r: Recording, node: str, mode: str, shape: tuple[int, ...], name: str = "") -> str:
    """The node that enlarges to a tensor of `shape`."""
    if not mode.startswith("nearest"):
        raise Misfit(f"upsampling by {mode}", "use mode='nearest'")
    own = r.shapes[node]
    line = len(own) == 3 and own[1] == 1 and shape[-3:][0] == own[0] and len(shape) < 4
    after = (1, shape[-1]) if line else shape[-2:]
    if len(own) != 3 or any(new % old for old, new in zip(own[1:], after, strict=True)):
        raise Misfit(f"upsampling of {list(own)} to {list(after)}", "use a whole factor")
    factor = (after[0] // own[1], after[1] // own[2])
    make = lambda n, inputs: UpsampleNode(n, inputs, factor)  # noqa: E731
    return r.put(("upsample", factor), name or "upsample", make, [node])


_HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(
        ("clone", "contiguous", "detach", "float", "double", "to", "type", "cpu", "cuda", "alias"),
        _same,
    ),
    **dict.fromkeys(("requires_grad_", "dropout", "positive", "type_as"), _same),
    **dict.fromkeys(
        ("view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "view_as"), _laid_out
    ),
    **dict.fromkeys(("transpose", "permute", "movedim", "swapaxes", "moveaxis"), _transposed),
    "__getitem__": _item,
    **dict.fromkeys(("add", "__add__", "__radd__", "__iadd__", "add_"), _add),
    **dict.fromkeys(("sub", "__sub__", "__isub__", "sub_", "subtract"), _subtract),
    **dict.fromkeys(("mul", "__mul__", "__rmul__", "__imul__", "mul_", "multiply"), _multiply),
    **dict.fromkeys(("div", "__truediv__", "__itruediv__", "div_", "true_divide"), _divide),
    **dict.fromkeys(("neg", "__neg__", "negative"), _negate),
    **dict.fromkeys(("cat", "concat", "concatenate"), _concat),
    "stack": _stack,
    "sum": _sum_over,
    **dict.fromkeys(("chunk", "split"), _parts),
    "max_pool2d": _pool("max"),
    "max_pool1d": _pool("max", line=True),
    "avg_pool2d": _pool("average"),
    "avg_pool1d": _pool("average", line=True),
    "adaptive_avg_pool2d": _pool("average", adaptive=True),
    "adaptive_avg_pool1d": _pool("average", adaptive=True, line=True),
    "adaptive_max_pool2d": _pool("max", adaptive=True),
    "adaptive_max_pool1d": _pool("max", adaptive=True, line=True),
    "interpolate": _interpolate,
}

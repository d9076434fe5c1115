"""What torch's functions and tensor methods do to the values of a graph: the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from ...lowering.graph.shapes import Misfit
from .arithmetic_operations import (
    add,
    concat,
    divide,
    multiply,
    negate,
    part,
    stack,
    subtract,
    sum_over,
)
from .graph_values import CHAIN_MEND, Recording, Value
from .layout_operations import (
    index_select,
    item,
    laid_out,
    narrow,
    same,
    select,
    transposed,
)
from .size_operations import Handler, interpolate, pool


def apply_operation(
    recording: Recording, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], out: Tensor
) -> Value:
    """Return the value of an operation's result.

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


_HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(
        ("clone", "contiguous", "detach", "float", "double", "to", "type", "cpu", "cuda", "alias"),
        same,
    ),
    **dict.fromkeys(("requires_grad_", "dropout", "positive", "type_as"), same),
    **dict.fromkeys(
        ("view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "view_as"), laid_out
    ),
    **dict.fromkeys(("transpose", "permute", "movedim", "swapaxes", "moveaxis"), transposed),
    "__getitem__": item,
    "select": select,
    "index_select": index_select,
    "narrow": narrow,
    **dict.fromkeys(("add", "__add__", "__radd__", "__iadd__", "add_"), add),
    **dict.fromkeys(("sub", "__sub__", "__isub__", "sub_", "subtract"), subtract),
    **dict.fromkeys(("mul", "__mul__", "__rmul__", "__imul__", "mul_", "multiply"), multiply),
    **dict.fromkeys(("div", "__truediv__", "__itruediv__", "div_", "true_divide"), divide),
    **dict.fromkeys(("neg", "__neg__", "negative"), negate),
    **dict.fromkeys(("cat", "concat", "concatenate"), concat),
    "stack": stack,
    "sum": sum_over,
    **dict.fromkeys(("chunk", "split"), part),
    "max_pool2d": pool("max"),
    "max_pool1d": pool("max", line=True),
    "avg_pool2d": pool("average"),
    "avg_pool1d": pool("average", line=True),
    "adaptive_avg_pool2d": pool("average", adaptive=True),
    "adaptive_avg_pool1d": pool("average", adaptive=True, line=True),
    "adaptive_max_pool2d": pool("max", adaptive=True),
    "adaptive_max_pool1d": pool("max", adaptive=True, line=True),
    "interpolate": interpolate,
}

"""Operations of torch that change an image's size: pools and upsampling, also of modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from ...lowering.graph.nodes import PoolNode, UpsampleNode
from ...lowering.graph.shapes import Misfit
from .graph_values import Recording, Value, known

Handler = Callable[[Recording, Sequence[Any], Mapping[str, Any], Tensor], Value]


def pool(kind: str, *, adaptive: bool = False, line: bool = False) -> Handler:
    """Return the handler of one of torch's poolings."""

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
    """Return fields of a `PoolNode` from torch's arguments; along a line the height is one."""
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
    """Return (vertical, horizontal); `other` is the height's where one number in a tuple is a
    line's.
    """
    if isinstance(value, tuple | list):
        return (other, value[0]) if len(value) == 1 else (value[0], value[1])
    return value, value


def _line(value: Any, other: int) -> Any:
    """Return (vertical, horizontal) along a line; what is left out stays so."""
    if value in (None, [], ()):
        return value
    return other, value[0] if isinstance(value, tuple | list) else value


def interpolate(r: Recording, args: Sequence[Any], kwargs: Mapping[str, Any], out: Tensor) -> Value:
    """Return nearest upsampling."""
    value = known(r, args[0])
    mode = kwargs.get("mode", args[3] if len(args) > 3 else "nearest")
    name = upsample(r, value.node, mode, tuple(out.shape))
    return replace(value, node=name)


def upsample(r: Recording, node: str, mode: str, shape: tuple[int, ...], name: str = "") -> str:
    """Return the node that enlarges to a tensor of `shape`."""
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

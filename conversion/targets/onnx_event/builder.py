"""Adds nodes and constants to an ONNX graph under names of its own making."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.extras import need

if TYPE_CHECKING:
    import onnx
    from onnx import TensorProto, helper, numpy_helper
else:
    helper, numpy_helper = (
        need("onnx.helper", "writing ONNX"),
        need("onnx.numpy_helper", "writing ONNX"),
    )
    TensorProto = need("onnx", "writing ONNX").TensorProto

BATCH = "batch"
UINT8, INT32, INT64 = TensorProto.UINT8, TensorProto.INT32, TensorProto.INT64


class Builder:
    """Nodes and constants of one graph, in order.

    Attributes:
        nodes: in the order in which they compute.
        constants: initialisers.
    """

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._scalars: dict[tuple[str, int], str] = {}

    def add(self, operator: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Add a node with one output; return the output's name."""
        output = name or f"{operator}_{len(self.nodes)}"
        node = helper.make_node(operator, list(inputs), [output], name=output, **attributes)
        self.nodes.append(node)
        return output

    def constant(self, values: NDArray[Any], name: str) -> str:
        """Add an array under a name; return the name."""
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def scalar(self, value: int) -> str:
        """Return the name of an int64 scalar, made once."""
        key = ("int64", value)
        if key not in self._scalars:
            name = f"number_{value}".replace("-", "minus_")
            self._scalars[key] = self.constant(np.array(value, np.int64), name)
        return self._scalars[key]

    def vector(self, values: tuple[int, ...], name: str) -> str:
        """Add a list of int64; return its name."""
        return self.constant(np.array(values, np.int64), name)

    def cast(self, value: str, kind: int) -> str:
        """Add a cast; beyond 32 bits ONNX defines it as what the register keeps."""
        return self.add("Cast", value, to=kind)

    def graph(
        self, name: str, inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto]
    ) -> onnx.GraphProto:
        """Return the graph of all that was added."""
        return helper.make_graph(self.nodes, name, inputs, outputs, initializer=self.constants)


def value(name: str, kind: int, shape: tuple[int | str, ...]) -> onnx.ValueInfoProto:
    """Describe an input or output."""
    return helper.make_tensor_value_info(name, kind, list(shape))

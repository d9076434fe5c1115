"""Pools of a graph in NIR's words.

Max pooling of spikes is a sum pooling and neurons that forget at once and fire above one half.
"""

from __future__ import annotations

import numpy as np

from ...lowering.graph.nodes import PoolNode
from ...lowering.graph.shapes import Misfit
from .writing import Writing

FORGETS = 1 / 4096
"""What neurons of a max pooling keep: the least that the chip's 12 bits can say."""


def pool(node: PoolNode, w: Writing) -> list[str]:
    """Return a pool of sums or averages; of a maximum, neurons behind a pool of sums."""
    import nir

    shape = w.shapes[node.inputs[0]]
    kernel, stride, padding = node.kernel, node.stride, node.padding
    if node.size is not None:
        if shape[1] % node.size[0] or shape[2] % node.size[1]:
            what = f"adaptive pooling of {shape[1]}x{shape[2]} to {node.size[0]}x{node.size[1]}"
            raise Misfit(f"{what}, whose windows differ", "use sizes that divide")
        kernel = stride = (shape[1] // node.size[0], shape[2] // node.size[1])
        padding = (0, 0)
    odd = {
        "dilated windows": node.dilation != (1, 1),
        "ceil_mode": node.ceil and node.size is None,
        "padding that is not counted": not node.count_padding and any(padding),
        "a divisor": node.divisor != 1,
    }
    for what, has in odd.items():
        if has:
            raise Misfit(f"{what}, which NIR's pooling does not have", "write OUT.net")
    windows = [np.array(pair) for pair in (kernel, stride, padding)]
    if node.kind != "max":
        kind = nir.AvgPool2d if node.kind == "average" else nir.SumPool2d
        return [w.put(node.name, kind(*windows), w.read(node))]
    if len(w.ends[node.inputs[0]]) > 1:
        raise Misfit("the maximum of joined tensors", "pool each by itself, then join them")
    total = w.put(f"{node.name}.sum", nir.SumPool2d(*windows), w.read(node))
    out = w.shapes[node.name]
    rate = 1 - FORGETS  # a spike of one is above the threshold, silence below, whatever remains
    fires = nir.LIF(
        tau=np.full(out, w.dt / rate, np.float32),
        r=np.full(out, 1 / rate, np.float32),
        v_leak=np.zeros(out, np.float32),
        v_threshold=np.full(out, 0.5, np.float32),
        v_reset=np.zeros(out, np.float32),
    )
    return [w.put(node.name, fires, [total])]

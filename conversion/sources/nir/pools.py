"""NIR's pooling nodes; both take windows in the padding as zeros, as torch does by default."""

from __future__ import annotations

from collections.abc import Sequence

from sdcl_neuro.errors import Refusal
from sdcl_neuro.network.spec import Pair, Shape

from ...lowering.pooling import Divide, Pool, compose, window_axis
from .inline import StoredNode
from .values import Refuse, pair


def read_pools(nodes: Sequence[StoredNode], shape: Shape, refuse: Refuse) -> Pool | None:
    """Return all pooling before a synapse as one; None without any, or after refusing one."""
    whole: Pool | None = None
    for node in nodes:
        if len(shape) != 3:
            what = f"it pools the shape {list(shape)}"
            refuse(Refusal(node.where, what, "give it (C, H, W)"))
            return None
        pool = _read_pool(node, (shape[1], shape[2]), refuse)
        if pool is None:
            return None
        shape = (shape[0], *pool.size)
        whole = pool if whole is None else compose(whole, pool)
    return whole


def _read_pool(node: StoredNode, size: Pair, refuse: Refuse) -> Pool | None:
    kernel = pair(node, "kernel_size", 1, refuse)
    stride = pair(node, "stride", 1, refuse)
    padding = pair(node, "padding", 0, refuse)
    if kernel is None or stride is None or padding is None:
        return None
    divide: Divide = "all" if node.type == "AvgPool2d" else "none"
    try:
        rows, columns = (
            window_axis(n, kernel=k, stride=s, padding=p, divide=divide)
            for n, k, s, p in zip(size, kernel, stride, padding, strict=True)
        )
    except ValueError as error:
        refuse(Refusal(node.where, f"cannot pool: {error}", "use a smaller window"))
        return None
    kind = "average" if divide == "all" else "sum"
    return Pool(rows, columns, f"{node.name}: {kind} pooling {kernel[0]}x{kernel[1]}")

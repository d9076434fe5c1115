"""A synapse's weights and geometry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sdcl_neuro.errors import Refusal
from sdcl_neuro.network.spec import Convolution

from ...lowering.same_padding import pad_kernel_same
from .inline import StoredNode
from .values import AGAIN, Array, Refuse, numbers, pair


@dataclass(frozen=True)
class StoredSynapse:
    """A synapse's values as stored: weight, bias or None, geometry of a convolution or None."""

    weight: Array
    bias: Array | None
    convolution: Convolution | None


def read_synapse(node: StoredNode, refuse: Refuse) -> StoredSynapse | None:
    """Read a synapse, or refuse it, with every reason.

    Returns:
        None only where not even a shape can be followed: whoever refused anything decides by its
        own count of refusals.
    """
    weight = _weight(node, refuse)
    if weight is None:
        return None
    bias = _bias(node, len(weight), refuse)
    if node.type != "Conv2d":
        return StoredSynapse(weight, bias, None)
    return _convolution(node, weight, bias, refuse)


def _weight(node: StoredNode, refuse: Refuse) -> Array | None:
    weight = numbers(node, "weight", refuse)
    if weight is None:
        # What is not finite has been refused; its shape still leads to the next fault.
        value = np.asarray(node.fields.get("weight"))
        if value.dtype.kind not in "biuf" or not value.size:
            return None
        weight = np.zeros_like(value)
    rank = 4 if node.type == "Conv2d" else 2
    if weight.ndim != rank:
        what = f"weight has the shape {list(weight.shape)}, not rank {rank}"
        refuse(Refusal(node.where, what, AGAIN))
        return None
    return weight


def _bias(node: StoredNode, outputs: int, refuse: Refuse) -> Array | None:
    if node.fields.get("bias") is None:
        return None
    bias = numbers(node, "bias", refuse)
    if bias is None:
        return None
    if bias.shape != (outputs,):
        refuse(
            Refusal(node.where, f"bias has the shape {list(bias.shape)}, not [{outputs}]", AGAIN)
        )
        return None
    return bias if bias.any() else None


def _convolution(
    node: StoredNode, weight: Array, bias: Array | None, refuse: Refuse
) -> StoredSynapse | None:
    """Return a convolution with its stride, padding, dilation and groups."""
    stride = pair(node, "stride", 1, refuse)
    dilation = pair(node, "dilation", 1, refuse)
    groups = pair(node, "groups", 1, refuse)
    text = node.fields.get("padding")
    text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    text = text if isinstance(text, str) else None
    padding = (0, 0) if text is not None else pair(node, "padding", 0, refuse)
    if stride is None or dilation is None or groups is None or padding is None:
        return None
    if weight.shape[0] % groups[0]:
        what = f"{weight.shape[0]} output channels do not divide into {groups[0]} groups"
        refuse(Refusal(node.where, what, AGAIN))
        return None
    if text == "same":
        if stride != (1, 1):
            what = f"padding 'same' at a stride of {list(stride)}"
            refuse(Refusal(node.where, what, "give the padding in numbers"))
            return None
        weight, padding, dilation = pad_kernel_same(weight, dilation)
    elif text not in (None, "valid"):
        refuse(Refusal(node.where, f"padding is {text[:40]!r}", "use 'same', 'valid' or numbers"))
        return None
    return StoredSynapse(weight, bias, Convolution(stride, padding, dilation, groups[0]))

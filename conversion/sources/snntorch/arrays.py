"""Numbers of torch's modules as float64 arrays and pairs; a line is an image of height one."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sdcl_neuro.network.spec import Pair

Array = NDArray[np.float64]


def two(value: Any, other: int) -> Pair:
    """Return (vertical, horizontal) of a number or a tuple; `other` is the height's, along a
    line.
    """
    if isinstance(value, int):
        return value, value
    if len(value) == 1:
        return other, int(value[0])
    return int(value[0]), int(value[1])


def along(value: Any, other: int) -> tuple[Any, Any]:
    """Return (vertical, horizontal) of a number or a tuple of one, along a line."""
    return other, value[0] if isinstance(value, tuple | list) else value


def four(weight: Array) -> Array:
    """Return a kernel along a line with a height."""
    return weight[:, :, None] if weight.ndim == 3 else weight


def maybe(bias: Tensor | None) -> Array | None:
    """Return a bias, where there is one."""
    return None if bias is None else double(bias)


def double(tensor: Tensor) -> Array:
    """Return a tensor's values."""
    array: Array = tensor.detach().to("cpu", torch.float64).numpy()
    return array

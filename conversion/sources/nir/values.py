"""Numbers in a NIR node, checked: what a field holds, and what is said where it holds none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import Refusal
from sdcl_neuro.network.spec import Pair

from .inline import StoredNode

Array = NDArray[Any]
Refuse = Callable[[Refusal], None]

AGAIN = "export the network again"


def numbers(node: StoredNode, key: str, refuse: Refuse, *, infinite: bool = False) -> Array | None:
    """Read a field as an array of real numbers, or refuse it and return None.

    Args:
        node: where.
        key: which field.
        refuse: takes what is wrong.
        infinite: let positive infinity pass, as a time constant that never decays.
    """
    value = node.fields.get(key)
    if value is None:
        refuse(Refusal(node.where, f"{key} is missing", AGAIN))
        return None
    array = np.asarray(value)
    if array.dtype.kind not in "biuf" or not array.size:
        refuse(Refusal(node.where, f"{key} holds no numbers", AGAIN))
        return None
    wrong = np.isnan(array) | (np.isneginf(array) if infinite else np.isinf(array))
    if wrong.any():
        bad = "not-a-number" if np.isnan(array).any() else "infinite values"
        refuse(Refusal(node.where, f"{key} holds {bad}", "train the network again"))
        return None
    return array


def pair(node: StoredNode, key: str, least: int, refuse: Refuse) -> Pair | None:
    """Read one or two whole numbers as a pair; a field that is missing is 1, a padding 0."""
    value = node.fields.get(key)
    array = np.asarray(value if value is not None else 1 - (least == 0))
    if array.dtype.kind not in "iu" or array.size not in (1, 2) or array.min() < least:
        what = f"{key} is {value!r}, not whole numbers from {least} up"
        refuse(Refusal(node.where, " ".join(what.split())[:200], AGAIN))
        return None
    rows, columns = np.broadcast_to(array.reshape(-1), 2)
    return int(rows), int(columns)

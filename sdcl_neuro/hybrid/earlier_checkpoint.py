"""Checkpoints of earlier releases: converted where nothing is lost, refused in one line where not.

Version 1 had no biases in the classifiers and in STAM's gates, and no ReLU behind STAM's theta. A
bias of zero is what there was; the ReLU cannot be undone, so a model with STAM blocks would
compute something else than it was trained to.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from sdcl_neuro.errors import InputError

FIRST = 1
_CLASSIFIER = ".classifier.weight"


def brought_up(
    tensors: Mapping[str, Tensor], *, version: int, stam: bool, folder: Path
) -> dict[str, Tensor]:
    """Return dense weights of a checkpoint under today's names.

    Args:
        tensors: as they were read.
        version: of the checkpoint's schema.
        stam: whether the model has STAM blocks.
        folder: for the message.

    Raises:
        InputError: weights that today's modules would compute something else with.
    """
    given = dict(tensors)
    if version > FIRST:
        return given
    if stam:
        raise InputError(
            "the checkpoint (version 1) has STAM blocks without the published ReLU and biases",
            where=str(folder),
            hint="train it again with its configuration, or use the release that wrote it; its "
            "event_branch/ is unchanged and still converts",
        )
    for name, weight in tensors.items():
        if name.endswith(_CLASSIFIER):
            bias = name.removesuffix("weight") + "bias"
            given.setdefault(bias, weight.new_zeros(len(weight)))
    return given

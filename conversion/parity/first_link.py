"""The first pair of a certificate: the network's source beside its description.

A source that is at hand, a checkpoint's module, is run again on the certificate's own input. Of a
``.net``, or a network in memory, its source is not at hand: what goes with it is shown.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.hybrid.sdcl_checkpoint import event_branch_folder, is_sdcl_checkpoint
from sdcl_neuro.network.notes import Note
from sdcl_neuro.snn.checkpoint import load_checkpoint

from ..model import Model
from ..sources.snntorch.source import from_snntorch
from .certificate import PairParity
from .source_check import SourceCheck, checks_of

Spikes = NDArray[np.uint8]


def first_links(model: Model, values: Spikes) -> tuple[list[PairParity], list[Note]]:
    """Compare a model's source with its description, or show what was compared before.

    Args:
        model: the model.
        values: the certificate's input, uint8 ``[T, B, *input_shape]``.

    Returns:
        The pairs, and what stays unchecked.
    """
    if model.path is not None and model.path.is_dir():
        return [checkpoint_check(model, values).pair], []
    checks, missing = checks_of(model.graph, model.floating, model.integer)
    return [check.pair for check in checks], missing


def checkpoint_check(model: Model, values: Spikes) -> SourceCheck:
    """Run a checkpoint's own module beside its description."""
    if model.path is None:
        raise ValueError("a checkpoint is a folder")
    path = model.path
    folder = event_branch_folder(path) if is_sdcl_checkpoint(path) else path
    net = from_snntorch(load_checkpoint(folder).module, values)
    checks, _ = checks_of(net)
    return checks[0]
